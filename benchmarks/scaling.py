"""Time for more melodies, and for more notes in one piece: nothing may grow faster than they do.

The melodies are drawn by ``benchmarks.synthetic``. Each command runs within one process that has
loaded everything and has run it once, so that a start is not counted; ``score`` and ``embed`` take
the corpus that ``prepare`` wrote. The exponent is the slope of a straight line through the logarithms
of the sizes and of the times: 1 is linear, 2 is quadratic, and below 1 there is something that takes
the same time whatever the size. That hides what grows faster among small sizes, so the goal is about
the steepest slope between two sizes that follow each other.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.harness import BenchmarkError, Setting, Side, interleave, tell
from benchmarks.rows import Row
from benchmarks.side import Rounds

MELODIES = (1_000, 10_000, 100_000)
NOTES = (100, 1_000, 10_000, 100_000)
STEEPEST = 1.1
HERE = "benchmarks.scaling:"


def run(setting: Setting) -> Iterator[Row]:
    """Rows of ``scaling``."""
    yield from _pieces(setting)
    yield from _melodies(setting)


def archives(setting: Setting, sizes: tuple[int, ...]) -> list[Path]:
    """An archive of MIDI files for each size."""
    from benchmarks.synthetic import write_archive
    from seqmelody.corpus import Corpus

    corpus = Corpus.open(setting.corpus)
    paths = []
    for size in sizes:
        tell(f"  drawing {size:,} melodies")
        paths.append(setting.scratch / f"{size}.tar")
        write_archive(corpus, paths[-1], size)
    return paths


def _melodies(setting: Setting) -> Iterator[Row]:
    sizes = setting.melodies or ((500, 2_000) if setting.quick else MELODIES)
    paths = archives(setting, sizes)
    corpora = [str(setting.scratch / f"{size}.corpus") for size in sizes]
    cores = str(setting.cores)
    commands = {
        "prepare": [
            ["prepare", str(path), "--out", corpus, "--workers", cores]
            for path, corpus in zip(paths, corpora, strict=True)
        ],
        "score": [["score", corpus, "--format", "json"] for corpus in corpora],
        "embed": [
            ["embed", corpus, "--out", str(setting.scratch / "embedded.parquet")]
            for corpus in corpora
        ],
    }
    # The small ones several times, since they are over soon.
    plan = [number for number, size in enumerate(sizes) for _ in range(3 if size < 20_000 else 1)]
    for name, words in commands.items():
        settings = {"commands": [words[number] for number in plan]}
        found = interleave({name: Side(f"{HERE}command", settings)}, len(plan))[name]
        seconds = _by_size([sizes[number] for number in plan], found.seconds)
        yield _row(f"`{name}`, {{}} melodies, {cores} cores", "melody", seconds)


def _pieces(setting: Setting) -> Iterator[Row]:
    from benchmarks.synthetic import write_piece
    from seqmelody.corpus import Corpus

    corpus = Corpus.open(setting.corpus)
    paths = [setting.scratch / f"{notes}.mid" for notes in NOTES]
    for path, notes in zip(paths, NOTES, strict=True):
        write_piece(corpus, path, notes)
    plan = [number for number in range(len(NOTES)) for _ in range(3)]
    settings = {"paths": [str(paths[number]) for number in plan]}
    found = interleave({"one piece": Side(f"{HERE}piece", settings)}, len(plan))["one piece"]
    for part in ("read", "tokenise", "score"):
        taken = [more[part] for more in found.more]
        seconds = _by_size([NOTES[number] for number in plan], taken)
        yield _row(f"{part} one piece of {{}} notes", "note", seconds)


def _by_size(sizes: list[int], seconds: list[float]) -> dict[int, float]:
    """The median for each size."""
    taken: dict[int, list[float]] = defaultdict(list)
    for size, second in zip(sizes, seconds, strict=True):
        taken[size].append(second)
    return {size: statistics.median(values) for size, values in taken.items()}


def _row(what: str, unit: str, seconds: dict[int, float]) -> Row:
    sizes = list(seconds)
    each = [1e6 * seconds[size] / size for size in sizes]
    size_log, second_log = np.log(sizes), np.log(list(seconds.values()))
    exponent, steepest = 1.0, 1.0
    if len(sizes) > 1:
        exponent = float(np.polyfit(size_log, second_log, 1)[0])
        steepest = float((np.diff(second_log) / np.diff(size_log)).max())
    return Row(
        "scaling",
        what.format(" → ".join(f"{size:,}" for size in sizes)),
        " → ".join(f"{micros:,.3g}" for micros in each) + f" µs a {unit}",
        ratio=f"exponent {exponent:.2f}, steepest {steepest:.2f}",
        goal=f"linear: steepest at most {STEEPEST}",
        met=steepest <= STEEPEST if len(sizes) > 1 else None,
        figures={
            "sizes": sizes,
            "seconds": list(seconds.values()),
            "exponent": exponent,
            "steepest": steepest,
        },
    )


# Sides


def command(rounds: Rounds, commands: list[list[str]]) -> None:
    """Commands of the project, one a round, without the start of a process."""
    from seqmelody.cli import main

    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        _done(main(commands[0]))
        for words in commands:
            if not rounds.next():
                return
            with rounds.measured(1):
                _done(main(words))
    rounds.next()


def _done(code: int) -> None:
    if code:
        raise BenchmarkError(f"a command ended with {code}")


def piece(rounds: Rounds, paths: list[str]) -> None:
    """Reads, encodes and scores one piece a round."""
    from seqmelody import Scorer
    from seqmelody.midi import read_melody

    scorer = Scorer.load()
    scorer.score(paths[0])
    for path in paths:
        if not rounds.next():
            return
        # What takes less than a millisecond is done several times.
        times = max(1, 200_000 // Path(path).stat().st_size)
        marks = [time.perf_counter()]
        for _ in range(times):
            melody = read_melody(path).melody
        marks.append(time.perf_counter())
        for _ in range(times):
            scorer.tokenizer.encode(melody)
        marks.append(time.perf_counter())
        for _ in range(times):
            scorer.score(melody)
        marks.append(time.perf_counter())
        read, tokenise, score = (np.diff(marks) / times).tolist()
        rounds.report(len(melody), marks[-1] - marks[0], read=read, tokenise=tokenise, score=score)
    rounds.next()
