"""``Parts``: a file of embeddings made a part at a time, so that an interrupted run can go on.

Beside ``x.parquet`` lies, until it is whole, the folder ``.x.parquet.parts``:

============== =====================================================================================
manifest.json  what the embeddings are made from, and with what
00000.parquet  the first part's rows
00000.json     what the part was made from; written last, so that a part counts when it is whole
...            the next parts
============== =====================================================================================

In the end the parts are put together and the file takes its place in one step. Nothing that a part
holds hinges on the parts before it, so that a run that was interrupted ends with the same file.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from seqmelody.embeddings.format import ID, Layout, Row, open_writer
from seqmelody.errors import SeqmelodyError, UsageError

ROWS_PER_GROUP = 8192
NOTES_PER_GROUP = 16_384
"""Vectors of notes in a row group, which is written, and read, as a whole: with 128 numbers 8 MB."""
_MANIFEST, _WHOLE, _LOCK = "manifest.json", "whole.parquet", "lock"


@dataclass(frozen=True)
class Made:
    """What a part was made from.

    Attributes:
        inputs: How many there were, those that failed among them.
        digest: Differs where one of them differs.
        failures: Name and reason of each that failed.
        rows: How many rows the part has.
    """

    inputs: int
    digest: str
    failures: tuple[tuple[str, str], ...]
    rows: int


class Parts:
    """A file of embeddings on its way; a context that locks its folder, and tidies up.

    Left without ``finish``, the folder stays where it holds a whole part, and goes where it holds
    none.

    Args:
        out: The file to make.
        layout: What it holds.
        made_from: What decides what it holds, besides the layout, each by what to call it in a
            message; plain values.
        resume: Go on from the parts that are there, if there are any.

    Attributes:
        folder: Where the parts are.
        made: The parts that are whole, in order.
        damaged: Whether the next one was whole and is no longer, so that all from it on is made anew.

    Raises:
        UsageError: There are parts and ``resume`` is not set, or they were made from something else;
            or another process is at it.
    """

    def __init__(
        self, out: Path, layout: Layout, made_from: Mapping[str, Any], *, resume: bool
    ) -> None:
        self.folder = out.with_name(f".{out.name}.parts")
        self.made: list[Made] = []
        self._out = out
        self._layout = layout
        self._finished = False
        self.damaged = False
        # The folders that are there for this alone, and go with it if nothing comes of it.
        self._new = [path for path in self.folder.parents if not path.exists()]
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(self.folder / _LOCK)
        try:
            # Some file systems cannot lock.
            with suppress(NotImplementedError):
                self._lock.acquire(timeout=0)
        except Timeout as error:
            raise UsageError(
                f"{out}: another process is writing it; wait for it, or give another --out"
            ) from error
        try:
            self._begin(
                {
                    "checkpoint": layout.fingerprint,
                    "size": layout.size,
                    "--per-note": layout.per_note,
                    **made_from,
                },
                resume,
            )
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> Parts:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._finished or not self.made:
            shutil.rmtree(self.folder, ignore_errors=True)
            with suppress(OSError):  # one that holds something stays
                for folder in self._new:
                    folder.rmdir()
        self._lock.release()

    @property
    def inputs(self) -> int:
        """How many inputs the whole parts were made from."""
        return sum(part.inputs for part in self.made)

    def write(self, rows: Iterator[Row]) -> int:
        """Writes the rows of the next part, which counts when it is kept.

        Args:
            rows: Drawn as they are written.

        Returns:
            How many they were.
        """
        path = self._part(len(self.made), ".parquet")
        written = 0
        with open_writer(str(path), self._layout.schema) as writer:
            for group in _groups(rows):
                writer.write_table(self._layout.table(group))
                written += len(group)
        with path.open("rb") as stored:
            os.fsync(stored.fileno())
        return written

    def keep(self, made: Made) -> None:
        """Makes what was written last a whole part."""
        _write_json(self._part(len(self.made), ".json"), asdict(made))
        self.made.append(made)

    def finish(self, unique: Callable[[Sequence[str]], list[str]]) -> int:
        """Puts the parts together, and the file in its place.

        Args:
            unique: Makes ids unique; is given those of some rows after the other.

        Returns:
            How many rows it has. Without any no file is made.

        Raises:
            SeqmelodyError: A part is damaged.
        """
        rows = sum(part.rows for part in self.made)
        if rows:
            whole = self.folder / _WHOLE
            schema = self._layout.schema
            with open_writer(str(whole), schema) as writer:
                for number in range(len(self.made)):
                    for group in self._groups_of(number):
                        ids = pa.array(unique(group.column(ID).to_pylist()), pa.string())
                        writer.write_table(group.set_column(0, schema.field(ID), ids))
            whole.replace(self._out)
        self._finished = True
        return rows

    def _groups_of(self, number: int) -> Iterator[pa.Table]:
        """The row groups of a part."""
        path = self._part(number, ".parquet")
        try:
            with pq.ParquetFile(path, page_checksum_verification=True) as file:
                for group in range(file.num_row_groups):
                    yield file.read_row_group(group)
        except (pa.ArrowException, OSError) as error:
            reason = " ".join(str(error).split())
            raise SeqmelodyError(
                f"{path}: damaged ({reason}); remove {self.folder} to start over"
            ) from error

    def _begin(self, manifest: Mapping[str, Any], resume: bool) -> None:
        while (made := self._whole(len(self.made))) is not None:
            self.made.append(made)
        self.damaged = self._part(len(self.made), ".json").exists()
        if not self.made:
            for path in self.folder.iterdir():
                if path.name != _LOCK:
                    path.unlink()
            _write_json(self.folder / _MANIFEST, manifest)
            return
        again = f"or remove {self.folder} to start over"
        if not resume:
            raise UsageError(
                f"{self._out}: an interrupted run has kept {self.inputs:,} melodies of it; go on with "
                f"--resume, {again}"
            )
        stored = _read_json(self.folder / _MANIFEST)
        other = [name for name, value in manifest.items() if stored.get(name) != value]
        if other:
            raise UsageError(
                f"{self._out}: the interrupted run was with another {', another '.join(other)}; "
                f"repeat its command, {again}"
            )

    def _whole(self, number: int) -> Made | None:
        """What a part was made from; ``None`` where it is not whole."""
        try:
            stored = _read_json(self._part(number, ".json"))
            failures = tuple((name, reason) for name, reason in stored["failures"])
            made = Made(stored["inputs"], stored["digest"], failures, stored["rows"])
            rows = pq.read_metadata(self._part(number, ".parquet")).num_rows
        except (OSError, pa.ArrowException, KeyError, TypeError, ValueError):
            return None
        return made if rows == made.rows else None

    def _part(self, number: int, suffix: str) -> Path:
        return self.folder / f"{number:05d}{suffix}"


def _groups(rows: Iterator[Row]) -> Iterator[list[Row]]:
    """The rows in groups of bounded size."""
    group: list[Row] = []
    notes = 0
    for row in rows:
        if group and (len(group) >= ROWS_PER_GROUP or notes + row.notes > NOTES_PER_GROUP):
            yield group
            group, notes = [], 0
        group.append(row)
        notes += row.notes
    if group:
        yield group


def _read_json(path: Path) -> dict[str, Any]:
    """What a file holds; nothing where it is missing, or no table."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stored if isinstance(stored, dict) else {}


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Writes a file that is whole, or is not there."""
    temporary = path.with_name(f"{path.name}.new")
    temporary.write_text(json.dumps(value), encoding="utf-8")
    temporary.replace(path)
