"""Several trainings of one configuration as one method: the mean of their figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seqmelody.evaluation.intervals import Estimate
from seqmelody.evaluation.results import Result

_WIDTH = 2 * 1.96
"""Standard deviations that a 95 % interval spans, if errors are normal."""


@dataclass(frozen=True)
class RepeatedResult:
    """What a task found for several trainings.

    Attributes:
        found: For each of them; one at least.
    """

    found: tuple[Result, ...]

    @property
    def headlines(self) -> tuple[str, ...]:
        """Names of the figures to show first."""
        return self.found[0].headlines

    def figures(self) -> dict[str, Estimate]:
        """Means over the trainings; then, for each headline, every training's own figure."""
        each = [result.figures() for result in self.found]
        shared = [name for name in each[0] if all(name in figures for figures in each)]
        figures = {name: mean_of([found[name] for found in each]) for name in shared}
        for name in self.headlines:
            for number, found in enumerate(each, start=1):
                figures[f"{name}, training {number}"] = found[name]
        return figures


def mean_of(found: Sequence[Estimate]) -> Estimate:
    """Mean of a figure over trainings, with an interval for two causes of chance.

    Other melodies would give other figures, which is what the interval of each training tells; so
    would other trainings, which is told by how far these lie apart. The variance of the mean is the
    mean variance for melodies, since all trainings are asked about the same ones, and the variance
    among trainings over their number. No bounds are known if there is one training alone that has
    none, or if one lacks them.

    Args:
        found: The figure of each training; one at least.
    """
    values = np.array([each.value for each in found])
    widths = np.array([each.high - each.low for each in found])
    mean = float(values.mean())
    if len(found) == 1:
        return found[0]
    if not np.isfinite(widths).all():
        return Estimate(mean, math.nan, math.nan)
    variance = float(((widths / _WIDTH) ** 2).mean() + values.var(ddof=1) / len(values))
    half = _WIDTH / 2 * math.sqrt(variance)
    return Estimate(mean, mean - half, mean + half)
