"""``prepare``: from MIDI files to a corpus, in one step or not at all."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from seqmelody.corpus import passes
from seqmelody.corpus.families import Families
from seqmelody.corpus.format import MELODIES_FILE, METADATA_KEY, REPORT_FILE, Header
from seqmelody.corpus.labels import Labels
from seqmelody.corpus.reading import ReadSettings
from seqmelody.corpus.report import Tally, counted
from seqmelody.errors import CorpusError, SeqmelodyError, UsageError
from seqmelody.midi import MelodyLine
from seqmelody.tokens import Tokenizer

_WORKING = ".prepare"
_LOCK = ".prepare.lock"


def prepare(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    labels: str | os.PathLike[str] | None = None,
    together: str | None = None,
    line: MelodyLine = MelodyLine(),
    workers: int = 1,
    min_notes: int = 16,
    max_notes: int = 512,
    seed: int = 0,
    tokenizer: Tokenizer = Tokenizer(),
    progress: bool = True,
) -> dict[str, Any]:
    """Build a corpus from MIDI files.

    Interrupted or failed, it leaves the corpus that was there. The same files, options and seed
    give the same Parquet file, byte for byte, with any number of workers.

    A melody's id is its name below the path it was found under, without suffix; where several
    have the same, the later ones get ``~2``, ``~3`` and so on.

    Args:
        paths: Files, folders and archives.
        out: Folder for the corpus; made if missing.
        labels: CSV file of labels; see ``seqmelody.corpus.labels``.
        together: A column of labels, such as one of tune families: melodies with the same value
            share a split, as near-duplicates do, and so do those that a chain of both links. Those
            without a value go with their near-duplicates alone.
        line: Which line of a file is its melody.
        workers: Processes that read. With several, call it under ``if __name__ == "__main__":``.
        min_notes: Shorter melodies are skipped.
        max_notes: Longer melodies are skipped.
        seed: Another seed gives other splits.
        tokenizer: Encodes the melodies.
        progress: Show a progress bar on stderr, if that is a terminal.

    Returns:
        What ``report.json`` holds.

    Raises:
        UsageError: Wrong arguments or labels, no column to keep together, or ``out`` holds
                something else.
        CorpusError: Of the files that could be read, none gave a melody to keep.
        SeqmelodyError: No file could be read, a worker process died, or the disk is full.
    """
    started = time.monotonic()
    if isinstance(paths, (str, os.PathLike)):
        paths = [paths]
    roots = [os.fspath(path) for path in paths]
    if workers < 1:
        raise UsageError(f"workers must be 1 or more, not {workers}")
    if not 2 <= min_notes <= max_notes:
        raise UsageError(
            f"min_notes must be 2 or more and at most max_notes, not {min_notes} and {max_notes}"
        )
    table = None if labels is None else Labels.read(Path(labels))
    families = None
    if together is not None:
        if table is None:
            raise UsageError(f"keeping {together!r} together needs a file of labels that has it")
        families = Families.of(table, together)
    settings = ReadSettings(line, tokenizer, min_notes, max_notes)
    _refuse_music(Path(out), roots)
    with _working_folder(Path(out)) as working:
        found = passes.read(roots, settings, workers, working, progress=progress)
        if not found.notes.size:
            raise _nothing_kept(found.tally)
        plan = passes.plan(found, working, seed, families)
        summary = passes.summary(found, plan)
        header = Header(tokenizer, passes.digest(found, plan, table), summary)
        matched = passes.write(found, plan, table, header, working / MELODIES_FILE)
        report = {
            **summary,
            "digest": header.digest,
            "tokenizer": tokenizer.to_dict(),
            "options": {
                "paths": roots,
                "line": str(line),
                "min_notes": min_notes,
                "max_notes": max_notes,
                "seed": seed,
                "together": together,
                "workers": workers,
            },
            "failed": found.tally.failed,
            "skipped": found.tally.skipped,
            "duplicates": passes.duplicates(found, plan),
            "lines": found.tally.lines,
            "changes": found.tally.changes,
            "labels": matched,
            "seconds": round(time.monotonic() - started, 3),
        }
        with (working / REPORT_FILE).open("w", encoding="utf-8") as file:
            json.dump(report, file, indent=1, ensure_ascii=False)
        # The corpus is this one file. The report carries the same digest.
        for name in (MELODIES_FILE, REPORT_FILE):
            _sync(working / name)
            (working / name).replace(Path(out) / name)
    return report


def _nothing_kept(tally: Tally) -> SeqmelodyError:
    if tally.failed and not tally.skipped:
        return SeqmelodyError(f"no melody could be read: {tally.reasons()}")
    among = f"no melody to keep among {counted(tally.read, 'file')}"
    return CorpusError(f"{among}: {tally.reasons()}" if tally.read else among)


@contextmanager
def _working_folder(out: Path) -> Iterator[Path]:
    """A folder for temporary files within ``out``, removed afterwards; one process at a time.

    Raises:
        UsageError: ``out`` cannot be used, or another process is preparing there.
        SeqmelodyError: An operation on a file failed, as on a full disk.
    """
    missing = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = FileLock(out / _LOCK, timeout=0)
        lock.acquire()
    except Timeout as error:
        raise UsageError(f"{out}: another process is preparing a corpus here") from error
    except (OSError, NotImplementedError) as error:
        raise UsageError(f"{out}: cannot be written to ({_reason(error)})") from error
    working = out / _WORKING
    try:
        _refuse_foreign(out)
        # Under the lock, such a folder can only be what a killed process left.
        shutil.rmtree(working, ignore_errors=True)
        working.mkdir()
        yield working
    except (OSError, pa.ArrowException) as error:
        raise SeqmelodyError(
            f"{out}: the corpus could not be written ({_reason(error)}); nothing was changed"
        ) from error
    finally:
        shutil.rmtree(working, ignore_errors=True)
        lock.release()
        if missing and not (out / MELODIES_FILE).exists():
            (out / _LOCK).unlink(missing_ok=True)
            out.rmdir()


def _refuse_music(out: Path, roots: Sequence[str]) -> None:
    """Keeps a corpus out of the music: the folder would count as a corpus from then on."""
    for root in roots:
        if Path(os.path.realpath(root)).is_relative_to(os.path.realpath(out)):
            raise UsageError(f"{out}: holds what is to be read ({root}); give another --out")


def _refuse_foreign(out: Path) -> None:
    """Protect files of the same names that ``prepare`` did not write."""
    path = out / MELODIES_FILE
    if not path.exists():
        if (out / REPORT_FILE).exists():
            raise UsageError(
                f"{out}: holds a {REPORT_FILE} of something else; choose another folder"
            )
        return
    try:
        metadata = pq.read_metadata(path).metadata or {}
    except (OSError, pa.ArrowException):
        return  # a damaged corpus may be replaced
    if METADATA_KEY not in metadata:
        raise UsageError(f"{path}: a Parquet file, but not a corpus; choose another folder")


def _sync(path: Path) -> None:
    """Have a file on disk before it takes another's place."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _reason(error: BaseException) -> str:
    return " ".join(str(getattr(error, "strerror", None) or error).split())
