"""What the objectives that learn from people share.

An objective sees a batch of melodies, of which people said something: of one melody each (a
rating, a yes or no), or of two (a preference). It is a module with a few parameters of its own
over the model's one score.

Shapes: B melodies of a batch, R of all that were judged, E embedding size, N judgements, each of M
melodies (1 or 2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqmelody.batching import Batch


@dataclass(frozen=True)
class Judgements:
    """What was said, on arrays or on tensors.

    Attributes:
        item_NM: Which melodies it is about: rows of a corpus, or of a batch.
        value_N: The rating; 1 for a yes and 0 for a no; 1 for a tie and 0 for a choice.
        weight_N: How much it counts.
        rater_N: Number of who said it; -1 where nobody is named.
    """

    item_NM: Any
    value_N: Any
    weight_N: Any
    rater_N: Any

    def __len__(self) -> int:
        return len(self.value_N)

    def __getitem__(self, which: NDArray[np.generic]) -> Judgements:
        """Some of them."""
        return Judgements(
            self.item_NM[which], self.value_N[which], self.weight_N[which], self.rater_N[which]
        )

    def of(self, item_NM: NDArray[np.int64]) -> Judgements:
        """The same as tensors, of other numbers of the melodies."""
        return Judgements(
            torch.from_numpy(item_NM),
            torch.from_numpy(self.value_N).float(),
            torch.from_numpy(self.weight_N).float(),
            torch.from_numpy(self.rater_N),
        )

    def to(self, device: torch.device) -> Judgements:
        """The same tensors on another device."""
        return Judgements(
            self.item_NM.to(device, non_blocking=True),
            self.value_N.to(device, non_blocking=True),
            self.weight_N.to(device, non_blocking=True),
            self.rater_N.to(device, non_blocking=True),
        )


@dataclass(frozen=True)
class JudgedBatch:
    """Melodies, and what was said of them.

    Attributes:
        melodies: B of them.
        judgements: Of rows of ``melodies``.
    """

    melodies: Batch
    judgements: Judgements

    def to(self, device: torch.device) -> JudgedBatch:
        """The same on another device."""
        return JudgedBatch(self.melodies.to(device), self.judgements.to(device))


class JudgedObjective(Protocol):
    """An objective that learns from people; a ``torch.nn.Module``."""

    needs_embedding: bool
    """Whether ``embedding_BE`` is read, which several processes would have to exchange."""

    def begin(
        self, score_R: NDArray[np.float64], embedding_RE: NDArray[np.float64], said: Judgements
    ) -> None:
        """Sets offset and scale to what suits the model that training begins with.

        Args:
            score_R: Of the melodies that were judged.
            embedding_RE: Of the same.
            said: Of these melodies, by number.
        """
        ...

    def __call__(self, score_B: Tensor, embedding_BE: Tensor | None, said: Judgements) -> Tensor:
        """The loss of a batch."""
        ...

    def measure(
        self, score_B: Tensor, embedding_BE: Tensor | None, said: Judgements
    ) -> dict[str, float]:
        """Figures by name; one that cannot be told is NaN."""
        ...
