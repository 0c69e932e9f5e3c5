"""Sources to token streams, in one process or in several, in the order of the sources.

Chunks of sources go out to the workers, compact arrays come back. Only a few chunks are under way
at a time, so that memory does not grow with the number of files.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqmelody.midi import (
    BATCH_SOURCES,
    MelodyLine,
    MidiMelodies,
    MidiSource,
    iter_sources,
    read_melodies,
)
from seqmelody.tokens import TokenBatch, Tokenizer
from seqmelody.workers import in_order

CHUNK_SOURCES = BATCH_SOURCES
"""Sources per task: large enough to hide what sending one costs, small enough to share out."""

_CHUNKS_PER_WORKER = 4

CHANGES = (
    "simultaneous_dropped",
    "collided",
    "beneath_dropped",
    "overlaps_cut",
    "gaps_closed",
)
"""What reading counts per melody; the fields of ``MidiMelody``."""

# Names without dots at the beginning, and nothing that a path would tidy.
_PLAIN = re.compile(r"[\w!~-][\w.!~ -]*(/[\w!~-][\w.!~ -]*)*", re.ASCII)

_LINES = ("one track", "several tracks", "skyline of one track", "skyline of several tracks")


class RootedSource(NamedTuple):
    """A source, and its name below the path it was found under.

    Attributes:
        source: What to read.
        relative: The name without the path that the user gave.
    """

    source: MidiSource
    relative: str


@dataclass(frozen=True)
class ReadSettings:
    """What a worker needs to know.

    Attributes:
        line: Which line of a file is its melody.
        tokenizer: Encodes the melodies.
        min_notes: Shorter melodies are skipped.
        max_notes: Longer melodies are skipped.
    """

    line: MelodyLine
    tokenizer: Tokenizer
    min_notes: int
    max_notes: int


@dataclass
class Chunk:
    """What became of some sources.

    Attributes:
        sources: How many there were.
        ids: The melodies' names below their root, without suffix.
        paths: The melodies' source names.
        notes: Their lengths, ``(melodies,)``.
        pitch: Their pitch streams, end to end.
        duration: Their duration streams, likewise.
        rest: Their rest streams, likewise.
        digests: 16 bytes for each that tell its streams from others, end to end.
        failed: Name and reason of each source that could not be read.
        skipped: Name and reason of each melody left out for its length.
        lines: How often each kind of line was read.
        changes: Sums of what reading and encoding dropped, moved or cut, over ``ids``.
    """

    sources: int = 0
    ids: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    notes: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    pitch: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, np.uint8))
    duration: NDArray[np.uint16] = field(default_factory=lambda: np.zeros(0, np.uint16))
    rest: NDArray[np.uint16] = field(default_factory=lambda: np.zeros(0, np.uint16))
    digests: bytes = b""
    failed: list[tuple[str, str]] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    lines: dict[str, int] = field(default_factory=dict)
    changes: dict[str, int] = field(default_factory=dict)


def rooted_sources(paths: Iterable[str | os.PathLike[str]]) -> Iterator[RootedSource]:
    """The MIDI files behind paths, each with its name below the path it was found under."""
    for path in paths:
        root = os.fspath(path)
        for source in iter_sources([root]):
            inner = source.name[len(root) :].lstrip("/\\!")
            yield RootedSource(source, inner or PurePath(root).name)


def melody_id(relative: str) -> str:
    """The id of a melody, from its ``RootedSource.relative``: without suffix, with ``/``."""
    stem, dot, suffix = relative.rpartition(".")
    if dot and suffix.isalnum() and _PLAIN.fullmatch(stem):
        return stem  # what a path would make of it, in a tenth of the time
    path = PurePath(relative)
    # The folder "." has no name that a suffix could be taken from.
    return utf8_text((path.with_suffix("") if path.name else path).as_posix())


def utf8_text(name: str) -> str:
    """A name that can be written as UTF-8, whatever bytes the file system gave."""
    return name if name.isascii() else name.encode("utf-8", "backslashreplace").decode()


def read_chunk(sources: Sequence[RootedSource], settings: ReadSettings) -> Chunk:
    """Read and encode some sources; what fails is noted, and stops nothing."""
    chunk = Chunk(sources=len(sources))
    place = 0
    for batch in read_melodies([source.source for source in sources], line=settings.line):
        _add_batch(chunk, sources[place : place + len(batch)], batch, settings)
        place += len(batch)
    return chunk


def _add_batch(
    chunk: Chunk, sources: Sequence[RootedSource], batch: MidiMelodies, settings: ReadSettings
) -> None:
    lengths = batch.melodies.lengths
    short, long = lengths < settings.min_notes, lengths > settings.max_notes
    for number in np.flatnonzero(short | long).tolist():
        name, error = utf8_text(batch.names[number]), batch.errors[number]
        if error is not None:
            chunk.failed.append((name, utf8_text(error.reason)))
        elif short[number]:
            chunk.skipped.append((name, f"fewer than {settings.min_notes} notes"))
        else:
            chunk.skipped.append((name, f"more than {settings.max_notes} notes"))
    kept = ~(short | long)
    tokens = settings.tokenizer.encode_all(batch.melodies.select(kept))
    for number in np.flatnonzero(kept).tolist():
        chunk.ids.append(melody_id(sources[number].relative))
        chunk.paths.append(utf8_text(batch.names[number]))
    chunk.notes = np.concatenate([chunk.notes, lengths[kept].astype(np.int32)])
    chunk.pitch = np.concatenate([chunk.pitch, tokens.pitch])
    chunk.duration = np.concatenate([chunk.duration, tokens.duration])
    chunk.rest = np.concatenate([chunk.rest, tokens.rest])
    chunk.digests += _digests(tokens)
    kinds = 2 * batch.made.skyline[kept] + batch.several_tracks()[kept]
    for kind, count in Counter(kinds.tolist()).items():
        _add(chunk.lines, _LINES[kind], count)
    for name in CHANGES:
        _add(chunk.changes, name, int(getattr(batch.made, name)[kept].sum()))
    _add(chunk.changes, "clipped_durations", int(tokens.clipped_durations.sum()))
    _add(chunk.changes, "clipped_rests", int(tokens.clipped_rests.sum()))
    _add(chunk.changes, "melodies_with_warnings", int(batch.has_warnings()[kept].sum()))


def _digests(tokens: TokenBatch) -> bytes:
    pitch, duration, rest = (
        stream.tobytes() for stream in (tokens.pitch, tokens.duration, tokens.rest)
    )
    offsets = tokens.offsets.tolist()
    return b"".join(
        hashlib.blake2b(
            pitch[start:end] + duration[2 * start : 2 * end] + rest[2 * start : 2 * end],
            digest_size=16,
        ).digest()
        for start, end in itertools.pairwise(offsets)
    )


def read_all(
    sources: Iterable[RootedSource], settings: ReadSettings, workers: int
) -> Iterator[Chunk]:
    """Read sources in order.

    Args:
        sources: What to read; drawn a few chunks ahead.
        settings: How.
        workers: Processes; 1 reads in this one. The chunks are the same for any number.

    Raises:
        SeqmelodyError: A worker process died.
    """
    tasks = _chunks(sources)
    yield from in_order(read_chunk, tasks, settings, workers=workers, ahead=_CHUNKS_PER_WORKER)


def _chunks(sources: Iterable[RootedSource]) -> Iterator[list[RootedSource]]:
    remaining = iter(sources)
    while task := list(itertools.islice(remaining, CHUNK_SOURCES)):
        yield task


def _add(counts: dict[str, int], name: str, count: int) -> None:
    counts[name] = counts.get(name, 0) + count
