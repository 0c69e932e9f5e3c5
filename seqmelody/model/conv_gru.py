"""The default model: residual masked 1-D convolutions, a bidirectional GRU, an additive head.

Convolutions read motifs at several scales; the GRU (Cho et al., 2014) carries what they found
along the melody, forwards and backwards, so that every note is judged knowing the whole.

Shapes: L notes, B melodies, D channels. The notes come first, since both the convolutions and the
GRU are quicker so.
"""

from __future__ import annotations

import torch
from torch import nn

from seqmelody.batching import Batch
from seqmelody.config import ConvGRUConfig
from seqmelody.model.convolution import ConvBlock
from seqmelody.model.features import NoteFeatures
from seqmelody.model.heads import AdditiveHead
from seqmelody.model.output import ModelOutput
from seqmelody.model.recurrence import BidirectionalGRU
from seqmelody.tokens import Tokenizer


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
        self.dropout = nn.Dropout(config.dropout)
        self.head = AdditiveHead(2 * config.hidden_size, config.embedding_size)

    def forward(self, batch: Batch) -> ModelOutput:
        """Scores a batch. The other rows and the padding do not change a row's result."""
        mask_LB = batch.mask_BL.T.contiguous()
        hidden_LBD = self.features(batch)
        mask_LB1 = mask_LB[:, :, None].to(hidden_LBD.dtype)
        for block in self.blocks:
            hidden_LBD = block(hidden_LBD, mask_LB1)
        hidden_LBD = self.gru(self.norm(hidden_LBD), mask_LB)
        if self.training and self.config.dropout > 0:
            # As in the blocks: whole channels of a melody.
            hidden_LBD = hidden_LBD * self.dropout(torch.ones_like(hidden_LBD[0]))
        output: ModelOutput = self.head(hidden_LBD, mask_LB)
        return output
