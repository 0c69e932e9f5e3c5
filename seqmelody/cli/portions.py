"""``Portions``: what a command reads, in order and so many melodies at a time.

An item of a portion is for the ``Scorer``; its id is the one that ``prepare`` would give it.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from seqmelody.corpus import Corpus
from seqmelody.corpus.reading import RootedSource, melody_id, rooted_sources
from seqmelody.midi import MidiSource
from seqmelody.midi.archives import is_archive
from seqmelody.scorer import CorpusRows


class Portions:
    """The melodies of corpora, and the MIDI files in paths, folders and archives.

    Args:
        inputs: Paths and corpora, in order.

    Attributes:
        digests: Those of the corpora, in order.
        total: How many inputs there are, where that is known without looking into folders and
            archives.
    """

    def __init__(self, inputs: Sequence[str | Corpus]) -> None:
        self.digests = [item.digest for item in inputs if isinstance(item, Corpus)]
        counts = [_count(item) for item in inputs]
        known = [count for count in counts if count is not None]
        self.total = sum(known) if len(known) == len(counts) else None
        self._inputs = [
            _Rows(item) if isinstance(item, Corpus) else _Files(item) for item in inputs
        ]

    def take(self, limit: int) -> Portion:
        """The next so many inputs; fewer at the end, and none beyond.

        They are drawn as they are asked for, and all of them must be before the next are taken.
        """
        return Portion(self._inputs, limit)


@dataclass(frozen=True, eq=False)
class _Drawn:
    """Something to read.

    Attributes:
        item: For the scorer.
        ids: Of the melodies in it.
        inputs: How many they are.
        mark: Differs where they differ, without reading them.
    """

    item: MidiSource | CorpusRows
    ids: Iterator[str]
    inputs: int
    mark: str


class Portion:
    """Some inputs that follow one another.

    Attributes:
        inputs: How many were drawn so far.
    """

    def __init__(self, inputs: Sequence[_Input], limit: int) -> None:
        """Use ``Portions.take``."""
        self.inputs = 0
        self._drawn = _draw(inputs, limit)
        self._digest = hashlib.sha256()
        # Of what was drawn and has not come back from the scorer, which keeps the order.
        self._ids: deque[Iterator[str]] = deque()

    @property
    def digest(self) -> str:
        """Differs where what was drawn so far differs: names, and the files' sizes and times."""
        return self._digest.hexdigest()

    def items(self) -> Iterator[MidiSource | CorpusRows]:
        """What to read."""
        for drawn in self._drawn:
            self._count(drawn)
            self._ids.append(drawn.ids)
            yield drawn.item

    def next_id(self) -> str:
        """The id of the next of the items, in order."""
        while (name := next(self._ids[0], None)) is None:
            self._ids.popleft()
        return name

    def skip(self) -> None:
        """Draws all that is left, and reads none of it."""
        for drawn in self._drawn:
            self._count(drawn)
            deque(drawn.ids, maxlen=0)
            if isinstance(drawn.item, CorpusRows):
                deque(drawn.item.paths, maxlen=0)

    def _count(self, drawn: _Drawn) -> None:
        self.inputs += drawn.inputs
        self._digest.update(f"{drawn.mark}\n".encode("utf-8", "surrogatepass"))


class _Rows:
    """The rows of a corpus that are left."""

    def __init__(self, corpus: Corpus) -> None:
        self._corpus = corpus
        self._start = 0
        self._ids, self._paths = corpus.iter_column("id"), corpus.iter_column("path")

    def draw(self, limit: int) -> _Drawn | None:
        """As many as there are, up to a limit; nothing when there are none."""
        start, stop = self._start, min(self._start + limit, len(self._corpus))
        if start == stop:
            return None
        self._start, rows = stop, stop - start
        return _Drawn(
            CorpusRows(self._corpus, start, stop, itertools.islice(self._paths, rows)),
            itertools.islice(self._ids, rows),
            rows,
            f"{self._corpus.digest} {start} {stop}",
        )


class _Files:
    """The MIDI files in a path that are left."""

    def __init__(self, path: str) -> None:
        self._sources: Iterator[RootedSource] = rooted_sources([path])

    def draw(self, limit: int) -> _Drawn | None:
        """One file; nothing when there is none."""
        found = next(self._sources, None)
        if found is None:
            return None
        ids = iter([melody_id(found.relative)])
        return _Drawn(found.source, ids, 1, f"{found.source.name} {_stamp(found.source.name)}")


_Input: TypeAlias = _Rows | _Files


def _draw(inputs: Sequence[_Input], limit: int) -> Iterator[_Drawn]:
    """Something from each of the inputs that has any left."""
    for one in inputs:
        while limit and (drawn := one.draw(limit)) is not None:
            limit -= drawn.inputs
            yield drawn


def _count(item: str | Corpus) -> int | None:
    """How many melodies there are; ``None`` if one would have to look."""
    if isinstance(item, Corpus):
        return len(item)
    return None if Path(item).is_dir() or is_archive(item) else 1


def _stamp(name: str) -> str:
    """Size and time of the file of a source, which may be an archive with the source in it."""
    path, inner = name, "!"
    while inner:
        try:
            status = os.stat(path)  # noqa: PTH116 (a path would tidy the name)
        except (OSError, ValueError):
            path, inner, _ = path.rpartition("!")
        else:
            return f"{status.st_size} {status.st_mtime_ns}"
    return "missing"
