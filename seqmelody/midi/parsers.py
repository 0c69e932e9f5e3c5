"""Three ways from MIDI to the notes of each track: symusic, miditoolkit, and a parsed object.

``symusic`` (C++) parses in bulk. ``miditoolkit`` parses the same bytes some hundred times slower:
it is the object model that users hand in, and the reference that the fast path is tested against.
In both, a note-off ends the oldest open note of its key on its channel; a note-on that never ends,
and a note-off without its note-on, are no notes. A track is what one program on one channel plays
in one track chunk; tracks are numbered in the order chunk, channel, program.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seqmelody.errors import InputError
from seqmelody.midi.tracks import TrackNotes

if TYPE_CHECKING:
    from miditoolkit import MidiFile

_DRUM_CHANNEL = 9
_MAX_TICKS_PER_QUARTER = 0x7FFF


def parse_with_symusic(data: bytes) -> list[TrackNotes]:
    """The tracks with notes of a file that ``check_structure`` has passed.

    Raises:
        Exception: Whatever symusic raises on broken events.
    """
    tracks: list[TrackNotes] = []
    parsed = _symusic_reader()(data).tracks
    for number in range(len(parsed)):  # its iterator ends with a costly C++ exception
        track = parsed[number]
        if notes := track.notes:  # a track may hold nothing but controllers
            columns = notes.numpy()
            tracks.append(
                TrackNotes(
                    len(tracks),
                    track.name,
                    track.is_drum,
                    columns["time"],
                    columns["duration"],
                    columns["pitch"],
                    columns["velocity"],
                )
            )
    return tracks


@cache
def _symusic_reader() -> Callable[[bytes], Any]:
    # It draws in urllib and half as many modules as NumPy: only who reads pays for that.
    from symusic.core import ScoreTick

    reader: Callable[[bytes], Any] = ScoreTick.from_midi
    return reader


def parse_with_miditoolkit(data: bytes) -> list[TrackNotes]:
    """As ``parse_with_symusic``.

    miditoolkit tells neither chunks nor channels apart, and puts a note into the program that its
    end, not its beginning, falls into. So each channel and program of each chunk is first given a
    chunk of its own, whose name says where it came from. mido refuses some files for events that
    hold no notes (a key of eight flats), and forgets the time before meta events it does not know.

    Raises:
        Exception: Whatever mido or miditoolkit raise on broken events.
    """
    # They take 0.1 s to import, and reading in bulk does without them.
    import mido
    from miditoolkit import MidiFile

    whole = mido.MidiFile(file=BytesIO(data))
    apart = mido.MidiFile(ticks_per_beat=whole.ticks_per_beat)
    names = []
    for number, chunk in enumerate(whole.tracks):
        name, parts = _split(chunk)
        names.append(name)
        for (channel, program), messages in sorted(parts.items()):
            origin = mido.MetaMessage("track_name", name=f"{number} {channel} {program}")
            apart.tracks.append(mido.MidiTrack([origin, *messages]))
    if not apart.tracks:
        return []
    rewritten = BytesIO()
    apart.save(file=rewritten)
    rewritten.seek(0)
    tracks: list[TrackNotes] = []
    for instrument in MidiFile(file=rewritten).instruments:
        chunk_number, channel, _ = map(int, instrument.name.split())
        drums = channel == _DRUM_CHANNEL
        notes = _columns(instrument.notes)
        tracks.append(_track(len(tracks), names[chunk_number], drums, notes))
    return tracks


def _split(chunk: Any) -> tuple[str, dict[tuple[int, int], list[Any]]]:
    """The name of a chunk, and its notes by channel and program with new delta times."""
    name = ""
    tick = 0
    programs = [0] * 16
    sounding: dict[tuple[int, int], deque[tuple[int, int]]] = {}
    parts: dict[tuple[int, int], list[Any]] = {}
    part_ticks: dict[tuple[int, int], int] = {}
    for message in chunk:
        tick += message.time
        if message.type == "end_of_track":
            break
        if message.type == "track_name":
            name = message.name.encode("latin-1").decode("utf-8", "replace")
        elif message.type == "program_change":
            programs[message.channel] = message.program
        elif message.type in ("note_on", "note_off"):
            queue = sounding.setdefault((message.channel, message.note), deque())
            if message.type == "note_on" and message.velocity:
                part = (message.channel, programs[message.channel])
                queue.append(part)
            elif queue:
                part = queue.popleft()
            else:
                continue
            parts.setdefault(part, []).append(message.copy(time=tick - part_ticks.get(part, 0)))
            part_ticks[part] = tick
    return name, parts


def tracks_of_midi_file(midi: MidiFile, name: str) -> list[TrackNotes]:
    """The instruments with notes of an object that a user may have put together by hand.

    Raises:
        InputError: What no MIDI file could hold.
    """
    ticks = midi.ticks_per_beat
    if not isinstance(ticks, (int, np.integer)) or not 1 <= ticks <= _MAX_TICKS_PER_QUARTER:
        raise InputError(name, f"ticks_per_beat is {ticks!r}, expected 1 to 32767")
    tracks = []
    for number, instrument in enumerate(midi.instruments):
        if not instrument.notes:
            continue
        columns = [np.asarray(column) for column in _columns(instrument.notes)]
        if any(column.dtype.kind not in "iu" for column in columns):
            raise InputError(name, f"instrument {number} has notes that are not whole numbers")
        _, _, pitch, velocity = columns
        if not (_within(pitch, 0, 127) and _within(velocity, 1, 127)):
            raise InputError(
                name, f"instrument {number} has pitches beyond 0..127 or velocities beyond 1..127"
            )
        track = _track(number, str(instrument.name), bool(instrument.is_drum), columns)
        try:
            tracks.append(track.settled())
        except ValueError as error:
            raise InputError(name, f"instrument {number} has {error}") from error
    return tracks


def _columns(notes: Any) -> list[list[int]]:
    return [
        [note.start for note in notes],
        [note.end for note in notes],
        [note.pitch for note in notes],
        [note.velocity for note in notes],
    ]


def _within(values: NDArray[Any], low: int, high: int) -> bool:
    return bool(values.min() >= low and values.max() <= high)


def _track(number: int, name: str, drums: bool, columns: Sequence[ArrayLike]) -> TrackNotes:
    """From onsets, ends, pitches and velocities."""
    onset, end, pitch, velocity = (np.asarray(column, dtype=np.int64) for column in columns)
    return TrackNotes(number, name, drums, onset, end - onset, pitch, velocity)
