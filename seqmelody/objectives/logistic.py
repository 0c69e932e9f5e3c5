"""Logistic regression on one variable: what turns a score into log-odds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqmelody.listeners import probability

Array = NDArray[np.float64]

LEAST_SCALE, LARGEST_SCALE = 0.01, 100.0
"""More melodic is never less liked; and a score that decides all is still a number."""
_ROUNDS = 100


def fit_logistic(
    x: NDArray[np.floating[Any]], yes: NDArray[np.floating[Any]], *, offset: bool = True
) -> tuple[float, float]:
    """Offset and scale whose log-odds ``offset + scale * x`` suit the answers best.

    As Platt (1999) has it, the answers are drawn a little towards the middle, so that a score that
    separates them all does not make certainties of them; found by Newton's method.

    Args:
        x: Scores, or differences of scores, ``(N,)``.
        yes: Answers, 0 to 1, ``(N,)``.
        offset: Whether there is one; else it is 0.

    Returns:
        Offset and scale; the scale lies within the bounds of this module, and the offset is the
        best for that scale.
    """
    x = np.asarray(x, dtype=np.float64)
    positive = float(np.sum(yes))
    high, low = (positive + 1) / (positive + 2), 1 / (len(yes) - positive + 2)
    target = low + (high - low) * np.asarray(yes, dtype=np.float64)
    # In units of its own, for a start and a ridge that suit every score.
    unit = float(x.std() if offset else np.sqrt((x**2).mean())) if len(x) else 0.0
    # Rounding gives equal numbers a spread, so it is the numbers that are asked.
    if unit == 0 or (offset and np.ptp(x) == 0):
        return _odds(float(target.mean())) if offset and len(x) else 0.0, 1.0
    middle = float(x.mean()) if offset else 0.0
    design: Array = np.column_stack([np.full(len(x), float(offset)), (x - middle) / unit])
    weight = np.zeros(2)
    for _ in range(_ROUNDS):
        chance = probability(design @ weight)
        gradient = design.T @ (chance - target)
        curvature = (design.T * (chance * (1 - chance))) @ design + 1e-6 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        # Far from the answer, Newton's step may overshoot.
        step *= min(1.0, 2.0 / max(1e-12, float(np.abs(step).max())))
        weight -= step
        if np.abs(step).max() < 1e-8:
            break
    best = float(weight[1]) / unit
    scale = float(np.clip(best, LEAST_SCALE, LARGEST_SCALE))
    if not offset:
        return 0.0, scale
    if scale != best:
        return _offset(np.asarray(scale * x), float(target.mean())), scale
    return float(weight[0]) - scale * middle, scale


def _offset(log_odds: Array, share: float) -> float:
    """What must be added for the mean probability to be the share of yes; by bisection."""
    least, most = _odds(share) - float(log_odds.max()), _odds(share) - float(log_odds.min())
    for _ in range(_ROUNDS):
        middle = (least + most) / 2
        if probability(log_odds + middle).mean() < share:
            least = middle
        else:
            most = middle
    return (least + most) / 2


def _odds(share: float) -> float:
    return float(np.log(share / (1 - share)))
