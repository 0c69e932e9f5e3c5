"""Checks the chunks of a MIDI file before a parser sees the bytes.

A parser is handed only bytes that keep their promises: a header, chunk lengths that fit, as many
tracks as announced, a division that divides. What can be mended without guessing at music is
mended and told in a warning; the rest is refused with a reason.

Follows the *Standard MIDI Files 1.0* specification (MIDI Manufacturers Association, 1996).
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from seqmelody.errors import InputError

END_OF_TRACK = b"\x00\xff\x2f\x00"
_HEADER = struct.Struct(">4sIHHH")
_CHUNK = struct.Struct(">4sI")

# Parsers look a few bytes ahead of where they stand (a time, a status, a length) before they
# notice that a track is over; zeros behind the last chunk keep that inside the buffer.
_PADDING = bytes(64)

# Frames per second behind an SMPTE division; 29 stands for 30 drop-frame, which runs at 29.97.
_FRAME_RATES = {24: (24, 1), 25: (25, 1), 29: (30_000, 1001), 30: (30, 1)}

# What stands in the header while an SMPTE file is parsed; any metrical division would do.
_PLACEHOLDER_DIVISION = 480


class CheckedMidi(NamedTuple):
    """Bytes that a parser can take, and what their header says.

    Attributes:
        data: A MIDI file with a 6-byte header and nothing but track chunks, padded with zeros.
        format: 0 one track, 1 tracks that sound together, 2 independent patterns.
        ticks_per_quarter: As a fraction ``(numerator, denominator)``, both above 0; only SMPTE
            time needs a denominator other than 1.
        warnings: What was mended or assumed.
    """

    data: bytes
    format: int
    ticks_per_quarter: tuple[int, int]
    warnings: tuple[str, ...] = ()


def check_structure(data: bytes, name: str) -> CheckedMidi:
    """Checks, and where it is safe mends, the chunk structure of a MIDI file.

    Args:
        data: The whole file.
        name: What errors call the file.

    Raises:
        InputError: The bytes are no MIDI file, or are cut short, or contradict themselves.
    """
    if not data:
        raise InputError(name, "the file is empty")
    if data[:4] != b"MThd":
        raise InputError(name, "not a MIDI file (it does not begin with MThd)")
    if len(data) < _HEADER.size:
        raise InputError(name, f"cut short: only {len(data)} bytes, a MIDI header has 14")
    _, header_length, file_format, promised, division = _HEADER.unpack_from(data)
    if header_length < 6 or 8 + header_length > len(data):
        raise InputError(
            name, f"broken header: it claims a length of {header_length} bytes instead of 6"
        )
    if file_format > 2:
        raise InputError(name, f"MIDI format {file_format} is unknown (there are 0, 1 and 2)")
    if promised == 0:
        raise InputError(name, "the header announces no tracks")

    warnings: list[str] = []
    ticks_per_quarter = (division, 1)
    if division & 0x8000:
        ticks_per_quarter = _smpte_division(division, name)
        division = _PLACEHOLDER_DIVISION
        warnings.append("SMPTE time: a quarter note is taken as half a second (120 per minute)")
    elif division == 0:
        raise InputError(name, "broken header: 0 ticks per quarter note")

    spans, mended = _track_spans(data, 8 + header_length, promised, name, warnings)
    if not warnings and spans[-1][1] == 14 + 8 * promised + sum([end - at for at, end in spans]):
        return CheckedMidi(data + _PADDING, file_format, ticks_per_quarter)
    tracks = [data[start:end] for start, end in spans]
    if mended is not None:
        tracks[-1] = mended
    header = _HEADER.pack(b"MThd", 6, file_format, len(tracks), division)
    chunks = [_CHUNK.pack(b"MTrk", len(track)) + track for track in tracks]
    whole = b"".join([header, *chunks, _PADDING])
    return CheckedMidi(whole, file_format, ticks_per_quarter, tuple(warnings))


def _smpte_division(division: int, name: str) -> tuple[int, int]:
    """Ticks in half a second: the quarter note at MIDI's default tempo of 120 per minute."""
    frames = 256 - (division >> 8)
    ticks_per_frame = division & 0xFF
    if frames not in _FRAME_RATES or ticks_per_frame == 0:
        raise InputError(
            name,
            f"broken header: SMPTE time with {frames} frames a second "
            f"and {ticks_per_frame} ticks a frame",
        )
    numerator, denominator = _FRAME_RATES[frames]
    return numerator * ticks_per_frame, 2 * denominator


def _track_spans(
    data: bytes, position: int, promised: int, name: str, warnings: list[str]
) -> tuple[list[tuple[int, int]], bytes | None]:
    """Where the content of each promised track chunk lies; that of the last, if it was mended."""
    spans: list[tuple[int, int]] = []
    mended = None
    while len(spans) < promised:
        if position + _CHUNK.size > len(data):
            raise InputError(
                name,
                f"cut short: its header announces {promised} track chunks, only {len(spans)} are there",
            )
        kind, length = _CHUNK.unpack_from(data, position)
        position += _CHUNK.size
        end = position + length
        if end > len(data):
            content = data[position:]
            if kind == b"MTrk" and len(spans) == promised - 1:
                mended = _complete(content, length)
            if mended is None:
                raise InputError(
                    name,
                    f"cut short: a chunk announces {length:,} bytes, only {len(content):,} are there",
                )
            warnings.append("the end-of-track event of the last track is missing")
        elif kind == b"MTrk" and data[end - 3 : end] != END_OF_TRACK[1:]:
            warnings.append(f"track chunk {len(spans)} does not end with an end-of-track event")
        if kind == b"MTrk":
            spans.append((position, end))
        position = end
    if data[position : position + 4] == b"MTrk":
        warnings.append(f"holds more track chunks than the {promised} its header announces")
    return spans, mended


def _complete(content: bytes, length: int) -> bytes | None:
    """A last track whose only loss is (part of) its end-of-track event, made whole; else None."""
    lost = length - len(content)
    rest = len(END_OF_TRACK) - lost
    if rest < 0 or content[len(content) - rest :] != END_OF_TRACK[:rest]:
        return None
    return content[: len(content) - rest] + END_OF_TRACK
