"""What the n-gram model predicts of a melody, note by note: its viewpoints (Conklin & Witten, 1995).

A viewpoint turns the notes of a melody into a sequence of whole numbers. Neither of the two here
changes when a melody is transposed or played at another tempo.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqmelody.tokens import TokenBatch

ANCHORS = 12
"""How many different anchors there are."""
_PER_OCTAVE = 12
"""Parts of a doubling that durations are told apart by: 2:3 and 3:4 are, 19:20 is not."""
_PHASES = 12
"""Parts that a span of two notes is divided into."""


class Events(NamedTuple):
    """The notes of several melodies, end to end, seen from one viewpoint.

    Attributes:
        value: What is to be predicted of each note, ``(notes,)``.
        anchor: What else is known before a note is heard, the nearest part of its context,
            ``(notes,)``, 0 to 11.
        offsets: Melody ``i`` is ``offsets[i]:offsets[i + 1]``, ``(melodies + 1,)``.
    """

    value: NDArray[np.int64]
    anchor: NDArray[np.int64]
    offsets: NDArray[np.int64]


def pitch_events(melodies: TokenBatch) -> Events:
    """The interval from the note before, given the scale degree of that note.

    The value is in semitones, and that of a first note its height above the last one. The anchor
    is the pitch class of the note before, counted from the melody's last note, which in most folk
    song is the tonic. Values and anchors together are the linked viewpoint of interval and scale
    degree.
    """
    pitch = melodies.pitch.astype(np.int64)
    first, last, member = _places(melodies)
    value = np.diff(pitch, prepend=0)
    value[first] = pitch[first] - pitch[last]
    anchor = np.roll((pitch - pitch[last][member]) % 12, 1)
    anchor[first] = 0
    return Events(value, anchor, melodies.offsets)


def rhythm_events(melodies: TokenBatch) -> Events:
    """The time from each onset to the next, given where the onset falls in the metre.

    The value is the binary logarithm in twelfths of the time over the commonest such time of the
    melody; that of a last note is of its duration. No metre is written in a melody: the anchor is
    where the onset falls in a span of two commonest times, counted from the first note.
    """
    first, last, member = _places(melodies)
    between = melodies.duration.astype(np.int64) + melodies.rest
    between[last] = melodies.duration[last]
    unit = _commonest(between, member)[member]
    onset = np.cumsum(between) - between
    onset -= onset[first][member]
    value = np.rint(_PER_OCTAVE * np.log2(between / unit)).astype(np.int64)
    anchor = np.rint(onset % (2 * unit) * (_PHASES / 2) / unit).astype(np.int64) % _PHASES
    return Events(value, anchor, melodies.offsets)


VIEWPOINTS: dict[str, Callable[[TokenBatch], Events]] = {
    "pitch": pitch_events,
    "rhythm": rhythm_events,
}
"""What is predicted of a note, each on its own."""


def _places(
    melodies: TokenBatch,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """First and last note of each melody, and the melody of each note."""
    member = np.repeat(np.arange(len(melodies)), np.diff(melodies.offsets))
    return melodies.offsets[:-1], melodies.offsets[1:] - 1, member


def _commonest(values: NDArray[np.int64], member: NDArray[np.int64]) -> NDArray[np.int64]:
    """The value that each melody has most often; the lowest of several, ``(melodies,)``."""
    base = int(values.max(initial=0)) + 1
    key, count = np.unique(member * base + values, return_counts=True)
    order = np.lexsort((-count, key // base))
    of = key[order] // base
    best: NDArray[Any] = order[np.flatnonzero(np.diff(of, prepend=-1))]
    return np.asarray(key[best] % base)
