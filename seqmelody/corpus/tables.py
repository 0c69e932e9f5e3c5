"""CSV files that name melodies: how they are read, and how a name finds its melody.

A name is a melody's id or path, in full or from any ``/`` (or ``!``, behind an archive) on: an id
``deut/one`` may be called ``one``; a path ``songs/deut/one.mid`` also ``deut/one.mid`` and
``one.mid``. The longest part that fits decides.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from seqmelody.errors import UsageError

KEYS = ("id", "path")
"""Columns that name a melody; with both, the first is the key."""
_OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs"}
_SHOWN = 5
_PARTS = re.compile(r"[/!]")


@dataclass(frozen=True)
class TextTable:
    """A CSV file, all columns as text.

    Attributes:
        path: The file.
        table: Its columns; an empty cell is a missing one.
        content: Hash of the file's bytes.
    """

    path: Path
    table: pa.Table
    content: bytes

    @classmethod
    def read(cls, path: str | Path, what: str) -> TextTable:
        """Read a CSV file with a header.

        Args:
            path: The file.
            what: What it should hold, for the errors.

        Raises:
            UsageError: It cannot be read, or its columns are separated by something else.
        """
        path = Path(path)
        try:
            data = path.read_bytes()
            text = data.decode("utf-8-sig")
            header = next(csv.reader(io.StringIO(text, newline="")), [])
            for separator, called in _OTHER_SEPARATORS.items():
                # What is one column to us is several to whoever wrote it.
                if len(header) == 1 and separator in header[0]:
                    raise UsageError(
                        f"{path}: columns are separated by commas, this file seems to use {called}"
                    )
            table = _parse(text, header)
        except OSError as error:
            # The text of such an error names the file again.
            raise UsageError(f"{path}: cannot be read as {what} ({error.strerror})") from error
        except (pa.ArrowException, UnicodeDecodeError) as error:
            raise UsageError(f"{path}: cannot be read as {what} ({error})") from error
        return cls(path, table, hashlib.blake2b(data, digest_size=16).digest())

    @property
    def names(self) -> list[str]:
        """The columns."""
        names: list[str] = self.table.column_names
        return names

    def key(self) -> str:
        """The column that names the melodies.

        Raises:
            UsageError: There is none.
        """
        key = next((name for name in KEYS if name in self.names), None)
        if key is None:
            raise UsageError(
                f"{self.path}: no column 'id' or 'path'; there are {', '.join(self.names)}"
            )
        return key

    def require_once(self, taken: Iterable[str] = ()) -> None:
        """Checks the names of the columns.

        Args:
            taken: Names that are no one's to give.

        Raises:
            UsageError: A column occurs twice, or is taken.
        """
        twice = {name for name in self.names if self.names.count(name) > 1}
        clash = set(taken) & set(self.names)
        if twice or clash:
            why = "occurs twice" if twice else "is a column of every corpus"
            raise UsageError(f"{self.path}: column {min(twice or clash)!r} {why}; rename it")

    def filled(self, name: str) -> list[str]:
        """A column without empty cells.

        Raises:
            UsageError: There is no such column, or a cell is empty.
        """
        if name not in self.names:
            raise UsageError(f"{self.path}: no column {name!r}; there are {', '.join(self.names)}")
        cells = self.table.column(name)
        empty = np.flatnonzero(cells.is_null().to_numpy())
        if empty.size:
            raise UsageError(f"{self.path}: no {name} in {row_numbers(empty)}")
        values: list[str] = cells.to_pylist()
        return values


class MelodyKeys:
    """Names of melodies, looked up by melody.

    Args:
        kinds: What the names are: ids, paths, or either.
        names: Each of them once.
    """

    def __init__(self, kinds: Sequence[str], names: Sequence[str]) -> None:
        self._kinds = tuple(kinds)
        hashes = hash_names(names)
        self._order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[self._order]

    def find(self, ids: Sequence[str], paths: Sequence[str]) -> NDArray[np.int64]:
        """For each melody, the number of the name that fits it best; -1 for none.

        Args:
            ids: The melodies' ids.
            paths: Their source names.
        """
        found = np.full(len(ids), -1, dtype=np.int64)
        if not self._hashes.size:
            return found
        open_ = np.arange(len(ids))
        for candidates in _candidates(self._kinds, ids, paths):
            places, numbers = self._look_up(candidates, open_)
            found[places] = numbers
            open_ = open_[found[open_] < 0]
            if not open_.size:
                break
        return found

    def melodies(self, ids: Sequence[str], paths: Sequence[str]) -> list[NDArray[np.int64]]:
        """For each name, the melodies that it fits best: none, one, or several alike.

        Args:
            ids: The melodies' ids.
            paths: Their source names.
        """
        found = [np.zeros(0, dtype=np.int64)] * len(self._order)
        everyone = np.arange(len(ids))
        for candidates in _candidates(self._kinds, ids, paths):
            places, numbers = self._look_up(candidates, everyone)
            for number in np.unique(numbers).tolist():
                if not found[number].size:
                    found[number] = places[numbers == number]
        return found

    def _look_up(
        self, candidates: Sequence[str | None], places: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Which of some candidates are names, and of which number."""
        # A melody of a shorter name than others is out of candidates before them.
        tried = [(place, candidates[place]) for place in places.tolist()]
        there = [(place, name) for place, name in tried if name is not None]
        if not there or not self._hashes.size:
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        hashes = hash_names([name for _, name in there])
        near = np.minimum(np.searchsorted(self._hashes, hashes), self._hashes.size - 1)
        hit = self._hashes[near] == hashes
        return np.array([place for place, _ in there])[hit], self._order[near[hit]]


