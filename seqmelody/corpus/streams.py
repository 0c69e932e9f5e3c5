"""Streams of a corpus as flat, memory-mapped arrays.

Parquet compresses and cannot be mapped. The first opening therefore copies the streams, one row
group at a time, into a folder ``.streams-KEY`` beside the Parquet file; later ones map it. The
key is that of the Parquet file's content, so that a copy is never taken for another corpus's.
"""

from __future__ import annotations

import atexit
import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock
from numpy.typing import NDArray

from seqmelody.errors import CorpusError
from seqmelody.tokens import PITCHES, Tokenizer

STREAMS = ("pitch", "duration", "rest")
_PREFIX = ".streams-"
_MAGIC = b"PAR1"
_BATCH_ROWS = 16384


class Streams(NamedTuple):
    """All melodies' streams end to end; read-only.

    Attributes:
        pitch: MIDI keys, ``(notes,)`` uint8.
        duration: Grid steps, ``(notes,)`` uint16.
        rest: Grid steps of silence after each note, ``(notes,)`` uint16.
        offsets: Melody ``i`` is ``offsets[i]:offsets[i + 1]``, ``(melodies + 1,)`` int64.
    """

    pitch: NDArray[np.uint8]
    duration: NDArray[np.uint16]
    rest: NDArray[np.uint16]
    offsets: NDArray[np.int64]


_DTYPES = {"pitch": np.uint8, "duration": np.uint16, "rest": np.uint16}


@contextmanager
def open_parquet(path: Path) -> Iterator[tuple[str, pq.ParquetFile]]:
    """A Parquet file, open for reading, and the key of its content.

    The key is a hash of the footer, which holds the corpus's digest. It is read from the same open
    file as all else: another corpus may take the file's place at any time.

    Raises:
        CorpusError: The file cannot be read, is cut short or damaged, or is no Parquet file. Also
            for damage that the caller meets while reading.
    """
    try:
        stored = pa.OSFile(str(path), "rb")
    except OSError as error:
        raise CorpusError(f"{path}: {error.strerror or error}") from error
    with stored:
        try:
            yield _footer_key(stored, path), pq.ParquetFile(stored, page_checksum_verification=True)
        except pa.ArrowException as error:
            raise CorpusError(f"{path}: damaged ({error}); prepare the corpus again") from error
        except OSError as error:
            # Arrow reports a damaged page as an OSError without a number.
            if error.errno is None:
                raise CorpusError(f"{path}: damaged ({error}); prepare the corpus again") from error
            raise


def _footer_key(stored: pa.NativeFile, path: Path) -> str:
    size = stored.size()
    stored.seek(max(0, size - 8))
    tail = stored.read(8)
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] != _MAGIC or length + 12 > size:
        raise CorpusError(f"{path}: cut short, or not a Parquet file; prepare the corpus again")
    stored.seek(size - 8 - length)
    return hashlib.blake2b(stored.read(length), digest_size=8).hexdigest()


def open_streams(path: Path, key: str, tokenizer: Tokenizer) -> Streams:
    """Map the streams of a corpus, after unpacking them where nobody has yet.

    Several processes may do so at once. Where the folder cannot be written, the streams are
    unpacked into a temporary folder that is removed when the process ends.

    Args:
        path: The Parquet file.
        key: The key of its content, from ``open_parquet``.
        tokenizer: Sets the range that the streams must lie in.

    Raises:
        CorpusError: The file is damaged, or the streams cannot be unpacked.
    """
    folder = path.parent / f"{_PREFIX}{key}"
    for place in (folder, _temporary.get(folder)):
        mapped = _map(place) if place is not None else None
        if mapped is not None:
            return mapped
    try:
        made = _unpack_beside(path, key, folder, tokenizer)
    except (OSError, NotImplementedError) as error:
        # NotImplementedError: a file system that cannot lock.
        if isinstance(error, OSError) and error.errno not in (
            errno.EACCES,
            errno.EPERM,
            errno.EROFS,
        ):
            raise CorpusError(
                f"{path}: cannot unpack the streams into {folder} ({error.strerror or error})"
            ) from error
        made = _unpack_elsewhere(path, key, folder, tokenizer)
    mapped = _map(made)
    if mapped is None:
        raise CorpusError(f"{path}: replaced while it was opened; open it again")
    return mapped


