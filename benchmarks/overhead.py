"""Lightning's share of a training step.

One side is ``seqmelody train``, held between rounds as ``benchmarks.training`` says; the other is a
bare loop with our model, objective, optimizer and schedule. Both take the very same batches in the
same rounds, in as many threads: one, where timings are steady, and one a core. The difference is
what Lightning adds: its loop, the callbacks and the logs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from benchmarks.harness import Ratio, Setting, Side, interleave
from benchmarks.rows import Row, compared
from benchmarks.training import HERE as TRAINING
from benchmarks.training import common_settings, scratch_folder


def run(setting: Setting) -> Iterator[Row]:
    """Rows of ``lightning``."""
    for threads in sorted({1, setting.cores}):
        yield _row(setting, threads)


def _row(setting: Setting, threads: int) -> Row:
    common = {**common_settings(setting), "threads": threads}
    sides = {
        "through Lightning": Side(
            f"{TRAINING}ours", {**common, "scratch": scratch_folder(setting)}
        ),
        "bare loop": Side(f"{TRAINING}our_batches", {**common, "model": "ours"}),
    }
    found = interleave(sides, setting.rounds if setting.quick else 2 * setting.rounds)
    through, bare = found["through Lightning"], found["bare loop"]
    # Both take the same batches in the same rounds.
    share = Ratio.of(
        [1 - lightning / loop for lightning, loop in zip(through.rates, bare.rates, strict=True)],
        [1.0] * len(bare.rates),
    )
    what = f"training through Lightning, {threads} thread(s)"
    row = compared("lightning", what, through, "bare loop", bare, "notes/s")
    percent = [f"{100 * value:.1f}" for value in dataclasses.astuple(share)]
    row.goal = "5 % of a step at most"
    row.ratio += f"; Lightning's share {percent[0]} % ({percent[1]} to {percent[2]})"
    row.met = share.median <= 0.05
    row.figures["share"] = dataclasses.asdict(share)
    return row
