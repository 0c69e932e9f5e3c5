"""What the objectives that learn from people leave behind: the checkpoint's listeners.

The parameters learnt along with the model served to train it, on melodies of which its score knows
more than it will of new ones. So what the checkpoint keeps is fitted anew to the scores and
embeddings of the finished model, on the validation split, which was not trained on:

- catchy: offset and scale;
- preference: the scale; how often people are undecided stays as learnt;
- ratings: offset and scale of the consensus, the spread of ratings around it, and the spread of
  raters around each other. The directions of taste stay as learnt, and each rater's effects are
  fitted to all that the rater said, by the very method that later fits listeners whom the model
  has never met.

Where what was said there is of fewer than ``FEW_MELODIES`` melodies (ratings: ``FEW_RATED``), what was
learnt is kept.

Shapes: N judgements of R melodies, E embedding size.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seqmelody.config import TrainConfig
from seqmelody.listeners import Listener, Listeners, RatingModel, probability, unit_of
from seqmelody.objectives import Catchy, Preference, Rating
from seqmelody.objectives.judged import Judgements
from seqmelody.objectives.logistic import fit_logistic
from seqmelody.objectives.metrics import expected_calibration_error
from seqmelody.training.judged import Judged, Scoring
from seqmelody.whitening import Whitening

FEW_MELODIES = 10
"""Of fewer melodies that were not trained on, nothing is fitted or measured."""
FEW_RATED = 25
"""Of fewer, no line is fitted to ratings, which are noisier than choices."""
_LEAST_RATERS = 0.5
"""Share of the raters whom ratings must tell of, so that all raters may be known by them."""
_LEAST_RATINGS = 2
"""Ratings that tell of a rater: of one alone, what is a rater's own is not told from noise."""
_LEAST_RESIDUAL = 1e-6
"""Of the spread of ratings: a smaller residual is rounding."""


def learnt_listeners(
    config: TrainConfig, judged: Sequence[Judged], score: Scoring, whitening: Whitening
) -> tuple[Listeners | None, dict[str, float]]:
    """What the checkpoint keeps, and figures of it.

    Args:
        config: Of the run.
        judged: The objectives, as they ended.
        score: The finished model.
        whitening: Of its embeddings.

    Returns:
        The listeners, ``None`` where nobody was heard; ``catchy_ece``, where it can be told.
    """
    found = Listeners()
    figures: dict[str, float] = {}
    for entry in judged:
        if isinstance(entry.objective, Rating):
            assert config.rating is not None
            rating, listeners = _ratings(
                entry, entry.objective, config.rating.scale, score, whitening
            )
            found = dataclasses.replace(found, rating=rating, listeners=listeners)
        elif isinstance(entry.objective, Catchy):
            catchy, error = _calibrated(entry, entry.objective, score)
            found = dataclasses.replace(found, catchy=catchy)
            if error is not None:
                figures["catchy_ece"] = error
        elif isinstance(entry.objective, Preference):
            preference = _preference(entry, entry.objective, score)
            found = dataclasses.replace(found, preference=preference)
    return (found if judged else None), figures


