"""``note_statistics``: what can be counted in a melody without a model, as one row of numbers each.

None of them changes when a melody is transposed. All are finite, for a melody of one note too: a
share or an entropy of nothing is 0. Durations are those of the *duration* stream, so what a rest
adds shows in ``rest_share`` and ``notes_per_quarter`` only.

======================== ==========================================================================
notes                    how many
pitch_range              semitones from the lowest to the highest
pitch_sd                 standard deviation of the pitches, semitones
pitch_classes            how many different ones
pitch_class_entropy      bits; as are the two below
interval_entropy         of the intervals in semitones, direction counted
duration_entropy         of the durations
mean_interval            mean size of the intervals, semitones
largest_interval         semitones
repeats                  share of the intervals that are unisons
steps                    share that are one or two semitones
leaps                    share that are five semitones or more
rises                    share of the intervals other than unisons that go up
turns                    share of the changes from one such interval to the next that change direction
repeated_3grams          share of the runs of three intervals that came before in the melody
repeated_4grams          the same of four
repeated_rhythms         the same of four durations
final_interval           size of the last interval, semitones
final_length             binary logarithm of the last duration over the mean duration
final_commonest          1 if no pitch class is more frequent than the last note's, else 0
duration_spread          standard deviation of the binary logarithms of the durations, octaves
notes_per_quarter        notes over the time from the first onset to the end
rest_share               share of that time that is silent
on_grid                  share of the onsets on a sixteenth or a triplet eighth of a quarter, counted
                         from the first note: below 1 where timing is expressive
tonal_fit                highest correlation of the time that each pitch class sounds with a key
                         profile of Krumhansl & Kessler (1982), over all 24 keys
======================== ==========================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqmelody.melody import STEPS_PER_QUARTER
from seqmelody.tokens import PITCHES, TokenBatch

STATISTICS: tuple[str, ...] = (
    "notes",
    "pitch_range",
    "pitch_sd",
    "pitch_classes",
    "pitch_class_entropy",
    "interval_entropy",
    "duration_entropy",
    "mean_interval",
    "largest_interval",
    "repeats",
    "steps",
    "leaps",
    "rises",
    "turns",
    "repeated_3grams",
    "repeated_4grams",
    "repeated_rhythms",
    "final_interval",
    "final_length",
    "final_commonest",
    "duration_spread",
    "notes_per_quarter",
    "rest_share",
    "on_grid",
    "tonal_fit",
)
"""Names of the columns, in order."""

_BLOCK_NOTES = 262_144
"""Melodies are taken together up to this many notes: memory stays bounded, and in the cache."""
_LEAP = 5
_SIXTEENTH = STEPS_PER_QUARTER // 4
_TRIPLET = STEPS_PER_QUARTER // 3
# Krumhansl & Kessler (1982), mean ratings of the twelve pitch classes above the tonic.
_MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)

_Ints = NDArray[np.integer[Any]]
_Floats = NDArray[np.float64]


def note_statistics(melodies: TokenBatch, names: Sequence[str] = STATISTICS) -> NDArray[np.float64]:
    """One row of numbers for each melody; the module's docstring says what they are.

    Args:
        melodies: The melodies; one without notes has zeros throughout.
        names: Some of ``STATISTICS``; only these are computed.

    Returns:
        ``(melodies, len(names))``.
    """
    rows = np.zeros((len(melodies), len(names)))
    offsets = melodies.offsets
    start = 0
    while start < len(melodies):
        enough = int(np.searchsorted(offsets, offsets[start] + _BLOCK_NOTES))
        stop = min(max(enough, start + 1), len(melodies))
        here = slice(int(offsets[start]), int(offsets[stop]))
        there = np.flatnonzero(np.diff(offsets[start : stop + 1]))
        if there.size and names:
            columns = _columns(
                melodies.pitch[here].astype(np.int64),
                melodies.duration[here].astype(np.int64),
                melodies.rest[here].astype(np.int64),
                np.diff(offsets[start : stop + 1])[there],
            )
            rows[start + there] = np.stack([columns[name]() for name in names], axis=1)
        start = stop
    return rows


def _columns(
    pitch: NDArray[np.int64],
    duration: NDArray[np.int64],
    rest: NDArray[np.int64],
    notes: NDArray[np.int64],
) -> dict[str, Callable[[], NDArray[Any]]]:
    """What computes the columns of melodies that lie end to end, each of at least one note.

    Args:
        pitch: ``(all notes,)``; as are the next two.
        duration: Grid steps.
        rest: Grid steps.
        notes: Length of each melody, ``(melodies,)``.
    """
    melodies = len(notes)
    member = np.repeat(np.arange(melodies), notes)
    first = np.cumsum(notes) - notes
    last = first + notes - 1

    def mean(values: NDArray[Any], of: _Ints = member) -> _Floats:
        """Mean of the values that each melody has; 0 where it has none."""
        count = np.bincount(of, minlength=melodies)
        total = np.bincount(of, weights=values, minlength=melodies)
        return np.asarray(total / np.maximum(count, 1))

    def sd(values: NDArray[Any]) -> _Floats:
        return np.sqrt(mean((values - mean(values)[member]) ** 2))

    # Intervals, with the melody that each is of; one between two melodies is none.
    inside = member[1:] == member[:-1]
    interval = np.diff(pitch)[inside]
    size = np.abs(interval)
    between = member[1:][inside]
    going = interval != 0
    direction, moved = np.sign(interval[going]), between[going]
    onward = moved[1:] == moved[:-1]
    turned = (direction[1:] != direction[:-1])[onward]

    held = np.bincount(member * 12 + pitch % 12, minlength=melodies * 12).reshape(-1, 12)
    sounding = np.bincount(
        member * 12 + pitch % 12, weights=duration, minlength=melodies * 12
    ).reshape(-1, 12)
    onset = np.cumsum(duration + rest) - (duration + rest)
    onset -= onset[first][member]
    sounded = np.add.reduceat(duration, first)
    # A rest after the last note would be no part of the melody.
    span = onset[last] + duration[last]
    log_duration = np.log2(duration)
    final_interval = np.zeros(melodies)
    several = notes > 1
    final_interval[several] = np.abs(pitch[last] - pitch[last - 1])[several]
    return {
        "notes": lambda: notes,
        "pitch_range": lambda: (
            np.maximum.reduceat(pitch, first) - np.minimum.reduceat(pitch, first)
        ),
        "pitch_sd": lambda: sd(pitch),
        "pitch_classes": lambda: (held > 0).sum(1),
        "pitch_class_entropy": lambda: _entropy(pitch % 12, member, melodies),
        "interval_entropy": lambda: _entropy(interval + PITCHES, between, melodies),
        "duration_entropy": lambda: _entropy(duration, member, melodies),
        "mean_interval": lambda: mean(size, between),
        "largest_interval": lambda: _largest(size, between, melodies),
        "repeats": lambda: mean(size == 0, between),
        "steps": lambda: mean((size == 1) | (size == 2), between),
        "leaps": lambda: mean(size >= _LEAP, between),
        "rises": lambda: mean(direction > 0, moved),
        "turns": lambda: mean(turned, moved[1:][onward]),
        "repeated_3grams": lambda: _repeated(interval, between, melodies, 3),
        "repeated_4grams": lambda: _repeated(interval, between, melodies, 4),
        "repeated_rhythms": lambda: _repeated(duration, member, melodies, 4),
        "final_interval": lambda: final_interval,
        "final_length": lambda: log_duration[last] - np.log2(sounded / notes),
        "final_commonest": lambda: held[np.arange(melodies), pitch[last] % 12] == held.max(1),
        "duration_spread": lambda: sd(log_duration),
        "notes_per_quarter": lambda: notes * STEPS_PER_QUARTER / span,
        "rest_share": lambda: 1 - sounded / span,
        "on_grid": lambda: mean((onset % _SIXTEENTH == 0) | (onset % _TRIPLET == 0)),
        "tonal_fit": lambda: _tonal_fit(sounding.astype(np.float64)),
    }


def _runs(code: NDArray[np.int64], member: _Ints) -> tuple[_Ints, _Ints]:
    """How often each value occurs in each melody that has it.

    Returns:
        The melody of each pair of melody and value, in rising order, and how often it occurs.
    """
    low = int(code.min(initial=0))
    values = int(code.max(initial=0)) - low + 1
    ordered = np.sort(member * values + (code - low))
    begins = np.flatnonzero(np.diff(ordered, prepend=-1))
    return ordered[begins] // values, np.diff(begins, append=ordered.size)


def _entropy(code: NDArray[np.int64], member: _Ints, melodies: int) -> _Floats:
    """Shannon entropy of each melody's values, in bits."""
    of, count = _runs(code, member)
    total = np.bincount(member, minlength=melodies)
    share = count / total[of]
    # A sum of things that are 0 or above: -0 where a melody has but one value.
    return np.abs(np.bincount(of, weights=share * np.log2(share), minlength=melodies))


