"""Figures of objectives: rank correlation, AUC, calibration error, mean average precision."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

RECALL_AT = 10
"""How many of the first found recall is about."""
_DIGITS = 6
"""Similarities that are equal up to here count as equal."""


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


def ranked(
    similarity: NDArray[np.floating[Any]], wanted: NDArray[np.bool_]
) -> tuple[float, float, float]:
    """Average precision, precision at 1 and recall at 10 of a list ordered by similarity.

    Melodies that are equally alike, up to the sixth digit, stand in no order: each figure is its mean over all orders of them,
    in closed form (McSherry & Najork, 2008, *Computing information retrieval performance measures
    efficiently in the presence of tied scores*).

    Args:
        similarity: Of each melody, ``(melodies,)``.
        wanted: Which of them should be found; one at least.
    """
    # How a sum of products is rounded hinges on its place.
    similarity = np.round(similarity.astype(np.float64), _DIGITS)
    order = np.argsort(-similarity, kind="stable")
    ordered, hit = similarity[order], wanted[order].astype(np.float64)
    first = np.flatnonzero(np.diff(ordered, prepend=np.inf))
    size = np.diff(first, append=len(ordered))
    hits = np.add.reduceat(hit, first)
    before = np.cumsum(hits) - hits
    level = np.repeat(np.arange(len(first)), size)
    place = np.arange(len(ordered))
    # Of a place among equals: how likely a hit is there, and how many of the others lie above it.
    likely = hits[level] / size[level]
    above = (place - first[level]) * (hits[level] - 1) / np.maximum(size[level] - 1, 1)
    precision = (before[level] + 1 + above) / (place + 1)
    total = hit.sum()
    within = np.clip(RECALL_AT - first, 0, size)
    return (
        float((likely * precision).sum() / total),
        float(hits[0] / size[0]),
        float((hits * within / size).sum() / total),
    )


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
    precisions = []
    for place, similarity_N in enumerate(similarity_NN):
        others_N = np.arange(len(family_N)) != place
        wanted_M = family_N[others_N] == family_N[place]
        if wanted_M.any():
            precisions.append(ranked(similarity_N[others_N], wanted_M)[0])
    return float(np.mean(precisions)) if precisions else float("nan")
