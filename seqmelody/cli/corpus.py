"""``seqmelody corpus``: get a known corpus."""

from __future__ import annotations

import argparse
from pathlib import Path

from seqmelody.errors import UsageError

HELP = "get a known corpus of MIDI files"

DESCRIPTION = """\
Get a known corpus: a folder of MIDI files with their labels.

  seqmelody corpus --list
  seqmelody corpus essen --out essen
  seqmelody prepare essen --out essen-corpus"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="which corpus; see --list")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder for the files; must be new or empty"
    )
    parser.add_argument(
        "--list", action="store_true", help="show the corpora there are, and their licences"
    )


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    if not args.list and (args.name is None or args.out is None):
        raise UsageError(
            "say which corpus and where to: seqmelody corpus NAME --out DIR; or --list"
        )

    from seqmelody.corpus.catalogue import CATALOGUE, LABELS_FILE, fetch

    if args.list:
        for entry in CATALOGUE.values():
            print(f"{entry.name:<8} {entry.files:>6,} files  {entry.title}")
            print(f"{'':<8} {'':>6}        licence: {entry.licence}")
        return 0
    written = fetch(args.name, args.out)
    entry = CATALOGUE[args.name]
    what = "wrote" if written else "there already:"
    print(f"{what} {entry.files:,} MIDI files and {LABELS_FILE} in {args.out}")
    print(f"{entry.title}\nlicence: {entry.licence}\nsource: {entry.source}")
    return 0
