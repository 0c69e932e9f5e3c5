"""Labels of melodies from a CSV file.

The file has a header and a key column, ``id`` or ``path`` (with both, ``id`` is the key). A key
names a melody in full or by its last part: ``id`` is compared with the melody's id, ``path`` with
its source name and its name below the folder that was given, and then both with the bare name
within any folder. All other columns become columns of the corpus: whole numbers as int64, other
numbers as float64, the rest as text; an empty cell is a missing one.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from seqmelody.corpus.format import FIELDS
from seqmelody.errors import UsageError

KEYS = ("id", "path")
_SHOWN = 5
# "007" and what no number holds exactly are names, and stay text.
_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,14})(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?")


@dataclass(frozen=True)
class Labels:
    """A table of labels, looked up by melody.

    Attributes:
        path: The CSV file.
        key: Name of the key column.
        table: The label columns.
        content: Hash of the file's bytes.
    """

    path: Path
    key: str
    table: pa.Table
    content: bytes
    _keys: pa.ChunkedArray = field(repr=False)
    _hashes: NDArray[np.uint64] = field(repr=False)
    _rows: NDArray[np.int64] = field(repr=False)

    @classmethod
    def read(cls, path: str | Path) -> Labels:
        """Read a CSV file.

        Raises:
            UsageError: It cannot be read, has no key column, a column that a corpus has already,
                or a key twice.
        """
        path = Path(path)
        try:
            data = path.read_bytes()
            table = _parse(data)
        except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
            raise UsageError(f"{path}: cannot be read as labels ({error})") from error
        names = table.column_names
        key = next((name for name in KEYS if name in names), None)
        if key is None:
            raise UsageError(f"{path}: no column 'id' or 'path'; there are {', '.join(names)}")
        twice = {name for name in names if names.count(name) > 1}
        taken = ({field.name for field in FIELDS} - set(KEYS)) & set(names)
        if twice or taken:
            why = "occurs twice" if twice else "is a column of every corpus"
            raise UsageError(f"{path}: column {min(twice or taken)!r} {why}; rename it")
        keys = table.column(key)
        empty = np.flatnonzero(keys.is_null().to_numpy())
        if empty.size:
            raise UsageError(f"{path}: no {key} in {_row_numbers(empty)}")
        hashes = _hash(keys.to_pylist())
        order = np.argsort(hashes, kind="stable")
        repeated = np.flatnonzero(hashes[order][1:] == hashes[order][:-1])
        if repeated.size:
            first = order[repeated[0]]
            same = np.flatnonzero(hashes == hashes[first])
            more = (
                f", and {repeated.size - same.size + 1} more" if repeated.size >= same.size else ""
            )
            raise UsageError(
                f"{path}: {key} {keys[int(first)].as_py()!r} occurs in {_row_numbers(same)}{more}"
            )
        labels = pa.table({name: _typed(table[name]) for name in names if name not in KEYS})
        content = hashlib.blake2b(data, digest_size=16).digest()
        return cls(path, key, labels, content, keys, hashes[order], order)

    def find(self, ids: Sequence[str], paths: Sequence[str]) -> NDArray[np.int64]:
        """The row of each melody, -1 for none.

        Args:
            ids: The melodies' ids.
            paths: Their source names.
        """
        if self.key == "id":
            names = [ids, [_last_part(id_) for id_ in ids]]
        else:
            suffixes = [PurePath(path).suffix for path in paths]
            below = [id_ + suffix for id_, suffix in zip(ids, suffixes, strict=True)]
            names = [paths, below, [_last_part(name) for name in below]]
        found = np.full(len(ids), -1, dtype=np.int64)
        for candidates in names:
            open_ = np.flatnonzero(found < 0)
            if not open_.size or not self._hashes.size:
                break
            hashes = _hash([candidates[place] for place in open_.tolist()])
            near = np.minimum(np.searchsorted(self._hashes, hashes), self._hashes.size - 1)
            found[open_] = np.where(self._hashes[near] == hashes, self._rows[near], -1)
        return found

    def names(self, rows: NDArray[np.int64]) -> list[str]:
        """The keys of some rows."""
        keys: list[str] = self._keys.take(pa.array(rows)).to_pylist()
        return keys


def _parse(data: bytes) -> pa.Table:
    """All columns as text."""
    text = data.decode("utf-8-sig")
    header = next(csv.reader(io.StringIO(text, newline="")), [])
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


def _typed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    values = {value for value in column.unique().to_pylist() if value is not None}
    if values and all(_WHOLE.fullmatch(value) for value in values):
        return column.cast(pa.int64())
    if values and all(_NUMBER.fullmatch(value) for value in values):
        return column.cast(pa.float64())
    return column


def _last_part(name: str) -> str:
    return name.rpartition("/")[2]


def _hash(names: Iterable[str]) -> NDArray[np.uint64]:
    digests = b"".join(hashlib.blake2b(name.encode(), digest_size=8).digest() for name in names)
    return np.frombuffer(digests, dtype="<u8")


def _row_numbers(rows: NDArray[np.integer]) -> str:
    """Rows as a spreadsheet counts them: the header is row 1."""
    shown = ", ".join(str(row + 2) for row in rows[:_SHOWN])
    more = f" and {rows.size - _SHOWN} more" if rows.size > _SHOWN else ""
    return f"row{'s' if rows.size > 1 else ''} {shown}{more}"
