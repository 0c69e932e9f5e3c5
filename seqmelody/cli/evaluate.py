"""``seqmelody evaluate``: how good a checkpoint is, alone or beside other methods."""

from __future__ import annotations

import argparse

from seqmelody.cli.scoring import CHECKPOINT_HELP
from seqmelody.config import SHIPPED

HELP = "measure how good a checkpoint is, beside other methods"
DESCRIPTION = """\
Measures a checkpoint on the melodies of a corpus that it was not trained on: how often a melody
outscores a spoiled copy of itself, kind by kind, with intervals; and whether scores hinge on the
key. With --against, other checkpoints and baselines are measured on the same copies.

  seqmelody evaluate runs/quick/checkpoint data/essen.corpus --json report.json
  seqmelody evaluate runs/quick/checkpoint data/essen.corpus --against length ngram

With --suite, a file says which methods are measured on which tasks: corruption, ratings, ratings
learnt, people against machines, stability, cost, retrieval of variants, labels told from embeddings
(probe); several trainings may count as one method. What is missing is skipped, and a method that
fails stops no other; the exit code then is 1.

  seqmelody evaluate --suite configs/evaluation.yaml --html report.html"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("checkpoint", nargs="?", help=CHECKPOINT_HELP)
    parser.add_argument("corpus", nargs="?", help="folder that 'seqmelody prepare' wrote")
    parser.add_argument(
        "--against",
        nargs="+",
        metavar="METHOD",
        default=[],
        help="other checkpoints, baselines (length, density, ...) and 'untrained' to put beside it",
    )
    parser.add_argument("--suite", metavar="FILE", help="YAML file of methods, data and tasks")
    parser.add_argument("--json", metavar="FILE", help="write the figures here as well")
    parser.add_argument("--csv", metavar="FILE", help="write a suite's figures here as well")
    parser.add_argument("--html", metavar="FILE", help="write a suite's report, with plots, here")
    parser.add_argument(
        "--split",
        choices=["train", "validation", "test"],
        default="test",
        help="which melodies to use (default: %(default)s)",
    )
    parser.add_argument(
        "--copies",
        type=_positive,
        default=3,
        help="spoiled copies of each kind, for each melody (default: %(default)s)",
    )
    parser.add_argument("--seed", type=_seed, default=0, help="of the spoiling (default: 0)")
    # Which arguments go together is known only when all are read.
    parser.set_defaults(wrong_usage=parser.error)


def run(args: argparse.Namespace) -> int:
    """Prints the table; 1 if a method failed, or something of a suite was missing."""
    from pathlib import Path

    from seqmelody.errors import UsageError

    for file in (args.json, args.csv, args.html):
        # Hours later would be late.
        if file is not None and not Path(file).absolute().parent.is_dir():
            raise UsageError(f"{file}: its folder does not exist")
        if file is not None and Path(file).is_dir():
            raise UsageError(f"{file}: is a folder")
    if args.suite is not None:
        if args.checkpoint is not None or args.against:
            args.wrong_usage("--suite says itself what is measured: no CHECKPOINT, no --against")
        return _run_suite(args)
    if args.corpus is None:
        args.wrong_usage("the following arguments are required: checkpoint, corpus (or --suite)")
    if args.csv is not None or args.html is not None:
        args.wrong_usage("--csv and --html are for a --suite")
    return _run_checkpoint(args)


def _run_checkpoint(args: argparse.Namespace) -> int:
    import json
    import sys
    from pathlib import Path

    from seqmelody.baselines import BASELINES
    from seqmelody.errors import UsageError
    from seqmelody.evaluation.protocols import UNTRAINED

    for spec in args.against:
        # Not after all else has been measured.
        if spec not in (*BASELINES, UNTRAINED, *SHIPPED) and not Path(spec).exists():
            known = ", ".join((*BASELINES, UNTRAINED))
            raise UsageError(
                f"{spec}: no such checkpoint; with the package come {', '.join(SHIPPED)}; "
                f"the baselines are {known}"
            )

    from seqmelody.evaluation.report import evaluate, evaluate_against, side_by_side

    progress = sys.stderr.isatty()
    report = evaluate(
        args.checkpoint,
        args.corpus,
        split=args.split,
        copies=args.copies,
        seed=args.seed,
        progress=progress,
    )
    print(report.table())
    values = report.to_dict()
    failed = False
    if args.against:
        others = evaluate_against(report, args.against, args.corpus, progress=progress)
        print()
        print(side_by_side(report, others))
        values["against"] = {
            name: {"error": found} if isinstance(found, str) else found.to_dict()
            for name, found in others.items()
        }
        failed = any(isinstance(found, str) for found in others.values())
    if args.json:
        _write(args.json, json.dumps(values, indent=2) + "\n")
    return 1 if failed else 0


def _run_suite(args: argparse.Namespace) -> int:
    import json
    import shlex
    import sys
    from datetime import datetime, timezone

    from seqmelody.evaluation.suite import Suite

    suite = Suite.read(args.suite)  # before torch is imported

    from seqmelody.evaluation.page import page
    from seqmelody.evaluation.running import run_suite

    report = run_suite(suite, progress=sys.stderr.isatty())
    print(report.table())
    if args.json:
        _write(args.json, json.dumps(report.to_dict(), indent=2) + "\n")
    if args.csv:
        _write(args.csv, report.to_csv())
    if args.html:
        made = f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC"
        command = shlex.join(["seqmelody", "evaluate", "--suite", args.suite, "--html", args.html])
        _write(args.html, page(report, made=made, command=command))
    return 0 if report.complete else 1


def _write(file: str, text: str) -> None:
    from pathlib import Path

    Path(file).write_text(text, encoding="utf-8")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _seed(text: str) -> int:
    number = int(text)
    if not 0 <= number < 2**63:
        raise argparse.ArgumentTypeError("must lie between 0 and 2**63 - 1")
    return number
