"""Whatever a user calls a melody, read in chunks.

What is wrong with an item becomes part of what was read of it, so that it stops no other.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, TypeGuard, Union

import numpy as np
from numpy.typing import NDArray

from seqmelody.errors import CorpusError, InputError
from seqmelody.familiarity import Familiarity
from seqmelody.melody import Melodies, Melody
from seqmelody.midi import (
    MAX_MIDI_BYTES,
    MelodyLine,
    MidiSource,
    iter_sources,
    read_melodies,
    read_melody,
)
from seqmelody.midi.sources import read_bounded, too_large
from seqmelody.scorer.chunk import ReadChunk
from seqmelody.tokens import TokenBatch, Tokenizer

if TYPE_CHECKING:
    from miditoolkit import MidiFile

    from seqmelody.corpus import Corpus


@dataclass(frozen=True, eq=False)
class CorpusRows:
    """Rows of a corpus that follow one another.

    Attributes:
        corpus: Where they are.
        start: The first of them.
        stop: The one after the last.
        paths: What to call them; whoever reads a corpus a stretch at a time has the names at hand,
            which would else be looked for from the corpus's beginning on.
    """

    corpus: Corpus
    start: int
    stop: int
    paths: Iterable[str]


Item: TypeAlias = Union[
    str, "os.PathLike[str]", bytes, BinaryIO, "MidiFile", MidiSource, Melody, "Corpus", CorpusRows
]
"""A path, folder or archive (walked: each MIDI file in it counts), the bytes of a MIDI file, an
open binary file, a ``miditoolkit.MidiFile``, a ``MidiSource``, a ``Melody``, or a ``Corpus`` or rows
of it (each row counts)."""
Items: TypeAlias = Item | Iterable[Item]
"""Many items, or one in place of a list of one."""

CHUNK_NOTES = 262_144
"""A chunk that has as many notes takes no more melodies, unless the reader is told otherwise."""
_DRAWN_BYTES = 1 << 25
"""Items that carry their data are drawn no further ahead than this."""
_CORPUS_ROWS = 1024
_NOTE_BYTES = 12


class ItemReader:
    """Reads items in order, a chunk at a time.

    ``draw`` and ``read`` take turns. ``draw`` belongs to the caller's thread, to which what yields
    the items may be bound, as a database's cursor is; ``read``, which does the work, may run in any.

    Args:
        items: What to read; a folder, archive or corpus gives a row for each melody in it.
        tokenizer: Encodes the melodies.
        line: Which line of a MIDI file is the melody.
        familiarity: Knows which melodies deserve a warning for being unlike the model's own.
        chunk_notes: A chunk that has as many notes takes no more melodies.
    """

    def __init__(
        self,
        items: Items,
        tokenizer: Tokenizer,
        line: MelodyLine,
        familiarity: Familiarity,
        chunk_notes: int = CHUNK_NOTES,
    ) -> None:
        self._tokenizer = tokenizer
        self._line = line
        self._familiarity = familiarity
        self._chunk_notes = chunk_notes
        self._items = iter(enumerate(several(items)))
        self._drawn: deque[tuple[int, Any]] = deque()
        self._parts: Iterator[ReadChunk] | None = None

    def draw(self, count: int) -> bool:
        """Takes items until so many of them wait to be read.

        Returns:
            Whether anything may be left to read.
        """
        carried = sum(_carried_bytes(item) for _, item in self._drawn)
        while len(self._drawn) < count and carried < _DRAWN_BYTES:
            drawn = next(self._items, None)
            if drawn is None:
                break
            self._drawn.append(drawn)
            carried += _carried_bytes(drawn[1])
        return bool(self._drawn) or self._parts is not None

    def read(self, melodies: int) -> ReadChunk | None:
        """The next chunk of what was drawn; ``None`` if nothing was left.

        Args:
            melodies: A chunk that has as many, or very many notes, takes no more.

        Raises:
            CorpusError: A corpus was written with another tokenizer.
            TypeError: An item is of a kind that is not known.
        """
        parts: list[ReadChunk] = []
        rows = notes = 0
        while rows < melodies and notes < self._chunk_notes:
            if self._parts is None:
                if not self._drawn:
                    break
                self._parts = self._read_drawn()
            part = next(self._parts, None)
            if part is None:
                self._parts = None
                continue
            parts.append(part)
            rows += len(part)
            notes += part.tokens.pitch.size
        if not parts:
            return None
        chunk = ReadChunk.concatenate(parts)
        return chunk.with_warnings(self._familiarity.warnings(chunk.tokens))

    def _read_drawn(self) -> Iterator[ReadChunk]:
        while self._drawn:
            place, item = self._drawn[0]
            if _is_source(item):
                yield from self._read_sources()
            elif isinstance(item, Melody):
                yield self._read_melodies()
            elif isinstance(item, CorpusRows):
                self._drawn.popleft()
                yield from self._read_rows(item)
            elif _is_corpus(item):
                self._drawn.popleft()
                yield from self._read_rows(CorpusRows(item, 0, len(item), item.iter_column("path")))
            else:
                self._drawn.popleft()
                yield self._read_object(item, f"<{type(item).__name__} {place}>")

    def _read_sources(self) -> Iterator[ReadChunk]:
        """Reads the MIDI files with which what is drawn begins."""
        for found in read_melodies(self._sources(), line=self._line):
            errors = [
                error and InputError(name, error.reason)
                for name, error in zip(found.names, found.errors, strict=True)
            ]
            warnings: list[tuple[str, ...]] = [()] * len(found)
            for row in np.flatnonzero(found.has_warnings()).tolist():
                if errors[row] is None:
                    warnings[row] = found.warnings(row)
            yield ReadChunk.checked(
                list(found.names),
                self._tokenizer.encode_all(found.melodies),
                self._tokenizer,
                melodies=found.melodies,
                warnings=warnings,
                errors=errors,
            )

    def _sources(self) -> Iterator[MidiSource]:
        while self._drawn and _is_source(self._drawn[0][1]):
            place, item = self._drawn.popleft()
            if isinstance(item, MidiSource):
                yield item
            elif isinstance(item, (str, os.PathLike)):
                yield from iter_sources([item])
            else:
                name = getattr(item, "name", None)
                called = name if isinstance(name, str) else f"<{type(item).__name__} {place}>"
                yield _OpenSource(called, item)

    def _read_object(self, item: Any, name: str) -> ReadChunk:
        """Reads a ``MidiFile``.

        Raises:
            TypeError: It is of no kind that is known.
        """
        melody, error = None, None
        warnings: tuple[str, ...] = ()
        try:
            found = read_melody(item, name=name, line=self._line)
            melody, warnings = found.melody, found.warnings
        except InputError as failed:
            error = failed
        joined = _joined([melody])
        tokens = self._tokenizer.encode_all(joined)
        return ReadChunk.checked(
            [name], tokens, self._tokenizer, melodies=joined, warnings=[warnings], errors=[error]
        )

    def _read_melodies(self) -> ReadChunk:
        """Reads the melodies with which what is drawn begins."""
        paths: list[str] = []
        melodies: list[Melody] = []
        notes = 0
        while self._drawn and notes < self._chunk_notes:
            place, item = self._drawn[0]
            if not isinstance(item, Melody):
                break
            self._drawn.popleft()
            paths.append(f"<Melody {place}>")
            melodies.append(item)
            notes += len(item)
        joined = _joined(melodies)
        tokens = self._tokenizer.encode_all(joined)
        return ReadChunk.checked(paths, tokens, self._tokenizer, melodies=joined)

    def _read_rows(self, rows: CorpusRows) -> Iterator[ReadChunk]:
        corpus = rows.corpus
        if corpus.tokenizer.fingerprint != self._tokenizer.fingerprint:
            raise CorpusError(
                f"{corpus.folder}: written with tokenizer {corpus.tokenizer.fingerprint}, the "
                f"checkpoint reads {self._tokenizer.fingerprint}; prepare the corpus again"
            )
        pitch, duration, rest, offsets = corpus.streams()
        paths = iter(rows.paths)
        start = rows.start
        while start < rows.stop:
            # As many rows as have some number of notes, but one at least.
            enough = int(np.searchsorted(offsets, offsets[start] + self._chunk_notes))
            stop = min(max(enough, start + 1), start + _CORPUS_ROWS, rows.stop)
            here = slice(int(offsets[start]), int(offsets[stop]))
            none = np.zeros(stop - start, dtype=np.int64)
            tokens = TokenBatch(
                pitch[here],
                duration[here],
                rest[here],
                offsets[start : stop + 1] - offsets[start],
                clipped_durations=none,
                clipped_rests=none,
            )
            called = list(itertools.islice(paths, stop - start))
            yield ReadChunk.checked(called, tokens, self._tokenizer)
            start = stop


def _joined(melodies: Sequence[Melody | None]) -> Melodies:
    """Melodies end to end; ``None`` is one without notes."""
    there = [melody for melody in melodies if melody is not None]

    def column(name: str, kind: type) -> NDArray[Any]:
        # Typed even where there is no melody.
        return np.concatenate([np.zeros(0, kind), *(getattr(melody, name) for melody in there)])

    lengths = [0 if melody is None else len(melody) for melody in melodies]
    return Melodies(
        onset=column("onset", np.int32),
        duration=column("duration", np.int32),
        pitch=column("pitch", np.int16),
        velocity=column("velocity", np.int16),
        offsets=np.cumsum([0, *lengths], dtype=np.int64),
    )


@dataclass(frozen=True)
class _OpenSource(MidiSource):
    """The bytes of a file, or a file that is open."""

    data: bytes | BinaryIO

    def read(self) -> bytes:
        if isinstance(self.data, (bytes, bytearray, memoryview)):
            if len(self.data) > MAX_MIDI_BYTES:
                raise too_large(self.name)
            return bytes(self.data)
        return read_bounded(self.data, self.name)


def several(items: Any) -> Iterable[Any]:
    """Items, or one in place of a list of one, as what can be gone through."""
    one = isinstance(items, (str, os.PathLike, bytes, bytearray, memoryview, Melody))
    one = one or _is_corpus(items) or hasattr(items, "read")
    # Open files can be iterated over, by lines; a MidiFile and a MidiSource cannot.
    return [items] if one or not isinstance(items, Iterable) else items


def _is_source(item: Any) -> bool:
    """Whether the item holds MIDI files, or is one."""
    kinds = (str, os.PathLike, MidiSource, bytes, bytearray, memoryview)
    return isinstance(item, kinds) or hasattr(item, "read")


def _is_corpus(item: Any) -> TypeGuard[Corpus]:
    # Whoever holds a Corpus has imported it: others need not wait for PyArrow.
    module = sys.modules.get("seqmelody.corpus")
    return module is not None and isinstance(item, module.Corpus)


def _carried_bytes(item: Any) -> int:
    """About what an item holds in memory; a member of a tar archive has its bytes as ``data``."""
    if isinstance(item, Melody):
        return len(item) * _NOTE_BYTES
    data = getattr(item, "data", item)
    return memoryview(data).nbytes if isinstance(data, (bytes, bytearray, memoryview)) else 0
