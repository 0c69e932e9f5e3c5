"""``seqmelody evaluate``: how good a checkpoint is on a corpus."""

from __future__ import annotations

import argparse

HELP = "measure how good a checkpoint is on a corpus"
DESCRIPTION = """\
Measures a checkpoint on the melodies of a corpus that it was not trained on: how often a melody
outscores a spoiled copy of itself, kind by kind, with intervals; and whether scores hinge on the
key.

  seqmelody evaluate runs/quick/checkpoint data/essen.corpus --json report.json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("checkpoint", help="checkpoint folder, or .ckpt file of a run")
    parser.add_argument("corpus", help="folder that 'seqmelody prepare' wrote")
    parser.add_argument("--json", metavar="FILE", help="write the figures here as well")
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


def run(args: argparse.Namespace) -> int:
    """Prints the table."""
    import json
    import sys
    from pathlib import Path

    from seqmelody.evaluation import evaluate

    report = evaluate(
        args.checkpoint,
        args.corpus,
        split=args.split,
        copies=args.copies,
        seed=args.seed,
        progress=sys.stderr.isatty(),
    )
    print(report.table())
    if args.json:
        Path(args.json).write_text(json.dumps(report.to_dict(), indent=2) + "\n", encoding="utf-8")
    return 0


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
