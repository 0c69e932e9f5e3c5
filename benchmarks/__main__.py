"""Measures seqmelody side by side with what it is compared to.

    python -m benchmarks                       # every comparison; see the list below
    python -m benchmarks prepare training      # some
    python -m benchmarks --quick               # the same in fewer rounds, to see that all works
    python -m benchmarks --json FILE --markdown FILE

Run it in a source checkout while nothing else keeps the cores busy. It gets the Essen folk songs
and prepares them in data/ where they are not there yet. The sides of a comparison take turns, each
in a process of its own; a figure is the median over the rounds, a ratio has its smallest and largest
beside it. Ctrl-C ends it with what was measured until then. MidiTok comes with the extra 'bench'.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import (
    arithmetic,
    fine_tuning,
    fourier,
    gpu,
    inference,
    machine,
    melody_line,
    memory,
    overhead,
    quality,
    reading,
    rendering,
    retrieval,
    scaling,
    startup,
    training,
)
from benchmarks.harness import ROOT, BenchmarkError, Setting, tell
from benchmarks.rows import Row, markdown
from seqmelody.config import usable_cores

BENCHMARKS: dict[str, tuple[Callable[[Setting], Iterator[Row]], str]] = {
    "startup": (startup.run, "--help, and score of one file, against importing torch"),
    "prepare": (reading.run, "MIDI files to a corpus, against MidiTok, symusic and miditoolkit"),
    "training": (training.run, "against a plain PyTorch loop of the same model, and a Transformer"),
    "lightning": (overhead.run, "Lightning's share of a training step"),
    "inference": (inference.run, "against a plain PyTorch loop of the same model"),
    "score": (inference.run_score, "from files, against the model alone on ready batches"),
    "arithmetic": (arithmetic.run, "the share of the cores' arithmetic that is used"),
    "scaling": (scaling.run, "time for more melodies, and for longer ones"),
    "gpu": (gpu.run, "training and inference on a CUDA device, where there is one"),
    "memory": (memory.run, "peak memory for more melodies; takes minutes to an hour"),
    "consistency": (quality.consistency, "of scores and corpora, however they are computed"),
    "limits": (quality.limits, "what the model card warns of"),
    "listeners": (quality.listeners, "what knowing a simulated listener brings"),
    "fine-tuning": (fine_tuning.run, "what is learnt of people's ratings; trains 25 networks"),
    "fourier": (fourier.run, "the DFT learned by butterflies, N = 8 to 1024; trains for an hour"),
    "rendering": (rendering.run, "melodies as audio, against real time"),
    "retrieval": (retrieval.run, "search in a million melodies; all pairs, against rapidfuzz"),
    "melody-line": (melody_line.run, "note F1 of the melody found in chorales, quartets, piano"),
}
"""By name: what measures it, and what it is."""

INTERRUPTED = 130
"""Exit code after Ctrl-C."""

ASKED_FOR = (
    "memory",
    "consistency",
    "limits",
    "listeners",
    "fine-tuning",
    "fourier",
    "rendering",
    "retrieval",
    "melody-line",
)
"""Run only by name."""


def main() -> int:
    """Runs the chosen benchmarks."""
    args = _parser().parse_args()
    unknown = set(args.names) - set(BENCHMARKS)
    if unknown:
        _parser().error(f"no benchmark {', '.join(sorted(unknown))}; see --help")
    if args.rounds is not None and args.rounds < 1:
        _parser().error("--rounds must be 1 or more")
    for file in filter(None, (args.json, args.markdown)):
        try:
            # Now, and not after an hour of measuring.
            Path(file).touch()
        except OSError as error:
            _parser().error(f"{file}: cannot be written ({error.strerror})")
    names = args.names or [name for name in BENCHMARKS if name not in ASKED_FOR]
    rows: list[Row] = []
    failed = 0
    interrupted = False
    described = machine.describe()
    try:
        for name in names:
            failed += not _measure(name, args, rows)
    except KeyboardInterrupt:
        interrupted = True
        tell("interrupted: what follows is what was measured until then")
    table = markdown(rows, described)
    print(table)
    if args.markdown:
        Path(args.markdown).write_text(table + "\n", encoding="utf-8")
    if args.json:
        written = {"machine": described, "rows": [dataclasses.asdict(row) for row in rows]}
        Path(args.json).write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    if interrupted:
        return INTERRUPTED
    return 1 if failed else 0


def _measure(name: str, args: argparse.Namespace, rows: list[Row]) -> bool:
    """Adds the rows of a benchmark as they come; whether all went well."""
    measure, _ = BENCHMARKS[name]
    started = time.monotonic()
    tell(f"{name} ...")
    try:
        midi, corpus = reading.essen(ROOT / "data")
    except (OSError, BenchmarkError) as error:
        tell(f"the Essen folk songs cannot be had: {error}")
        rows.append(Row(name, f"failed: {error}"))
        return False
    # Beside the data and not in a folder that may be kept in memory.
    with tempfile.TemporaryDirectory(prefix=".benchmarks-", dir=midi.parent) as scratch:
        setting = Setting(
            midi,
            corpus,
            Path(scratch),
            rounds=args.rounds or (2 if args.quick else 5),
            quick=args.quick,
            cores=usable_cores(),
            melodies=tuple(args.melodies or ()),
        )
        try:
            for row in measure(setting):
                rows.append(row)  # noqa: PERF402 - as it comes, so that Ctrl-C loses none
        except Exception as error:  # noqa: BLE001 - what fails stops no other
            traceback.print_exc()
            rows.append(Row(name, f"failed: {type(error).__name__}: {error}"))
            return False
    tell(f"{name}: {time.monotonic() - started:.0f} s")
    return True


def _parser() -> argparse.ArgumentParser:
    width = max(map(len, BENCHMARKS))
    lines = [
        f"  {name:<{width}}  {what}{' (only by name)' if name in ASKED_FOR else ''}"
        for name, (_, what) in BENCHMARKS.items()
    ]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        epilog="\n".join(["benchmarks:", *lines]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="one of those below")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds of each comparison")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and less data")
    parser.add_argument(
        "--melodies",
        type=int,
        nargs="+",
        metavar="N",
        help="sizes for scaling and memory, as in --melodies 10000 1000000",
    )
    parser.add_argument("--json", metavar="FILE", help="write all numbers there as well")
    parser.add_argument("--markdown", metavar="FILE", help="write the table there as well")
    return parser


if __name__ == "__main__":
    sys.exit(main())
