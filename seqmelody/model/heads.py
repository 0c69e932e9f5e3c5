"""Hidden states of the notes to score, embedding and each note's share.

Shapes: B melodies, L notes, D channels, E embedding size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqmelody.model.output import ModelOutput


class AdditiveHead(nn.Module):
    """A score that is a sum over notes, read off the embedding.

    Each note gets a weight (a softmax over its melody) and a vector. The melody's vector is the
    weighted sum; the score is linear in it, and so is a weighted sum of the notes' values. Hence a
    note's share of the score is part of the model and not an approximation made afterwards. The
    embedding is the melody's vector at unit length.

    Args:
        channels: D.
        embedding_size: E.
    """

    def __init__(self, channels: int, embedding_size: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.weight = nn.Linear(channels, 1)
        self.vector = nn.Linear(channels, embedding_size)
        self.value = nn.Linear(embedding_size, 1)

    def forward(self, hidden_LBD: Tensor, mask_LB: Tensor) -> ModelOutput:
        """Reads the hidden states out; padding has weight 0."""
        hidden_LBD = self.norm(hidden_LBD)
        # The vectors are linear in the hidden states, so sums over notes can be taken before them,
        # and a note's value without its vector.
        value_weight_1D = self.value.weight @ self.vector.weight
        value_bias = self.value(self.vector.bias)
        reading_D2 = torch.cat([self.weight.weight, value_weight_1D]).T
        logit_LB, value_LB = (hidden_LBD @ reading_D2).float().unbind(2)
        # A bias on the logits would change no weight, but a checkpoint has one.
        logit_BL = (logit_LB + self.weight.bias).T.masked_fill(~mask_LB.T, float("-inf"))
        weight_BL = logit_BL.softmax(1)
        value_BL = (value_LB + value_bias).T * mask_LB.T
        pooled_BD = (weight_BL[:, None].to(hidden_LBD.dtype) @ hidden_LBD.transpose(0, 1)).squeeze(
            1
        )
        return ModelOutput(
            score_B=(weight_BL * value_BL).sum(1),
            embedding_BE=nn.functional.normalize(self.vector(pooled_BD).float(), dim=1),
            weight_BL=weight_BL,
            value_BL=value_BL,
        )
