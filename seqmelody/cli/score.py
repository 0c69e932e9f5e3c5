"""``seqmelody score``: scores of MIDI files, as a table, JSON lines or CSV."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from seqmelody.cli.scoring import (
    Failures,
    add_scorer_arguments,
    load_scorer,
    open_corpora,
    printable,
)

if TYPE_CHECKING:
    from seqmelody.scorer import Score

HELP = "say how melodic MIDI files are"
DESCRIPTION = """\
Scores the melody of each MIDI file, or the melodies of a corpus; higher is more melodic. Scores have
no unit: compare those of one checkpoint. 'percentile' is the share of the training melodies that
score lower.

  seqmelody score tune.mid
  seqmelody score candidates/ --rank
  seqmelody score folk.zip more/*.mid --format json > scores.jsonl
  seqmelody score song.mid --line name:Vocals

A file that cannot be read gets a row that says why, and a line on standard error; the exit code is
then 1. JSON and CSV rows come in the order of the files, as they are scored; the table, and what
is ranked, comes at the end."""

COLUMNS = ("path", "score", "percentile", "notes", "warnings", "error")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="MIDI file, folder (walked), .zip or .tar archive of MIDI files, or corpus that "
        "'seqmelody prepare' wrote",
    )
    parser.add_argument(
        "--format",
        choices=("table", "json", "csv"),
        default="table",
        help="table (default), json (one object a line), or csv",
    )
    parser.add_argument("--rank", action="store_true", help="best first, failed files last")
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
    write = {"table": _write_table, "json": _write_json, "csv": _write_csv}[args.format]
    write(_rows(scores, failures))
    return failures.exit_code


def _rows(scores: Iterable[Score], failures: Failures) -> Iterator[dict[str, Any]]:
    """Rows of ``COLUMNS``; only a failed row has an error."""
    for score in scores:
        row = {
            "path": score.path,
            "score": None if score.error else round(score.score, 6),
            "percentile": None if score.percentile is None else round(score.percentile, 2),
            "notes": score.notes,
            "warnings": list(score.warnings),
        }
        if score.error is not None:
            failures.tell(score.error)
            row["error"] = score.error.reason
        yield row


def _write_json(rows: Iterator[dict[str, Any]]) -> None:
    for row in rows:
        print(json.dumps(row))


def _write_csv(rows: Iterator[dict[str, Any]]) -> None:
    writer = csv.DictWriter(sys.stdout, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({**row, "warnings": "; ".join(row["warnings"])})


def _write_table(rows: Iterator[dict[str, Any]]) -> None:
    from tabulate import tabulate

    cells = [
        [
            printable(row["path"]),
            row["score"],
            row["percentile"],
            row["notes"],
            printable("; ".join([f"error: {row['error']}"] if "error" in row else row["warnings"])),
        ]
        for row in rows
    ]
    print(
        tabulate(
            cells,
            headers=["path", "score", "percentile", "notes", "remarks"],
            floatfmt=("", ".3f", ".1f", "", ""),
            missingval="-",
            disable_numparse=[0, 4],
        )
    )
