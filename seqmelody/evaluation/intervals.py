"""Figures with their uncertainty: bootstrap intervals, of rank correlations and ROC areas too.

Shapes: D draws, N melodies, T distinct values.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000

_DRAWS_AT_ONCE = 100

Statistic: TypeAlias = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""A figure of some melodies in each of several draws: how often each draw holds each melody,
``(draws, melodies)``, to the figures, ``(draws,)``; NaN where a draw has none."""


@dataclass(frozen=True)
class Estimate:
    """A figure and its 95 % interval.

    Attributes:
        value: The figure on the data as they are.
        low: 2.5 % quantile over the bootstrap; NaN where there is none.
        high: 97.5 % quantile; likewise.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        if not self.interval:
            return f"{self.value:.4f}"
        return f"{self.value:.4f} ({self.interval})"

    @property
    def interval(self) -> str:
        """The interval in words; empty where there is none."""
        return "" if math.isnan(self.low) else f"{self.low:.4f} to {self.high:.4f}"


def bootstrap_mean(
    values: NDArray[np.floating[Any]], groups: NDArray[np.integer[Any]], seed: int = 0
) -> Estimate:
    """Mean of values that come in groups, with a percentile interval (Efron, 1979).

    Whole groups are drawn, since melodies that are variants of each other are no independent
    evidence. One group alone does not tell how groups differ: it has no interval.

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
    value = float(total.sum() / count.sum())
    if len(count) == 1:
        return Estimate(value, math.nan, math.nan)
    drawn = np.random.default_rng(seed).multinomial(
        len(count), np.full(len(count), 1 / len(count)), size=RESAMPLES
    )
    means = (drawn @ total) / (drawn @ count)
    low, high = np.quantile(means, [0.025, 0.975])
    return Estimate(value, float(low), float(high))


def bootstrap(statistic: Statistic, groups: NDArray[np.integer[Any]], seed: int = 0) -> Estimate:
    """Any figure of melodies that come in groups, with a percentile interval (Efron, 1979).

    As in ``bootstrap_mean`` whole groups are drawn, and one group alone has no interval. All is NaN
    where the figure of the data as they are is; draws that have no figure do not count.

    Args:
        statistic: The figure.
        groups: Group of each melody, ``(melodies,)``.
        seed: Of the resampling.
    """
    value = float(statistic(np.ones((1, len(groups))))[0])
    member = np.unique(groups, return_inverse=True)[1]
    count = int(member.max()) + 1
    if math.isnan(value) or count == 1:
        return Estimate(value, math.nan, math.nan)
    drawn = np.random.default_rng(seed).multinomial(
        count, np.full(count, 1 / count), size=RESAMPLES
    )
    figures = [
        statistic(drawn[start : start + _DRAWS_AT_ONCE, member].astype(np.float64))
        for start in range(0, RESAMPLES, _DRAWS_AT_ONCE)
    ]
    low, high = np.nanquantile(np.concatenate(figures), [0.025, 0.975])
    return Estimate(value, float(low), float(high))


def rank_correlation_statistic(
    a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]]
) -> Statistic:
    """Spearman's rank correlation for ``bootstrap``.

    Each side is sorted once, not for each draw: a melody's rank in a draw is the number of melodies
    drawn that lie below, and half of those that lie level.
    """
    ranks = [_below_and_half(a), _below_and_half(b)]

    def statistic(weight_DN: NDArray[np.float64]) -> NDArray[np.float64]:
        # Exact: ranks are multiples of a half, and their mean is half the number drawn.
        centre_D1 = weight_DN.sum(1, keepdims=True) / 2
        x_DN, y_DN = (rank(weight_DN) - centre_D1 for rank in ranks)
        spread_D = (weight_DN * x_DN**2).sum(1) * (weight_DN * y_DN**2).sum(1)
        together_D = (weight_DN * x_DN * y_DN).sum(1)
        known_D = spread_D > 0
        return np.where(known_D, together_D / np.sqrt(np.where(known_D, spread_D, 1)), np.nan)

    return statistic


def area_under_roc_statistic(
    scores: NDArray[np.floating[Any]], positive: NDArray[np.bool_]
) -> Statistic:
    """Share of pairs that the positive one wins, a tie counting half (Mann & Whitney, 1947).

    Args:
        scores: Of all melodies, ``(melodies,)``.
        positive: Which of them should win, ``(melodies,)``.
    """
    below = _below_and_half(scores)

    def statistic(weight_DN: NDArray[np.float64]) -> NDArray[np.float64]:
        beaten_DN = below(weight_DN * ~positive)
        won_D = (weight_DN * beaten_DN)[:, positive].sum(1)
        pairs_D = weight_DN[:, positive].sum(1) * weight_DN[:, ~positive].sum(1)
        return np.where(pairs_D > 0, won_D / np.maximum(pairs_D, 1), np.nan)

    return statistic


def _below_and_half(values: NDArray[np.floating[Any]]) -> Statistic:
    """For each melody how many lie below it, those level with it counting half."""
    tie = np.unique(values, return_inverse=True)[1]
    order = np.argsort(tie, kind="stable")
    start = np.flatnonzero(np.diff(tie[order], prepend=-1))

    def counts(weight_DN: NDArray[np.float64]) -> NDArray[np.float64]:
        level_DT = np.add.reduceat(weight_DN[:, order], start, axis=1)
        below_DT: NDArray[np.float64] = np.cumsum(level_DT, axis=1) - level_DT / 2
        return below_DT[:, tie]

    return counts
