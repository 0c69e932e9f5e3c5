"""``melodies.parquet`` of an index: what the melodies are called, and their notes.

Rows are looked up a few at a time, so row groups are small: that of a row is known by its number.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from seqmelody.retrieval.format import MELODIES_FILE, damaged
from seqmelody.tokens import TokenBatch, Tokens

ROWS_PER_GROUP = 1024
_NAMES = ("id", "path")
_STREAMS = {"pitch": pa.uint8(), "duration": pa.uint16(), "rest": pa.uint16()}
_GROUPS_KEPT = 16
"""Row groups at hand, for hits that lie near each other."""


def _schema(with_notes: bool) -> pa.Schema:
    columns = [(name, pa.string()) for name in _NAMES]
    columns += [(name, pa.list_(kind)) for name, kind in _STREAMS.items() if with_notes]
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in columns])


class MelodiesWriter:
    """Writes the file as melodies come.

    Args:
        folder: That of the index.
        with_notes: Whether the streams are at hand.
    """

    def __init__(self, folder: Path, with_notes: bool) -> None:
        self._schema = _schema(with_notes)
        self._writer = pq.ParquetWriter(
            folder / MELODIES_FILE,
            self._schema,
            use_dictionary=False,
            compression="zstd",
            write_page_checksum=True,
        )
        self._waiting = self._schema.empty_table()

    def __enter__(self) -> MelodiesWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def add(self, ids: Sequence[str], paths: Sequence[str], tokens: TokenBatch | None) -> None:
        """Adds some melodies; ``tokens`` where the notes are at hand."""
        columns: list[Any] = [pa.array(ids, pa.string()), pa.array(paths, pa.string())]
        if tokens is not None:
            offsets = pa.array(tokens.offsets.astype(np.int32))
            columns += [
                pa.ListArray.from_arrays(offsets, pa.array(getattr(tokens, name), kind))
                for name, kind in _STREAMS.items()
            ]
        added = pa.table(columns, schema=self._schema)
        self._waiting = pa.concat_tables([self._waiting, added])
        whole = self._waiting.num_rows // ROWS_PER_GROUP * ROWS_PER_GROUP
        if whole:
            self._write(self._waiting.slice(0, whole))
            self._waiting = self._waiting.slice(whole)

    def finish(self) -> None:
        """Writes what is left, and ends the file."""
        self._write(self._waiting)
        self._writer.close()

    def _write(self, table: pa.Table) -> None:
        if table.num_rows:
            self._writer.write_table(table, row_group_size=ROWS_PER_GROUP)


class StoredMelodies:
    """The file, read as it is needed.

    Args:
        folder: That of the index.
        melodies: How many rows there should be.
        with_notes: Whether the streams should be there.

    Raises:
        CorpusError: The file is damaged, or something else.
    """

    def __init__(self, folder: Path, melodies: int, with_notes: bool) -> None:
        self._folder = folder
        try:
            self._file = pq.ParquetFile(
                folder / MELODIES_FILE, memory_map=True, page_checksum_verification=True
            )
        except (pa.ArrowException, OSError) as error:
            raise damaged(folder, MELODIES_FILE, f"cannot be read ({error})") from error
        if self._file.metadata.num_rows != melodies:
            raise damaged(folder, MELODIES_FILE, f"has {self._file.metadata.num_rows:,} melodies")
        if self._file.schema_arrow.names != _schema(with_notes).names:
            raise damaged(folder, MELODIES_FILE, "has other columns than it should")
        # Bound to this object, so that it goes when the index does.
        self._group = lru_cache(_GROUPS_KEPT)(self._read_group)

    def names(self, row: int) -> tuple[str, str]:
        """Id and path of a melody."""
        group, place = divmod(row, ROWS_PER_GROUP)
        id_, path = (column[place].as_py() for column in self._group(group, _NAMES))
        return id_, path

    def tokens(self, row: int) -> Tokens:
        """The streams of a melody."""
        group, place = divmod(row, ROWS_PER_GROUP)
        pitch, duration, rest = (
            _flat(column, place) for column in self._group(group, tuple(_STREAMS))
        )
        return Tokens(pitch, duration, rest)

    def _read_group(self, group: int, columns: tuple[str, ...]) -> list[pa.Array]:
        try:
            table = self._file.read_row_group(group, columns=list(columns), use_threads=False)
        except (pa.ArrowException, OSError) as error:
            raise damaged(self._folder, MELODIES_FILE, f"cannot be read ({error})") from error
        return [table.column(name).combine_chunks() for name in columns]


def _flat(column: pa.ListArray, place: int) -> NDArray[Any]:
    return np.asarray(column[place].values.to_numpy())
