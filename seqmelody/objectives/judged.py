"""What the objectives that learn from people share.

An objective sees a batch of melodies, of which people said something: of one melody each (a
rating, a yes or no), or of two (a preference). It is a module with a few parameters of its own
over the model's one score: what is said of a melody follows ``offset + scale * score``, the
consensus, of two the difference; and where raters are named, what is a rater's own comes on top.

Shapes: B melodies of a batch, R of all that were judged, E embedding size, N judgements, each of M
melodies (1 or 2).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seqmelody.batching import Batch
from seqmelody.listeners import PRIOR_SLOPE
from seqmelody.objectives.listeners import RaterEffects, Raters


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

    @classmethod
    def alike(
        cls,
        item_NM: NDArray[np.int64],
        value_N: NDArray[np.float64],
        rater_N: NDArray[np.int64] | None,
    ) -> Judgements:
        """Judgements that all count alike; without raters, nobody is named."""
        nobody = np.full(len(value_N), -1, dtype=np.int64)
        return cls(item_NM, value_N, np.ones(len(value_N)), nobody if rater_N is None else rater_N)

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


class JudgedObjective(nn.Module, ABC):
    """An objective that learns from people.

    Args:
        raters: Whom it tells apart; by default nobody.
        offset_sd: Prior spread of raters' offsets; 0 if they have none, nor has the consensus.
        taste_sd: Prior spread of what a taste adds.
        units: How many of what the loss is the mean of there are in all.

    Attributes:
        needs_embedding: Whether ``embedding_BE`` is read, which several processes would have to
            exchange.
        effects: What the raters add, if any is told apart.
    """

    def __init__(
        self, raters: Raters | None, *, offset_sd: float, taste_sd: float, units: int
    ) -> None:
        super().__init__()
        self.needs_embedding = raters is not None and raters.taste_rank > 0
        self.offset = nn.Parameter(torch.zeros(())) if offset_sd > 0 else None
        self.log_scale = nn.Parameter(torch.zeros(()))
        self.effects = (
            None
            if raters is None
            else RaterEffects(
                raters,
                offset_sd=offset_sd,
                slope_sd=PRIOR_SLOPE,
                taste_sd=taste_sd,
                units=units,
            )
        )

    def begin(
        self, score_R: NDArray[np.float64], embedding_RE: NDArray[np.float64], said: Judgements
    ) -> None:
        """Sets offset and scale to what suits the model that training begins with.

        Args:
            score_R: Of the melodies that were judged.
            embedding_RE: Of the same.
            said: Of these melodies, by number.
        """
        if self.effects is not None:
            self.effects.begin(torch.from_numpy(embedding_RE).float())
        offset, scale = self.suits(score_R, said)
        with torch.no_grad():
            self.log_scale.fill_(math.log(scale))
            if self.offset is not None:
                self.offset.fill_(offset)

    @abstractmethod
    def suits(self, score_R: NDArray[np.float64], said: Judgements) -> tuple[float, float]:
        """Offset and scale that suit what was said best, raters apart; the offset is 0 if none is.

        Args:
            score_R: Of melodies that were judged.
            said: Of these melodies, by number.
        """

    @abstractmethod
    def forward(self, score_B: Tensor, embedding_BE: Tensor | None, said: Judgements) -> Tensor:
        """The loss of a batch."""

    @abstractmethod
    def measure(
        self, score_B: Tensor, embedding_BE: Tensor | None, said: Judgements
    ) -> dict[str, float]:
        """Figures by name; one that cannot be told is NaN. With raters, their effects count."""

    def _expected(self, score_B: Tensor, embedding_BE: Tensor | None, said: Judgements) -> Tensor:
        """What the model expects to be said, ``(N,)``, in the unit of the objective."""
        consensus_N = self.log_scale.exp() * _told(score_B, said)
        if self.offset is not None:
            consensus_N = self.offset + consensus_N
        if self.effects is None:
            return consensus_N
        vector_NE = None
        if embedding_BE is not None and self.needs_embedding:
            vector_NE = _told(embedding_BE - self.effects.get_buffer("middle_E"), said)
        expected_N: Tensor = self.effects(consensus_N, vector_NE, said.rater_N)
        return expected_N

    def _prior_loss(self) -> Tensor | float:
        return 0.0 if self.effects is None else self.effects.prior_loss()


def _told(of_B: Tensor, said: Judgements) -> Tensor:
    """What each judgement is about: a melody's own, or the first's of two less the other's."""
    of_N: Tensor = of_B[said.item_NM[:, 0]]
    return of_N if said.item_NM.shape[1] == 1 else of_N - of_B[said.item_NM[:, 1]]
