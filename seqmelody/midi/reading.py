"""``read_melody``: from a MIDI file in any form to one ``Melody``; ``read_melodies``: many at once."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TypeAlias, TypeGuard

from seqmelody.errors import InputError
from seqmelody.midi.batch import LineBatch
from seqmelody.midi.line import MelodyLine, choose_line, lone_line
from seqmelody.midi.parsers import parse_with_miditoolkit, parse_with_symusic, tracks_of_midi_file
from seqmelody.midi.results import MidiMelodies, MidiMelody
from seqmelody.midi.sources import (
    MAX_MIDI_BYTES,
    MidiSource,
    one_line,
    read_bounded,
    read_file,
    too_large,
)
from seqmelody.midi.structure import CheckedMidi, check_structure
from seqmelody.midi.tracks import TrackNotes

if TYPE_CHECKING:
    from miditoolkit import MidiFile

BATCH_SOURCES = 128
"""Enough to hide what a call of NumPy costs."""

_BATCH_NOTES = 1 << 16
_BATCH_BYTES = 1 << 22

_Parser: TypeAlias = Callable[[bytes], list[TrackNotes]]

_PARSERS: dict[str, _Parser] = {
    "symusic": parse_with_symusic,
    "miditoolkit": parse_with_miditoolkit,
}


def read_melody(
    source: str | os.PathLike[str] | bytes | BinaryIO | MidiFile | MidiSource,
    *,
    name: str | None = None,
    line: MelodyLine = MelodyLine(),
    reader: Literal["symusic", "miditoolkit"] = "symusic",
) -> MidiMelody:
    """Reads the melody of one MIDI file.

    Formats 0, 1 and 2 and SMPTE time are read; tempo and metre leave the notes as they are, since
    time is counted in quarter notes. In SMPTE time a quarter note is half a second.

    Args:
        source: A path, the bytes of a file, a binary file object, a ``miditoolkit.MidiFile``, or
            what ``iter_sources`` yields.
        name: What errors call the input; by default its path or kind.
        line: Which line is the melody.
        reader: The parser. Both give the same melody; miditoolkit is the slow reference. Not used
            for a ``MidiFile``, which is parsed.

    Raises:
        InputError: The input cannot be read, or holds no melody. Nothing else is raised for what
            an input may hold.
    """
    if reader not in _PARSERS:
        raise ValueError(f"unknown reader {reader!r}: choose from {', '.join(_PARSERS)}")
    name = name or _name(source)
    batch = LineBatch(line)
    if _is_midi_file(source):
        tracks = tracks_of_midi_file(source, name)
        chosen = choose_line(tracks, line, independent=False, name=name)
        batch.add(name, chosen, (int(source.ticks_per_beat), 1))
    else:
        checked = check_structure(_bytes(source, name), name)
        _add_line(batch, name, checked, _PARSERS[reader])
    return batch.make()[0]


def read_melodies(
    sources: Iterable[MidiSource], *, line: MelodyLine = MelodyLine()
) -> Iterator[MidiMelodies]:
    """Reads the melodies of many sources, some hundred at a time: that is several times as fast.

    Args:
        sources: What ``iter_sources`` yields; drawn as they are needed.
        line: Which line is the melody.

    Yields:
        The melodies, or errors, of the next sources, just as ``read_melody`` gives them. How many
        they are hangs on their notes, so that memory is bounded.
    """
    remaining = iter(sources)
    # In turns: processors do a hundred times the same faster than three things by turns.
    while files := _read_some(remaining):
        batch = LineBatch(line)
        for name, checked in files:
            if isinstance(checked, InputError):
                batch.fail(name, checked.reason)
                continue
            try:
                _add_line(batch, name, checked, parse_with_symusic)
            except InputError as error:
                batch.fail(name, error.reason)
            if batch.notes >= _BATCH_NOTES:
                yield batch.make()
                batch = LineBatch(line)
        if len(batch):
            yield batch.make()


def _read_some(sources: Iterator[MidiSource]) -> list[tuple[str, CheckedMidi | InputError]]:
    """The next files, or why they cannot be read."""
    files: list[tuple[str, CheckedMidi | InputError]] = []
    size = 0
    for source in itertools.islice(sources, BATCH_SOURCES):
        try:
            checked = check_structure(source.read(), source.name)
            files.append((source.name, checked))
            size += len(checked.data)
        except InputError as error:
            # Without its traceback, which holds on to the bytes of the file.
            files.append((source.name, InputError(error.name, error.reason)))
        if size >= _BATCH_BYTES:
            break
    return files


def _add_line(batch: LineBatch, name: str, checked: CheckedMidi, parse: _Parser) -> None:
    """Adds the line of a file to a batch.

    Raises:
        InputError: The file cannot be read, or has no such line.
    """
    try:
        tracks = parse(checked.data)
        lone = lone_line(tracks, batch.line)
        if not lone:
            tracks = [track.settled() for track in tracks]
    except Exception as error:
        # What the parsers raise on broken events is listed nowhere.
        raise InputError(name, f"broken MIDI data ({one_line(error)})") from error
    if not lone:
        independent = checked.format == 2
        tracks = choose_line(tracks, batch.line, independent=independent, name=name)
    batch.add(name, tracks, checked.ticks_per_quarter, checked.warnings)


def _is_midi_file(source: Any) -> TypeGuard[MidiFile]:
    # Whoever holds a MidiFile has imported miditoolkit: no need to import it to find out.
    module = sys.modules.get("miditoolkit")
    return module is not None and isinstance(source, module.MidiFile)


def _name(source: Any) -> str:
    if isinstance(source, MidiSource):
        return source.name
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    return str(getattr(source, "name", f"<{type(source).__name__}>"))


def _bytes(source: Any, name: str) -> bytes:
    """The bytes of a source.

    Raises:
        InputError: They cannot be read, or are too many.
        TypeError: The source is of no kind that can be read.
    """
    if isinstance(source, MidiSource):
        try:
            return source.read()
        except InputError as error:
            raise InputError(name, error.reason) from error
    if isinstance(source, (str, os.PathLike)):
        return read_file(os.fspath(source), name)
    if isinstance(source, (bytes, bytearray, memoryview)):
        if len(source) > MAX_MIDI_BYTES:
            raise too_large(name)
        return bytes(source)
    if hasattr(source, "read"):
        return read_bounded(source, name)
    raise TypeError(f"cannot read a melody from {type(source).__name__}")
