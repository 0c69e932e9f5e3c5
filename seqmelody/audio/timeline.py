"""``Timeline``: what is played and when, in the form that the renderer takes.

Times are samples at the renderer's rate. A MIDI file of 24,000 ticks a quarter note has as many
ticks a second at MIDI's own tempo, so that no tempo has to be written.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqmelody.melody import STEPS_PER_QUARTER, Melody

RENDERER_RATE = 48_000
"""Samples a second of what midirenderer gives."""

BLOCK = 64
"""The renderer looks for messages once in so many samples."""

VELOCITY = 100
"""Of all notes of a melody: the models do not hear how loud a note is."""

DRY = ((91, 0), (93, 0))
"""Controllers that switch reverb and chorus off."""

_TICKS_PER_QUARTER = RENDERER_RATE // 2
_END_OF_TRACK = b"\xff\x2f\x00"
_NOTE_OFF, _NOTE_ON, _CONTROLLER = 0x80, 0x90, 0xB0
_VOLUME, _VOLUME_FINE, _HOLD_PEDAL, _ALL_NOTES_OFF = 7, 39, 64, 123
_INITIAL_VOLUME = 100


@dataclass(frozen=True, eq=False)
class Timeline:
    """MIDI messages of all channels, in the order in which they are played.

    Attributes:
        time: When each comes, in samples at ``RENDERER_RATE``, ``(messages,)`` int64; rising.
        messages: Each with its status byte; none but channel messages.
    """

    time: NDArray[np.int64]
    messages: Sequence[bytes]

    @property
    def seconds(self) -> float:
        """When the last message comes."""
        return float(self.time[-1]) / RENDERER_RATE if self.time.size else 0.0

    def to_midi(self, ring_seconds: float) -> bytes:
        """A MIDI file of one track that goes on for a while after the last message."""
        end = (self.time[-1] if self.time.size else 0) + round(ring_seconds * RENDERER_RATE)
        # The renderer heeds a message at the first block that begins no earlier. Half a block less
        # makes that the nearest one, and a rounding error cannot make it the next.
        early = np.maximum(self.time - BLOCK // 2, 0)
        delays = np.diff(early, prepend=0).tolist()
        timed = zip(map(_variable_length, delays), self.messages, strict=True)
        last = int(end - (early[-1] if early.size else 0))
        track = b"".join([*itertools.chain(*timed), _variable_length(last), _END_OF_TRACK])
        header = struct.pack(">4sIHHH", b"MThd", 6, 0, 1, _TICKS_PER_QUARTER)
        return header + struct.pack(">4sI", b"MTrk", len(track)) + track

    def cut(self, seconds: float) -> Timeline:
        """The beginning, after which all that still sounds is let go."""
        end = round(seconds * RENDERER_RATE)
        kept = int(np.searchsorted(self.time, end))
        off = [
            bytes((_CONTROLLER | channel, number, 0))
            for channel in range(16)
            for number in (_HOLD_PEDAL, _ALL_NOTES_OFF)
        ]
        return Timeline(
            np.concatenate([self.time[:kept], np.full(len(off), end, dtype=np.int64)]),
            [*self.messages[:kept], *off],
        )

    def quieter(self, gain: float) -> Timeline:
        """The same with every channel at a share of its volume.

        The renderer squares the volume, as General MIDI says; it is told in 127 grades, so that the
        gain is met to about a hundredth.
        """
        factor = gain**0.5
        first = [
            bytes((_CONTROLLER | channel, _VOLUME, round(_INITIAL_VOLUME * factor)))
            for channel in range(16)
        ]
        return Timeline(
            np.concatenate([np.zeros(len(first), dtype=np.int64), self.time]),
            [*first, *(_with_volume(message, factor) for message in self.messages)],
        )


def of_notes(
    onset: NDArray[np.int64], end: NDArray[np.int64], pitch: NDArray[np.int64]
) -> Timeline:
    """Notes on the piano, all equally loud, without reverb.

    Args:
        onset: Samples at ``RENDERER_RATE``, ``(notes,)``.
        end: The same, ``(notes,)``.
        pitch: MIDI keys, ``(notes,)``.
    """
    before = [bytes((_CONTROLLER, number, value)) for number, value in DRY]
    keys = pitch.tolist()
    messages = [bytes((_NOTE_OFF, key, 0)) for key in keys]
    messages += [bytes((_NOTE_ON, key, VELOCITY)) for key in keys]
    # Stable, and the ends stand first: a key is let go before it is struck again. A note that has
    # no length at a very fast tempo is let go after it has begun all the same.
    time = np.concatenate([np.maximum(end, onset + 1), onset])
    order = np.argsort(time, kind="stable")
    return Timeline(
        np.concatenate([np.zeros(len(before), dtype=np.int64), time[order]]),
        [*before, *(messages[place] for place in order.tolist())],
    )


def of_melody(melody: Melody, *, tempo: float = 120.0) -> Timeline:
    """A melody at a constant tempo, as ``of_notes`` plays it.

    Args:
        melody: The notes.
        tempo: Quarter notes a minute.

    Raises:
        ValueError: The tempo is not above 0.
    """
    if not tempo > 0:
        raise ValueError(f"a tempo of {tempo} cannot be played")
    per_step = RENDERER_RATE * 60 / (tempo * STEPS_PER_QUARTER)
    onset, end = (
        np.rint(steps * per_step).astype(np.int64)
        for steps in (melody.onset, melody.onset + melody.duration)
    )
    return of_notes(onset, end, melody.pitch.astype(np.int64))


def _with_volume(message: bytes, factor: float) -> bytes:
    if message[0] & 0xF0 == _CONTROLLER and message[1] in (_VOLUME, _VOLUME_FINE):
        return bytes((message[0], message[1], round(message[2] * factor)))
    return message


def _variable_length(value: int) -> bytes:
    """A number as MIDI writes times: seven bits a byte, the highest first."""
    if value < 0x80:
        return bytes((value,))
    out = [value & 0x7F]
    while value := value >> 7:
        out.append(value & 0x7F | 0x80)
    return bytes(reversed(out))
