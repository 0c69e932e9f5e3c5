"""What the model is compared with: the same network, and a Transformer, in plain PyTorch.

``PlainConvGRU`` computes the very function of ``seqmelody.model.MelodyNetwork``: it takes the same
batch, has the same parameters (``load_weights`` takes them over), and gives the same scores. But it
is written as PyTorch's documentation and most published code would have it: one ``nn.Embedding``
for each feature, ``nn.Conv1d`` between transpositions, a bidirectional ``nn.GRU`` on a packed
sequence, one operation after another. ``PlainTransformer`` has the same features and head around an
``nn.TransformerEncoder``, its feed-forward layers as wide as makes the number of parameters equal.

Shapes: B melodies, L notes, F features of a note, D channels, H hidden units of one direction, E
embedding size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seqmelody.batching import Batch
from seqmelody.config import ModelConfig
from seqmelody.model import ModelOutput
from seqmelody.model.repetition import RUNS, repetition
from seqmelody.tokens import Tokenizer

LARGEST_INTERVAL = 24
LARGEST_HEIGHT = 36
METRES = (96, 72)
BINS_PER_OCTAVE = 4
LONGEST_AGO = 126
LAYERS = 3
ATTENTION_HEADS = 4
LONGEST = 4096
"""Notes that the Transformer has positions for."""


def feature_sizes(tokenizer: Tokenizer) -> list[int]:
    """How many values each of the features has."""
    bins = round(BINS_PER_OCTAVE * math.log2(tokenizer.max_duration_steps)) + 1
    return [
        2 * LARGEST_INTERVAL + 2,
        2 * LARGEST_HEIGHT + 1,
        2 * LARGEST_HEIGHT + 1,
        tokenizer.max_duration_steps + 1,
        tokenizer.max_rest_steps + 1,
        bins,
        *METRES,
        *METRES,
        *[len(RUNS) + 1] * 4,
        LONGEST_AGO + 2,
    ]


def features(batch: Batch) -> Tensor:
    """The features of each note, ``(B, L, F)``: see ``seqmelody.model.features``."""
    pitch_BL, mask_BL, length_B1 = batch.pitch_BL, batch.mask_BL, batch.length_B[:, None]
    step_BL = (pitch_BL[:, 1:] - pitch_BL[:, :-1]).clamp(-LARGEST_INTERVAL, LARGEST_INTERVAL)
    first_B1 = torch.zeros_like(pitch_BL[:, :1])
    interval_BL = torch.cat([first_B1, step_BL + LARGEST_INTERVAL + 1], dim=1)
    sum_B1 = (pitch_BL * mask_BL).sum(dim=1, keepdim=True)
    centre_B1 = torch.div(2 * sum_B1 + length_B1, 2 * length_B1, rounding_mode="floor")
    final_B1 = pitch_BL.gather(1, length_B1 - 1)
    above_centre_BL = (pitch_BL - centre_B1).clamp(-LARGEST_HEIGHT, LARGEST_HEIGHT)
    above_final_BL = (pitch_BL - final_B1).clamp(-LARGEST_HEIGHT, LARGEST_HEIGHT)
    lasting_BL = (batch.duration_BL + batch.rest_BL) * mask_BL
    onset_BL = torch.cumsum(lasting_BL, dim=1) - lasting_BL
    until_BL = onset_BL.gather(1, length_B1 - 1) - onset_BL
    bin_BL = torch.round(BINS_PER_OCTAVE * torch.log2(batch.duration_BL.clamp(min=1))).long()
    described = [
        interval_BL,
        above_centre_BL + LARGEST_HEIGHT,
        above_final_BL + LARGEST_HEIGHT,
        batch.duration_BL,
        batch.rest_BL,
        bin_BL,
        *(onset_BL % metre for metre in METRES),
        *(until_BL % metre for metre in METRES),
        *repeated(interval_BL, lasting_BL, onset_BL, mask_BL),
    ]
    return torch.stack(described, dim=-1) * mask_BL.unsqueeze(-1)


def repeated(
    interval_BL: Tensor, lasting_BL: Tensor, onset_BL: Tensor, mask_BL: Tensor
) -> list[Tensor]:
    """What is heard again, found as the package finds it: there is no plain way to do it."""
    known_BL = mask_BL & (torch.arange(mask_BL.shape[1]) > 0)
    both_BL = interval_BL * (1 + int(lasting_BL.max())) + lasting_BL
    melodic, full = repetition(interval_BL, known_BL), repetition(both_BL, known_BL)
    before_BL = onset_BL.gather(1, full.earlier_BL.clamp(min=0))
    ago_BL = torch.clamp(onset_BL // 24 - before_BL // 24, max=LONGEST_AGO) + 1
    ago_BL = torch.where(full.earlier_BL < 0, 0, ago_BL)
    ends, begins = (melodic.ending_BL, full.ending_BL), (melodic.beginning_BL, full.beginning_BL)
    return [ends[0], begins[0], ends[1], begins[1], ago_BL]


class PlainFeatures(nn.Module):
    """The sum of an ``nn.Embedding`` for each feature."""

    def __init__(self, tokenizer: Tokenizer, channels: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.tables = nn.ModuleList(
            nn.Embedding(size, channels) for size in feature_sizes(tokenizer)
        )

    def forward(self, batch: Batch) -> Tensor:
        """The vectors of the notes, ``(B, L, D)``."""
        index_BLF = features(batch)
        # A feature of a note is dropped as a whole.
        kept_BLF = self.dropout(torch.ones(index_BLF.shape, device=index_BLF.device))
        hidden_BLD: Tensor = 0.0
        for number, table in enumerate(self.tables):
            vector_BLD = table(index_BLF[:, :, number])
            if self.training:
                vector_BLD = vector_BLD * kept_BLF[:, :, number : number + 1]
            hidden_BLD = hidden_BLD + vector_BLD
        return hidden_BLD


class PlainHead(nn.Module):
    """Attention over the notes: their weighted sum is the embedding, the score is linear in it."""

    def __init__(self, channels: int, embedding_size: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.weight = nn.Linear(channels, 1)
        self.vector = nn.Linear(channels, embedding_size)
        self.value = nn.Linear(embedding_size, 1)

    def forward(self, hidden_BLD: Tensor, mask_BL: Tensor) -> ModelOutput:
        """Scores and embeddings."""
        hidden_BLD = self.norm(hidden_BLD)
        logit_BL = self.weight(hidden_BLD).squeeze(-1).float()
        weight_BL = torch.softmax(logit_BL.masked_fill(~mask_BL, -torch.inf), dim=1)
        vector_BLE = self.vector(hidden_BLD)
        value_BL = self.value(vector_BLE).squeeze(-1).float()
        pooled_BE = (weight_BL.unsqueeze(-1) * vector_BLE).sum(dim=1)
        return ModelOutput(
            score_B=(weight_BL * value_BL).sum(dim=1),
            embedding_BE=nn.functional.normalize(pooled_BE.float(), dim=1),
            weight_BL=weight_BL,
            value_BL=value_BL * mask_BL,
        )


class PlainConvBlock(nn.Module):
    """A residual convolution."""

    def __init__(self, channels: int, kernel_size: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.conv = nn.Conv1d(channels, channels, kernel_size, padding="same", dilation=dilation)
        self.relu = nn.ReLU()
        self.dropout = nn.Dropout1d(dropout)

    def forward(self, hidden_BLD: Tensor, mask_BL1: Tensor) -> Tensor:
        """``(B, L, D)`` to ``(B, L, D)``."""
        change_BDL = (self.norm(hidden_BLD) * mask_BL1).transpose(1, 2)
        change_BDL = self.dropout(self.relu(self.conv(change_BDL)))
        return hidden_BLD + change_BDL.transpose(1, 2)


class PlainConvGRU(nn.Module):
    """The network of ``seqmelody.model.MelodyNetwork``, as anyone would write it.

    Args:
        config: The sizes.
        tokenizer: Whose streams the model reads.
    """

    def __init__(self, config: ModelConfig, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.features = PlainFeatures(tokenizer, config.channels, config.feature_dropout)
        self.blocks = nn.ModuleList(
            PlainConvBlock(config.channels, config.kernel_size, dilation, config.dropout)
            for dilation in config.dilations
        )
        self.norm = nn.LayerNorm(config.channels)
        self.gru = nn.GRU(config.channels, config.hidden_size, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout1d(config.dropout)
        self.head = PlainHead(2 * config.hidden_size, config.embedding_size)

    def forward(self, batch: Batch) -> ModelOutput:
        """Scores a batch."""
        hidden_BLD = self.features(batch)
        mask_BL1 = batch.mask_BL.unsqueeze(-1)
        for block in self.blocks:
            hidden_BLD = block(hidden_BLD, mask_BL1)
        packed = pack_padded_sequence(
            self.norm(hidden_BLD), batch.length_B.cpu(), batch_first=True, enforce_sorted=False
        )
        packed, _ = self.gru(packed)
        hidden_BLD, _ = pad_packed_sequence(packed, batch_first=True)
        hidden_BLD = self.dropout(hidden_BLD.transpose(1, 2)).transpose(1, 2)
        output: ModelOutput = self.head(hidden_BLD, batch.mask_BL)
        return output

    def load_weights(self, ours: Mapping[str, Tensor]) -> PlainConvGRU:
        """Takes over the weights of a ``MelodyNetwork``, by its ``state_dict``."""
        weights = {}
        for name, weight in ours.items():
            if name == "features.table.weight":
                sizes = [table.num_embeddings for table in self.features.tables]
                for number, part in enumerate(weight.split(sizes)):
                    weights[f"features.tables.{number}.weight"] = part
            elif name.startswith("gru.backwards."):
                weights[f"gru.{name.removeprefix('gru.backwards.')}_reverse"] = weight
            else:
                weights[name.replace("gru.forwards.", "gru.")] = weight
        self.load_state_dict(weights)
        return self


class ChannelDropout(nn.Module):
    """Drops whole channels of a melody, ``(B, L, D)``."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout1d(dropout)

    def forward(self, hidden_BLD: Tensor) -> Tensor:
        """``(B, L, D)`` to ``(B, L, D)``."""
        dropped_BLD: Tensor = self.dropout(hidden_BLD.transpose(1, 2)).transpose(1, 2)
        return dropped_BLD


