"""Whether a melody is like those that a model learnt from, by a few plain statistics.

A model answers whatever it is asked. What it says of white noise, or of a piano piece read as one
line, is no better founded for being a number. So a checkpoint keeps the ranges of some statistics
over its training melodies, and a melody outside one of them gets a warning that names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from seqmelody.note_statistics import note_statistics
from seqmelody.tokens import TokenBatch

if TYPE_CHECKING:
    from seqmelody.corpus import Corpus

COMPARED: Mapping[str, tuple[str, str]] = {
    "notes": ("number of notes", ""),
    "pitch_range": ("pitch range", " semitones"),
    "pitch_classes": ("number of pitch classes", ""),
    "pitch_class_entropy": ("entropy of the pitch classes", " bits"),
    "interval_entropy": ("entropy of the intervals", " bits"),
    "mean_interval": ("mean interval", " semitones"),
    "repeated_4grams": ("share of repeated motifs", ""),
    "duration_spread": ("spread of the durations", " octaves"),
    "notes_per_quarter": ("density", " notes per quarter"),
    "rest_share": ("share of rests", ""),
    "on_grid": ("share of onsets on the grid", ""),
}
"""The statistics that are compared, what to call them, and their units. Chosen on validation
melodies, beside random ones and loops: fewer miss some of these, more warn of real melodies."""

TAIL = 0.001
"""Share of the training melodies that a range leaves out at either end."""
MARGIN = 0.05
"""How far outside a melody may lie, as a share of the range's width."""
_ROWS_AT_ONCE = 4096


def statistic_ranges(corpus: Corpus, split: str = "train") -> dict[str, tuple[float, float]]:
    """The range of each compared statistic over the melodies of a split; see ``TAIL``.

    Args:
        corpus: Where they are.
        split: Which of them.

    Returns:
        Lowest and highest by name; nothing where the split is empty.
    """
    rows = corpus.split(split)
    if not rows.size:
        return {}
    names = tuple(COMPARED)
    value_MS = np.concatenate(
        [
            note_statistics(corpus.token_batch(rows[start : start + _ROWS_AT_ONCE]), names)
            for start in range(0, rows.size, _ROWS_AT_ONCE)
        ]
    )
    low_S, high_S = np.quantile(value_MS, [TAIL, 1 - TAIL], axis=0).round(6).tolist()
    return {name: (low, high) for name, low, high in zip(COMPARED, low_S, high_S, strict=True)}


class Familiarity:
    """Compares melodies with the training melodies.

    Shapes: M melodies, S statistics compared.

    Args:
        ranges: Lowest and highest of each statistic over the training melodies; names that this
            version does not compare are passed over.
    """

    def __init__(self, ranges: Mapping[str, tuple[float, float]]) -> None:
        self._names = [name for name in COMPARED if name in ranges]
        self._low_S = np.array([ranges[name][0] for name in self._names], dtype=np.float64)
        self._high_S = np.array([ranges[name][1] for name in self._names], dtype=np.float64)
        # Where all training melodies are alike, what differs a little is not far away.
        largest_S = np.maximum(np.abs(self._low_S), np.abs(self._high_S))
        self._width_S = np.maximum(self._high_S - self._low_S, np.maximum(0.05 * largest_S, 1e-3))

    def distance(self, melodies: TokenBatch) -> NDArray[np.float64]:
        """How far melodies are outside of the ranges, ``(M,)``.

        0 for what lies within; else the distance of the statistic that is furthest outside its
        range, in widths of that range.
        """
        if not self._names or not len(melodies):
            return np.zeros(len(melodies))
        return np.asarray(self._outside(self._values(melodies)).max(1))

    def warnings(self, melodies: TokenBatch) -> dict[int, str]:
        """What to say of the melodies outside of the ranges, by their number."""
        if not self._names or not len(melodies):
            return {}
        value_MS = self._values(melodies)
        outside_MS = self._outside(value_MS)
        worst_M = outside_MS.argmax(1)
        unlike = np.flatnonzero(outside_MS.max(1) > 0).tolist()
        return {row: self._told(int(worst_M[row]), value_MS[row, worst_M[row]]) for row in unlike}

    def _values(self, melodies: TokenBatch) -> NDArray[np.float64]:
        return note_statistics(melodies, self._names)

    def _outside(self, value_MS: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distances in widths, ``(M, S)``; 0 within the margin."""
        beyond_MS = np.maximum(self._low_S - value_MS, value_MS - self._high_S) / self._width_S
        return np.where(beyond_MS > MARGIN, beyond_MS, 0.0)

    def _told(self, statistic: int, value: float) -> str:
        name, unit = COMPARED[self._names[statistic]]
        low, high = self._low_S[statistic], self._high_S[statistic]
        return (
            f"unlike the training melodies: {name} {_short(value)}{unit} (theirs: {_short(low)} to "
            f"{_short(high)})"
        )


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
