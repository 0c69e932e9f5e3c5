"""``TrackNotes``, the notes of one track, and which track looks most like a melody.

The features are the ones that melody-track classifiers found to tell most: how much of a track is
monophonic, how much of the piece it plays, how high it lies (Rizo, Ponce de Leon, Perez-Sancho,
Pertusa & Inesta 2006, *A pattern recognition approach for melody track selection in MIDI files*;
Madsen & Widmer 2007, *Towards a computational model of melody identification in polyphonic
music*), and its name. They are added with fixed weights: nothing is trained.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

IMPOSSIBLE_TIMES = "times before 0, ends before onsets, or times beyond 2^31 ticks"

_TICK_LIMIT = 2**31

_MELODY_NAMES = re.compile(
    r"melod|vocal|voice|vox|lead|sing|soprano|cantus|solo|tune|chant|gesang|stimme|right",
    re.IGNORECASE,
)
_OTHER_NAMES = re.compile(
    r"bass|drum|perc|chord|accomp|begleit|backing|rhythm|pad|harmon|tenor|alto|left|beat",
    re.IGNORECASE,
)

_NAME_WEIGHT = 2.0
_FULL_ACTIVITY = 2 / 3
_FULL_MOVEMENT = 5
_FEW_NOTES = 8


_Ints = NDArray[np.integer[Any]]


class TrackNotes(NamedTuple):
    """The notes of one track, as a parser gave them.

    Attributes:
        number: What ``track:NUMBER`` calls it.
        name: The track's name, empty without.
        drums: On channel 10.
        onset: Ticks from the start of the file, ``(notes,)``.
        duration: Ticks, ``(notes,)``.
        pitch: 0 to 127, ``(notes,)``.
        velocity: 1 to 127, ``(notes,)``.
    """

    number: int
    name: str
    drums: bool
    onset: _Ints
    duration: _Ints
    pitch: _Ints
    velocity: _Ints

    def settled(self) -> TrackNotes:
        """The same in int64, sorted by onset, then pitch, end and velocity.

        Raises:
            ValueError: Times that no MIDI file holds.
        """
        onset, duration, pitch, velocity = (column.astype(np.int64) for column in self[3:])
        end = onset + duration
        if impossible_times(onset, end).any():
            raise ValueError(IMPOSSIBLE_TIMES)
        if not (onset[1:] > onset[:-1]).all():
            order = np.lexsort((velocity, end, pitch, onset))
            onset, duration, pitch, velocity = (
                column[order] for column in (onset, duration, pitch, velocity)
            )
        return TrackNotes(self.number, self.name, self.drums, onset, duration, pitch, velocity)


def impossible_times(onset: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which notes lie where no MIDI file has any.

    A parser that counts ticks in 32 bits shows an overflow as a time before 0.
    """
    impossible: NDArray[np.bool_] = (onset < 0) | (end < onset) | (end >= _TICK_LIMIT)
    return impossible


def choose_melody_track(tracks: Sequence[TrackNotes]) -> TrackNotes:
    """The track with the highest melody score; the first of equals. All are ``settled``.

    The score adds up, with weights that were set by hand:

    - name: +2 for a hint such as *melody*, *vocal*, *lead*, -2 for one such as *bass*, *drums*;
    - monophony, 0 to 2: the share of notes that end before the next begins, or at most a
      sixteenth of their length after;
    - activity, 0 to 2: the share of the piece during which the track sounds, full at two thirds (a
      melody may rest, an accompaniment seldom does);
    - height, 0 to 1: its mean pitch between those of the lowest and the highest track;
    - movement, 0 to 1: its distinct pitches, full at five (a drone or a pulse has few, a chorale's
      soprano no more);
    - -2 for a track of fewer than eight notes.
    """
    piece = max(int((track.onset + track.duration).max()) for track in tracks) - min(
        int(track.onset[0]) for track in tracks
    )
    means = np.array([track.pitch.mean() for track in tracks])
    low, high = means.min(), means.max()
    height = (means - low) / (high - low) if high > low else np.zeros(len(tracks))
    scores = [_score(track, max(piece, 1)) for track in tracks] + height
    return tracks[int(np.argmax(scores))]


def _score(track: TrackNotes, piece_ticks: int) -> float:
    name = 0.0
    if _MELODY_NAMES.search(track.name):
        name += _NAME_WEIGHT
    if _OTHER_NAMES.search(track.name):
        name -= _NAME_WEIGHT
    onset, length = track.onset, track.duration
    end = onset + length
    overlap = end[:-1] - onset[1:]
    monophony = float((overlap <= length[:-1] // 16).mean()) if overlap.size else 1.0
    # Time that is covered by notes: each adds what lies beyond the end of those before.
    covered_until = np.maximum.accumulate(end)
    sounding = length[0] + np.maximum(end[1:] - np.maximum(onset[1:], covered_until[:-1]), 0).sum()
    activity = min(float(sounding) / piece_ticks / _FULL_ACTIVITY, 1.0)
    movement = min(np.unique(track.pitch).size, _FULL_MOVEMENT) / _FULL_MOVEMENT
    few = 2.0 if onset.size < _FEW_NOTES else 0.0
    return name + 2.0 * monophony + 2.0 * activity + movement - few
