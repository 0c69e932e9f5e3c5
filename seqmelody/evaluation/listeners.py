"""Task: does a checkpoint learn a listener's taste from a few ratings?

The listeners are simulated, so that their tastes are known. A listener rates a melody by the
checkpoint's own score (which all listeners share, each with an offset and a slope), by musical
features that the listener likes or dislikes, and by chance; ratings are whole numbers from 1 to 7.
The features are counts of notes and intervals (``note_statistics``), which the model was never told
of: a taste can be learnt only as far as the embedding happens to hold them.

Two priors are compared: that of ``RatingModel.assumed``, which ``adapt`` takes for a checkpoint that
never saw a rating, and one learnt from other listeners' ratings of training melodies, as a run with
named raters leaves it.

Shapes: N melodies, R listeners, F features.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqmelody.corpus import Corpus
from seqmelody.errors import CorpusError
from seqmelody.evaluation.intervals import Estimate, bootstrap_mean
from seqmelody.evaluation.protocols import VectorMethod
from seqmelody.listeners import Listener, RatingModel
from seqmelody.note_statistics import STATISTICS, note_statistics
from seqmelody.objectives.metrics import rank_correlation
from seqmelody.whitening import Whitening

LIKED = (
    "pitch_range",
    "pitch_classes",
    "steps",
    "repeats",
    "duration_entropy",
    "notes",
)
"""Of ``note_statistics``: what listeners may like or dislike."""
RATINGS = (5, 10, 20, 50)
"""How many ratings listeners give."""
KNOWN_LISTENERS, KNOWN_RATINGS = 60, 100
"""Whom the learnt prior comes from, and how many ratings of each."""
TASTE_RANK = 6
LOW, HIGH = 1.0, 7.0
_MIDDLE = 4.0
_AGREED_SD, _TASTE_SD, _NOISE_SD = 0.7, 0.7, 0.7
_OFFSET_SD, _SLOPE_SD = 0.6, 0.4
_RIDGE = 1e-3
_LEAST_MELODIES = 100
_MOST_RATED = 2000


@dataclass(frozen=True)
class ListenerFigures:
    """Listeners with so many ratings each, on melodies that they did not rate; means over them.

    Attributes:
        consensus_error: Root mean square error of the consensus for all, in ratings.
        error: Of what is predicted for each.
        gain: By how much the latter is smaller.
        consensus_correlation: Spearman's, of a listener's ratings with the consensus.
        correlation: With what is predicted for the listener.
        correlation_gain: By how much the latter is larger: what taste adds, for an offset does not.
        taste_recovery: Correlation of what the known taste adds to each melody with what the
            fitted one adds.
    """

    consensus_error: Estimate
    error: Estimate
    gain: Estimate
    consensus_correlation: Estimate
    correlation: Estimate
    correlation_gain: Estimate
    taste_recovery: Estimate


@dataclass(frozen=True)
class ListenersResult:
    """What came of it.

    Attributes:
        assumed: By number of ratings, with the prior that ``adapt`` assumes.
        learnt: Likewise, with a prior learnt from other listeners.
        taste_ceiling: What ``taste_recovery`` would be if a listener were known as well as the
            embedding allows: the correlation of the known taste with the best linear reading of it
            off the embeddings of the training melodies.
        listeners: How many were simulated.
        held_out: Melodies that each is tested on.
    """

    assumed: dict[int, ListenerFigures]
    learnt: dict[int, ListenerFigures]
    taste_ceiling: Estimate
    listeners: int
    held_out: int


@dataclass(frozen=True)
class _Heard:
    """Melodies as the checkpoint and as the listeners hear them."""

    score_N: NDArray[np.float64]
    embedding_NE: NDArray[np.float64]
    feature_NF: NDArray[np.float64]

    def __getitem__(self, rows: NDArray[np.int64]) -> _Heard:
        return _Heard(self.score_N[rows], self.embedding_NE[rows], self.feature_NF[rows])


@dataclass(frozen=True)
class _People:
    """Simulated listeners.

    Attributes:
        offset_R: Of each.
        slope_R: Of each.
        taste_RF: What each likes.
    """

    offset_R: NDArray[np.float64]
    slope_R: NDArray[np.float64]
    taste_RF: NDArray[np.float64]

    @classmethod
    def drawn(cls, count: int, random: np.random.Generator) -> _People:
        F = len(LIKED)
        return cls(
            random.normal(scale=_OFFSET_SD, size=count),
            random.normal(scale=_SLOPE_SD, size=count),
            random.normal(scale=_TASTE_SD / np.sqrt(F), size=(count, F)),
        )

    def taste(self, number: int, heard: _Heard) -> NDArray[np.float64]:
        """What a listener's taste adds to the rating of each melody, ``(N,)``."""
        added: NDArray[np.float64] = heard.feature_NF @ self.taste_RF[number]
        return added

    def rate(self, number: int, heard: _Heard, random: np.random.Generator) -> NDArray[np.float64]:
        """The ratings of one listener, ``(N,)``."""
        agreed = _AGREED_SD * (1 + self.slope_R[number]) * heard.score_N
        noise = random.normal(scale=_NOISE_SD, size=len(agreed))
        said = _MIDDLE + self.offset_R[number] + agreed + self.taste(number, heard) + noise
        whole: NDArray[np.float64] = np.clip(np.round(said), LOW, HIGH)
        return whole


