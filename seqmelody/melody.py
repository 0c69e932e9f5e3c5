"""``Melody``: one line of notes on an exact time grid; ``Melodies``: many of them end to end.

Time is counted in steps of 1/24 quarter note, the resolution of the MIDI timing clock: it holds
thirty-second notes and triplets of every value down to the sixteenth exactly. A melody starts at
its first note, so that silence before a tune is no part of the tune.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

STEPS_PER_QUARTER = 24
"""Grid steps in a quarter note."""

IntArray = NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class Melody:
    """A monophonic line of notes.

    Compare with ``==``: two melodies are equal when their four columns are. Columns are read-only.

    Args:
        onset: Start of each note in grid steps, ``(notes,)``; strictly rising, the first is 0.
        duration: Length of each note in grid steps, ``(notes,)``; at least 1, and no note sounds
            into the next.
        pitch: MIDI key number, 0 to 127, ``(notes,)``.
        velocity: MIDI velocity, 1 to 127, ``(notes,)``; 64 for every note where not given.

    Raises:
        ValueError: The columns differ in length, are empty, or break a rule above.
    """

    onset: IntArray
    duration: IntArray
    pitch: IntArray
    velocity: IntArray

    def __init__(
        self,
        onset: ArrayLike,
        duration: ArrayLike,
        pitch: ArrayLike,
        velocity: ArrayLike | None = None,
    ) -> None:
        columns: dict[str, IntArray] = {
            "onset": np.array(onset, dtype=np.int32),
            "duration": np.array(duration, dtype=np.int32),
            "pitch": np.array(pitch, dtype=np.int16),
        }
        notes = columns["onset"].size
        columns["velocity"] = (
            np.full(notes, 64, dtype=np.int16)
            if velocity is None
            else np.array(velocity, dtype=np.int16)
        )
        for name, column in columns.items():
            if column.shape != (notes,):
                raise ValueError(f"{name} has shape {column.shape}, expected ({notes},)")
            column.flags.writeable = False
            object.__setattr__(self, name, column)
        if notes == 0:
            raise ValueError("a melody needs at least one note")
        if self.onset[0] != 0:
            raise ValueError(f"a melody starts at step 0, this one at {self.onset[0]}")
        if self.duration.min() < 1:
            raise ValueError("every duration must be at least one step")
        if notes > 1 and (self.onset[:-1] + self.duration[:-1] > self.onset[1:]).any():
            raise ValueError("notes overlap: a melody is monophonic")
        if self.pitch.min() < 0 or self.pitch.max() > 127:
            raise ValueError("pitches must lie in 0..127")
        if self.velocity.min() < 1 or self.velocity.max() > 127:
            raise ValueError("velocities must lie in 1..127")

    def __len__(self) -> int:
        return int(self.onset.size)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Melody):
            return NotImplemented
        return all(
            np.array_equal(getattr(self, name), getattr(other, name))
            for name in ("onset", "duration", "pitch", "velocity")
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        quarters = self.span_steps / STEPS_PER_QUARTER
        return f"Melody({len(self)} notes, {quarters:g} quarters, pitch {self.pitch.min()}-{self.pitch.max()})"

    def __getitem__(self, notes: slice) -> Melody:
        """The notes of a slice (step 1), moved to start at 0.

        Raises:
            ValueError: The slice is empty or has a step.
        """
        if not isinstance(notes, slice) or notes.step not in (None, 1):
            raise ValueError("slice a melody by a contiguous run of notes, as in melody[8:16]")
        onset = self.onset[notes]
        start = onset[0] if onset.size else 0
        return Melody(onset - start, self.duration[notes], self.pitch[notes], self.velocity[notes])

    @property
    def span_steps(self) -> int:
        """Grid steps from the first onset to the end of the last note."""
        return int(self.onset[-1] + self.duration[-1])

    @cached_property
    def rest(self) -> IntArray:
        """Silence after each note in grid steps, ``(notes,)``; 0 after the last."""
        rest = np.zeros(len(self), dtype=np.int32)
        rest[:-1] = self.onset[1:] - self.onset[:-1] - self.duration[:-1]
        rest.flags.writeable = False
        return rest

    def transpose(self, semitones: int) -> Melody:
        """The same melody, ``semitones`` higher.

        Raises:
            ValueError: A note would leave the MIDI range 0..127.
        """
        return Melody(self.onset, self.duration, self.pitch + np.int16(semitones), self.velocity)

    @classmethod
    def from_streams(
        cls,
        pitch: Sequence[int] | IntArray,
        duration: Sequence[int] | IntArray,
        rest: Sequence[int] | IntArray,
    ) -> Melody:
        """A melody from pitch, duration and the rest *after* each note (the last is ignored).

        Raises:
            ValueError: As for the constructor.
        """
        duration_steps = np.asarray(duration, dtype=np.int32)
        rest_steps = np.asarray(rest, dtype=np.int32)
        if duration_steps.shape != rest_steps.shape:
            raise ValueError(f"{duration_steps.size} durations but {rest_steps.size} rests")
        if rest_steps.size and rest_steps.min() < 0:
            raise ValueError("rests must not be negative")
        onset = np.zeros(duration_steps.size, dtype=np.int32)
        onset[1:] = np.cumsum(duration_steps + rest_steps, dtype=np.int32)[:-1]
        return cls(onset, duration_steps, pitch)


@dataclass(frozen=True, eq=False)
class Melodies:
    """Many melodies end to end, for what is done to all of them at once.

    Nothing is checked: whoever makes one keeps the rules of ``Melody``, save that a melody may be
    empty, which stands for one that is missing.

    Attributes:
        onset: Grid steps from the beginning of the melody, ``(notes,)`` int32.
        duration: Grid steps, ``(notes,)`` int32.
        pitch: MIDI keys, ``(notes,)`` int16.
        velocity: MIDI velocities, ``(notes,)`` int16.
        offsets: Melody ``i`` is ``offsets[i]:offsets[i + 1]``, ``(melodies + 1,)`` int64.
    """

    onset: NDArray[np.int32]
    duration: NDArray[np.int32]
    pitch: NDArray[np.int16]
    velocity: NDArray[np.int16]
    offsets: NDArray[np.int64]

    @classmethod
    def of(cls, melody: Melody) -> Melodies:
        """One melody, without a copy."""
        return cls(
            melody.onset.astype(np.int32, copy=False),
            melody.duration.astype(np.int32, copy=False),
            melody.pitch.astype(np.int16, copy=False),
            melody.velocity.astype(np.int16, copy=False),
            np.array([0, len(melody)], dtype=np.int64),
        )

    def __len__(self) -> int:
        return int(self.offsets.size - 1)

    def __getitem__(self, number: int) -> Melody:
        """One melody.

        Raises:
            ValueError: It is missing.
        """
        here = slice(int(self.offsets[number]), int(self.offsets[number + 1]))
        return Melody(self.onset[here], self.duration[here], self.pitch[here], self.velocity[here])

    def select(self, kept: NDArray[np.bool_]) -> Melodies:
        """Some of them, by a mask ``(melodies,)``."""
        if kept.all():
            return self
        lengths = self.lengths
        notes = np.repeat(kept, lengths)
        offsets = np.zeros(np.count_nonzero(kept) + 1, dtype=np.int64)
        np.cumsum(lengths[kept], out=offsets[1:])
        return Melodies(
            self.onset[notes],
            self.duration[notes],
            self.pitch[notes],
            self.velocity[notes],
            offsets,
        )

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Notes of each melody, ``(melodies,)``."""
        return np.diff(self.offsets)

    @property
    def rest(self) -> NDArray[np.int32]:
        """Silence after each note in grid steps, ``(notes,)``; 0 after the last of a melody."""
        rest = np.zeros(self.onset.size, dtype=np.int32)
        rest[:-1] = self.onset[1:] - self.onset[:-1] - self.duration[:-1]
        rest[self.offsets[1:][self.offsets[1:] > self.offsets[:-1]] - 1] = 0
        return rest
