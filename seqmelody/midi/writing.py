"""``to_midi`` and ``write_midi``: a ``Melody`` as MIDI, through miditoolkit."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from seqmelody.melody import STEPS_PER_QUARTER, Melody

if TYPE_CHECKING:
    from miditoolkit import MidiFile

_MAX_TICKS = 2**28 - 1  # the longest time between two events

TICKS_PER_STEP = 20
"""480 ticks per quarter: fine enough that a rest of one step is not taken for a one-tick gap."""


def to_midi(
    melody: Melody, *, tempo: float = 120.0, program: int = 0, track_name: str = "Melody"
) -> MidiFile:
    """A one-track ``miditoolkit.MidiFile`` that reads back as the same melody.

    Args:
        melody: The notes.
        tempo: Quarter notes per minute, from 4 to 60 million (what MIDI can hold).
        program: General MIDI program, 0 to 127.
        track_name: Name of the track.

    Raises:
        ValueError: ``tempo`` or ``program`` is out of range, or the melody is too long for MIDI.
    """
    # It takes 0.1 s to import, and reading does without it.
    from miditoolkit import Instrument, MidiFile, Note, TempoChange

    if not 4 <= tempo <= 60e6:
        raise ValueError(f"a tempo of {tempo} does not fit into MIDI")
    if not 0 <= program <= 127:
        raise ValueError(f"program {program} is outside 0..127")
    if melody.span_steps * TICKS_PER_STEP > _MAX_TICKS:
        raise ValueError(f"{melody!r} is too long for MIDI")
    onset = melody.onset.astype("int64") * TICKS_PER_STEP
    end = onset + melody.duration.astype("int64") * TICKS_PER_STEP
    notes = [
        Note(velocity, pitch, start, stop)
        for velocity, pitch, start, stop in zip(
            melody.velocity.tolist(), melody.pitch.tolist(), onset.tolist(), end.tolist(),
            strict=True,
        )
    ]  # fmt: skip
    midi = MidiFile(ticks_per_beat=STEPS_PER_QUARTER * TICKS_PER_STEP)
    midi.tempo_changes = [TempoChange(tempo, 0)]
    midi.instruments = [Instrument(program, False, track_name, notes)]
    midi.max_tick = int(end[-1]) + 1
    return midi


def write_midi(
    melody: Melody,
    path: str | os.PathLike[str],
    *,
    tempo: float = 120.0,
    program: int = 0,
    track_name: str = "Melody",
) -> None:
    """Writes a melody as a MIDI file; see ``to_midi``.

    Raises:
        OSError: The file cannot be written.
        ValueError: As ``to_midi``.
    """
    midi = to_midi(melody, tempo=tempo, program=program, track_name=track_name)
    midi.dump(filename=os.fspath(path), charset="utf-8")
