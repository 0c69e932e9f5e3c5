"""Rating: the score should follow the numbers that people gave.

A rating is ``offset + scale * score`` and noise, of two kinds: raters of one melody disagree
(variance sigma²), and melodies differ in ways that a score does not tell (variance tau²). The mean
of n ratings hence counts ``1 / (tau² + sigma² / n)``: thirty raters count more than three, but not
ten times as much. With named raters, each rating counts by itself, so that those of a melody
together count as much, and each rater has effects of the own (``objectives.listeners``).

Shapes: B melodies of a batch, R of all that were judged, N judgements.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seqmelody.judgements import Ratings
from seqmelody.listeners import PRIOR_RATINGS, PRIOR_SLOPE, PRIOR_TASTE
from seqmelody.objectives.judged import Judgements
from seqmelody.objectives.listeners import RaterEffects
from seqmelody.objectives.metrics import spearman

LEAST_SCALE = 0.05
"""Standard deviations of the ratings for one of the score, at the start at least: the score must
matter, or it would never learn."""


def variance_components(
    value: NDArray[np.float64], melody: NDArray[np.int64]
) -> tuple[float, float]:
    """Variance within and between melodies, by one-way analysis of variance, random effects.

    Searle, Casella & McCulloch (1992), Variance Components, section 3.6, for unequal numbers of
    ratings. A negative estimate of the variance between is 0. If no melody has two ratings, the two
    cannot be told apart, and all is said to lie between; if there is one melody, within.

    Args:
        value: The ratings, ``(N,)``.
        melody: Of which melody, ``(N,)``.

    Returns:
        sigma², tau².
    """
    _, member, count = np.unique(melody, return_inverse=True, return_counts=True)
    total, groups = len(value), len(count)
    mean = np.bincount(member, weights=value) / count
    if groups == total:
        return 0.0, float(value.var(ddof=1)) if total > 1 else 0.0
    within = float(((value - mean[member]) ** 2).sum()) / (total - groups)
    if groups == 1:
        return within, 0.0
    between = float((count * (mean - value.mean()) ** 2).sum()) / (groups - 1)
    typical = (total - float((count**2).sum()) / total) / (groups - 1)
    return within, max(0.0, (between - within) / typical)


def weighed(ratings: Ratings, *, by_rater: bool) -> Judgements:
    """Ratings as judgements, with what each counts.

    Args:
        ratings: At least one.
        by_rater: Keep each rating, and who gave it; else the mean of each melody.
    """
    value, rater = ratings.value, ratings.rater
    if by_rater:
        # What a rater always adds is no noise.
        sigma2, tau2 = variance_components(value - _offsets(ratings)[rater], ratings.row)
    else:
        sigma2, tau2 = variance_components(value, ratings.row)
    if sigma2 + tau2 == 0:
        tau2 = 1.0  # all ratings alike
    row, member, count = np.unique(ratings.row, return_inverse=True, return_counts=True)
    if by_rater:
        weight = 1 / (count[member] * tau2 + sigma2)
        return Judgements(ratings.row[:, None], value, weight, rater)
    mean = np.bincount(member, weights=value) / count
    nobody = np.full(len(row), -1, dtype=np.int64)
    return Judgements(row[:, None], mean, 1 / (tau2 + sigma2 / count), nobody)


def _offsets(ratings: Ratings) -> NDArray[np.float64]:
    """How far each rater lies from the others on the same melodies; 0 at the end, for nobody.

    Drawn to zero as if each had given two ratings more of no offset.
    """
    _, member, count = np.unique(ratings.row, return_inverse=True, return_counts=True)
    mean = np.bincount(member, weights=ratings.value) / count
    named = ratings.rater >= 0
    size = len(ratings.raters)
    away = np.bincount(
        ratings.rater[named], weights=(ratings.value - mean[member])[named], minlength=size
    )
    many = np.bincount(ratings.rater[named], minlength=size)
    return np.append(away / (many + 2), 0.0)


class Rating(nn.Module):
    """The objective.

    Ratings are handled in units of their standard deviation, from their mean.

    Args:
        said: The judgements to train on.
        raters: How many raters there are; 0 leaves them out.
        taste_rank: Directions of taste.
        embedding_size: Of the model.

    Attributes:
        mean: Of the ratings.
        sd: Of the ratings.
    """

    def __init__(
        self, said: Judgements, *, raters: int = 0, taste_rank: int = 0, embedding_size: int = 0
    ) -> None:
        super().__init__()
        self.needs_embedding = taste_rank > 0
        self.mean = float(np.average(said.value_N, weights=said.weight_N))
        self.sd = float(np.std(said.value_N)) or 1.0
        self.offset = nn.Parameter(torch.zeros(()))
        self.log_scale = nn.Parameter(torch.zeros(()))
        self.effects = (
            RaterEffects(
                raters,
                taste_rank,
                embedding_size,
                offset_sd=PRIOR_RATINGS,
                slope_sd=PRIOR_SLOPE,
                taste_sd=PRIOR_TASTE,
                judgements=len(said),
            )
            if raters
            else None
        )

    def begin(
        self, score_R: NDArray[np.float64], embedding_RE: NDArray[np.float64], said: Judgements
    ) -> None:
        """The weighted least squares of ratings on scores; see ``JudgedObjective``."""
        if self.effects is not None:
            self.effects.begin(torch.from_numpy(embedding_RE).float())
        score = score_R[said.item_NM[:, 0]]
        value = (said.value_N - self.mean) / self.sd
        middle = np.average(score, weights=said.weight_N)
        away = score - middle
        spread = float(np.average(away**2, weights=said.weight_N))
        slope = float(np.average(away * value, weights=said.weight_N)) / spread if spread else 1.0
        slope = max(slope, LEAST_SCALE / math.sqrt(spread) if spread else 1.0)
        with torch.no_grad():
            self.log_scale.fill_(math.log(slope))
            self.offset.fill_(-slope * float(middle))

    def forward(self, score_B: Tensor, embedding_BE: Tensor | None, said: Judgements) -> Tensor:
        """Half the mean weighted square of what is left, about 0.5 for a score that knows nothing."""
        left_N = (said.value_N - self.mean) / self.sd - self._said(score_B, embedding_BE, said)
        melodies = max(1, len(said.item_NM.unique()))
        loss: Tensor = 0.5 * self.sd**2 * (said.weight_N * left_N.square()).sum() / melodies
        return loss if self.effects is None else loss + self.effects.prior_loss()

    def _said(self, score_B: Tensor, embedding_BE: Tensor | None, said: Judgements) -> Tensor:
        item_N = said.item_NM[:, 0]
        consensus_N = self.offset + self.log_scale.exp() * score_B[item_N]
        if self.effects is None:
            return consensus_N
        vector_NE = None
        if embedding_BE is not None and self.effects.taste_rank:
            vector_NE = embedding_BE[item_N] - self.effects.get_buffer("middle_E")
        rated_N: Tensor = self.effects(consensus_N, vector_NE, said.rater_N)
        return rated_N

    @torch.no_grad()
    def measure(
        self, score_B: Tensor, embedding_BE: Tensor | None, said: Judgements
    ) -> dict[str, float]:
        """``spearman`` of the score with the melodies' means, and ``rmse`` of the ratings."""
        item_N = said.item_NM[:, 0].cpu().numpy()
        value_N = said.value_N.double().cpu().numpy()
        row, member, count = np.unique(item_N, return_inverse=True, return_counts=True)
        mean = np.bincount(member, weights=value_N) / count
        left_N = value_N - self.mean
        left_N = left_N - self.sd * self._said(score_B, embedding_BE, said).double().cpu().numpy()
        return {
            "spearman": spearman(score_B.double().cpu().numpy()[row], mean),
            "rmse": float(np.sqrt((left_N**2).mean())),
        }

    @property
    def line(self) -> tuple[float, float]:
        """Offset and scale of the consensus, in units of the ratings."""
        scale = self.sd * math.exp(float(self.log_scale.detach()))
        return self.mean + self.sd * float(self.offset.detach()), scale
