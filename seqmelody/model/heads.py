"""Hidden states of the notes to score, embedding and each note's share.

Shapes: B melodies, L notes, D channels, E embedding size, P pools, V size of a pool's part of the
vector (E / P).
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

    With several pools, each has weights of its own for its part of the vector, as the heads of
    attention do (Vaswani et al., 2017), so that different notes may speak for different sides of a
    melody. A note's weight is then the mean of its weights.

    Args:
        channels: D.
        embedding_size: E.
        pools: P, a divisor of E.

    Attributes:
        posterior: Tells how sure a score is; ``None`` where nobody knows.
    """

    def __init__(self, channels: int, embedding_size: int, pools: int = 1) -> None:
        super().__init__()
        self.pools = pools
        self.norm = nn.LayerNorm(channels)
        self.weight = nn.Linear(channels, pools)
        self.vector = nn.Linear(channels, embedding_size)
        self.value = nn.Linear(embedding_size, 1)
        self.posterior: ReadoutPosterior | None = None

    def forward(self, hidden_LBD: Tensor, mask_LB: Tensor) -> ModelOutput:
        """Reads the hidden states out; padding has weight 0."""
        hidden_LBD = self.norm(hidden_LBD)
        # The vectors are linear in the hidden states, so sums over notes can be taken before them,
        # and a note's value without its vector.
        value_PV = self.value.weight.view(self.pools, -1)
        value_weight_PD = torch.einsum("pv,pvd->pd", value_PV, self._vector_weight_PVD)
        value_bias_P = (value_PV * self.vector.bias.view(self.pools, -1)).sum(1)
        # Each pool's weights sum to 1, so that all together add the bias once.
        value_bias_P = value_bias_P + self.value.bias / self.pools
        reading_DQ = torch.cat([self.weight.weight, value_weight_PD]).T
        reading_LBQ = (hidden_LBD @ reading_DQ).float()
        logit_LBP, value_LBP = reading_LBQ[..., : self.pools], reading_LBQ[..., self.pools :]
        log_weight_BLP = self._log_weights(logit_LBP, mask_LB)
        weight_BLP = log_weight_BLP.exp()
        # What the pools say of a note, by their shares of its weight.
        share_BLP = log_weight_BLP.masked_fill(~mask_LB.T[:, :, None], 0.0).softmax(2) * self.pools
        value_BLP = (value_LBP + value_bias_P).transpose(0, 1) * share_BLP
        value_BL = value_BLP.sum(2) * mask_LB.T
        weight_BL = weight_BLP.mean(2)
        vector_BE = self._pooled(hidden_LBD, weight_BLP)
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
        return self._pooled(hidden_LBD, self._weights(hidden_LBD, mask_LB))

    def note_vectors(self, hidden_LBD: Tensor, mask_LB: Tensor) -> Tensor:
        """What the melodies' vectors are the weighted sums of, ``(B, L, E)``; padding has zeros.

        With several pools, a note's part for each is multiplied by how much more that pool weighs
        the note than the pools do in the mean.
        """
        hidden_LBD = self.norm(hidden_LBD)
        vector_BLE: Tensor = self.vector(hidden_LBD).float().transpose(0, 1)
        mask_BL1 = mask_LB.T[:, :, None]
        if self.pools > 1:
            log_weight_BLP = self._log_weights(self._logits(hidden_LBD), mask_LB)
            share_BLP = log_weight_BLP.masked_fill(~mask_BL1, 0.0).softmax(2) * self.pools
            B, L, _ = vector_BLE.shape
            vector_BLPV = vector_BLE.view(B, L, self.pools, -1) * share_BLP[..., None]
            vector_BLE = vector_BLPV.flatten(2)
        return vector_BLE * mask_BL1

    @property
    def _vector_weight_PVD(self) -> Tensor:
        return self.vector.weight.view(self.pools, -1, self.vector.in_features)

    def _logits(self, hidden_LBD: Tensor) -> Tensor:
        return (hidden_LBD @ self.weight.weight.T).float()

    def _weights(self, hidden_LBD: Tensor, mask_LB: Tensor) -> Tensor:
        return self._log_weights(self._logits(hidden_LBD), mask_LB).exp()

    def _log_weights(self, logit_LBP: Tensor, mask_LB: Tensor) -> Tensor:
        """Logarithms of the notes' weights, ``(B, L, P)``; minus infinity on padding."""
        # A bias on the logits would change no weight, but a checkpoint has one.
        logit_BLP = (logit_LBP + self.weight.bias).transpose(0, 1)
        return logit_BLP.masked_fill(~mask_LB.T[:, :, None], float("-inf")).log_softmax(1)

    def _pooled(self, hidden_LBD: Tensor, weight_BLP: Tensor) -> Tensor:
        pooled_BPD = weight_BLP.transpose(1, 2).to(hidden_LBD.dtype) @ hidden_LBD.transpose(0, 1)
        vector_BPV = torch.einsum("bpd,pvd->bpv", pooled_BPD, self._vector_weight_PVD)
        vector_BE: Tensor = (vector_BPV.flatten(1) + self.vector.bias).float()
        return vector_BE