_temporary: dict[Path, Path] = {}
"""Where this process unpacked streams that could not lie beside their corpus."""


def _map(folder: Path) -> Streams | None:
    """The arrays in a folder; None where it is missing or incomplete."""
    try:
        # The view drops np.memmap, whose slices are several times slower to make.
        arrays = [
            np.load(folder / f"{name}.npy", mmap_mode="r").view(np.ndarray)
            for name in (*STREAMS, "offsets")
        ]
    except (OSError, ValueError):
        return None
    return Streams(*arrays)


def _unpack_beside(path: Path, key: str, folder: Path, tokenizer: Tokenizer) -> Path:
    parent = folder.parent
    with FileLock(parent / ".streams.lock"):
        if _map(folder) is not None:
            return folder
        # Under the lock whatever else is here was left by a killed process or an older corpus.
        for stale in parent.glob(f"{_PREFIX}*"):
            shutil.rmtree(stale, ignore_errors=True)
        working = parent / f"{folder.name}.new"
        try:
            working.mkdir()
            _unpack(path, key, working, tokenizer)
            # The rename makes the folder appear whole, or not at all.
            working.rename(folder)
        finally:
            shutil.rmtree(working, ignore_errors=True)
    return folder


def _unpack_elsewhere(path: Path, key: str, folder: Path, tokenizer: Tokenizer) -> Path:
    owner = os.getpid()
    working = Path(tempfile.mkdtemp(prefix="seqmelody-streams-"))

    def remove() -> None:
        # A forked child also runs this when it exits, and the folder is not its own.
        if os.getpid() == owner:
            shutil.rmtree(working, ignore_errors=True)

    atexit.register(remove)
    _unpack(path, key, working, tokenizer)
    _temporary[folder] = working
    return working


def _unpack(path: Path, key: str, working: Path, tokenizer: Tokenizer) -> None:
    limits = {
        "pitch": (0, PITCHES - 1),
        "duration": (1, tokenizer.max_duration_steps),
        "rest": (0, tokenizer.max_rest_steps),
    }
    with open_parquet(path) as (found, file):
        if found != key:
            raise CorpusError(f"{path}: replaced while it was opened; open it again")
        notes = file.read(columns=["notes"]).column("notes").to_numpy().astype(np.int64)
        if notes.min() < 1:
            raise CorpusError(f"{path}: a melody without notes; prepare the corpus again")
        offsets = np.zeros(notes.size + 1, dtype=np.int64)
        np.cumsum(notes, out=offsets[1:])
        np.save(working / "offsets.npy", offsets)
        for name, dtype in _DTYPES.items():
            with (working / f"{name}.npy").open("wb") as out:
                header = {
                    "descr": np.lib.format.dtype_to_descr(np.dtype(dtype)),
                    "fortran_order": False,
                    "shape": (int(offsets[-1]),),
                }
                np.lib.format.write_array_header_1_0(out, header)
                row = 0
                for batch in file.iter_batches(_BATCH_ROWS, columns=[name]):
                    lengths = notes[row : row + batch.num_rows]
                    row += batch.num_rows
                    flat = _flat(batch.column(0), lengths, limits[name])
                    if flat is None:
                        raise CorpusError(
                            f"{path}: column {name!r} does not fit 'notes' and the tokenizer; "
                            "prepare the corpus again"
                        )
                    out.write(flat.tobytes())


def _flat(
    column: pa.ListArray, lengths: NDArray[np.int64], limits: tuple[int, int]
) -> NDArray[Any] | None:
    """The values of some lists end to end; None if the lists are not what they should be."""
    values = column.flatten()
    if column.null_count or values.null_count:
        return None
    flat: NDArray[Any] = values.to_numpy()
    same_lengths = np.array_equal(np.diff(column.offsets.to_numpy()), lengths)
    if not same_lengths or flat.min() < limits[0] or flat.max() > limits[1]:
        return None
    return flat
