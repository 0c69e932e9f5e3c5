"""The network: note features, residual convolutions, context along the melody, an additive head.

By default the convolutions read motifs at several scales, and a bidirectional GRU (Cho et al.,
2014) carries what they found along the melody, forwards and backwards, so that every note is judged
knowing the whole. Parts can be left out or replaced, which makes the rivals that the default is
compared with; features and head stay the same:

=================== ========================= ============================================
``model.dilations`` ``model.context``         what it is
=================== ========================= ============================================
any                 ``gru`` (the default)     convolutions and a GRU
``[]``              ``gru``                   a GRU alone
any                 ``none``                  a CNN
``[]``              ``attention``             a Transformer encoder
``[]``              ``none``                  a bag of notes: no note knows of the others but
                                              by its features
=================== ========================= ============================================

Shapes: L notes, B melodies, D channels, E size of the melody's vector. The notes come first, since
both the convolutions and the GRU are quicker so.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqmelody.batching import Batch
from seqmelody.config import ModelConfig
from seqmelody.model.attention import EncoderBlock
from seqmelody.model.convolution import ConvBlock
from seqmelody.model.features import NoteFeatures
from seqmelody.model.heads import AdditiveHead
from seqmelody.model.output import ModelOutput
from seqmelody.model.recurrence import BidirectionalGRU
from seqmelody.tokens import Tokenizer


class MelodyNetwork(nn.Module):
    """Scores and embeds melodies; see the module's text.

    Args:
        config: The parts and their sizes.
        tokenizer: Whose streams the model reads.
    """

    def __init__(self, config: ModelConfig, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.config = config
        self.features = self._front_end(config, tokenizer)
        self.blocks = nn.ModuleList(
            ConvBlock(config.channels, config.kernel_size, dilation, config.dropout)
            for dilation in config.dilations
        )
        channels = config.channels
        if config.context == "gru":
            self.norm = nn.LayerNorm(config.channels)
            self.gru = BidirectionalGRU(config.channels, config.hidden_size)
            channels = 2 * config.hidden_size
        elif config.context == "attention":
            self.encoder = nn.ModuleList(
                EncoderBlock(config.channels, config.heads, config.hidden_size, config.dropout)
                for _ in range(config.layers)
            )
        self.dropout = nn.Dropout(config.dropout)
        self.head = AdditiveHead(channels, config.embedding_size, config.pools)

    def _front_end(self, config: ModelConfig, tokenizer: Tokenizer) -> nn.Module:
        """What gives the first vectors of ``channels`` channels."""
        return NoteFeatures(
            tokenizer.max_duration_steps,
            tokenizer.max_rest_steps,
            config.channels,
            config.feature_dropout,
        )

    def forward(self, batch: Batch) -> ModelOutput:
        """Scores a batch. The other rows and the padding do not change a row's result."""
        output: ModelOutput = self.head(*self._read(batch))
        return output

    def vectors(self, batch: Batch) -> Tensor:
        """What the score is linear in, ``(B, E)``: the melodies' vectors, not at unit length."""
        return self.head.vectors(*self._read(batch))

    def with_note_vectors(self, batch: Batch) -> tuple[ModelOutput, Tensor]:
        """Scores a batch, and gives each note's vector.

        Returns:
            What ``forward`` gives, and ``(B, L, E)``, float32. The melody's vector, whose direction
            is the embedding, is the sum over its notes of ``weight_BL`` times these. Zeros stand on
            padding, and where a note of weight 0 has no vector.
        """
        hidden_LBD, mask_LB = self._read(batch)
        output: ModelOutput = self.head(hidden_LBD, mask_LB)
        return output, self.head.note_vectors(hidden_LBD, mask_LB)

    def _read(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The hidden states of the notes, ``(L, B, D)``, and where there are notes, ``(L, B)``."""
        mask_LB = batch.mask_BL.T.contiguous()
        return self._in_context(self.features(batch), mask_LB), mask_LB

    def _in_context(self, hidden_LBD: Tensor, mask_LB: Tensor) -> Tensor:
        """What the convolutions and the context make of the vectors."""
        mask_LB1 = mask_LB[:, :, None].to(hidden_LBD.dtype)
        for block in self.blocks:
            hidden_LBD = block(hidden_LBD, mask_LB1)
        if self.config.context == "gru":
            hidden_LBD = self.gru(self.norm(hidden_LBD), mask_LB)
        elif self.config.context == "attention":
            for block in self.encoder:
                hidden_LBD = block(hidden_LBD, mask_LB)
        if self.training and self.config.dropout > 0:
            # As in the blocks: whole channels of a melody.
            hidden_LBD = hidden_LBD * self.dropout(torch.ones_like(hidden_LBD[0]))
        return hidden_LBD