def _repeated(values: NDArray[np.int64], member: _Ints, melodies: int, length: int) -> _Floats:
    """Share of each melody's runs of so many values that occurred before in it."""
    runs = max(0, values.size - length + 1)
    low = int(values.min(initial=0))
    base = int(values.max(initial=0)) - low + 1
    # Where durations have a high cap, a run's code would not fit beside a melody's number.
    wide = base**length * melodies >= 2**63
    code = np.zeros(runs, dtype=np.int64)
    for place in range(length):
        code = code * base + (values[place : place + runs] - low)
        if wide:
            code = np.unique(code, return_inverse=True)[1]
    inside = member[length - 1 :] == member[:runs]
    of = member[:runs][inside]
    total = np.bincount(of, minlength=melodies)
    different = np.bincount(_runs(code[inside], of)[0], minlength=melodies)
    return np.asarray((total - different) / np.maximum(total, 1))


def _largest(values: NDArray[np.int64], member: _Ints, melodies: int) -> NDArray[np.int64]:
    """Largest of each melody's values, which are in the melodies' order; 0 where it has none."""
    found = np.zeros(melodies, dtype=np.int64)
    count = np.bincount(member, minlength=melodies)
    there = np.flatnonzero(count)
    if there.size:
        first = (np.cumsum(count) - count)[there]
        found[there] = np.maximum.reduceat(values, first)
    return found


def _tonal_fit(sounding: _Floats) -> _Floats:
    """Highest correlation with a key profile; 0 where all pitch classes sound equally long.

    Args:
        sounding: Grid steps that each pitch class sounds, ``(melodies, 12)``.
    """
    profiles = np.array([np.roll(mode, key) for mode in (_MAJOR, _MINOR) for key in range(12)])
    return np.asarray((_standardised(sounding) @ _standardised(profiles).T).max(axis=1))


def _standardised(rows: _Floats) -> _Floats:
    """Rows of mean 0 and length 1; zeros where a row is constant."""
    centred = rows - rows.mean(1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.asarray(np.where(length > 1e-9, centred / np.maximum(length, 1e-9), 0.0))
