"""``Tokenizer``: ``Melody`` to integer streams *pitch*, *duration*, *rest*, and back.

A token is the musical quantity itself: the MIDI key, the duration in grid steps, the rest that
follows in grid steps. Nothing has to be looked up to read a stream. Durations and rests stop at a
cap; what a cap cut is counted. A ``fingerprint`` names the vocabulary: a corpus and a checkpoint
carry it, and refuse each other when theirs differ.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqmelody.melody import STEPS_PER_QUARTER, Melodies, Melody

PITCHES = 128
"""Size of the pitch vocabulary: the MIDI keys."""


@dataclass(frozen=True, eq=False)
class Tokens:
    """The streams of one melody.

    Attributes:
        pitch: MIDI keys, ``(notes,)`` uint8.
        duration: Grid steps, ``(notes,)`` uint16, 1 to the tokenizer's cap.
        rest: Grid steps of silence after each note, ``(notes,)`` uint16; 0 after the last.
        clipped_durations: How many durations the cap cut short.
        clipped_rests: How many rests the cap cut short.
    """

    pitch: NDArray[np.uint8]
    duration: NDArray[np.uint16]
    rest: NDArray[np.uint16]
    clipped_durations: int = 0
    clipped_rests: int = 0

    def __len__(self) -> int:
        return int(self.pitch.size)


@dataclass(frozen=True, eq=False)
class TokenBatch:
    """The streams of many melodies, end to end.

    Attributes:
        pitch: MIDI keys, ``(notes,)`` uint8.
        duration: Grid steps, ``(notes,)`` uint16.
        rest: Grid steps of silence after each note, ``(notes,)`` uint16.
        offsets: Melody ``i`` is ``offsets[i]:offsets[i + 1]``, ``(melodies + 1,)`` int64.
        clipped_durations: How many durations of each melody the cap cut short, ``(melodies,)``.
        clipped_rests: How many rests of each melody the cap cut short, ``(melodies,)``.
    """

    pitch: NDArray[np.uint8]
    duration: NDArray[np.uint16]
    rest: NDArray[np.uint16]
    offsets: NDArray[np.int64]
    clipped_durations: NDArray[np.int64]
    clipped_rests: NDArray[np.int64]

    def __len__(self) -> int:
        return int(self.offsets.size - 1)

    def __getitem__(self, number: int) -> Tokens:
        """The streams of one melody, without a copy."""
        here = slice(int(self.offsets[number]), int(self.offsets[number + 1]))
        return Tokens(
            self.pitch[here],
            self.duration[here],
            self.rest[here],
            int(self.clipped_durations[number]),
            int(self.clipped_rests[number]),
        )


@dataclass(frozen=True)
class Tokenizer:
    """Encodes melodies as three integer streams.

    Decoding what was encoded gives the same melody (without its velocities), unless a duration or
    a rest was above its cap.

    Attributes:
        max_duration_steps: Longest duration; 192 is two whole notes.
        max_rest_steps: Longest rest.

    Raises:
        ValueError: A cap lies outside 1 to 65535.
    """

    max_duration_steps: int = 8 * STEPS_PER_QUARTER
    max_rest_steps: int = 8 * STEPS_PER_QUARTER

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int) or not 1 <= value <= np.iinfo(np.uint16).max:
                raise ValueError(
                    f"{field.name} must be a whole number from 1 to 65535, not {value}"
                )

    def encode(self, melody: Melody) -> Tokens:
        """The streams of a melody, with counts of what the caps cut."""
        return self.encode_all(Melodies.of(melody))[0]

    def encode_all(self, melodies: Melodies) -> TokenBatch:
        """The streams of many melodies; each as ``encode`` gives them."""
        rest = melodies.rest
        return TokenBatch(
            pitch=melodies.pitch.astype(np.uint8),
            duration=np.minimum(melodies.duration, self.max_duration_steps).astype(np.uint16),
            rest=np.minimum(rest, self.max_rest_steps).astype(np.uint16),
            offsets=melodies.offsets,
            clipped_durations=_count_above(
                melodies.duration, self.max_duration_steps, melodies.offsets
            ),
            clipped_rests=_count_above(rest, self.max_rest_steps, melodies.offsets),
        )

    def decode(self, tokens: Tokens) -> Melody:
        """The melody of three streams.

        Raises:
            ValueError: The streams are empty, differ in length, or hold what no melody can.
        """
        return Melody.from_streams(tokens.pitch, tokens.duration, tokens.rest)

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that differ where the meaning of a token differs."""
        meaning = {
            "streams": ["pitch", "duration", "rest after"],
            "steps_per_quarter": STEPS_PER_QUARTER,
            **asdict(self),
        }
        return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        """What a corpus or a checkpoint stores."""
        return {**asdict(self), "fingerprint": self.fingerprint}

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Tokenizer:
        """The tokenizer that ``to_dict`` stored.

        Raises:
            ValueError: Unknown or missing fields, or a fingerprint that does not match them.
        """
        values = dict(stored)
        fingerprint = values.pop("fingerprint", None)
        names = {field.name for field in fields(cls)}
        if set(values) != names:
            raise ValueError(f"a tokenizer has the fields {sorted(names)}, not {sorted(values)}")
        tokenizer = cls(**values)
        if fingerprint != tokenizer.fingerprint:
            raise ValueError(
                f"tokenizer fingerprint {fingerprint}, this version writes {tokenizer.fingerprint}"
            )
        return tokenizer


def _count_above(
    values: NDArray[np.int32], cap: int, offsets: NDArray[np.int64]
) -> NDArray[np.int64]:
    """How many values of each melody are above the cap."""
    above = np.flatnonzero(values > cap)
    return np.diff(np.searchsorted(above, offsets))
