"""Zip and tar archives, read member by member without unpacking and without trusting them.

A zip has a directory: members are opened one by one, in any order and process. A tar is a stream:
members come in its order, once. A tar is read with bounds on memory (a header that claims a huge
name) and on time (a compressed archive that expands without end).
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import tarfile
import zipfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

ZIP_SUFFIX = ".zip"
TAR_SUFFIXES = (
    *(".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz", ".tbz2"),
    *(".tar.xz", ".txz", ".tar.lzma", ".tlz"),
)

_MAX_HEADER_BYTES = 1 << 20
_SKIP_BYTES = 1 << 20
# An archive may expand to this, and above it to so many times what was read of it.
_FREE_BYTES = 1 << 28
_MAX_EXPANSION = 100


def is_zip(path: str) -> bool:
    """By its suffix."""
    return path.lower().endswith(ZIP_SUFFIX)


def is_archive(path: str) -> bool:
    """By its suffix."""
    return path.lower().endswith((ZIP_SUFFIX, *TAR_SUFFIXES))


def zip_members(path: str) -> list[tuple[str, int]]:
    """Names and numbers of the members, sorted.

    Raises:
        Exception: Whatever ``zipfile`` raises for what is no zip archive.
    """
    with zipfile.ZipFile(path) as archive:
        return sorted((info.filename, index) for index, info in enumerate(archive.infolist()))


def open_zip_member(path: str, index: int) -> IO[bytes]:
    """A member by its number; the archive stays open for the next one.

    Raises:
        Exception: Whatever ``zipfile`` raises for damaged, changed or encrypted archives.
    """
    archive = _open_zip(path, os.getpid())
    member = archive.infolist()[index]
    if member.flag_bits & 1:
        raise zipfile.BadZipFile("it is encrypted")
    return archive.open(member)


@lru_cache(maxsize=8)
def _open_zip(path: str, process: int) -> zipfile.ZipFile:  # noqa: ARG001
    # By process: a forked child would share the file offset with its parent.
    return zipfile.ZipFile(path)


def tar_members(path: str) -> Iterator[tuple[str, IO[bytes]]]:
    """Names of the regular files in a tar archive, each with a stream to read before the next.

    Raises:
        Exception: Whatever ``tarfile`` or the decompressors raise for damaged archives;
            ``tarfile.ReadError`` where ``tarfile`` would end in silence.
    """
    with Path(path).open("rb") as stored:
        stream = _TarStream(stored)
        # mypy wants a whole IO[bytes]; tarfile reads, seeks forward, and asks where it is.
        with tarfile.open(fileobj=stream, mode="r:") as archive:  # type: ignore[call-overload]
            while (member := archive.next()) is not None:
                archive.members.clear()  # or every header stays in memory
                if member.isreg() and (content := archive.extractfile(member)) is not None:
                    yield member.name, content
            # tarfile takes a damaged header for the end. The true end is zeros, or no bytes.
            if stream.last_read.strip(b"\0"):
                raise tarfile.ReadError("a header is damaged")


class _TarStream:
    """What tarfile needs of a file: reads and forward seeks, decompressed and bounded.

    Args:
        stored: The file as stored; the compression is told by its first bytes.
    """

    def __init__(self, stored: IO[bytes]) -> None:
        start = stored.read(6)
        stored.seek(0)
        self._stored = stored
        self._stream: Any = stored
        if start.startswith(b"\x1f\x8b"):
            self._stream = gzip.GzipFile(fileobj=stored)
        elif start.startswith(b"BZh"):
            self._stream = bz2.BZ2File(stored)
        elif start.startswith((b"\xfd7zXZ\0", b"]\0\0")):
            self._stream = lzma.LZMAFile(stored)  # noqa: SIM115 (lives as long as the stream)
        self.last_read = b""

    def tell(self) -> int:
        position: int = self._stream.tell()
        return position

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"a header claims {size:,} bytes")
        data: bytes = self._stream.read(size)
        self.last_read = data
        if self.tell() > _FREE_BYTES + _MAX_EXPANSION * self._stored.tell():
            raise tarfile.ReadError(f"it expands to more than {_MAX_EXPANSION} times its size")
        return data

    def seek(self, position: int) -> int:
        if self._stream is self._stored:
            self._stored.seek(position)
            return position
        while (ahead := position - self.tell()) > 0 and self.read(min(ahead, _SKIP_BYTES)):
            pass
        if ahead < 0:
            raise tarfile.ReadError("a header points back")
        return self.tell()
