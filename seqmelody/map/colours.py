"""``Colouring``: what the dots of a map are coloured by, classes or a scale."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

CLASSES = 12
"""Classes that have a colour of their own, the largest ones; all others share one."""
_ENDS_PERCENT = (2, 98)
"""What lies beyond these percentiles has the colours of the ends: a few odd ones would otherwise take
most of the scale."""


@dataclass(frozen=True, eq=False)
class Classes:
    """A label of few values, such as a region.

    Attributes:
        name: Of the column.
        labels: Its values as text, the most frequent first.
        index_N: The label of each melody, an index into ``labels``; -1 where there is none.
    """

    name: str
    labels: list[str]
    index_N: NDArray[np.int32]

    @property
    def unlabelled(self) -> int:
        """Melodies without a label."""
        return int((self.index_N < 0).sum())


@dataclass(frozen=True, eq=False)
class Scale:
    """A number of each melody, such as a year or the score.

    Attributes:
        name: Of the column.
        value_N: NaN where there is none.
        ends: From where to where the colours go.
    """

    name: str
    value_N: NDArray[np.float64]
    ends: tuple[float, float]

    @classmethod
    def of(cls, name: str, values: Sequence[float | None]) -> Scale:
        """A scale of numbers; ``None`` and what is not finite stand for a missing one."""
        value_N = np.array([math.nan if value is None else value for value in values], dtype=float)
        value_N[~np.isfinite(value_N)] = math.nan
        known = value_N[~np.isnan(value_N)]
        low, high = np.percentile(known, _ENDS_PERCENT) if known.size else (0.0, 0.0)
        return cls(name, value_N, (float(low), float(high)))

    @property
    def unlabelled(self) -> int:
        """Melodies without a number."""
        return int(np.isnan(self.value_N).sum())


def colouring(name: str, values: Sequence[Any]) -> Classes | Scale:
    """Classes, or a scale for numbers that are too many for classes.

    Args:
        name: Of the column.
        values: Of each melody; ``None`` and NaN stand for a missing one.
    """
    values = [None if isinstance(value, float) and math.isnan(value) else value for value in values]
    counts = Counter(value for value in values if value is not None)
    numbers = all(isinstance(value, (int, float)) for value in counts)
    if numbers and len(counts) > CLASSES:
        return Scale.of(name, values)
    # Of equally frequent ones the first in the alphabet, or the least, comes first.
    order = sorted(counts, key=lambda value: (-counts[value], value if numbers else str(value)))
    places = {value: place for place, value in enumerate(order)}
    index_N = np.array([places.get(value, -1) for value in values], dtype=np.int32)
    return Classes(name, [f"{v:g}" if isinstance(v, float) else str(v) for v in order], index_N)
