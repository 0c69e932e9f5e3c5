"""``read_melody``: from a MIDI file in any form to one ``Melody``."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TypeGuard

from seqmelody.errors import InputError
from seqmelody.midi.line import MelodyLine, MidiMelody, extract_line
from seqmelody.midi.parsers import parse_with_miditoolkit, parse_with_symusic, tracks_of_midi_file
from seqmelody.midi.sources import (
    MAX_MIDI_BYTES,
    MidiSource,
    one_line,
    read_bounded,
    read_file,
    too_large,
)
from seqmelody.midi.structure import check_structure

if TYPE_CHECKING:
    from miditoolkit import MidiFile

_PARSERS = {"symusic": parse_with_symusic, "miditoolkit": parse_with_miditoolkit}


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
    if _is_midi_file(source):
        return extract_line(
            tracks_of_midi_file(source, name),
            line,
            (int(source.ticks_per_beat), 1),
            independent=False,
            warnings=(),
            name=name,
        )
    checked = check_structure(_bytes(source, name), name)
    try:
        tracks = _PARSERS[reader](checked.data)
    except Exception as error:
        # What the parsers raise on broken events is listed nowhere.
        raise InputError(name, f"broken MIDI data ({one_line(error)})") from error
    return extract_line(
        tracks,
        line,
        checked.ticks_per_quarter,
        independent=checked.format == 2,
        warnings=checked.warnings,
        name=name,
    )


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
