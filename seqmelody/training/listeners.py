"""What the objectives that learn from people leave behind: the checkpoint's listeners.

The parameters learnt along with the model served to train it. What is released is fitted anew on
the scores and embeddings of the finished model, by the very method that later fits listeners whom
it has never met.

Shapes: N judgements of R melodies, E embedding size.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seqmelody.config import TrainConfig
from seqmelody.listeners import Listener, Listeners, RatingModel
from seqmelody.objectives import Catchy, Preference, Rating
from seqmelody.objectives.logistic import fit_logistic
from seqmelody.objectives.metrics import expected_calibration_error
from seqmelody.training.judged import Judged, Scoring
from seqmelody.whitening import Whitening

FEW_MELODIES = 10
"""Of fewer melodies that were not trained on, nothing is fitted or measured."""
_LEAST_RATERS = 0.5
"""Share of the raters whom ratings must tell of, so that all raters may be known by them."""
_LEAST_RATINGS = 2
"""Ratings that tell of a rater: of one alone, what is a rater's own is not told from noise."""


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
            found = dataclasses.replace(found, preference=entry.objective.scale_and_tie)
    return (found if judged else None), figures


def _ratings(
    entry: Judged,
    objective: Rating,
    scale: tuple[float, float] | None,
    score: Scoring,
    whitening: Whitening,
) -> tuple[RatingModel, dict[str, Listener]]:
    """The rating model, and the raters as its listeners.

    How ratings spread around the score, and raters around each other, is told from melodies that
    were not trained on: on the others the score knows more than it will of new ones. Only where
    these are fewer than ``FEW_MELODIES``, or tell of less than half of the raters, all melodies
    serve; the spreads are then those of the training, and smaller than those of new melodies. The
    listeners are fitted to all their ratings.
    """
    heard = entry.ratings
    assert heard is not None
    rows = np.unique(heard.row)
    score_R, embedding_RE = entry.scored(score, rows)
    place_N = np.searchsorted(rows, heard.row)
    score_N, embedding_NE = score_R[place_N], embedding_RE[place_N]
    offset, slope = objective.line
    low, high = (None, None) if scale is None else scale
    model = dataclasses.replace(
        RatingModel.assumed(
            float(score_R.mean()),
            float(score_R.std()) or 1.0,
            heard.value,
            embedding_RE,
            directions=whitening.axes_EE.T,
        ),
        offset=offset,
        scale=slope,
        low=low,
        high=high,
    )
    fresh_N = np.isin(heard.row, entry.validation.item_NM)
    if len(np.unique(heard.row[fresh_N])) < FEW_MELODIES:
        fresh_N[:] = True
    left = (heard.value - model.consensus(score_N))[fresh_N]
    residual_sd = float(np.sqrt((left**2).mean())) or model.residual_sd
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
        taste_sd=np.full(rank, objective.sd * objective.effects.sds[1]),
    )
    if _raters_told_of(heard.rater[fresh_N]) < _LEAST_RATERS * _raters_told_of(heard.rater):
        fresh_N[:] = True
    model = model.with_spread_of(
        score_N[fresh_N], embedding_NE[fresh_N], heard.value[fresh_N], heard.rater[fresh_N]
    )
    listeners = {}
    for number, name in enumerate(entry.raters):
        own = heard.rater == number
        if own.any():
            listeners[name] = model.fit(score_N[own], embedding_NE[own], heard.value[own])
    return model, listeners


def _raters_told_of(rater_N: NDArray[np.int64]) -> int:
    """How many raters gave enough of these ratings to be told of."""
    return int((np.bincount(rater_N[rater_N >= 0]) >= _LEAST_RATINGS).sum())


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
    offset, scale = fit_logistic(score_N, said.value_N)
    half_N = group_R[place_N] % 2
    chance_N = np.full(len(said), math.nan)
    for half in (0, 1):
        chance_N[half_N == half] = _chance(
            score_N[half_N == half],
            *fit_logistic(score_N[half_N != half], said.value_N[half_N != half]),
        )
    return {"offset": offset, "scale": scale}, expected_calibration_error(chance_N, yes_N)


def _chance(score: NDArray[np.float64], offset: float, scale: float) -> NDArray[np.float64]:
    chance: NDArray[np.float64] = 1 / (1 + np.exp(-(offset + scale * score)))
    return chance
