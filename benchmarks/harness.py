"""Comparisons in turns: the sides A and B run A B A B ..., each in a process of its own.

A machine is never quite the same for long: it heats up, others use it. So the sides of a comparison
take turns, and each round of one is compared with the same round of the other. What is reported is
the median over the rounds, and for a ratio also the smallest and the largest of them. Each side has
its own process, since the number of threads can be set only once, and since one library's threads
and memory should not be another's. Each has set itself up, and has run once unmeasured where that
makes a difference, before the first round.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


class BenchmarkError(Exception):
    """A side of a comparison could not be run."""


@dataclass(frozen=True)
class Setting:
    """What every benchmark is told.

    Attributes:
        midi: Folder of Essen's MIDI files.
        corpus: The corpus of them.
        scratch: Folder for what is written on the way.
        rounds: Of each comparison.
        quick: Do less, to see that all is well.
        cores: That this process may use.
        melodies: Sizes that the command line asks for, of what is measured at several sizes.
    """

    midi: Path
    corpus: Path
    scratch: Path
    rounds: int
    quick: bool
    cores: int
    melodies: tuple[int, ...] = ()

    def files(self, every: int = 1) -> list[str]:
        """The paths of Essen's files, or of a share of them spread evenly."""
        return [str(path) for path in sorted(self.midi.rglob("*.mid"))[::every]]


@dataclass(frozen=True)
class Side:
    """One side of a comparison.

    Attributes:
        function: ``module:function``, see ``benchmarks.side``.
        settings: What it is called with, besides the rounds.
        threads: ``OMP_NUM_THREADS`` of the process; by default it is not set, and torch takes one
            thread a core.
    """

    function: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    threads: int | None = None


@dataclass(frozen=True)
class Measured:
    """What the rounds of one side gave.

    Attributes:
        units: Done in each round.
        seconds: That each took.
        more: What else each round said.
    """

    units: list[float]
    seconds: list[float]
    more: list[dict[str, Any]]

    @property
    def rates(self) -> list[float]:
        """Units a second, by round."""
        return [units / seconds for units, seconds in zip(self.units, self.seconds, strict=True)]

    @property
    def rate(self) -> float:
        """The median."""
        return statistics.median(self.rates)


@dataclass(frozen=True)
class Ratio:
    """Ratio of two sides: the median over the rounds, the smallest and the largest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
        """Round by round."""
        ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
        return cls(statistics.median(ratios), min(ratios), max(ratios))

    def __str__(self) -> str:
        return f"{self.median:.3g} ({self.low:.3g} to {self.high:.3g})"


class _Process:
    """A side that runs."""

    def __init__(self, name: str, side: Side) -> None:
        self.name = name
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by ``end``
        environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
        if side.threads is not None:
            environment["OMP_NUM_THREADS"] = str(side.threads)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.side", side.function],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            bufsize=1,
            cwd=ROOT,
            env=environment,
            # Ctrl-C is for the parent, which then ends this and all that it has started.
            start_new_session=True,
        )
        # Not as an argument: a list of files may be longer than those can be.
        self._write(json.dumps(side.settings))

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        # A process that has died is found out when its answer is waited for.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(line + "\n")

    def wait(self) -> dict[str, Any]:
        """Its next answer."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            said = [line for line in self._errors.read().splitlines() if line.strip()]
            raise BenchmarkError(f"{self.name}: {said[-1] if said else 'ended without a word'}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def round(self) -> dict[str, Any]:
        """Has one round run; waits until it has answered, and stands ready for the next."""
        self._write("round")
        answer = self.wait()
        self.wait()
        return answer

    def end(self) -> None:
        """Ends it and its children."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            # What was written to a process that has died cannot be flushed.
            with contextlib.suppress(OSError):
                stream.close()
        self._process.wait()
        self._errors.close()


def interleave(sides: Mapping[str, Side], rounds: int) -> dict[str, Measured]:
    """Runs the sides in turns.

    Args:
        sides: By name.
        rounds: How often each runs.

    Raises:
        BenchmarkError: A side failed.
    """
    processes: dict[str, _Process] = {}
    answers: dict[str, list[dict[str, Any]]] = {name: [] for name in sides}
    try:
        for name, side in sides.items():
            processes[name] = _Process(name, side)
        for name, process in processes.items():
            tell(f"  setting up: {name}")
            process.wait()
        for number in range(rounds):
            for name, process in processes.items():
                answer = process.round()
                answers[name].append(answer)
                rate = answer["units"] / answer["seconds"]
                tell(f"  round {number + 1} of {rounds}: {name}: {rate:,.4g} a second")
    finally:
        for process in processes.values():
            process.end()
    return {
        name: Measured(
            [answer.pop("units") for answer in given],
            [answer.pop("seconds") for answer in given],
            given,
        )
        for name, given in answers.items()
    }


def tell(line: str) -> None:
    """Progress, on standard error."""
    print(line, file=sys.stderr, flush=True)
