"""What every model of the package takes and gives.

Shapes: B melodies, L notes, E embedding size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from seqmelody.batching import Batch


@dataclass(frozen=True)
class ModelOutput:
    """Score, embedding and reason of each melody in a batch.

    Attributes:
        score_B: The score, float32; higher is more melodic. ``(weight_BL * value_BL).sum(1)``.
        embedding_BE: Unit vectors, float32.
        weight_BL: How much each note counts, float32; sums to 1 over a melody, 0 on padding.
        value_BL: What each note says, float32.
        sd_B: Standard deviation of the score, float32; ``None`` where it is not known.
    """

    score_B: Tensor
    embedding_BE: Tensor
    weight_BL: Tensor
    value_BL: Tensor
    sd_B: Tensor | None = None


class MelodyModel(Protocol):
    """A ``torch.nn.Module`` that scores and embeds melodies."""

    def __call__(self, batch: Batch) -> ModelOutput:
        """Scores a batch. The other rows and the padding do not change a row's result."""
        ...
