"""``read_events``: what a MIDI file plays and when, message by message.

The parsers of notes (``seqmelody.midi``) drop what a renderer needs: controllers, bends, tempo.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqmelody.audio.timeline import RENDERER_RATE, Timeline
from seqmelody.errors import InputError
from seqmelody.melody import STEPS_PER_QUARTER
from seqmelody.midi.structure import CheckedMidi

MAX_MESSAGES = 1_000_000
"""A file with more than this (a hundred times a long song) is refused."""

_DEFAULT_TEMPO = 500_000
_LATEST_SECONDS = 1e9
_HEADER_BYTES = 14
_NOTE_OFF, _NOTE_ON = 0x80, 0x90
_META, _TEMPO, _END_OF_TRACK = 0xFF, 0x51, 0x2F
_SYSTEM_EXCLUSIVE = (0xF0, 0xF7)
# Data bytes behind a status byte, by its upper half.
_DATA_BYTES = {0x8: 2, 0x9: 2, 0xA: 2, 0xB: 2, 0xC: 1, 0xD: 1, 0xE: 2}


@dataclass(frozen=True, eq=False)
class MidiEvents:
    """The channel messages of a file, and its tempo.

    Attributes:
        tick: When each message comes, ``(messages,)`` int64; rising.
        messages: With their status bytes.
        ticks_per_quarter: May be a fraction.
        tempo_tick: Where the tempo changes, ``(tempos,)`` int64; rising, the first is 0.
        tempo: From there on, in microseconds a quarter note, ``(tempos,)`` int64.
    """

    tick: NDArray[np.int64]
    messages: list[bytes]
    ticks_per_quarter: float
    tempo_tick: NDArray[np.int64]
    tempo: NDArray[np.int64]

    def seconds(self, tick: NDArray[np.float64]) -> NDArray[np.float64]:
        """When ticks come, in seconds."""
        lasting = np.diff(self.tempo_tick) * self.tempo[:-1]
        start = np.concatenate([[0.0], np.cumsum(lasting, dtype=np.float64)])
        piece = np.searchsorted(self.tempo_tick, tick, side="right") - 1
        since = (tick - self.tempo_tick[piece]) * self.tempo[piece]
        return np.asarray((start[piece] + since) / (1e6 * self.ticks_per_quarter))

    def samples_of_steps(self, step: NDArray[np.int64]) -> NDArray[np.int64]:
        """When grid steps come, counted from the beginning of the file, at ``RENDERER_RATE``."""
        tick = step.astype(np.float64) * (self.ticks_per_quarter / STEPS_PER_QUARTER)
        return _samples(self.seconds(tick))

    def timeline(self) -> Timeline:
        """All messages up to the end of the last note."""
        of_notes = [
            place
            for place, message in enumerate(self.messages)
            if message[0] & 0xF0 in (_NOTE_ON, _NOTE_OFF)
        ]
        stop = of_notes[-1] + 1 if of_notes else 0
        return Timeline(
            _samples(self.seconds(self.tick[:stop].astype(float))), self.messages[:stop]
        )

    def first_note_seconds(self) -> float | None:
        """When the first note begins; None without notes."""
        for tick, message in zip(self.tick, self.messages, strict=True):
            if message[0] & 0xF0 == _NOTE_ON and message[2]:
                return float(self.seconds(np.array([tick], dtype=float))[0])
        return None


def read_events(checked: CheckedMidi, name: str) -> MidiEvents:
    """The messages of all tracks in one row.

    Args:
        checked: The file.
        name: What errors call it.

    Raises:
        InputError: Its events are broken, or too many.
    """
    ticks: list[int] = []
    messages: list[bytes] = []
    tempos: list[tuple[int, int]] = []
    data = checked.data
    position = _HEADER_BYTES
    while data[position : position + 4] == b"MTrk":
        length = int.from_bytes(data[position + 4 : position + 8], "big")
        position += 8
        try:
            _read_track(data[position : position + length], ticks, messages, tempos)
        except (IndexError, ValueError) as error:
            reason = str(error) if isinstance(error, ValueError) else "an event is cut short"
            raise InputError(name, f"broken MIDI data ({reason})") from error
        if len(messages) > MAX_MESSAGES:
            raise InputError(name, f"more than {MAX_MESSAGES:,} messages, too many to render")
        position += length
    numerator, denominator = checked.ticks_per_quarter
    if denominator != 1:
        tempos = []  # SMPTE time runs by the clock
    tempos = [(0, _DEFAULT_TEMPO), *sorted(tempos, key=lambda tempo: tempo[0])]
    # Stable: what comes at once is played in the order of the tracks.
    order = np.argsort(np.array(ticks, dtype=np.int64), kind="stable")
    return MidiEvents(
        np.array(ticks, dtype=np.int64)[order],
        [messages[place] for place in order.tolist()],
        numerator / denominator,
        np.array([tick for tick, _ in tempos], dtype=np.int64),
        np.array([tempo for _, tempo in tempos], dtype=np.int64),
    )


def _read_track(
    data: bytes, ticks: list[int], messages: list[bytes], tempos: list[tuple[int, int]]
) -> None:
    """Adds the events of a track.

    Raises:
        IndexError: They are cut short.
        ValueError: They are broken.
    """
    position = tick = running = 0
    while position < len(data):
        delay, position = _variable_length(data, position)
        tick += delay
        status = data[position]
        if status & 0x80:
            position += 1
        else:
            # Common files let it run on over meta events, which the specification forbids.
            status = running
        if status == _META:
            kind = data[position]
            length, position = _variable_length(data, position + 1)
            if kind == _END_OF_TRACK:
                return
            if kind == _TEMPO:
                if length != 3:
                    raise ValueError("a tempo that is none")
                tempos.append((tick, int.from_bytes(data[position : position + 3], "big")))
            position += length
        elif status in _SYSTEM_EXCLUSIVE:
            length, position = _variable_length(data, position)
            position += length
        else:
            size = _DATA_BYTES.get(status >> 4)
            if size is None:
                raise ValueError(f"no event begins with {status:#04x}")
            running = status
            message = bytes((status, *data[position : position + size]))
            if len(message) <= size:
                raise IndexError
            if max(message[1:]) > 0x7F:
                raise ValueError("a data byte above 127")
            ticks.append(tick)
            messages.append(message)
            if len(messages) > MAX_MESSAGES:
                return
            position += size


def _variable_length(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for place in range(position, position + 4):
        byte = data[place]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place + 1
    raise ValueError("a number of more than four bytes")


def _samples(seconds: NDArray[np.float64]) -> NDArray[np.int64]:
    samples = np.rint(np.minimum(seconds, _LATEST_SECONDS) * RENDERER_RATE)
    return np.asarray(samples, dtype=np.int64)
