"""``seqmelody corpus``: get a known corpus."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from seqmelody.errors import UsageError

HELP = "get a known corpus of MIDI files"

DESCRIPTION = """\
Get a known corpus: a folder of MIDI files with their labels.

  seqmelody corpus --list
  seqmelody corpus essen --out essen
  seqmelody prepare essen --out essen-corpus"""

_FAILURES_SHOWN = 10


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
        width = max(map(len, CATALOGUE))
        for entry in CATALOGUE.values():
            print(f"{entry.name:<{width}} {entry.files:>6,} files  {entry.title}")
            needs = "; made with music21 (extra 'corpora')" if entry.needs_music21 else ""
            print(f"{'':<{width}} {'':>6}        licence: {entry.licence}{needs}")
        return 0
    fetched = fetch(args.name, args.out, progress=True)
    entry = CATALOGUE[args.name]
    what = "wrote" if fetched.written else "there already:"
    print(f"{what} {fetched.files:,} MIDI files and {LABELS_FILE} in {args.out}")
    print(f"{entry.title}\nlicence: {entry.licence}\nsource: {entry.source}")
    for failure in fetched.failures[:_FAILURES_SHOWN]:
        print(f"not converted: {failure}", file=sys.stderr)
    if (more := len(fetched.failures) - _FAILURES_SHOWN) > 0:
        print(f"not converted: {more:,} more", file=sys.stderr)
    if fetched.files != entry.files:
        print(
            f"warning: {entry.name} has {entry.files:,} files, not {fetched.files:,}; "
            "other versions of the converters may fail where the usual ones do not",
            file=sys.stderr,
        )
    return 0
