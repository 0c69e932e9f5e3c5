"""``iter_sources``: the MIDI files in paths, folders and archives, one after the other.

Nothing is unpacked, nothing is listed in advance but one folder at a time, and nothing that is
wrong with one input stops the others: it becomes a source whose ``read`` raises the
``InputError``, in the place where its files would have been.

Not taken for inputs are what macOS adds to archives (``__MACOSX/``, ``._*``), archives within
archives, and archives without MIDI that a folder happens to hold.
"""

# ruff: noqa: PTH112, PTH116, PTH118
# Paths stay as they were given, which pathlib would tidy; and os.path.isdir raises nothing.

from __future__ import annotations

import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from seqmelody.errors import InputError
from seqmelody.midi import archives

MAX_MIDI_BYTES = 16 * 1024 * 1024
"""A MIDI file larger than this (a thousand times a long song) is refused."""

MIDI_SUFFIXES = (".mid", ".midi", ".kar")

_READ_BYTES = 1 << 18

# Opening a pipe or a device must not wait for what is at its other end. Not all systems have all.
_OPEN_FLAGS = os.O_RDONLY
for _flag in ("O_NONBLOCK", "O_NOCTTY", "O_BINARY"):
    _OPEN_FLAGS |= getattr(os, _flag, 0)


@dataclass(frozen=True)
class MidiSource(ABC):
    """One MIDI file that can be read later, also in another process.

    Attributes:
        name: The path as given, with ``!member`` behind an archive.
    """

    name: str

    @abstractmethod
    def read(self) -> bytes:
        """The bytes of the file.

        Raises:
            InputError: They cannot be read, or are more than ``MAX_MIDI_BYTES``.
        """


@dataclass(frozen=True)
class _FileSource(MidiSource):
    def read(self) -> bytes:
        return read_file(self.name, self.name)


@dataclass(frozen=True)
class _ZipSource(MidiSource):
    """Unpacks its member when asked."""

    archive: str
    member: int

    def read(self) -> bytes:
        try:
            with archives.open_zip_member(self.archive, self.member) as stream:
                return read_bounded(stream, self.name)
        except InputError:
            raise
        except Exception as error:
            raise InputError(self.name, f"cannot be read ({one_line(error)})") from error


@dataclass(frozen=True)
class _TarSource(MidiSource):
    """Carries its bytes: a tar archive can only be read from front to back."""

    data: bytes

    def read(self) -> bytes:
        return self.data


@dataclass(frozen=True)
class _FailedSource(MidiSource):
    """An input that gave no MIDI file."""

    reason: str

    def read(self) -> bytes:
        raise InputError(self.name, self.reason)


def iter_sources(paths: Iterable[str | os.PathLike[str]]) -> Iterator[MidiSource]:
    """The MIDI files behind paths, in the order of the paths.

    A folder is walked in sorted order; links are followed, and no folder is entered twice. Its
    ``.mid``, ``.midi`` and ``.kar`` files and the archives in it are taken. A ``.zip`` gives its
    MIDI members in sorted order, a ``.tar`` (``.tar.gz``, ``.tgz``, ``.tar.bz2``, ``.tar.xz``, ...)
    in the order of the archive. Any other file is taken as MIDI, whatever its suffix.

    What cannot be opened or holds no MIDI is yielded as a source whose ``read`` raises the
    ``InputError``; the iteration itself raises nothing.

    Args:
        paths: Files, folders and archives.
    """
    for given in paths:
        path = os.fspath(given)
        if os.path.isdir(path):
            yield from _or_failed(_walk(path), path, "the folder holds no MIDI files")
        elif archives.is_archive(path):
            yield from _or_failed(_members(path), path, "the archive holds no MIDI files")
        else:
            yield _FileSource(path)


def _or_failed(sources: Iterator[MidiSource], path: str, reason: str) -> Iterator[MidiSource]:
    """The sources, or one that fails if there are none."""
    first = next(sources, None)
    if first is None:
        yield _FailedSource(path, f"{reason} ({' '.join(MIDI_SUFFIXES)})")
        return
    yield first
    yield from sources


