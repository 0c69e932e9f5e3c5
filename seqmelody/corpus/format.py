"""The corpus on disk: one Parquet file that any reader of Parquet can open, and ``Corpus``.

A corpus is a folder with ``melodies.parquet``, one row per melody, and ``report.json``, what
``prepare`` read, kept and skipped. The columns are

========== ============= ==================================================================
id         string        unique; the source's name without its suffix
path       string        the source's name: file, or archive and member
split      string        train, validation or test; melodies that ``prepare`` was told to keep
                         together share one, as near-duplicates do
group      int32         near-duplicates share a group, and a group lies in one split
notes      int32         length of the three streams
pitch      list<uint8>   MIDI keys
duration   list<uint16>  grid steps
rest       list<uint16>  grid steps of silence after each note
others                   labels, as they were given
========== ============= ==================================================================

``group`` stays what it is when families are kept together (``prepare``, ``together``): families
join groups in the splits only, since a family is a wider relation than being nearly the same.

What has no column (format version, tokenizer, counts) lies in the file's key-value metadata under
``seqmelody``, so that the corpus is a single file and can be replaced in one step.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from seqmelody.corpus.streams import STREAMS, Streams, open_parquet, open_streams
from seqmelody.errors import CorpusError
from seqmelody.tokens import TokenBatch, Tokenizer, Tokens

FORMAT_VERSION = 1
MELODIES_FILE = "melodies.parquet"
REPORT_FILE = "report.json"
SPLITS = ("train", "validation", "test")
_ITERATED_ROWS = 1024
FIELDS = (
    pa.field("id", pa.string(), nullable=False),
    pa.field("path", pa.string(), nullable=False),
    pa.field("split", pa.string(), nullable=False),
    pa.field("group", pa.int32(), nullable=False),
    pa.field("notes", pa.int32(), nullable=False),
    pa.field("pitch", pa.list_(pa.uint8()), nullable=False),
    pa.field("duration", pa.list_(pa.uint16()), nullable=False),
    pa.field("rest", pa.list_(pa.uint16()), nullable=False),
)
METADATA_KEY = b"seqmelody"


@dataclass(frozen=True)
class Header:
    """What the Parquet file's key-value metadata hold.

    Attributes:
        tokenizer: Encodes what the streams hold.
        digest: Differs where a melody, its split, its group or its label differs.
        summary: Counts: melodies, notes, groups, splits, what was read and skipped, and what was
            kept together.
    """

    tokenizer: Tokenizer
    digest: str
    summary: Mapping[str, Any]

    def to_metadata(self) -> dict[bytes, bytes]:
        """The key and value to write into the Parquet file."""
        stored = {
            "format": FORMAT_VERSION,
            "tokenizer": self.tokenizer.to_dict(),
            "digest": self.digest,
            "summary": self.summary,
        }
        return {METADATA_KEY: json.dumps(stored, sort_keys=True).encode()}

    @classmethod
    def from_metadata(cls, path: Path, metadata: Mapping[bytes, bytes] | None) -> Header:
        """The header of a Parquet file.

        Args:
            path: Named in errors.
            metadata: The file's key-value metadata.

        Raises:
            CorpusError: The file is no corpus, or another version of the package wrote it.
        """
        value = (metadata or {}).get(METADATA_KEY)
        if value is None:
            raise CorpusError(
                f"{path}: a Parquet file, but not a seqmelody corpus; "
                "make one with 'seqmelody prepare'"
            )
        try:
            stored = json.loads(value)
            version = stored["format"]
            if version != FORMAT_VERSION:
                raise CorpusError(
                    f"{path}: corpus format {version}, this version of seqmelody reads "
                    f"{FORMAT_VERSION}; prepare the corpus again"
                )
            return cls(
                tokenizer=Tokenizer.from_dict(stored["tokenizer"]),
                digest=stored["digest"],
                summary=stored["summary"],
            )
        except (ValueError, TypeError, KeyError) as error:
            raise CorpusError(
                f"{path}: unreadable corpus header ({error}); prepare the corpus again"
            ) from error


class Corpus:
    """A prepared corpus, read from disk as it is needed.

    The streams are memory-mapped: opening takes no longer, and needs no more memory, for a
    million melodies than for a thousand. The first opening unpacks them beside the Parquet file.
    A corpus can be pickled; the copy maps the same files.

    Attributes:
        folder: Where the corpus lies.
        tokenizer: Encodes what the streams hold.
        digest: Sixteen hexadecimal digits that differ where the content differs.
        summary: Counts: melodies, notes, groups, splits, and what was read and skipped.
        columns: Names of the metadata and label columns.
    """

    folder: Path
    tokenizer: Tokenizer
    digest: str
    summary: Mapping[str, Any]
    columns: tuple[str, ...]

    def __init__(self, folder: Path, key: str, header: Header, schema: pa.Schema) -> None:
        """Use ``Corpus.open``."""
        self.folder = folder
        self.tokenizer = header.tokenizer
        self.digest = header.digest
        self.summary = header.summary
        self.columns = tuple(name for name in schema.names if name not in STREAMS)
        self._key = key
        self._streams = open_streams(folder / MELODIES_FILE, key, header.tokenizer)

    @classmethod
    def open(cls, folder: str | Path, tokenizer: Tokenizer | None = None) -> Corpus:
        """Open the corpus in a folder.

        Args:
            folder: What ``prepare`` wrote.
            tokenizer: The tokenizer that the corpus must have been written with.

        Raises:
            CorpusError: There is no corpus, it is damaged, or another tokenizer wrote it.
        """
        folder = Path(folder)
        path = folder / MELODIES_FILE
        if not folder.is_dir():
            what = "not a folder" if folder.exists() else "no such folder"
            raise CorpusError(f"{folder}: {what}; make a corpus with 'seqmelody prepare'")
        if not path.is_file():
            raise CorpusError(
                f"{folder}: no corpus here (no {MELODIES_FILE}); make one with 'seqmelody prepare'"
            )
        with open_parquet(path) as (key, file):
            schema: pa.Schema = file.schema_arrow
            metadata, rows = file.metadata.metadata, file.metadata.num_rows
        header = Header.from_metadata(path, metadata)
        for field in FIELDS:
            # The lists' inner field name is the writer's affair, so only types are compared.
            if field.name not in schema.names or schema.field(field.name).type != field.type:
                raise CorpusError(
                    f"{path}: column {field.name!r} is not {field.type}; prepare the corpus again"
                )
        if rows == 0:
            raise CorpusError(f"{path}: holds no melody")
        if tokenizer is not None and tokenizer.fingerprint != header.tokenizer.fingerprint:
            raise CorpusError(
                f"{folder}: written with tokenizer {header.tokenizer.fingerprint}, needed "
                f"{tokenizer.fingerprint}; prepare the corpus again with the tokenizer needed"
            )
        return cls(folder, key, header, schema)

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self.folder, self.digest)

    def __repr__(self) -> str:
        return f"Corpus({str(self.folder)!r}, {len(self)} melodies)"

    def __len__(self) -> int:
        return int(self._streams.offsets.size - 1)

    @property
    def notes(self) -> NDArray[np.int32]:
        """Length of each melody, ``(melodies,)``."""
        return np.diff(self._streams.offsets).astype(np.int32)

    def streams(self) -> Streams:
        """All melodies' streams end to end, and where each begins; memory-mapped, read-only."""
        return self._streams

    def tokens(self, row: int) -> Tokens:
        """The streams of one melody, as views into the mapped files.

        Raises:
            IndexError: There is no such row.
        """
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of a corpus of {len(self)} melodies")
        pitch, duration, rest, offsets = self._streams
        here = slice(int(offsets[row]), int(offsets[row + 1]))
        return Tokens(pitch=pitch[here], duration=duration[here], rest=rest[here])

    def token_batch(self, rows: NDArray[np.int64]) -> TokenBatch:
        """The streams of some melodies end to end, in the order of ``rows``; a copy."""
        pitch, duration, rest, offsets = self._streams
        notes = offsets[rows + 1] - offsets[rows]
        ends = np.concatenate([[0], np.cumsum(notes)]).astype(np.int64)
        index = np.arange(ends[-1]) + np.repeat(offsets[rows] - ends[:-1], notes)
        none = np.zeros(len(rows), dtype=np.int64)
        return TokenBatch(pitch[index], duration[index], rest[index], ends, none, none)

    def training_sample(self, notes: int) -> TokenBatch:
        """The training split, or melodies drawn from it: so many notes, but one melody, at most.

        Raises:
            CorpusError: The training split is empty.
        """
        rows = self.split("train")
        if len(rows) == 0:
            raise CorpusError(f"{self.folder}: no melodies in its train split")
        if self.notes[rows].sum() > notes:
            # Drawn from all of it, since a corpus may begin with one region or one book.
            rows = np.random.default_rng(0).permutation(rows)
            within = np.searchsorted(np.cumsum(self.notes[rows]), notes, side="right")
            rows = rows[: max(1, int(within))]
        return self.token_batch(rows)

    def split(self, name: str) -> NDArray[np.int64]:
        """Rows of one split in rising order; may be empty.

        Raises:
            CorpusError: No such split.
        """
        if name not in SPLITS:
            raise CorpusError(f"{self.folder}: no split {name!r}; there are {', '.join(SPLITS)}")
        with self._open() as file:
            column = file.read(columns=["split"]).column("split").combine_chunks()
        column = column.dictionary_encode()
        names = column.dictionary.to_pylist()
        if name not in names:
            return np.zeros(0, dtype=np.int64)
        return np.flatnonzero(column.indices.to_numpy() == names.index(name)).astype(np.int64)

    def column(self, name: str) -> list[Any] | NDArray[Any]:
        """A metadata or label column, one entry per melody.

        Returns:
            An array for numbers and booleans (a missing number is NaN), a list for the rest (a
            missing entry is ``None``).

        Raises:
            CorpusError: No such column; the message names those there are.
        """
        self._require_column(name)
        with self._open() as file:
            column = file.read(columns=[name]).column(name).combine_chunks()
        if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
            return np.asarray(column.to_numpy(zero_copy_only=False))
        if pa.types.is_boolean(column.type) and not column.null_count:
            return np.asarray(column.to_numpy(zero_copy_only=False))
        entries: list[Any] = column.to_pylist()
        return entries

    def iter_column(self, name: str) -> Iterator[Any]:
        """The entries of a column one after the other, without holding all of them.

        Raises:
            CorpusError: As ``column``.
        """
        self._require_column(name)
        with self._open() as file:
            for batch in file.iter_batches(_ITERATED_ROWS, columns=[name]):
                yield from batch.column(0).to_pylist()

    def _require_column(self, name: str) -> None:
        if name not in self.columns:
            raise CorpusError(
                f"{self.folder}: no column {name!r}; there are {', '.join(self.columns)}"
            )

    @contextmanager
    def _open(self) -> Iterator[pq.ParquetFile]:
        with open_parquet(self.folder / MELODIES_FILE) as (key, file):
            if key != self._key:
                raise CorpusError(f"{self.folder}: the corpus was replaced; open it again")
            yield file


def _reopen(folder: Path, digest: str) -> Corpus:
    """Unpickle a corpus, unless another took its place since."""
    corpus = Corpus.open(folder)
    if corpus.digest != digest:
        raise CorpusError(f"{folder}: the corpus was replaced; open it again")
    return corpus