class PlainTransformer(nn.Module):
    """A Transformer encoder (Vaswani et al., 2017; normalised first) of as many parameters.

    Its dropout is of whole channels, as ours is, and there is none of the attention, with which
    PyTorch has no fused attention on a CPU: together that makes it about a quarter faster.

    Args:
        config: Sizes of the ``MelodyNetwork`` to be equal to.
        tokenizer: Whose streams the model reads.
    """

    def __init__(self, config: ModelConfig, tokenizer: Tokenizer) -> None:
        super().__init__()
        channels = config.channels
        self.features = PlainFeatures(tokenizer, channels, config.feature_dropout)
        self.head = PlainHead(channels, config.embedding_size)
        rival = PlainConvGRU(config, tokenizer)
        left = parameters(rival) - parameters(self) - 2 * channels  # the last norm
        self.encoder = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(
                channels,
                ATTENTION_HEADS,
                _width(left / LAYERS, channels),
                config.dropout,
                batch_first=True,
                norm_first=True,
            ),
            LAYERS,
            norm=nn.LayerNorm(channels),
            enable_nested_tensor=False,
        )
        for layer in self.encoder.layers:
            layer.self_attn.dropout = 0.0
            for name in ("dropout", "dropout1", "dropout2"):
                setattr(layer, name, ChannelDropout(config.dropout))
        self.register_buffer("position_LD", _positions(LONGEST, channels), persistent=False)

    def forward(self, batch: Batch) -> ModelOutput:
        """Scores a batch."""
        mask_BL = batch.mask_BL
        hidden_BLD = self.features(batch) + self.get_buffer("position_LD")[: mask_BL.shape[1]]
        hidden_BLD = self.encoder(hidden_BLD, src_key_padding_mask=~mask_BL)
        output: ModelOutput = self.head(hidden_BLD, mask_BL)
        return output


