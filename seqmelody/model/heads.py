"""Hidden states of the notes to score, embedding and each note's share.

Shapes: B melodies, L notes, D channels, E embedding size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqmelody.model.output import ModelOutput
from seqmelody.model.posterior import ReadoutPosterior


class AdditiveHead(nn.Module):
    """A score that is a sum over notes, read off the embedding.

    Each note gets a weight (a softmax over its melody) and a vector. The melody's vector is the
    weighted sum; the score is linear in it, and so is a weighted sum of the notes' values. Hence a
    note's share of the score is part of the model and not an approximation made afterwards. The
    embedding is the melody's vector at unit length.

    Args:
        channels: D.
        embedding_size: E.

    Attributes:
        posterior: Tells how sure a score is; ``None`` where nobody knows.
    """

    def __init__(self, channels: int, embedding_size: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.weight = nn.Linear(channels, 1)
        self.vector = nn.Linear(channels, embedding_size)
        self.value = nn.Linear(embedding_size, 1)
        self.posterior: ReadoutPosterior | None = None

    def forward(self, hidden_LBD: Tensor, mask_LB: Tensor) -> ModelOutput:
        """Reads the hidden states out; padding has weight 0."""
        hidden_LBD = self.norm(hidden_LBD)
        # The vectors are linear in the hidden states, so sums over notes can be taken before them,
        # and a note's value without its vector.
        value_weight_1D = self.value.weight @ self.vector.weight
        value_bias = self.value(self.vector.bias)
        reading_D2 = torch.cat([self.weight.weight, value_weight_1D]).T
        logit_LB, value_LB = (hidden_LBD @ reading_D2).float().unbind(2)
        weight_BL = self._weights(logit_LB, mask_LB)
        value_BL = (value_LB + value_bias).T * mask_LB.T
        vector_BE = self._pooled(hidden_LBD, weight_BL)
        return ModelOutput(
            score_B=(weight_BL * value_BL).sum(1),
            embedding_BE=nn.functional.normalize(vector_BE, dim=1),
            weight_BL=weight_BL,
            value_BL=value_BL,
            sd_B=None if self.posterior is None else self.posterior(vector_BE),
        )

    def vectors(self, hidden_LBD: Tensor, mask_LB: Tensor) -> Tensor:
        """The melodies' vectors, which the score is linear in, ``(B, E)``."""
        hidden_LBD = self.norm(hidden_LBD)
        logit_LB = (hidden_LBD @ self.weight.weight[0]).float()
        return self._pooled(hidden_LBD, self._weights(logit_LB, mask_LB))

    def _weights(self, logit_LB: Tensor, mask_LB: Tensor) -> Tensor:
        # A bias on the logits would change no weight, but a checkpoint has one.
        return (logit_LB + self.weight.bias).T.masked_fill(~mask_LB.T, float("-inf")).softmax(1)

    def _pooled(self, hidden_LBD: Tensor, weight_BL: Tensor) -> Tensor:
        pooled_B1D = weight_BL[:, None].to(hidden_LBD.dtype) @ hidden_LBD.transpose(0, 1)
        vector_BE: Tensor = self.vector(pooled_B1D.squeeze(1)).float()
        return vector_BE
