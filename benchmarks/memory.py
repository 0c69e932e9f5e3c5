"""Peak memory of the commands for few melodies and for many.

``prepare`` and ``score`` read an archive that ``benchmarks.synthetic`` has drawn, ``train`` and
``embed`` the corpus that ``prepare`` wrote of it. Each runs in a process of its own, and the memory of
it and of all its children is added up twenty times a second, what several of them share counted once
(the kernel's proportional set size). Two peaks are told: *own* is what the processes hold themselves,
and what the goal is about; *with files* adds the pages of files that they have mapped, a corpus among
them, which the kernel takes back when memory runs short. Training takes few steps, since more of them
are the same again, but validates, and scores all training melodies in the end, as every run does.

With the default sizes this takes about ten minutes on two cores; 1,000,000 melodies take an hour or
more, and 6 GB of disk.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import ROOT, BenchmarkError, Setting, tell
from benchmarks.rows import Row
from benchmarks.scaling import archives

MELODIES = (10_000, 100_000)
LARGEST_GROWTH_MB = 100
STEPS = 40
INTERVAL_SECONDS = 0.05


def run(setting: Setting) -> Iterator[Row]:
    """Rows of ``memory``."""
    if not Path("/proc/self/smaps_rollup").exists():
        yield Row("memory", "skipped: the kernel does not tell (/proc/self/smaps_rollup)")
        return
    sizes = tuple(sorted(setting.melodies)) or ((500, 2_000) if setting.quick else MELODIES)
    paths = archives(setting, sizes)
    commands = {
        size: _commands(setting.scratch, size, path)
        for size, path in zip(sizes, paths, strict=True)
    }
    for name in commands[sizes[0]]:
        measured = [_measured(name, size, commands[size][name]) for size in sizes]
        yield _row(name, sizes, measured)


def _measured(name: str, size: int, words: list[str]) -> tuple[float, float]:
    started = time.monotonic()
    peak = _peak_mb(words)
    own, files = (f"{megabytes:,.0f} MB" for megabytes in peak)
    seconds = time.monotonic() - started
    tell(f"  {name}, {size:,} melodies: {own}, with files {files}; {seconds:.0f} s")
    return peak


def _row(name: str, sizes: tuple[int, ...], measured: list[tuple[float, float]]) -> Row:
    own, files = ([peak[part] for peak in measured] for part in (0, 1))
    growth = own[-1] - own[0]
    return Row(
        "memory",
        f"peak memory of `{name}`, {' → '.join(f'{size:,}' for size in sizes)} melodies",
        f"own {_arrows(own)} MB; with files {_arrows(files)} MB",
        ratio=f"{growth:+,.0f} MB",
        goal=f"grows by less than {LARGEST_GROWTH_MB} MB",
        met=growth < LARGEST_GROWTH_MB if len(sizes) > 1 else None,
        figures={"sizes": list(sizes), "own_mb": own, "with_files_mb": files},
    )


def _commands(scratch: Path, size: int, archive: Path) -> dict[str, list[str]]:
    corpus = str(scratch / f"{size}.corpus")
    train = ["--corpus", corpus, "--out", str(scratch / f"{size}.run")]
    train += ["--steps", str(STEPS), "--validate_every", str(STEPS)]
    return {
        "prepare": ["prepare", str(archive), "--out", corpus],
        "train": ["train", *train],
        "score": ["score", str(archive), "--format", "json"],
        "embed": ["embed", corpus, "--out", str(scratch / f"{size}.parquet")],
    }


def _peak_mb(words: list[str]) -> tuple[float, float]:
    """Own memory, and that with mapped files, of a command at their highest."""
    own = files = 0.0
    # A file and no pipe, which would stand still when full.
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            [sys.executable, "-m", "seqmelody", *words],
            stdout=subprocess.DEVNULL,
            stderr=errors,
            cwd=ROOT,
        ) as process,
    ):
        try:
            while process.poll() is None:
                now = [_memory_kb(number) for number in _tree(process.pid)]
                own = max(own, sum(part[0] for part in now) / 1024)
                files = max(files, sum(part[1] for part in now) / 1024)
                time.sleep(INTERVAL_SECONDS)
        except BaseException:
            process.kill()
            raise
        errors.seek(0)
        said = errors.read().strip()
    if process.returncode:
        raise BenchmarkError(f"seqmelody {words[0]}: {said[-300:]}")
    return own, files


def _tree(number: int) -> list[int]:
    """A process and its descendants."""
    found = [number]
    for process in found:
        for children in Path(f"/proc/{process}/task").glob("*/children"):
            try:
                found += map(int, children.read_text().split())
            except OSError:
                continue
    return found


def _memory_kb(number: int) -> tuple[int, int]:
    """Own memory of a process, and that with mapped files; shared pages by their share."""
    try:
        lines = Path(f"/proc/{number}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0, 0
    parts = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.endswith("kB")}
    return parts.get("Pss_Anon", 0) + parts.get("Pss_Shmem", 0), parts.get("Pss", 0)


def _arrows(megabytes: list[float]) -> str:
    return " → ".join(f"{value:,.0f}" for value in megabytes)
