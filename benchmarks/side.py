"""One side of a comparison, in a process of its own.

``interleave`` in ``benchmarks.harness`` starts ``python -m benchmarks.side MODULE:FUNCTION``, writes
a line of JSON to it, waits until it has set itself up, and asks for one round at a time, so that the
sides of a comparison take turns. The function is called with a ``Rounds`` and with the settings that
the JSON holds; it sets itself up, and then

    while rounds.next():
        ...
        rounds.report(units, seconds)

Between rounds the process waits for a line, and keeps no core busy. What anything prints goes to
standard error, so that it cannot be taken for an answer.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Rounds:
    """Waits to be asked for a round, and answers."""

    def __init__(self) -> None:
        self._answers = os.fdopen(os.dup(1), "w", buffering=1)
        os.dup2(2, 1)

    def next(self) -> bool:
        """Whether there is one more round; waits until it is asked for."""
        self._answers.write(json.dumps({"ready": True}) + "\n")
        return sys.stdin.readline().strip() == "round"

    def report(self, units: float, seconds: float, **more: Any) -> None:
        """What a round did (notes, files, ...), in how long, and what else there is to say."""
        self._answers.write(json.dumps({"units": units, "seconds": seconds, **more}) + "\n")

    @contextmanager
    def measured(self, units: float, **more: Any) -> Iterator[None]:
        """Reports a block that does ``units``."""
        started = time.perf_counter()
        yield
        self.report(units, time.perf_counter() - started, **more)


def main() -> None:
    """Runs the side that the arguments name."""
    module, function = sys.argv[1].split(":")
    rounds = Rounds()
    try:
        getattr(importlib.import_module(module), function)(
            rounds, **json.loads(sys.stdin.readline())
        )
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
