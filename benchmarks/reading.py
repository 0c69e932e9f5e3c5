"""Reading and preparing MIDI files, against what else reads them.

All sides run in one process and one thread, on Essen's files, which lie in the page cache. Ours is
``seqmelody.corpus.prepare`` with one worker, all of it: reading, choosing the line, tokens,
duplicates, splits, and the corpus on disk. The others do less: MidiTok turns a path into tokens
and keeps none of them, symusic and miditoolkit only parse. Those that are slow get every fourth
file, spread evenly; the rates are per file, so that they can be compared.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import BenchmarkError, Setting, Side, interleave
from benchmarks.rows import Row, compared
from benchmarks.side import Rounds

SLOW_SHARE = 4


def run(setting: Setting) -> Iterator[Row]:
    """Rows of ``prepare``."""
    files = {"files": setting.files(SLOW_SHARE if setting.quick else 1)}
    some = {"files": setting.files(SLOW_SHARE * (4 if setting.quick else 1))}
    here = "benchmarks.reading:"
    sides = {
        "prepare": Side(f"{here}prepare", {**files, "scratch": str(setting.scratch)}, threads=1),
        "symusic": Side(f"{here}symusic_parse", files, threads=1),
        "symusic, notes as NumPy": Side(f"{here}symusic_notes", files, threads=1),
        "miditoolkit": Side(f"{here}miditoolkit_parse", some, threads=1),
    }
    miditok = importlib.util.find_spec("miditok") is not None
    if miditok:
        sides["MidiTok"] = Side(f"{here}miditok_tokens", some, threads=1)
    found = interleave(sides, setting.rounds)
    ours = found["prepare"]
    name, what, unit = "prepare", "prepare, one process, to a corpus on disk", "files/s"
    if miditok:
        yield compared(name, what, ours, "MidiTok REMI, to tokens", found["MidiTok"], unit, 15)
    else:
        yield Row(
            name,
            what,
            f"{ours.rate:,.0f} {unit}",
            "MidiTok REMI: not installed; pip install -c constraints.txt -e '.[bench]'",
            goal="15 or more",
        )
    parsed = found["symusic"]
    yield compared(name, what, ours, "symusic.Score, parsing alone", parsed, unit, 0.5)
    notes = "symusic, notes as NumPy"
    yield compared(name, what, ours, notes, found[notes], unit)
    yield compared(name, what, ours, "miditoolkit.MidiFile", found["miditoolkit"], unit)
    yield command_row(
        setting, name, ["prepare", str(setting.midi), "--workers", str(setting.cores)], out=True
    )


def essen(data: Path) -> tuple[Path, Path]:
    """The Essen folk songs as MIDI and as a corpus, got and prepared if need be."""
    midi, corpus = data / "essen", data / "essen.corpus"
    if not midi.is_dir():
        command(["corpus", "essen", "--out", str(midi)])
    if not corpus.is_dir():
        command(["prepare", str(midi), "--out", str(corpus)])
    return midi, corpus


def command_row(setting: Setting, name: str, words: list[str], *, out: bool) -> Row:
    """Wall time of a command on all of Essen's files, process start included."""
    target = setting.scratch / "command"
    seconds = []
    for _ in range(1 if setting.quick else 3):
        started = time.perf_counter()
        command([*words, "--out", str(target)] if out else words)
        seconds.append(time.perf_counter() - started)
        shutil.rmtree(target, ignore_errors=True)
    shown = [word for word in words if word != str(setting.midi)]
    middle = sorted(seconds)[len(seconds) // 2]
    return Row(
        name,
        f"`seqmelody {' '.join(shown)}` of Essen's files, wall time",
        f"{middle:.1f} s ({min(seconds):.1f} to {max(seconds):.1f})",
        figures={"ours": seconds, "unit": "s"},
    )


def command(words: list[str]) -> None:
    """Runs a command of the project to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "seqmelody", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    # 1 says that some inputs failed, which a corpus may have, or a set of files to score.
    if done.returncode and (done.returncode != 1 or words[0] == "train"):
        raise BenchmarkError(f"seqmelody {' '.join(words)}: {done.stderr.strip()}")


# Sides


def prepare(rounds: Rounds, files: list[str], scratch: str) -> None:
    """Ours."""
    from seqmelody.corpus import prepare as build

    out = Path(scratch) / "prepared"
    build(files[:100], out, progress=False)
    while rounds.next():
        with rounds.measured(len(files)):
            build(files, out, workers=1, progress=False)


def symusic_parse(rounds: Rounds, files: list[str]) -> None:
    """The parser that we use, alone."""
    from symusic import Score

    _warm(files)
    while rounds.next():
        with rounds.measured(len(files)):
            for path in files:
                Score(path)


def symusic_notes(rounds: Rounds, files: list[str]) -> None:
    """The same, and the notes of each track as arrays."""
    from symusic import Score

    _warm(files)
    while rounds.next():
        with rounds.measured(len(files)):
            for path in files:
                for track in Score(path).tracks:
                    track.notes.numpy()


def miditoolkit_parse(rounds: Rounds, files: list[str]) -> None:
    """The object model that many people use."""
    from miditoolkit import MidiFile

    _warm(files)
    while rounds.next():
        with rounds.measured(len(files)):
            for path in files:
                try:
                    MidiFile(path)
                except Exception:  # noqa: BLE001, S112 - it refuses two files of Essen
                    continue


def miditok_tokens(rounds: Rounds, files: list[str]) -> None:
    """MidiTok's default tokenizer, from a path to tokens."""
    from miditok import REMI

    _warm(files)
    tokenizer = REMI()
    for path in files[:50]:
        tokenizer(path)
    while rounds.next():
        with rounds.measured(len(files)):
            for path in files:
                tokenizer(path)


def _warm(files: list[str]) -> None:
    """Has the files in the page cache."""
    for path in files:
        Path(path).read_bytes()