def _walk(top: str) -> Iterator[MidiSource]:
    entered: set[tuple[int, int]] = set()
    # A stack and no recursion: a tree may be deeper than Python's stack.
    pending = [iter([(top, True)])]
    while pending:
        path, is_folder = next(pending[-1], ("", False))
        if not path:
            pending.pop()
        elif is_folder:
            try:
                status = os.stat(path)
                identity = (status.st_dev, status.st_ino)
                if identity in entered:
                    continue
                entered.add(identity)
                entries = _list(path)
            except OSError as error:
                yield _FailedSource(path, f"the folder cannot be read ({one_line(error)})")
                continue
            pending.append(entries)
        elif _is_midi(path):
            yield _FileSource(path)
        else:
            yield from _members(path)


def _list(folder: str) -> Iterator[tuple[str, bool]]:
    """What to look at in a folder, in sorted order: paths, and whether each is a folder itself.

    Raises:
        OSError: The folder cannot be read.
    """
    names: list[str] = []
    folders: set[str] = set()
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if _is_clutter(name):
                continue
            if _is_folder(entry):
                folders.add(name)
                names.append(name)
            elif _is_midi(name) or archives.is_archive(name):
                names.append(name)
    names.sort()
    # Paths are made one by one: in a folder of a million files they would take 100 MB.
    beginning = os.path.join(folder, "")
    return ((beginning + name, name in folders) for name in names)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()  # the folder's own listing tells, so that no file is asked
    except OSError:
        return False


def _members(path: str) -> Iterator[MidiSource]:
    try:
        _require_regular(os.stat(path))
        if archives.is_zip(path):
            for member, index in archives.zip_members(path):
                if _is_midi(member) and not _is_clutter(member):
                    yield _ZipSource(f"{path}!{member}", path, index)
        else:
            for member, stream in archives.tar_members(path):
                if _is_midi(member) and not _is_clutter(member):
                    yield _tar_source(f"{path}!{member}", stream)
    except Exception as error:  # noqa: BLE001
        # What damaged archives raise comes from five modules, and is listed nowhere.
        yield _FailedSource(path, f"the archive cannot be read to its end ({one_line(error)})")


def _tar_source(name: str, stream: Any) -> MidiSource:
    try:
        return _TarSource(name, read_bounded(stream, name))
    except InputError as error:
        return _FailedSource(name, error.reason)


def read_file(path: str, name: str) -> bytes:
    """The bytes of a regular file.

    Raises:
        InputError: It cannot be read, or is too large.
    """
    try:
        try:
            file = os.open(path, _OPEN_FLAGS)
        except OSError:
            _require_regular(os.stat(path))  # says more on folders, pipes and devices
            raise
        try:
            status = os.fstat(file)
            _require_regular(status)
            size = status.st_size
            if size <= MAX_MIDI_BYTES:
                # One byte more than there is: so a file that grows meanwhile is noticed.
                data = os.read(file, size + 1)
                if len(data) == size:
                    return data
                os.lseek(file, 0, os.SEEK_SET)
            with open(file, "rb", closefd=False) as stream:
                return read_bounded(stream, name)
        finally:
            os.close(file)
    except (OSError, ValueError) as error:
        raise InputError(name, f"cannot be read ({one_line(error)})") from error


def read_bounded(stream: Any, name: str) -> bytes:
    """The bytes of an open file: whatever length it claims, no more than the cap is read.

    Raises:
        InputError: It cannot be read, or is too large.
    """
    parts: list[bytes] = []
    left = MAX_MIDI_BYTES + 1
    try:
        while left > 0 and (part := stream.read(min(left, _READ_BYTES))):
            parts.append(bytes(memoryview(part)))
            left -= len(part)
    except Exception as error:
        raise InputError(name, f"cannot be read ({one_line(error)})") from error
    if left <= 0:
        raise too_large(name)
    return b"".join(parts)


def too_large(name: str) -> InputError:
    """The error for a file above the cap."""
    return InputError(name, f"larger than {MAX_MIDI_BYTES >> 20} MiB, too large for MIDI")


def one_line(error: Exception) -> str:
    """What an error says, in one short line."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    line = " ".join(str(text).split())
    return line if len(line) <= 120 else line[:117] + "..."


def _require_regular(status: os.stat_result) -> None:
    """Reading a pipe or a device could wait for ever."""
    if not stat.S_ISREG(status.st_mode):
        is_folder = stat.S_ISDIR(status.st_mode)
        raise OSError("it is a folder" if is_folder else "it is not a regular file")


def _is_midi(path: str) -> bool:
    return path.lower().endswith(MIDI_SUFFIXES)


def _is_clutter(name: str) -> bool:
    if "__MACOSX" not in name and "._" not in name:
        return False
    parts = name.split("/")
    return parts[-1].startswith("._") or "__MACOSX" in parts
