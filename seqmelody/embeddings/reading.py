"""``Embeddings``: a file of embeddings, read as it is needed.

Shapes: N melodies, R rows of a block, E embedding size.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from seqmelody.embeddings.format import CHECKPOINT_KEY, EMBEDDING, ID, MODEL_KEY
from seqmelody.errors import InputError

_BLOCK_ROWS = 8192


class Embeddings:
    """What 'seqmelody embed' wrote.

    Or any other Parquet file that has a column 'id' and a column 'embedding' of lists of numbers,
    all of one length: a library that read the file and wrote some of it again may have changed the
    type of the lists and dropped the metadata.

    Attributes:
        path: The file.
        size: E.
        checkpoint: Name of the checkpoint that they are from; ``None`` where the file does not say.
        fingerprint: ``Checkpoint.fingerprint`` of it; ``None`` where the file does not say.
        columns: Names of the columns.
    """

    path: Path
    size: int
    checkpoint: str | None
    fingerprint: str | None
    columns: tuple[str, ...]

    def __init__(self, path: Path, file: pq.ParquetFile) -> None:
        """Use ``Embeddings.open``."""
        schema: pa.Schema = file.schema_arrow
        metadata = schema.metadata or {}
        told = (metadata.get(key.encode()) for key in (CHECKPOINT_KEY, MODEL_KEY))
        self.path = path
        self.checkpoint, self.fingerprint = (value and value.decode() for value in told)
        self.columns = tuple(schema.names)
        self._file = file
        for name, holds in ((ID, "the names"), (EMBEDDING, "the vectors")):
            if name not in self.columns:
                raise InputError(
                    str(path),
                    f"has no column {name!r} of {holds}, but {', '.join(self.columns)}; make a file "
                    "of embeddings with 'seqmelody embed'",
                )
        kind = schema.field(EMBEDDING).type
        if not _is_list(kind) or not pa.types.is_floating(kind.value_type):
            raise InputError(
                str(path), f"column {EMBEDDING!r} holds no lists of numbers, but {kind}"
            )
        if len(self) == 0:
            raise InputError(str(path), "holds no embedding")
        if pa.types.is_fixed_size_list(kind):
            self.size = kind.list_size
        else:
            with self._reading():
                first = next(file.iter_batches(1, columns=[EMBEDDING])).column(0)
            self.size = len(first[0].as_py() or ())
        if self.size == 0:
            raise InputError(str(path), f"row 0 of column {EMBEDDING!r} holds no numbers")

    @classmethod
    def open(cls, path: str | Path) -> Embeddings:
        """Opens a file.

        Raises:
            InputError: It cannot be read, is cut short, is no Parquet file, or has no embeddings.
        """
        path = Path(path)
        try:
            # Opened by us, since Arrow's words for what is missing take several lines.
            with path.open("rb"):
                pass
            file = pq.ParquetFile(path, page_checksum_verification=True)
        except OSError as error:
            raise InputError(str(path), f"cannot be read ({error.strerror or error})") from error
        except pa.ArrowException as error:
            raise InputError(
                str(path), "cut short, or not a Parquet file; make it again with 'seqmelody embed'"
            ) from error
        return cls(path, file)

    def __repr__(self) -> str:
        return f"Embeddings({str(self.path)!r}, {len(self):,} of {self.size} numbers)"

    def __len__(self) -> int:
        return int(self._file.metadata.num_rows)

    def iter_column(self, name: str) -> Iterator[Any]:
        """The entries of a column one after the other, without holding all of them.

        Raises:
            InputError: There is no such column, or the file is damaged.
        """
        if name not in self.columns:
            raise InputError(
                str(self.path), f"has no column {name!r}, but {', '.join(self.columns)}"
            )
        with self._reading():
            for batch in self._file.iter_batches(_BLOCK_ROWS, columns=[name]):
                yield from batch.column(0).to_pylist()

    def blocks(self, rows: int = _BLOCK_ROWS) -> Iterator[NDArray[np.float32]]:
        """The embeddings in order, some at a time, ``(R, E)``.

        Args:
            rows: R, or less.

        Raises:
            InputError: A vector is missing, of another length, or holds what is no finite number;
                or the file is damaged.
        """
        start = 0
        with self._reading():
            for batch in self._file.iter_batches(rows, columns=[EMBEDDING]):
                vector_RE = self._vectors(batch.column(0), start)
                start += len(vector_RE)
                yield vector_RE

    def vectors(self) -> NDArray[np.float32]:
        """All embeddings, ``(N, E)``; see ``blocks``."""
        vector_NE = np.empty((len(self), self.size), dtype=np.float32)
        start = 0
        for block_RE in self.blocks():
            vector_NE[start : start + len(block_RE)] = block_RE
            start += len(block_RE)
        return vector_NE

    def _vectors(self, column: pa.Array, start: int) -> NDArray[np.float32]:
        """The vectors of a column's rows; ``start`` is the number of the first."""
        missing = column.is_null().to_numpy(zero_copy_only=False)
        if missing.any():
            self._refuse(start + int(missing.argmax()), "has no embedding")
        if not pa.types.is_fixed_size_list(column.type):
            length_R = column.value_lengths().to_numpy(zero_copy_only=False)
            if (length_R != self.size).any():
                row = int((length_R != self.size).argmax())
                self._refuse(
                    start + row, f"has {length_R[row]} numbers, where the first has {self.size}"
                )
        # A missing number becomes NaN.
        flat = column.flatten().to_numpy(zero_copy_only=False)
        vector_RE: NDArray[np.float32] = flat.astype(np.float32, copy=False).reshape(-1, self.size)
        finite = np.isfinite(vector_RE).all(1)
        if not finite.all():
            row = int((~finite).argmax())
            number = vector_RE[row][~np.isfinite(vector_RE[row])][0]
            self._refuse(start + row, f"has {number} in its embedding, which is no finite number")
        return vector_RE

    def _refuse(self, row: int, reason: str) -> None:
        for number, name in enumerate(self.iter_column(ID)):
            if number == row:
                raise InputError(str(self.path), f"row {row} ({name!r}) {reason}")

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, OSError) as error:
            reason = " ".join(str(error).split())
            raise InputError(
                str(self.path), f"damaged ({reason}); make it again with 'seqmelody embed'"
            ) from error


def _is_list(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )
