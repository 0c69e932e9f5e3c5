"""Hidden states of the notes to score, embedding and each note's share.

Shapes: B melodies, L notes, D channels, E embedding size.
"""

from __future__ import annotations

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

    def forward(self, hidden_BLD: Tensor, mask_BL: Tensor) -> ModelOutput:
        """Reads the hidden states out; padding has weight 0."""
        hidden_BLD = self.norm(hidden_BLD)
        logit_BL = self.weight(hidden_BLD).squeeze(2).float()
        weight_BL = logit_BL.masked_fill(~mask_BL, float("-inf")).softmax(1)
        vector_BLE = self.vector(hidden_BLD).float()
        value_BL = self.value(vector_BLE).squeeze(2).float()
        pooled_BE = (weight_BL[:, None] @ vector_BLE).squeeze(1)
        return ModelOutput(
            score_B=(weight_BL * value_BL).sum(1),
            embedding_BE=nn.functional.normalize(pooled_BE, dim=1),
            weight_BL=weight_BL,
            value_BL=value_BL * mask_BL,
        )
