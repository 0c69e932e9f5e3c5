"""``seqmelody prepare``: build a corpus from MIDI files."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "build a corpus from MIDI files"

DESCRIPTION = """\
Build a corpus from MIDI files: read the melodies in parallel, leave out exact duplicates, group
near-duplicates, split into train, validation and test. report.json says what became of each file.

  seqmelody prepare essen --out essen-corpus
  seqmelody prepare songs.zip more/ one.mid --out corpus --labels labels.csv
  seqmelody prepare songs.zip --out corpus --labels labels.csv --together tune_family"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument(
        "paths", nargs="+", metavar="PATH", help="MIDI files, folders, .zip and .tar archives"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="CORPUS", help="folder for the corpus"
    )
    parser.add_argument(
        "--labels",
        type=Path,
        metavar="CSV",
        help="labels by column 'id' or 'path'; by default labels.csv in PATH, if PATH is one "
        "folder that has it",
    )
    parser.add_argument(
        "--together",
        metavar="COLUMN",
        help="a column of the labels, such as one of tune families: melodies with the same value "
        "share a split, as near-duplicates do and those that a chain of both links; an empty value "
        "is none",
    )
    parser.add_argument(
        "--workers", type=int, metavar="N", help="processes that read (default: one per core)"
    )
    parser.add_argument(
        "--line",
        default="auto",
        metavar="LINE",
        help="which line of a file is its melody: auto, skyline, track:NUMBER or name:TRACKNAME "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--min-notes",
        type=int,
        default=16,
        metavar="N",
        help="skip shorter melodies (default: %(default)s)",
    )
    parser.add_argument(
        "--max-notes",
        type=int,
        default=512,
        metavar="N",
        help="skip longer melodies (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="draws the splits (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Runs the command; 1 if some files could not be read."""
    from seqmelody.config import usable_cores
    from seqmelody.midi import MelodyLine

    line = MelodyLine.parse(args.line)  # before PyArrow is imported

    from seqmelody.corpus import prepare
    from seqmelody.corpus.catalogue import LABELS_FILE
    from seqmelody.corpus.format import REPORT_FILE
    from seqmelody.corpus.report import summary_lines

    labels = args.labels
    if labels is None and len(args.paths) == 1:
        beside = Path(args.paths[0]) / LABELS_FILE
        if beside.is_file():
            print(f"labels from {beside}")
            labels = beside
    report = prepare(
        args.paths,
        args.out,
        labels=labels,
        together=args.together,
        line=line,
        workers=usable_cores() if args.workers is None else args.workers,
        min_notes=args.min_notes,
        max_notes=args.max_notes,
        seed=args.seed,
    )
    print("\n".join(summary_lines(report)))
    print(f"corpus in {args.out}; what became of each file: {args.out / REPORT_FILE}")
    return 1 if report["failed_files"] else 0
