"""Several trainings of one configuration as one method: the mean of their figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seqmelody.evaluation.intervals import Estimate
from seqmelody.evaluation.results import Result

_NORMAL = 1.96
"""Standard deviations on either side that hold 95 % of normal errors."""
_STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
"""The same where the standard deviation was estimated with 1, 2, ... degrees of freedom."""


@dataclass(frozen=True)
class RepeatedResult:
    """What a task found for several trainings.

    Attributes:
        found: For each of them; one at least.
        span: Lowest and highest that a figure can be.
    """

    found: tuple[Result, ...]
    span: tuple[float, float]

    @property
    def headlines(self) -> tuple[str, ...]:
        """Names of the figures to show first."""
        return self.found[0].headlines

    def figures(self) -> dict[str, Estimate]:
        """Means over the trainings; then, for each headline, every training's own figure."""
        each = [result.figures() for result in self.found]
        shared = [name for name in each[0] if all(name in figures for figures in each)]
        figures = {name: mean_of([found[name] for found in each], self.span) for name in shared}
        for name in self.headlines:
            for number, found in enumerate(each, start=1):
                figures[f"{name}, training {number}"] = found[name]
        return figures


def mean_of(found: Sequence[Estimate], span: tuple[float, float]) -> Estimate:
    """Mean of a figure over trainings, with an interval for two causes of chance.

    Other melodies would give other figures, which is what the interval of each training tells; so
    would other trainings, which is told by how far these lie apart. The variance for melodies is the
    mean of the trainings', since all are asked about the same ones; that for trainings is the
    variance among them over their number, and being estimated from few, it counts by Student's t
    (Student, 1908). Each side of the interval has its own, as bootstrap intervals are skewed. No
    bounds are known if a training lacks them.

    Args:
        found: The figure of each training; one at least.
        span: Lowest and highest that it can be.
    """
    if len(found) == 1:
        return found[0]
    values = np.array([each.value for each in found])
    below = np.array([each.value - each.low for each in found])
    above = np.array([each.high - each.value for each in found])
    mean = float(values.mean())
    if not np.isfinite(below + above).all():
        return Estimate(mean, math.nan, math.nan)
    freedom = len(values) - 1
    student = _STUDENT[freedom - 1] if freedom <= len(_STUDENT) else _NORMAL + 2.4 / freedom
    apart = student**2 * float(values.var(ddof=1)) / len(values)
    low = mean - math.sqrt(float((below**2).mean()) + apart)
    high = mean + math.sqrt(float((above**2).mean()) + apart)
    return Estimate(mean, max(low, span[0]), min(high, span[1]))