def parameters(model: nn.Module) -> int:
    """How many a model has."""
    return sum(weight.numel() for weight in model.parameters())


def flops_per_note(model: nn.Module) -> int:
    """Floating-point operations of the forward pass that are matrix products, for each note.

    Two (a product and a sum) for each weight of a convolution, of a GRU and of a linear layer: each
    is used once a note. Look-ups, norms, biases and the GRU's gates are not counted. Training takes
    three times that: the gradients of the inputs and of the weights are as large a product each.
    """
    counted = (nn.Conv1d, nn.GRU, nn.Linear)
    return 2 * sum(
        weight.numel()
        for module in model.modules()
        if isinstance(module, counted)
        for name, weight in module.named_parameters(recurse=False)
        if name.startswith("weight")
    )


def _width(parameters_of_layer: float, channels: int) -> int:
    """Width of the feed-forward part that gives a layer as many parameters."""
    attention = 4 * channels * (channels + 1)
    norms_and_bias = 5 * channels
    return round((parameters_of_layer - attention - norms_and_bias) / (2 * channels + 1))


def _positions(longest: int, channels: int) -> Tensor:
    """Sinusoids, as in the paper."""
    place_L1 = torch.arange(longest)[:, None]
    frequency_D = torch.exp(torch.arange(0, channels, 2) * (-math.log(10_000.0) / channels))
    angle_LD = place_L1 * frequency_D
    return torch.stack([angle_LD.sin(), angle_LD.cos()], dim=2).flatten(1)[:, :channels]