def _ratings(
    entry: Judged,
    objective: Rating,
    scale: tuple[float, float] | None,
    score: Scoring,
    whitening: Whitening,
) -> tuple[RatingModel, dict[str, Listener]]:
    """The rating model, and the raters as its listeners.

    Only where the melodies that were not trained on are fewer than ``FEW_RATED``, or tell of less
    than half of the raters, the consensus is the learnt one, and all melodies tell of the spreads,
    which then are those of the training, and smaller than those of new melodies.
    """
    heard = entry.ratings
    assert heard is not None
    rows = np.unique(heard.row)
    score_R, embedding_RE = entry.scored(score, rows)
    place_N = np.searchsorted(rows, heard.row)
    score_N, embedding_NE = score_R[place_N], embedding_RE[place_N]
    fresh_N = np.isin(heard.row, entry.validation.item_NM)
    fresh = len(np.unique(heard.row[fresh_N])) >= FEW_RATED
    if objective.effects is not None:
        least = _LEAST_RATERS * _raters_told_of(heard.rater)
        fresh = fresh and _raters_told_of(heard.rater[fresh_N]) >= least
    offset, slope = objective.line
    if fresh:
        line = objective.suits(score_R, _numbered(entry.validation, rows))
        offset, slope = objective.in_ratings(*line)
    else:
        fresh_N[:] = True
    low, high = (None, None) if scale is None else scale
    model = dataclasses.replace(
        RatingModel.assumed(
            float(score_R.mean()),
            unit_of(score_R),
            heard.value,
            embedding_RE,
            directions=whitening.axes_EE.T,
        ),
        offset=offset,
        scale=slope,
        low=low,
        high=high,
    )
    left = (heard.value - model.consensus(score_N))[fresh_N]
    residual_sd = float(np.sqrt((left**2).mean()))
    if residual_sd > _LEAST_RESIDUAL * unit_of(heard.value):
        model = dataclasses.replace(model, residual_sd=residual_sd)
    if objective.effects is None:
        return model, {}
    rank = objective.effects.taste_rank
    directions = np.zeros((0, embedding_RE.shape[1]))
    if rank:
        directions = objective.effects.raw_direction_KE.double().cpu().numpy()
    model = dataclasses.replace(
        model,
        directions=directions,
        taste_sd=np.full(rank, objective.sd * objective.effects.taste_sd),
    )
    model = model.with_spread_of(
        score_N[fresh_N], embedding_NE[fresh_N], heard.value[fresh_N], heard.rater[fresh_N]
    )
    listeners = {}
    for number, name in enumerate(entry.raters):
        own = heard.rater == number
        if own.any():
            listeners[name] = model.fit(score_N[own], embedding_NE[own], heard.value[own])
    return model, listeners


def _numbered(said: Judgements, rows: NDArray[np.int64]) -> Judgements:
    """The same judgements, of melodies numbered by their place among some rows."""
    return dataclasses.replace(said, item_NM=np.searchsorted(rows, said.item_NM))


def _raters_told_of(rater_N: NDArray[np.int64]) -> int:
    """How many raters gave enough of these ratings to be told of."""
    return int((np.bincount(rater_N[rater_N >= 0]) >= _LEAST_RATINGS).sum())


def _preference(entry: Judged, objective: Preference, score: Scoring) -> dict[str, float]:
    """The scale that suits melodies which were not trained on, where there are enough; and ties."""
    chosen = entry.validation[entry.validation.value_N == 0]
    rows = np.unique(chosen.item_NM)
    if len(rows) < FEW_MELODIES:
        return objective.scale_and_tie
    score_R, _ = entry.scored(score, rows)
    _, scale = objective.suits(score_R, _numbered(chosen, rows))
    return {**objective.scale_and_tie, "scale": scale}


def _calibrated(
    entry: Judged, objective: Catchy, score: Scoring
) -> tuple[dict[str, float], float | None]:
    """Offset and scale that suit melodies which were not trained on, where there are enough.

    The calibration error is that of each half of these melodies under what was fitted to the other,
    near-duplicates being in the same half.
    """
    said = entry.validation
    rows = np.unique(said.item_NM)
    groups, group_R = np.unique(np.asarray(entry.corpus.column("group"))[rows], return_inverse=True)
    yes_N = said.value_N > 0.5
    if len(rows) < FEW_MELODIES or len(groups) < 2 or yes_N.all() or not yes_N.any():
        return objective.offset_and_scale, None
    score_R, _ = entry.scored(score, rows)
    place_N = np.searchsorted(rows, said.item_NM[:, 0])
    score_N = score_R[place_N]
    offset, scale = objective.suits(score_R, _numbered(said, rows))
    half_N = group_R[place_N] % 2
    chance_N = np.full(len(said), math.nan)
    for half in (0, 1):
        other = fit_logistic(score_N[half_N != half], said.value_N[half_N != half])
        chance_N[half_N == half] = probability(other[0] + other[1] * score_N[half_N == half])
    return {"offset": offset, "scale": scale}, expected_calibration_error(chance_N, yes_N)
