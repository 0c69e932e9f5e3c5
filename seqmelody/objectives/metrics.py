"""Figures of objectives: rank correlation, AUC, calibration error, mean average precision."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def mean_ranks(values: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Ranks from 1, ``(N,)``; equal values share their mean rank."""
    _, group, count = np.unique(values, return_inverse=True, return_counts=True)
    rank: NDArray[np.float64] = np.cumsum(count) - (count - 1) / 2.0
    return rank[group]


def rank_correlation(a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]]) -> float:
    """Spearman's rank correlation; ties share their mean rank.

    NaN if one side is constant, or there are fewer than two values.
    """
    if len(a) < 2:
        return float("nan")
    ranks = np.stack([mean_ranks(a), mean_ranks(b)])
    if (np.ptp(ranks, axis=1) == 0).any():
        return float("nan")
    return float(np.asarray(np.corrcoef(ranks))[0, 1])


def area_under_curve(score: NDArray[np.floating[Any]], yes: NDArray[np.bool_]) -> float:
    """Area under the ROC curve: how often a yes outscores a no, ties counting half.

    By the rank sum of Mann & Whitney (1947). NaN if there are only yeses, or only noes.
    """
    positive, negative = int(yes.sum()), int((~yes).sum())
    if not positive or not negative:
        return float("nan")
    above = mean_ranks(score)[yes].sum() - positive * (positive + 1) / 2
    return float(above / (positive * negative))


def expected_calibration_error(
    probability: NDArray[np.floating[Any]], yes: NDArray[np.bool_], bins: int = 10
) -> float:
    """How far the said probabilities lie from the shares of yes, on average.

    Naeini et al. (2015), with bins of like numbers of answers (Nguyen & O'Connor, 2015), so that
    no bin holds just a few; answers of one probability share a bin. NaN without answers.

    Args:
        probability: Of a yes, ``(N,)``.
        yes: What was answered, ``(N,)``.
        bins: How many, where there are enough answers.
    """
    if len(yes) == 0:
        return float("nan")
    # The bin of the middle of all that are alike.
    place = np.ceil((mean_ranks(probability) - 0.5) / len(yes) * bins).astype(int)
    _, member, count = np.unique(place, return_inverse=True, return_counts=True)
    gap = np.bincount(member, weights=probability - yes) / count
    return float((np.abs(gap) * count).sum() / len(yes))


def mean_average_precision(
    similarity_NN: NDArray[np.floating[Any]], family_N: NDArray[np.integer[Any]]
) -> float:
    """How well each of some melodies finds its relatives among all others.

    The mean, over melodies that have relatives, of the mean precision at each relative's rank
    (Manning, Raghavan & Schuetze, 2008, "Introduction to information retrieval", section 8.4).
    NaN where no melody has any.

    Args:
        similarity_NN: Of each two; the diagonal is not looked at.
        family_N: Number of each one's family.
    """
    similarity_NN = np.array(similarity_NN, dtype=np.float64)
    np.fill_diagonal(similarity_NN, -np.inf)
    # The melody itself comes last, and is left out there.
    order_NM = np.argsort(-similarity_NN, axis=1, kind="stable")[:, :-1]
    related_NM = family_N[order_NM] == family_N[:, None]
    precision_NM = related_NM.cumsum(1) / np.arange(1, len(family_N))
    relatives_N = related_NM.sum(1)
    if not relatives_N.any():
        return float("nan")
    total_N = (precision_NM * related_NM).sum(1)
    return float((total_N[relatives_N > 0] / relatives_N[relatives_N > 0]).mean())
