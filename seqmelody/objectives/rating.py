"""Rating: the score should follow the numbers that people gave.

A rating is ``offset + scale * score`` and noise, of two kinds: raters of one melody disagree
(variance sigma²), and melodies differ in ways that a score does not tell (variance tau²). The mean
of n ratings hence counts ``1 / (tau² + sigma² / n)``: thirty raters count more than three, but not
ten times as much.

With named raters each rating counts by itself, and each rater has effects of their own
(``objectives.listeners``). What is left of the n ratings of a melody, ``r_i`` with mean ``m``, then
has the covariance sigma² on the diagonal and tau² everywhere, so that, but for constants, its
negative log-likelihood is half of

    n m² / (n tau² + sigma²)  +  sum_i (r_i - m)² / sigma²

(Searle, Casella & McCulloch, 1992, section 3.2, have the inverse). The first part is that of the
mean, and teaches the score; the second does not know the score, and tells raters apart all the
surer for their having heard the same melodies. The loss is the mean over melodies, to which the
priors of the raters' effects are added in the same unit, so that its least is at the most probable
effects.

Shapes: B melodies of a batch, R of all that were judged, N judgements.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqmelody.judgements import Ratings
from seqmelody.listeners import PRIOR_RATINGS, PRIOR_TASTE, unit_of
from seqmelody.objectives.judged import JudgedObjective, Judgements
from seqmelody.objectives.listeners import Raters
from seqmelody.objectives.metrics import rank_correlation

LEAST_SCALE = 0.05
"""Standard deviations of the ratings for one of the score, at the start at least: the score must
matter, or it would never learn."""
LEAST_DISAGREEMENT = 0.01
"""Of the variance of ratings: what raters of one melody disagree by at least, even where those at
hand never do."""
_FEW_FREE = 10
"""Of fewer degrees of freedom raters and noise are not told apart."""
_ROUNDS = 1000


def variance_components(
    value: NDArray[np.float64],
    melody: NDArray[np.int64],
    rater: NDArray[np.int64] | None = None,
) -> tuple[float, float]:
    """Variance within and between melodies, what a rater always adds being neither.

    By analysis of variance: Henderson (1953), method 3, which fits constants for raters and melodies;
    Searle, Casella & McCulloch (1992), Variance Components, chapter 5, and section 3.6 for the case
    of no raters. Unbiased however few ratings a rater gave, and whoever rated what. A negative
    estimate of the variance between is 0. If no melody has two ratings, the two cannot be told
    apart, and all is said to lie between; if there is one melody, within. Where the ratings are too
    few to tell raters from noise, raters are noise.

    Args:
        value: The ratings, ``(N,)``.
        melody: Of which melody, ``(N,)``.
        rater: Who gave them, ``(N,)``; by default one person.

    Returns:
        sigma², tau².
    """
    _, member_N, count_M = np.unique(melody, return_inverse=True, return_counts=True)
    who = np.zeros_like(melody) if rater is None else rater
    _, rater_N, count_R = np.unique(who, return_inverse=True, return_counts=True)
    total, melodies, raters = len(value), len(count_M), len(count_R)
    islands = _islands(member_N, rater_N)
    # What is left to tell sigma² by when each melody and each rater has a constant.
    free = total - (melodies + raters - islands)
    told_by = free if total > melodies else total - raters
    if raters > 1 and (told_by < _FEW_FREE or melodies == islands):
        return variance_components(value, melody)
    left_N = value - (np.bincount(rater_N, weights=value) / count_R)[rater_N]
    squares = first = float((left_N**2).sum())
    for _ in range(_ROUNDS):
        for group_N, count in ((member_N, count_M), (rater_N, count_R)):
            left_N = left_N - (np.bincount(group_N, weights=left_N) / count)[group_N]
        before, squares = squares, float((left_N**2).sum())
        if before - squares <= 1e-9 * first / total:
            break
    within = squares / free if free else 0.0
    # How often each rater heard each melody.
    pair, often = np.unique(np.stack([member_N, rater_N]), axis=1, return_counts=True)
    between = total - float((often**2 / count_R[pair[1]]).sum())
    if melodies == islands:
        return within, 0.0
    return within, max(0.0, (first - squares - (melodies - islands) * within) / between)


def _islands(melody_N: NDArray[np.intp], rater_N: NDArray[np.intp]) -> int:
    """Groups of melodies and raters that no rating joins."""
    melodies = int(melody_N.max()) + 1
    least_M = np.arange(melodies)
    while True:
        least_R = np.full(int(rater_N.max()) + 1, melodies)
        np.minimum.at(least_R, rater_N, least_M[melody_N])
        found_M = least_M.copy()
        np.minimum.at(found_M, melody_N, least_R[rater_N])
        if (found_M == least_M).all():
            return len(np.unique(least_M))
        least_M = found_M


def weighed(ratings: Ratings, *, by_rater: bool) -> Judgements:
    """Ratings as judgements, with what each counts.

    Args:
        ratings: At least one.
        by_rater: Keep each rating, and who gave it; else the mean of each melody.
    """
    row, member, count = np.unique(ratings.row, return_inverse=True, return_counts=True)
    nobody = np.full(len(ratings), -1, dtype=np.int64)
    sigma2, tau2 = _noise(ratings.row, ratings.value, ratings.rater if by_rater else nobody)
    if by_rater:
        # Together those of a melody count as their mean does.
        weight = 1 / (count[member] * tau2 + sigma2)
        return Judgements(ratings.row[:, None], ratings.value, weight, ratings.rater)
    mean = np.bincount(member, weights=ratings.value) / count
    return Judgements(row[:, None], mean, 1 / (tau2 + sigma2 / count), nobody[: len(row)])


def _noise(
    melody: NDArray[np.int64], value: NDArray[np.float64], rater: NDArray[np.int64]
) -> tuple[float, float]:
    """sigma² and tau² to go by; never both 0."""
    if len(value) == 0 or np.ptp(value) == 0:
        # All ratings alike: any will do.
        return 0.0, 1.0
    sigma2, tau2 = variance_components(value, melody, rater)
    variance = float(value.var())
    if sigma2 + tau2 < 1e-9 * variance:
        # Raters who differ by a constant, and by nothing else but rounding.
        return LEAST_DISAGREEMENT * variance, 0.0
    return sigma2, tau2


class Rating(JudgedObjective):
    """The objective.

    Ratings are handled in units of their standard deviation, from their mean.

    Args:
        said: The judgements to train on.
        raters: Whom to tell apart; by default nobody.

    Attributes:
        mean: Of the ratings.
        sd: Of the ratings.
        disagreement: Variance sigma² of the ratings of a melody, above 0; where each judgement is
            the mean of a melody, it is not known, and makes no difference.
    """

    def __init__(self, said: Judgements, raters: Raters | None = None) -> None:
        melody_N = said.item_NM[:, 0]
        super().__init__(
            raters,
            offset_sd=PRIOR_RATINGS,
            taste_sd=PRIOR_TASTE,
            units=len(np.unique(melody_N)),
        )
        self.mean = float(np.average(said.value_N, weights=said.weight_N))
        self.sd = unit_of(said.value_N)
        sigma2, tau2 = _noise(melody_N, said.value_N, said.rater_N)
        self.disagreement = max(sigma2, LEAST_DISAGREEMENT * (sigma2 + tau2))

    def suits(self, score_R: NDArray[np.float64], said: Judgements) -> tuple[float, float]:
        """See ``JudgedObjective.suits``; by weighted least squares of ratings on scores."""
        score = score_R[said.item_NM[:, 0]]
        value = (said.value_N - self.mean) / self.sd
        middle = float(np.average(score, weights=said.weight_N))
        away = score - middle
        slope = 1.0
        if np.ptp(score) > 0:
            spread = float(np.average(away**2, weights=said.weight_N))
            slope = float(np.average(away * value, weights=said.weight_N)) / spread
            slope = max(slope, LEAST_SCALE / math.sqrt(spread))
        mean = float(np.average(value, weights=said.weight_N))
        return mean - slope * middle, slope

    def forward(self, score_B: Tensor, embedding_BE: Tensor | None, said: Judgements) -> Tensor:
        """Negative log-likelihood of a melody's ratings, in the mean, but for constants.

        Without raters about 0.5 for a score that knows nothing. All ratings of a melody must be in
        one batch.
        """
        item_N = said.item_NM[:, 0]
        left_N = (said.value_N - self.mean) / self.sd - self._expected(score_B, embedding_BE, said)
        count_B = torch.bincount(item_N, minlength=len(score_B)).clamp(min=1)
        mean_B = left_N.new_zeros(len(score_B)).index_add(0, item_N, left_N) / count_B
        # As the module has it, with 1 / (n tau² + sigma²) for the weight.
        apart_N = (left_N - mean_B[item_N]).square()
        cost_N = said.weight_N * (left_N.square() - apart_N) + apart_N / self.disagreement
        melodies = max(1, len(item_N.unique()))
        loss: Tensor = 0.5 * self.sd**2 * cost_N.sum() / melodies
        return loss + self._prior_loss()

    @torch.no_grad()
    def measure(
        self, score_B: Tensor, embedding_BE: Tensor | None, said: Judgements
    ) -> dict[str, float]:
        """``spearman`` of the score with the melodies' means, and ``rmse`` of the ratings."""
        item_N = said.item_NM[:, 0].cpu().numpy()
        value_N = said.value_N.double().cpu().numpy()
        row, member, count = np.unique(item_N, return_inverse=True, return_counts=True)
        mean = np.bincount(member, weights=value_N) / count
        expected_N = self._expected(score_B, embedding_BE, said).double().cpu().numpy()
        left_N = value_N - self.mean - self.sd * expected_N
        return {
            "spearman": rank_correlation(score_B.double().cpu().numpy()[row], mean),
            "rmse": float(np.sqrt((left_N**2).mean())),
        }

    @property
    def line(self) -> tuple[float, float]:
        """Offset and scale of the consensus, in units of the ratings."""
        assert self.offset is not None
        return self.in_ratings(
            float(self.offset.detach()), math.exp(float(self.log_scale.detach()))
        )

    def in_ratings(self, offset: float, scale: float) -> tuple[float, float]:
        """An offset and a scale of the objective, in units of the ratings."""
        return self.mean + self.sd * offset, self.sd * scale
