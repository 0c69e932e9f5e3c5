"""The default model: residual masked 1-D convolutions, a bidirectional GRU, an additive head.

Convolutions read motifs at several scales; the GRU (Cho et al., 2014) carries what they found
along the melody, forwards and backwards, so that every note is judged knowing the whole.

Shapes: B melodies, L notes, D channels, H hidden units of one direction.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqmelody.batching import Batch
from seqmelody.config import ConvGRUConfig
from seqmelody.model.features import NoteFeatures
from seqmelody.model.heads import AdditiveHead
from seqmelody.model.output import ModelOutput
from seqmelody.tokens import Tokenizer


class ConvBlock(nn.Module):
    """``x + dropout(relu(conv(norm(x))))``, with padding held at zero.

    Dropout takes whole channels of a melody, as Gal & Ghahramani (2016) do for recurrent networks:
    a note's neighbours cannot stand in for it, and there are fewer random numbers to draw.
    """

    def __init__(self, channels: int, kernel_size: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.conv = nn.Conv1d(
            channels,
            channels,
            kernel_size,
            dilation=dilation,
            padding=dilation * (kernel_size // 2),
        )
        self.dropout = nn.Dropout1d(dropout)

    def forward(self, hidden_BLD: Tensor, mask_BL1: Tensor) -> Tensor:
        """One residual step, ``(B, L, D)`` to ``(B, L, D)``."""
        # Without the mask a convolution would read the norm's bias beyond the end of a melody.
        normed_BDL = (self.norm(hidden_BLD) * mask_BL1).transpose(1, 2)
        change_BDL = self.dropout(nn.functional.relu(self.conv(normed_BDL)))
        out: Tensor = hidden_BLD + change_BDL.transpose(1, 2)
        return out


class BidirectionalGRU(nn.Module):
    """A GRU in each direction, the backward one starting at each melody's last note."""

    def __init__(self, channels: int, hidden_size: int) -> None:
        super().__init__()
        self.forwards = nn.GRU(channels, hidden_size, batch_first=True)
        self.backwards = nn.GRU(channels, hidden_size, batch_first=True)

    def forward(self, hidden_BLD: Tensor, length_B: Tensor) -> Tensor:
        """Both directions beside each other, ``(B, L, 2 H)``."""
        position_L = torch.arange(hidden_BLD.shape[1], device=hidden_BLD.device)
        reverse_BL = length_B[:, None] - 1 - position_L
        # Notes in reverse order, padding where it was.
        reverse_BL = torch.where(reverse_BL < 0, position_L, reverse_BL)
        ahead_BLH, _ = self.forwards(hidden_BLD)
        back_BLH, _ = self.backwards(_take(hidden_BLD, reverse_BL))
        return torch.cat([ahead_BLH, _take(back_BLH, reverse_BL)], dim=2)


def _take(hidden_BLD: Tensor, index_BL: Tensor) -> Tensor:
    return hidden_BLD.gather(1, index_BL[:, :, None].expand(-1, -1, hidden_BLD.shape[2]))


class ConvGRU(nn.Module):
    """Scores and embeds melodies; see the module's text.

    Args:
        config: The sizes.
        tokenizer: Whose streams the model reads.
    """

    def __init__(self, config: ConvGRUConfig, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.config = config
        self.features = NoteFeatures(
            tokenizer.max_duration_steps,
            tokenizer.max_rest_steps,
            config.channels,
            config.feature_dropout,
        )
        self.blocks = nn.ModuleList(
            ConvBlock(config.channels, config.kernel_size, dilation, config.dropout)
            for dilation in config.dilations
        )
        self.norm = nn.LayerNorm(config.channels)
        self.gru = BidirectionalGRU(config.channels, config.hidden_size)
        self.dropout = nn.Dropout1d(config.dropout)
        self.head = AdditiveHead(2 * config.hidden_size, config.embedding_size)

    def forward(self, batch: Batch) -> ModelOutput:
        """Scores a batch. The other rows and the padding do not change a row's result."""
        hidden_BLD = self.features(batch)
        mask_BL1 = batch.mask_BL[:, :, None]
        for block in self.blocks:
            hidden_BLD = block(hidden_BLD, mask_BL1)
        hidden_BLD = self.gru(self.norm(hidden_BLD), batch.length_B)
        hidden_BLD = self.dropout(hidden_BLD.transpose(1, 2)).transpose(1, 2)
        output: ModelOutput = self.head(hidden_BLD, batch.mask_BL)
        return output