def _candidates(
    kinds: Sequence[str], ids: Sequence[str], paths: Sequence[str]
) -> Iterator[Sequence[str | None]]:
    """What melodies may be called, a list of one name a melody at a time, the best first."""
    if "id" in kinds:
        yield ids
        yield from _trailing(ids)
    if "path" in kinds:
        yield paths
        suffixes = [PurePath(path).suffix for path in paths]
        yield [id_ + suffix for id_, suffix in zip(ids, suffixes, strict=True)]
        yield from _trailing(paths)


def _trailing(names: Sequence[str]) -> Iterator[Sequence[str | None]]:
    """The names without their first part, their first two, and so on; ``None`` where none is left.

    Those with most parts left come first, whatever names they are of.
    """
    starts = [[match.end() for match in _PARTS.finditer(name)] for name in names]
    for parts in range(max(map(len, starts), default=0), 0, -1):
        yield [
            name[cuts[-parts] :] if len(cuts) >= parts else None
            for name, cuts in zip(names, starts, strict=True)
        ]


def hash_names(names: Iterable[str]) -> NDArray[np.uint64]:
    """Eight bytes for each name."""
    digests = b"".join(hashlib.blake2b(name.encode(), digest_size=8).digest() for name in names)
    return np.frombuffer(digests, dtype="<u8")


def row_numbers(rows: NDArray[np.integer]) -> str:
    """Rows as a spreadsheet counts them: the header is row 1."""
    shown = ", ".join(str(row + 2) for row in rows[:_SHOWN])
    more = f" and {rows.size - _SHOWN} more" if rows.size > _SHOWN else ""
    return f"row{'s' if rows.size > 1 else ''} {shown}{more}"


def _parse(text: str, header: Sequence[str]) -> pa.Table:
    return pa_csv.read_csv(
        pa.BufferReader(text.encode()),
        # With threads, errors would not say which row.
        read_options=pa_csv.ReadOptions(use_threads=False),
        parse_options=pa_csv.ParseOptions(newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(
            column_types=dict.fromkeys(header, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
        ),
    )
