"""Standard MIDI files put together byte by byte, right ones and wrong ones."""

from __future__ import annotations

import struct
from collections.abc import Iterable

END_OF_TRACK = b"\x00\xff\x2f\x00"


def variable_length(value: int) -> bytes:
    """A number as MIDI writes delta times and lengths."""
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(0x80 | (value & 0x7F))
    return bytes(reversed(groups))


def chunk(content: bytes, kind: bytes = b"MTrk", length: int | None = None) -> bytes:
    """A chunk, which may lie about its length."""
    return kind + struct.pack(">I", len(content) if length is None else length) + content


def midi(
    *chunks: bytes, division: int = 480, file_format: int = 1, promised: int | None = None
) -> bytes:
    """A file, which may lie about the number of its tracks."""
    tracks = len(chunks) if promised is None else promised
    return b"MThd" + struct.pack(">IHHH", 6, file_format, tracks, division) + b"".join(chunks)


def events(*timed: tuple[int, bytes]) -> bytes:
    """Events at ticks, with delta times between them."""
    parts = []
    now = 0
    for tick, event in timed:
        parts += [variable_length(tick - now), event]
        now = tick
    return b"".join(parts)


def notes(
    played: Iterable[tuple[int, ...]],
    channel: int = 0,
    *,
    name: bytes = b"",
    program: int | None = None,
) -> bytes:
    """A track chunk of notes ``(onset, end, pitch)`` or ``(onset, end, pitch, velocity)``."""
    timed: list[tuple[int, int, bytes]] = []
    for onset, end, pitch, *velocity in played:
        timed.append((onset, 1, bytes([0x90 | channel, pitch, *(velocity or [64])])))
        timed.append((end, 0 if end > onset else 2, bytes([0x80 | channel, pitch, 0])))
    timed.sort(key=lambda event: event[:2])
    content = b""
    if name:
        content += b"\x00\xff\x03" + variable_length(len(name)) + name
    if program is not None:
        content += bytes([0, 0xC0 | channel, program])
    content += events(*((tick, event) for tick, _, event in timed))
    return chunk(content + END_OF_TRACK)
