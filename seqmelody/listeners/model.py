"""Listeners: how people's ratings follow from a melody's score and embedding.

A rating is modelled as

    offset + scale * score                          the consensus,
    + offset_r + slope_r * scale * (score - mean)   how a listener uses the scale,
    + taste_r . directions (embedding - mean)       what the listener likes better than others,

plus noise. Everything of a listener is linear, so that a listener whom a model has never met is
fitted in closed form, on frozen scores and embeddings: a Bayesian linear model whose prior is the
spread of known listeners around the consensus (a random-effects model, Laird & Ware, 1982). A
listener with few ratings thus stays near the consensus, and one with none is the consensus.

Shapes: N ratings, E embedding size, K directions of taste, P = 2 + K effects of a listener.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

PRIOR_RATINGS = 0.5
"""Of the standard deviation of ratings: that of offsets among listeners, if nothing is known."""
PRIOR_SLOPE = 0.5
"""Standard deviation of slopes among listeners, if nothing is known."""
PRIOR_TASTE = 0.2
"""Of the standard deviation of ratings: that of what taste adds, if nothing is known."""
PRIOR_AGREEMENT = 0.4
"""Correlation of score and rating, if nothing is known."""
PRIOR_NOISE = 0.7
"""Of the standard deviation of ratings: that of the noise, if nothing is known."""
_ROUNDS = 30
_PRIOR_LISTENERS = 4
"""The prior that a fit of the spread begins with counts as much as so many listeners."""


@dataclass(frozen=True, eq=False)
class Listener:
    """What sets one listener's ratings apart from the consensus.

    Attributes:
        offset: Added to every rating.
        slope: How much more than for others the score counts; -1 is not at all.
        taste: Coefficients of the directions of taste, ``(K,)``.
        ratings: How many it was fitted to.
    """

    offset: float
    slope: float
    taste: Array
    ratings: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {**dataclasses.asdict(self), "taste": _rounded(self.taste)}


@dataclass(frozen=True, eq=False)
class RatingModel:
    """The consensus of ratings, and how listeners spread around it.

    Attributes:
        offset: Of the consensus.
        scale: Of the consensus: rating for each unit of the score.
        residual_sd: Standard deviation of one rating around what the model says of its listener.
        score_mean: Where a listener's slope turns.
        embedding_mean: Where tastes are zero, ``(E,)``.
        directions: Of taste, in the space of embeddings, ``(K, E)``.
        offset_sd: Standard deviation of listeners' offsets.
        slope_sd: Of their slopes.
        taste_sd: Of their coefficients, ``(K,)``.
        low: Lowest rating there can be, where it is known.
        high: Highest rating there can be, where it is known.
    """

    offset: float
    scale: float
    residual_sd: float
    score_mean: float
    embedding_mean: Array
    directions: Array
    offset_sd: float
    slope_sd: float
    taste_sd: Array
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        line = (self.offset, self.scale, self.residual_sd, self.score_mean)
        numbers = (*line, self.offset_sd, self.slope_sd)
        arrays = (self.embedding_mean, self.directions, self.taste_sd)
        shapes = (self.embedding_mean.shape, self.directions.shape, self.taste_sd.shape)
        K = len(self.taste_sd)
        E = len(self.embedding_mean)
        if shapes != ((E,), (K, E), (K,)):
            raise ValueError(f"embedding mean, directions and spread have the shapes {shapes}")
        if not (all(map(math.isfinite, numbers)) and all(np.isfinite(a).all() for a in arrays)):
            raise ValueError("a number of the rating model is not finite")
        if self.residual_sd <= 0 or min(self.offset_sd, self.slope_sd, *self.taste_sd, 0) < 0:
            raise ValueError("a spread of the rating model is negative, or the residual none")

    @classmethod
    def assumed(
        cls,
        score_mean: float,
        score_sd: float,
        ratings: Sequence[float] | Array,
        embeddings: NDArray[np.floating[Any]],
        *,
        directions: NDArray[np.floating[Any]] | None = None,
    ) -> RatingModel:
        """What to go by where a model was trained without ratings.

        The consensus is the mean of the ratings at hand, and follows the score with a correlation
        of ``PRIOR_AGREEMENT``; a taste is as likely to lie along any of the directions. The spreads
        are the constants of this module, in units of the standard deviation of the ratings.

        Args:
            score_mean: Of the melodies that the model was trained on, or of any.
            score_sd: Standard deviation of the same.
            ratings: Those at hand, of all listeners.
            embeddings: Of the melodies at hand, ``(melodies, E)``.
            directions: Of taste, ``(K, E)``, best those in which embeddings vary alike
                (``Whitening``): a few that carry the score outdo all others in the embeddings as
                they are, which are the default.
        """
        values = np.asarray(ratings, dtype=np.float64)
        spread = unit_of(values)
        vectors = np.asarray(embeddings, dtype=np.float64)
        mean = vectors.mean(0)
        axes = np.eye(len(mean)) if directions is None else np.asarray(directions, dtype=np.float64)
        # What a taste of unit variance in each direction would add to a melody's rating.
        added = float((((vectors - mean) @ axes.T) ** 2).sum(1).mean())
        if added == 0 or not np.ptp(vectors, axis=0).any():
            added = float(len(axes))
        return cls(
            offset=float(values.mean()) - PRIOR_AGREEMENT * spread * score_mean / score_sd,
            scale=PRIOR_AGREEMENT * spread / score_sd,
            residual_sd=PRIOR_NOISE * spread,
            score_mean=score_mean,
            embedding_mean=mean,
            directions=axes,
            offset_sd=PRIOR_RATINGS * spread,
            slope_sd=PRIOR_SLOPE,
            taste_sd=np.full(len(axes), PRIOR_TASTE * spread / math.sqrt(added)),
        )

    def consensus(self, score: NDArray[np.floating[Any]]) -> Array:
        """The rating that a listener gives of whom nothing is known, ``(N,)``."""
        return self.offset + self.scale * np.asarray(score, dtype=np.float64)

    def predict(
        self,
        listener: Listener,
        score: NDArray[np.floating[Any]],
        embedding: NDArray[np.floating[Any]],
    ) -> Array:
        """The ratings that a listener is expected to give, ``(N,)``; not cut at the scale's ends.

        Args:
            listener: Whose.
            score: Of the melodies, ``(N,)``.
            embedding: Of the melodies, ``(N, E)``.
        """
        effects = np.concatenate([[listener.offset, listener.slope], listener.taste])
        predicted: Array = self.consensus(score) + self._design(score, embedding) @ effects
        return predicted

    def fit(
        self,
        score: NDArray[np.floating[Any]],
        embedding: NDArray[np.floating[Any]],
        rating: NDArray[np.floating[Any]],
    ) -> Listener:
        """A listener's effects: the mean of what is believed of them, given some ratings.

        Args:
            score: Of the melodies that the listener rated, ``(N,)``; N may be 0.
            embedding: Of the same, ``(N, E)``.
            rating: The ratings, ``(N,)``.
        """
        design = self._design(score, embedding)
        mean, _ = _posterior(
            design,
            rating - self.consensus(score),
            np.diag(self._spread() ** 2),
            self.residual_sd**2,
        )
        return Listener(float(mean[0]), float(mean[1]), mean[2:], len(rating))

    def with_spread_of(
        self,
        score: NDArray[np.floating[Any]],
        embedding: NDArray[np.floating[Any]],
        rating: NDArray[np.floating[Any]],
        rater: NDArray[np.integer[Any]],
        *,
        rank: int | None = None,
    ) -> RatingModel:
        """The same with the prior that some listeners' ratings make likely.

        By expectation-maximization (Dempster et al., 1977; Laird & Ware, 1982), the prior at hand
        counting as a few listeners.

        Args:
            score: Of the rated melodies, ``(N,)``.
            embedding: Of the same, ``(N, E)``.
            rating: The ratings, ``(N,)``.
            rater: Number of who gave each, ``(N,)``; those below 0 are left out.
            rank: Find so many new directions, those in which the listeners differ most, measured
                in the directions at hand; by default these stay.
        """
        design, left = self._design(score, embedding), rating - self.consensus(score)
        members = [np.flatnonzero(rater == number) for number in np.unique(rater[rater >= 0])]
        if not members:
            return self
        prior = np.diag(self._spread() ** 2)
        covariance, noise = prior, self.residual_sd**2
        used = sum(map(len, members))
        for _ in range(_ROUNDS):
            total, squares = _PRIOR_LISTENERS * prior, 0.0
            for rows in members:
                mean, spread = _posterior(design[rows], left[rows], covariance, noise)
                total = total + np.outer(mean, mean) + spread
                squares += float(((left[rows] - design[rows] @ mean) ** 2).sum())
                squares += float(((design[rows] @ spread) * design[rows]).sum())
            covariance = total / (_PRIOR_LISTENERS + len(members))
            if rank is None:
                # Effects apart from each other: all that is kept of it.
                covariance = np.diag(np.diag(covariance))
            noise = squares / used
        directions, taste_sd = self.directions, np.sqrt(np.diag(covariance)[2:])
        if rank is not None:
            values, vectors = np.linalg.eigh(covariance[2:, 2:])
            directions = vectors[:, ::-1][:, :rank].T @ directions
            taste_sd = np.sqrt(np.maximum(values[::-1][:rank], 0.0))
        found = dataclasses.replace(
            self,
            residual_sd=math.sqrt(noise),
            offset_sd=math.sqrt(covariance[0, 0]),
            slope_sd=math.sqrt(covariance[1, 1]),
            directions=directions,
            taste_sd=taste_sd,
        )
        # The directions of largest spread look larger than they are, for they were picked.
        return found if rank is None else found.with_spread_of(score, embedding, rating, rater)

    def _design(
        self, score: NDArray[np.floating[Any]], embedding: NDArray[np.floating[Any]]
    ) -> Array:
        """What each effect is multiplied by, ``(N, P)``."""
        score = np.asarray(score, dtype=np.float64)
        away = (np.asarray(embedding, dtype=np.float64) - self.embedding_mean) @ self.directions.T
        return np.column_stack([np.ones_like(score), self.scale * (score - self.score_mean), away])

    def _spread(self) -> Array:
        return np.concatenate([[self.offset_sd, self.slope_sd], self.taste_sd])

    def to_dict(self) -> dict[str, Any]:
        """Plain values; directions along the axes are ``None``."""
        plain = {
            name: _rounded(value) if isinstance(value, np.ndarray) else value
            for name, value in dataclasses.asdict(self).items()
        }
        E = len(self.embedding_mean)
        if self.directions.shape == (E, E) and (self.directions == np.eye(E)).all():
            plain["directions"] = None
        return plain

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> RatingModel:
        """The model that ``to_dict`` stored.

        Raises:
            ValueError: Something is missing, unknown, or of another shape than it should be.
            TypeError: As ``ValueError``.
        """
        values = dict(stored)
        E = len(values["embedding_mean"])
        if values["directions"] is None:
            values["directions"] = np.eye(E)
        for name, shape in (("embedding_mean", (E,)), ("directions", (-1, E)), ("taste_sd", (-1,))):
            values[name] = np.asarray(values[name], dtype=np.float64).reshape(shape)
        return cls(**values)


def probability(log_odds: NDArray[np.floating[Any]]) -> Array:
    """The logistic function: what chance some log-odds are, ``(N,)``; never overflows."""
    chance: Array = 1 / (1 + np.exp(-np.clip(np.asarray(log_odds, np.float64), -700, 700)))
    return chance


def unit_of(values: Sequence[float] | NDArray[np.floating[Any]]) -> float:
    """The standard deviation of some numbers; 1 where they are all alike, which tell of none.

    Whether they are is asked of the numbers: by rounding, the deviation of equal ones need not be 0.
    """
    return float(np.std(values)) if np.ptp(values) > 0 else 1.0


def _posterior(design: Array, left: Array, prior: Array, noise: float) -> tuple[Array, Array]:
    """Mean and covariance of effects given what they must explain.

    In a form that takes a prior of no spread, whose effects then do not move.

    Args:
        design: ``(N, P)``.
        left: ``(N,)``.
        prior: Covariance ``(P, P)``.
        noise: Variance of a rating.
    """
    moved = prior @ design.T
    system = moved @ design + noise * np.eye(len(prior))
    solved = np.linalg.solve(system, np.column_stack([moved @ left, noise * prior]))
    return solved[:, 0], solved[:, 1:]


def _rounded(values: Array) -> list[Any]:
    """Six significant digits: more than is known of any of them."""
    nested: list[Any] = (
        np.array([float(f"{value:.6g}") for value in values.flat]).reshape(values.shape).tolist()
    )
    return nested