def listeners_task(
    method: VectorMethod,
    corpus: Corpus,
    rows: NDArray[np.int64],
    *,
    whitening: Whitening | None = None,
    listeners: int = 100,
    ratings: tuple[int, ...] = RATINGS,
    seed: int = 0,
) -> ListenersResult:
    """Simulates listeners, fits them to some ratings, and predicts others.

    Half of the melodies, near-duplicates on one side, are for listeners to rate; they are tested on
    the other half. Intervals are over listeners.

    Args:
        method: A checkpoint: its vectors end in the score.
        corpus: Where the melodies are; what is learnt of other listeners is learnt on melodies of
            its training split.
        rows: Which melodies to rate and to predict.
        whitening: That of the checkpoint: tastes are then looked for in whitened directions.
        listeners: How many.
        ratings: How many ratings each gives, in turn.
        seed: Of the simulation.

    Raises:
        CorpusError: There are too few melodies for that.
    """
    random = np.random.default_rng(seed)
    group = np.asarray(corpus.column("group"))[rows]
    given = np.isin(group, random.permutation(np.unique(group))[::2])
    train = corpus.split("train")
    if len(train) > _MOST_RATED:
        train = np.sort(random.choice(train, _MOST_RATED, replace=False))
    if min(given.sum(), (~given).sum(), len(train)) < max(*ratings, _LEAST_MELODIES):
        raise CorpusError(
            f"{corpus.folder}: too few melodies to simulate listeners who rate {max(ratings)}"
        )
    known, here = _heard(method, corpus, train), _heard(method, corpus, rows)
    scale = _Standard.of(known)
    known, here = scale(known), scale(here)
    to_rate, held_out = here[np.flatnonzero(given)], here[np.flatnonzero(~given)]
    directions = None if whitening is None else whitening.axes_EE.T
    learnt = _learnt(known, directions, random)
    people = _People.drawn(listeners, random)
    tested = [people.rate(number, held_out, random) for number in range(listeners)]
    # More ratings of a listener are the same ones and others.
    order = [random.permutation(len(to_rate.score_N)) for _ in range(listeners)]
    said = [people.rate(number, to_rate, random) for number in range(listeners)]
    curves: tuple[dict[int, ListenerFigures], ...] = ({}, {})
    for count in ratings:
        figures: tuple[list[dict[str, float]], ...] = ([], [])
        for number in range(listeners):
            rated = to_rate[order[number][:count]]
            values = said[number][order[number][:count]]
            assumed = RatingModel.assumed(
                0.0, 1.0, values, rated.embedding_NE, directions=directions
            )
            for prior, found in zip((assumed, learnt), figures, strict=True):
                listener = prior.fit(rated.score_N, rated.embedding_NE, values)
                found.append(
                    _figures(
                        prior,
                        listener,
                        learnt,
                        held_out,
                        tested[number],
                        people.taste(number, held_out),
                    )
                )
        for curve, found in zip(curves, figures, strict=True):
            curve[count] = _summary(found)
    read_NF = _reading(known, held_out)
    ceiling = np.array(
        [
            np.corrcoef(people.taste(number, held_out), read_NF @ people.taste_RF[number])[0, 1]
            for number in range(listeners)
        ]
    )
    return ListenersResult(
        assumed=curves[0],
        learnt=curves[1],
        taste_ceiling=bootstrap_mean(ceiling, np.arange(listeners)),
        listeners=listeners,
        held_out=len(held_out.score_N),
    )


