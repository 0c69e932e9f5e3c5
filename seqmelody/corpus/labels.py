"""Labels of melodies from a CSV file.

The file has a header and a key column, ``id`` or ``path`` (with both, ``id`` is the key), whose
names find their melodies as ``seqmelody.corpus.tables`` says. All other columns become columns of
the corpus: whole numbers as int64, other numbers as float64, the rest as text; an empty cell is a
missing one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from seqmelody.corpus.format import FIELDS
from seqmelody.corpus.tables import KEYS, MelodyKeys, TextTable, hash_names, row_numbers
from seqmelody.errors import UsageError

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
    _names: pa.ChunkedArray = field(repr=False)
    _keys: MelodyKeys = field(repr=False)

    @classmethod
    def read(cls, path: str | Path) -> Labels:
        """Read a CSV file.

        Raises:
            UsageError: It cannot be read, has no key column, a column that a corpus has already,
                or a key twice.
        """
        text = TextTable.read(path, "labels")
        key = text.key()
        text.require_once(taken={field.name for field in FIELDS} - set(KEYS))
        keys = text.filled(key)
        hashes = hash_names(keys)
        order = np.argsort(hashes, kind="stable")
        repeated = np.flatnonzero(hashes[order][1:] == hashes[order][:-1])
        if repeated.size:
            first = order[repeated[0]]
            same = np.flatnonzero(hashes == hashes[first])
            more = (
                f", and {repeated.size - same.size + 1} more" if repeated.size >= same.size else ""
            )
            raise UsageError(
                f"{text.path}: {key} {keys[int(first)]!r} occurs in {row_numbers(same)}{more}"
            )
        labels = pa.table(
            {name: _typed(text.table[name]) for name in text.names if name not in KEYS}
        )
        return cls(text.path, key, labels, text.content, text.table[key], MelodyKeys([key], keys))

    def find(self, ids: Sequence[str], paths: Sequence[str]) -> NDArray[np.int64]:
        """The row of each melody, -1 for none.

        Args:
            ids: The melodies' ids.
            paths: Their source names.
        """
        return self._keys.find(ids, paths)

    def names(self, rows: NDArray[np.int64]) -> list[str]:
        """The keys of some rows."""
        keys: list[str] = self._names.take(pa.array(rows)).to_pylist()
        return keys


def _typed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    values = {value for value in column.unique().to_pylist() if value is not None}
    if values and all(_WHOLE.fullmatch(value) for value in values):
        return column.cast(pa.int64())
    if values and all(_NUMBER.fullmatch(value) for value in values):
        return column.cast(pa.float64())
    return column
