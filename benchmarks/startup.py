"""How soon the command line answers, against the import of torch alone.

Each command starts a process of its own; they take turns.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

from benchmarks.harness import ROOT, BenchmarkError, Measured, Ratio, Setting, tell
from benchmarks.rows import Row


def run(setting: Setting) -> Iterator[Row]:
    """Rows of ``startup``."""
    [song] = setting.files()[:1]
    # Each with the exit code that it should have: what dies at once is not quick.
    commands = {
        "help": (["-m", "seqmelody", "--help"], 0),
        "usage": (["-m", "seqmelody", "score", "--no-such-option"], 2),
        "score": (["-m", "seqmelody", "score", song], 0),
        "torch": (["-c", "import torch"], 0),
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    # The first round only fills the page cache.
    for number in range(1 + setting.rounds + 2):
        for name, (words, code) in commands.items():
            started = time.perf_counter()
            done = subprocess.run(
                [sys.executable, *words], capture_output=True, check=False, cwd=ROOT
            )
            if done.returncode != code:
                raise BenchmarkError(f"{name}: ended with {done.returncode}, not with {code}")
            if number:
                seconds[name].append(time.perf_counter() - started)
        tell(f"  round {number} done")
    found = {
        name: Measured([1.0] * len(taken), taken, [{}] * len(taken))
        for name, taken in seconds.items()
    }
    for name, what in (("help", "`seqmelody --help`"), ("usage", "an argument error")):
        yield _absolute(what, found[name], 0.3)
    ratio = Ratio.of(seconds["score"], seconds["torch"])
    yield Row(
        "startup",
        "`seqmelody score` of one file",
        _shown(found["score"]),
        f'`python -c "import torch"`: {_shown(found["torch"])}',
        str(ratio),
        "1.5 at most",
        ratio.median <= 1.5,
        {"ours": seconds["score"], "against": seconds["torch"], "unit": "s", "goal": 1.5},
    )


def _absolute(what: str, found: Measured, goal: float) -> Row:
    seconds = 1 / found.rate
    return Row(
        "startup",
        what,
        _shown(found),
        goal=f"{goal} s at most",
        met=seconds <= goal,
        figures={"ours": found.seconds, "unit": "s", "goal": goal},
    )


def _shown(found: Measured) -> str:
    return f"{1 / found.rate:.2f} s ({min(found.seconds):.2f} to {max(found.seconds):.2f})"
