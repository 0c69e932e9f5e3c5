"""Task: does the score follow what people said, over all melodies and among like ones?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from seqmelody.corpus import Corpus
from seqmelody.evaluation.intervals import (
    Estimate,
    Statistic,
    bootstrap,
    rank_correlation_statistic,
)
from seqmelody.evaluation.protocols import Method
from seqmelody.judgements import Ratings

FEWEST_STIMULI = 5
"""A system with fewer has no rank correlation worth averaging."""


@dataclass(frozen=True, eq=False)
class Stimuli:
    """Melodies of a corpus that people rated.

    Attributes:
        rows: In the corpus, ``(stimuli,)``.
        mean: Mean rating, ``(stimuli,)``.
        raters: Ratings of each, ``(stimuli,)``.
        variance: Variance of one rating about the mean of its stimulus; NaN where no stimulus has
            two ratings.
        groups: Near-duplicates share one, ``(stimuli,)``.
        systems: Who made it, or whatever else like stimuli share, ``(stimuli,)`` text; empty text
            where nobody says.
    """

    rows: NDArray[np.int64]
    mean: NDArray[np.float64]
    raters: NDArray[np.int64]
    variance: float
    groups: NDArray[np.int64]
    systems: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, chosen: NDArray[np.bool_]) -> Stimuli:
        """Some of the stimuli."""
        return replace(
            self,
            rows=self.rows[chosen],
            mean=self.mean[chosen],
            raters=self.raters[chosen],
            groups=self.groups[chosen],
            systems=self.systems[chosen],
        )

    def names(self) -> list[str]:
        """The systems with stimuli enough."""
        names, count = np.unique(self.systems, return_counts=True)
        return [str(name) for name in names[count >= FEWEST_STIMULI] if name]

    def ceiling(self, *, within: bool) -> float:
        """The highest correlation with these means that raters' agreement allows.

        The square root of the means' reliability, one less the share of their variance that is
        noise of raters (Spearman, 1904). NaN where nobody knows that noise.

        Args:
            within: Count only the variance within systems.
        """
        mean = self.mean
        known = np.ones(len(mean), dtype=bool)
        lost = 1
        if within:
            known = np.isin(self.systems, self.names())
            if not known.any():
                return float("nan")
            mean = mean.copy()
            for name in self.names():
                here = self.systems == name
                mean[here] -= mean[here].mean()
            lost = len(self.names())
        if known.sum() <= lost:
            return float("nan")
        total = float((mean[known] ** 2).sum() - known.sum() * mean[known].mean() ** 2)
        total /= known.sum() - lost
        noise = self.variance * float((1 / self.raters[known]).mean())
        return float(np.sqrt(np.maximum(0.0, 1 - noise / total))) if total > 0 else float("nan")


@dataclass(frozen=True)
class RatingsResult:
    """Spearman's rank correlation of scores with mean ratings.

    Attributes:
        overall: Over all stimuli.
        within: Mean over the systems of the correlation within each; NaN without systems.
        by_system: Within each system.
        stimuli: How many there are.
    """

    overall: Estimate
    within: Estimate
    by_system: dict[str, Estimate]
    stimuli: int

    headlines = ("rho", "mean rho within systems")

    def figures(self) -> dict[str, Estimate]:
        """All figures by name."""
        return {
            "rho": self.overall,
            "mean rho within systems": self.within,
            **{f"rho within {name}": found for name, found in self.by_system.items()},
        }


def ratings_task(method: Method, corpus: Corpus, stimuli: Stimuli) -> RatingsResult:
    """Compares scores with mean ratings.

    Args:
        method: Scores the stimuli.
        corpus: Where they are.
        stimuli: Which melodies, and what people said.
    """
    return follow(method.scores(corpus.token_batch(stimuli.rows)), stimuli)


def follow(
    scores: NDArray[np.float64], stimuli: Stimuli, folds: NDArray[np.int64] | None = None
) -> RatingsResult:
    """How scores follow the mean ratings.

    Args:
        scores: One for each stimulus, ``(stimuli,)``, or several that come from repeating the same
            thing, ``(repeats, stimuli)``: the mean of their correlations is the figure.
        stimuli: What people said.
        folds: Which fold predicted each, as ``scores``; the figure over all stimuli is then the mean
            of those of the folds. Predictions of different folds lean on different means, so that
            put together a score that knows nothing would seem to follow backwards.
    """
    repeats = np.atleast_2d(scores)
    members = {name: np.flatnonzero(stimuli.systems == name) for name in stimuli.names()}

    def over(places: NDArray[np.int64]) -> Statistic:
        each = [_on(places, score, stimuli.mean) for score in repeats]
        return lambda weight_DN: np.mean([one(weight_DN) for one in each], axis=0)

    by_system = {name: over(places) for name, places in members.items()}

    def over_folds(fold: NDArray[np.int64], score: NDArray[np.float64]) -> list[Statistic]:
        each = [np.flatnonzero(fold == number) for number in np.unique(fold)]
        return [_on(places, score, stimuli.mean) for places in each]

    overall = over(np.arange(len(stimuli)))
    if folds is not None:
        parts = zip(np.atleast_2d(folds), repeats, strict=True)
        overall = _mean_of([one for fold, score in parts for one in over_folds(fold, score)])

    nothing = Estimate(np.nan, np.nan, np.nan)
    return RatingsResult(
        overall=bootstrap(overall, stimuli.groups),
        within=bootstrap(_mean_of(list(by_system.values())), stimuli.groups)
        if members
        else nothing,
        by_system={
            name: bootstrap(statistic, stimuli.groups) for name, statistic in by_system.items()
        },
        stimuli=len(stimuli),
    )


def _on(places: NDArray[np.int64], a: NDArray[np.float64], b: NDArray[np.float64]) -> Statistic:
    """Rank correlation over some of the stimuli."""
    statistic = rank_correlation_statistic(a[places], b[places])
    return lambda weight_DN: statistic(weight_DN[:, places])


def _mean_of(statistics: Sequence[Statistic]) -> Statistic:
    """Mean of figures of parts of the stimuli, of those that a draw knows.

    A score that is the same for all stimuli of a part tells nothing of them: that is 0 in each draw.
    """

    def mean(weight_DN: NDArray[np.float64]) -> NDArray[np.float64]:
        once = np.ones((1, weight_DN.shape[1]))
        found_PD = np.array(
            [
                np.zeros(len(weight_DN)) if np.isnan(statistic(once)) else statistic(weight_DN)
                for statistic in statistics
            ]
        )
        known_PD = ~np.isnan(found_PD)
        total_D = np.where(known_PD, found_PD, 0.0).sum(0)
        count_D = known_PD.sum(0)
        return np.where(count_D > 0, total_D / np.maximum(count_D, 1), np.nan)

    return mean


def stimuli_of(corpus: Corpus, ratings: Ratings, system_column: str | None = None) -> Stimuli:
    """Puts the ratings of each melody together.

    Args:
        corpus: Where the stimuli are.
        ratings: What people said.
        system_column: Column of the corpus that says who made a stimulus.

    Raises:
        CorpusError: There is no such column.
    """
    rated, place, count = np.unique(ratings.row, return_inverse=True, return_counts=True)
    mean = np.bincount(place, weights=ratings.value) / count
    spare = len(ratings) - len(rated)
    squares = float(((ratings.value - mean[place]) ** 2).sum())
    systems = [""] * len(rated)
    if system_column is not None:
        column = corpus.column(system_column)
        systems = ["" if column[row] is None else str(column[row]) for row in rated.tolist()]
    return Stimuli(
        rows=rated.astype(np.int64),
        mean=mean,
        raters=count.astype(np.int64),
        variance=squares / spare if spare else float("nan"),
        groups=np.asarray(corpus.column("group"))[rated].astype(np.int64),
        systems=np.array(systems, dtype=np.str_),
    )