@dataclass(frozen=True)
class _Standard:
    """Scores and features in units of their spread over some melodies."""

    middle: tuple[NDArray[np.float64], ...]
    spread: tuple[NDArray[np.float64], ...]

    @classmethod
    def of(cls, heard: _Heard) -> _Standard:
        columns = (heard.score_N, heard.feature_NF)
        return cls(
            tuple(np.asarray(values.mean(0)) for values in columns),
            tuple(np.asarray(np.maximum(values.std(0), 1e-9)) for values in columns),
        )

    def __call__(self, heard: _Heard) -> _Heard:
        return dataclasses.replace(
            heard,
            score_N=(heard.score_N - self.middle[0]) / self.spread[0],
            feature_NF=(heard.feature_NF - self.middle[1]) / self.spread[1],
        )


def _heard(method: VectorMethod, corpus: Corpus, rows: NDArray[np.int64]) -> _Heard:
    melodies = corpus.token_batch(rows)
    vector_ND = method.vectors(melodies).astype(np.float64)
    columns = [STATISTICS.index(name) for name in LIKED]
    return _Heard(vector_ND[:, -1], vector_ND[:, :-1], note_statistics(melodies)[:, columns])


def _learnt(
    heard: _Heard, directions: NDArray[np.floating[Any]] | None, random: np.random.Generator
) -> RatingModel:
    """The prior that other listeners' ratings of these melodies make likely."""
    people = _People.drawn(KNOWN_LISTENERS, random)
    count = min(KNOWN_RATINGS, len(heard.score_N))
    chosen = [
        random.choice(len(heard.score_N), count, replace=False) for _ in range(KNOWN_LISTENERS)
    ]
    row = np.concatenate(chosen)
    rater = np.repeat(np.arange(KNOWN_LISTENERS), count)
    value = np.concatenate(
        [people.rate(number, heard[rows], random) for number, rows in enumerate(chosen)]
    )
    score_N, embedding_NE = heard.score_N[row], heard.embedding_NE[row]
    model = RatingModel.assumed(0.0, 1.0, value, heard.embedding_NE, directions=directions)
    slope, offset = np.polyfit(score_N, value, 1)
    model = dataclasses.replace(model, offset=float(offset), scale=float(slope))
    return model.with_spread_of(score_N, embedding_NE, value, rater, rank=TASTE_RANK)


def _reading(known: _Heard, heard: _Heard) -> NDArray[np.float64]:
    """The features as far as they can be read off the embedding, ``(N, F)``: ridge regression."""
    middle_E = known.embedding_NE.mean(0)
    away_NE = known.embedding_NE - middle_E
    products_EE = away_NE.T @ away_NE
    products_EE += _RIDGE * np.trace(products_EE) / len(products_EE) * np.eye(len(products_EE))
    reading_EF = np.linalg.solve(products_EE, away_NE.T @ known.feature_NF)
    read_NF: NDArray[np.float64] = (heard.embedding_NE - middle_E) @ reading_EF
    return read_NF


def _figures(
    prior: RatingModel,
    listener: Listener,
    everybody: RatingModel,
    heard: _Heard,
    said: NDArray[np.float64],
    taste: NDArray[np.float64],
) -> dict[str, float]:
    """The figures of one listener.

    The consensus is that of the known listeners in either case: the best guess of somebody of whom
    nothing is known.
    """
    predicted = prior.predict(listener, heard.score_N, heard.embedding_NE)
    only_taste = dataclasses.replace(listener, offset=0.0, slope=0.0)
    added = prior.predict(only_taste, heard.score_N, heard.embedding_NE)
    added = added - prior.consensus(heard.score_N)
    consensus = everybody.consensus(heard.score_N)
    found = {
        "consensus_error": float(np.sqrt(((said - consensus) ** 2).mean())),
        "error": float(np.sqrt(((said - predicted) ** 2).mean())),
        "consensus_correlation": rank_correlation(said, consensus),
        "correlation": rank_correlation(said, predicted),
        "taste_recovery": float(np.corrcoef(taste, added)[0, 1]) if np.ptp(added) > 0 else 0.0,
    }
    found["gain"] = found["consensus_error"] - found["error"]
    found["correlation_gain"] = found["correlation"] - found["consensus_correlation"]
    return found


def _summary(found: list[dict[str, float]]) -> ListenerFigures:
    everyone = np.arange(len(found))
    return ListenerFigures(
        **{
            name: bootstrap_mean(np.array([figures[name] for figures in found]), everyone)
            for name in found[0]
        }
    )
