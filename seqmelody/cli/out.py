"""The file that ``--out`` names: whether it can be written, told before any work is done."""

from __future__ import annotations

import os
from pathlib import Path

from seqmelody.errors import UsageError


def require_writable(given: str) -> Path:
    """The file that ``--out`` means; its folder is not made yet.

    The result takes the place of what is there, which must not be a device, a pipe or a link.

    Raises:
        UsageError: No file can be written there.
    """
    out = Path(os.path.realpath(given))
    try:
        if out.is_dir():
            raise UsageError(f"{given}: --out must name a file, and this is a folder")
        # Asked of the given path: a pipe behind /proc/self/fd has a real path that does not exist.
        if Path(given).exists() and not Path(given).is_file():
            raise UsageError(f"{given}: --out must name a regular file, and this is none")
        # The folder, or the one that is there of those it lies in.
        there = next(folder for folder in out.parents if folder.exists())
        tried = there / temporary(out).name
        tried.touch()
        tried.unlink()
    except OSError as error:
        raise UsageError(f"{given}: cannot be written to ({error.strerror})") from error
    return out


def temporary(out: Path) -> Path:
    """Where a result is written until it is whole."""
    return out.with_name(f".{out.name}.{os.getpid()}.part")
