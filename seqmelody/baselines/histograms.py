"""How often each pitch or interval occurs: vectors that know nothing of order.

The cosine of two of them is the plainest way to compare melodies by vectors.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seqmelody.tokens import TokenBatch

_REACH = 24
"""Semitones on either side that are told apart; what lies beyond counts as the last of them."""


class Histogram:
    """How long each pitch sounds, in semitones above the last note, mostly the tonic in folk song."""

    name = "histogram"

    def vectors(self, melodies: TokenBatch) -> NDArray[np.float32]:
        """Unit vectors, ``(melodies, 49)``."""
        pitch = melodies.pitch.astype(np.int64)
        member = _member(melodies)
        above = pitch - pitch[melodies.offsets[1:] - 1][member]
        return _counted(above, melodies.duration, member, len(melodies))

    embeddings = vectors


class Intervals:
    """How often each interval from note to note occurs."""

    name = "intervals"

    def vectors(self, melodies: TokenBatch) -> NDArray[np.float32]:
        """Unit vectors, ``(melodies, 49)``; of a melody of one note, zeros."""
        member = _member(melodies)
        interval = np.diff(melodies.pitch.astype(np.int64))
        within = np.diff(member) == 0
        once = np.ones(int(within.sum()))
        return _counted(interval[within], once, member[1:][within], len(melodies))

    embeddings = vectors


def _member(melodies: TokenBatch) -> NDArray[np.int64]:
    """The melody of each note, ``(notes,)``."""
    return np.repeat(np.arange(len(melodies)), np.diff(melodies.offsets))


def _counted(
    semitones: NDArray[np.int64],
    weight: NDArray[np.uint16] | NDArray[np.float64],
    member: NDArray[np.int64],
    melodies: int,
) -> NDArray[np.float32]:
    """Sums of weights for each melody and number of semitones, at length 1."""
    columns = 2 * _REACH + 1
    column = np.clip(semitones, -_REACH, _REACH) + _REACH
    total = np.bincount(member * columns + column, weights=weight, minlength=melodies * columns)
    table = total.reshape(melodies, columns)
    length = np.linalg.norm(table, axis=1, keepdims=True)
    return np.asarray(table / np.maximum(length, 1e-12), dtype=np.float32)
