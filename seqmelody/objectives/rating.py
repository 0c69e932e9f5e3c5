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
from seqmelody.listeners import PRIOR_RATINGS, PRIOR_TASTE
from seqmelody.objectives.judged import JudgedObjective, Judgements
from seqmelody.objectives.listeners import Raters
from seqmelody.objectives.metrics import rank_correlation

LEAST_SCALE = 0.05
"""Standard deviations of the ratings for one of the score, at the start at least: the score must
matter, or it would never learn."""
LEAST_DISAGREEMENT = 0.01
"""Of the variance of ratings: what raters of one melody disagree by at least, even where those at
hand never do."""


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
    """sigma² and tau²; what a rater always adds is no noise."""
    sigma2, tau2 = variance_components(value - _offsets(melody, value, rater)[rater], melody)
    # All ratings alike: any will do.
    return (sigma2, tau2) if sigma2 + tau2 > 0 else (0.0, 1.0)


def _offsets(
    melody: NDArray[np.int64], value: NDArray[np.float64], rater: NDArray[np.int64]
) -> NDArray[np.float64]:
    """How far each rater lies from the others on the same melodies; 0 at the end, for nobody.

    Drawn to zero as if each had given two ratings more of no offset.
    """
    _, member, count = np.unique(melody, return_inverse=True, return_counts=True)
    mean = np.bincount(member, weights=value) / count
    named = rater >= 0
    away = np.bincount(rater[named], weights=(value - mean[member])[named])
    many = np.bincount(rater[named])
    return np.append(away / (many + 2), 0.0)


class Rating(JudgedObjective):
    """The objective.

    Ratings are handled in units of their standard deviation, from their mean.

    Args:
        said: The judgements to train on.
        raters: Whom to tell apart; by default nobody.

    Attributes:
        mean: Of the ratings.
        sd: Of the ratings.
        disagreement: Variance sigma² of the ratings of a melody.
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
        self.sd = float(np.std(said.value_N)) or 1.0
        sigma2, tau2 = _noise(melody_N, said.value_N, said.rater_N)
        self.disagreement = max(sigma2, LEAST_DISAGREEMENT * (sigma2 + tau2))

    def _line(self, score_R: NDArray[np.float64], said: Judgements) -> tuple[float, float]:
        """Weighted least squares of ratings on scores."""
        score = score_R[said.item_NM[:, 0]]
        value = (said.value_N - self.mean) / self.sd
        middle = float(np.average(score, weights=said.weight_N))
        away = score - middle
        spread = float(np.average(away**2, weights=said.weight_N))
        slope = float(np.average(away * value, weights=said.weight_N)) / spread if spread else 1.0
        slope = max(slope, LEAST_SCALE / math.sqrt(spread) if spread else 1.0)
        return -slope * middle, slope

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
        scale = self.sd * math.exp(float(self.log_scale.detach()))
        return self.mean + self.sd * float(self.offset.detach()), scale
