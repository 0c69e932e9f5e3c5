"""``seqmelody adapt``: a checkpoint gets to know a listener from a handful of ratings."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from seqmelody.cli.scoring import CHECKPOINT_HELP, Failures, printable, require_there

HELP = "teach a checkpoint a listener's taste from a few ratings"
DESCRIPTION = """\
Fits listeners to ratings of MIDI files, and writes a checkpoint that knows them. No weight changes:
a listener is an offset, a scale and a taste on top of the score, drawn to the consensus as long as
the ratings are few.

  seqmelody adapt melodic ratings.csv --out mine --listener me
  seqmelody adapt mine hers.csv --out mine --listener her
  seqmelody score candidates/ --checkpoint mine --listener me --rank

The CSV file has the columns 'path' (MIDI files, from its own folder or else from here on) and
'score', and maybe 'rater'; then each rater becomes a listener. A listener whom the checkpoint knows
is fitted anew, to these ratings alone; the others stay. Another checkpoint at CHECKPOINT2 is only
replaced with --replace. Who gave few ratings is drawn to the consensus; ratings that are all alike
tell nothing of a taste. All ratings of a file without raters are one listener's: a melody with the
same rating twice counts once.

A file that cannot be read is told on standard error, and its ratings are left out; the exit code is
then 1."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help=CHECKPOINT_HELP)
    parser.add_argument("ratings", metavar="RATINGS", help="CSV file of ratings")
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="CHECKPOINT2",
        help="folder to write: a new one, or CHECKPOINT itself, which then gets to know the "
        "listeners where it is",
    )
    parser.add_argument(
        "--replace", action="store_true", help="replace another checkpoint that is there"
    )
    parser.add_argument(
        "--listener",
        metavar="NAME",
        help="who gave the ratings; with a column 'rater', which of them to fit (default: all)",
    )
    parser.add_argument(
        "--column", default="score", metavar="C", help="column of the rating (default: score)"
    )
    parser.add_argument(
        "--scale",
        type=float,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="lowest and highest rating there can be; others are refused (default: what the "
        "checkpoint knows)",
    )
    parser.add_argument(
        "--line",
        default="auto",
        metavar="LINE",
        help="which line of a file is its melody: auto, skyline, track:NUMBER or name:TRACKNAME "
        "(default: %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Runs the command; 1 if some melodies could not be read."""
    from seqmelody.midi import MelodyLine

    line = MelodyLine.parse(args.line)
    require_there(args.checkpoint)

    from seqmelody.scorer.adaptation import adapt

    done = adapt(
        args.checkpoint,
        args.ratings,
        args.out,
        listener=args.listener,
        column=args.column,
        scale=None if args.scale is None else tuple(args.scale),
        line=line,
        replace=args.replace,
    )
    failures = Failures()
    for error in done.failures:
        failures.tell(error)
    warnings = done.warnings
    if done.assumed:
        warnings += (
            f"{args.checkpoint}: was trained without ratings; how they follow from the score is "
            "assumed",
        )
    for warning in warnings:
        print(f"seqmelody: {printable(warning)}", file=sys.stderr)
    for name, listener in done.listeners.items():
        ratings = "1 rating" if listener.ratings == 1 else f"{listener.ratings} ratings"
        print(f"{name}: {ratings}")
    print(f"checkpoint: {done.folder}")
    return failures.exit_code
