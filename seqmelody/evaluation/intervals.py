"""Figures with their uncertainty: bootstrap intervals and rank correlation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000


@dataclass(frozen=True)
class Estimate:
    """A figure and its 95 % interval.

    Attributes:
        value: The figure on the data as they are.
        low: 2.5 % quantile over the bootstrap.
        high: 97.5 % quantile.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4f} ({self.low:.4f} to {self.high:.4f})"


def bootstrap_mean(
    values: NDArray[np.floating[Any]], groups: NDArray[np.integer[Any]], seed: int = 0
) -> Estimate:
    """Mean of values that come in groups, with a percentile interval (Efron, 1979).

    Whole groups are drawn, since melodies that are variants of each other are no independent
    evidence.

    Args:
        values: One figure a melody, ``(melodies,)``; NaN where there is none.
        groups: Group of each melody, ``(melodies,)``.
        seed: Of the resampling.

    Raises:
        ValueError: There is no value.
    """
    known = ~np.isnan(values)
    if not known.any():
        raise ValueError("no value to average")
    member = np.unique(groups[known], return_inverse=True)[1]
    total = np.bincount(member, weights=values[known])
    count = np.bincount(member).astype(float)
    drawn = np.random.default_rng(seed).multinomial(
        len(count), np.full(len(count), 1 / len(count)), size=RESAMPLES
    )
    means = (drawn @ total) / (drawn @ count)
    low, high = np.quantile(means, [0.025, 0.975])
    return Estimate(float(total.sum() / count.sum()), float(low), float(high))


def rank_correlation(a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]]) -> float:
    """Spearman's rank correlation; ties share their mean rank.

    NaN if one side is constant, or there are fewer than two values.
    """
    if len(a) < 2:
        return float("nan")
    ranks = np.stack([_mean_ranks(a), _mean_ranks(b)])
    if (np.ptp(ranks, axis=1) == 0).any():
        return float("nan")
    return float(np.asarray(np.corrcoef(ranks))[0, 1])


def _mean_ranks(values: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    _, group, count = np.unique(values, return_inverse=True, return_counts=True)
    mean_rank: NDArray[np.float64] = np.cumsum(count) - (count - 1) / 2.0
    return mean_rank[group]
