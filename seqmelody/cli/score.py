"""``seqmelody score``: scores of MIDI files, as a table, JSON lines or CSV."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from seqmelody.cli.scoring import (
    Failures,
    add_format_argument,
    add_listener_argument,
    add_scorer_arguments,
    load_scorer,
    open_corpora,
    write_scores,
)

if TYPE_CHECKING:
    from seqmelody.scorer import Score

HELP = "say how melodic MIDI files are"
DESCRIPTION = """\
Scores the melody of each MIDI file, or the melodies of a corpus; higher is more melodic. Scores have
no unit: compare those of one checkpoint. Nine times in ten, another training of the model would give
a score from 'low' to 'high', where the checkpoint knows that. 'percentile' is the share of the
training melodies that score lower. A checkpoint that learnt from yes-or-no answers adds 'catchy', the
probability of a yes.

  seqmelody score tune.mid
  seqmelody score candidates/ --rank
  seqmelody score folk.zip more/*.mid --format json > scores.jsonl
  seqmelody score song.mid --line name:Vocals

A file that cannot be read gets a row that says why, and a line on standard error; the exit code is
then 1. JSON and CSV rows come in the order of the files, as they are scored; the table, and what
is ranked, comes at the end."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="MIDI file, folder (walked), .zip or .tar archive of MIDI files, or corpus that "
        "'seqmelody prepare' wrote",
    )
    add_format_argument(parser)
    parser.add_argument("--rank", action="store_true", help="best first, failed files last")
    add_listener_argument(parser)
    add_scorer_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    scorer = load_scorer(args)
    items = open_corpora(args.paths, scorer)
    failures = Failures()
    progress = sys.stderr.isatty()
    scores: Iterable[Score]
    if args.rank:
        scores = scorer.rank(items, progress=progress)
    else:
        scores = scorer.iter_scores(items, progress=progress)
    write_scores(scores, scorer, args.format, failures)
    return failures.exit_code
