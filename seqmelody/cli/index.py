"""``seqmelody index``: a collection of melodies that 'seqmelody search' finds tunes in."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from seqmelody.cli.scoring import (
    Failures,
    add_scorer_arguments,
    load_scorer,
    open_corpora,
)
from seqmelody.config import VARIANTS
from seqmelody.errors import UsageError

if TYPE_CHECKING:
    from seqmelody.retrieval import MelodyIndex

HELP = "build an index of melodies to search"
DESCRIPTION = """\
Embeds melodies and writes an index of them, in which 'seqmelody search' finds those that are near a
melody. The index has the melodies' notes, too: the files it was made of are not needed any more.

  seqmelody index tunes/ more.zip --out tunes.index
  seqmelody index data/folk.corpus --out folk.index

Embeddings that were computed before need not be computed again; without --notes their index finds
melodies, but can neither align them nor write them as MIDI:

  seqmelody embed data/folk.corpus --checkpoint variants --out folk.parquet
  seqmelody index folk.parquet --notes data/folk.corpus --out folk.index

The index is a folder, which appears when it is whole and takes an older one's place. From 50,000
melodies on it needs usearch (pip install 'seqmelody[search]'). A file that cannot be read is told on
standard error and left out; the exit code is then 1."""

_PARQUET = b"PAR1"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="MIDI file, folder (walked), .zip or .tar archive of MIDI files, or corpus that "
        "'seqmelody prepare' wrote; or one Parquet file that 'seqmelody embed' wrote",
    )
    parser.add_argument("--out", required=True, metavar="X.index", help="folder to write")
    parser.add_argument(
        "--notes",
        metavar="CORPUS",
        help="with a Parquet file: the corpus that it holds the embeddings of",
    )
    add_scorer_arguments(parser, default=VARIANTS)


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    failures = Failures()
    if any(map(_is_parquet, args.paths)):
        index = _of_embeddings(args)
    else:
        if args.notes is not None:
            raise UsageError("--notes is for a Parquet file of embeddings; these have their notes")
        index = _of_melodies(args, failures)
    print(f"{args.out}: {len(index):,} melodies, checkpoint {index.checkpoint!r}")
    return failures.exit_code


def _of_melodies(args: argparse.Namespace, failures: Failures) -> MelodyIndex:
    scorer = load_scorer(args, default=VARIANTS)

    from seqmelody.retrieval import MelodyIndex

    items = open_corpora(args.paths, scorer)
    return MelodyIndex.build(
        items, args.out, scorer, failed=failures.tell, progress=sys.stderr.isatty()
    )


def _of_embeddings(args: argparse.Namespace) -> MelodyIndex:
    path = _only(args.paths)
    if args.checkpoint is not None:
        raise UsageError(
            f"{path}: its embeddings are computed already; --checkpoint is for MIDI and corpora"
        )

    from seqmelody.corpus import Corpus
    from seqmelody.retrieval import MelodyIndex

    notes = None if args.notes is None else Corpus.open(args.notes)
    return MelodyIndex.from_embeddings(path, args.out, notes=notes)


def _only(paths: Sequence[str]) -> str:
    if len(paths) > 1:
        raise UsageError("a Parquet file of embeddings makes an index alone; give no other path")
    return paths[0]


def _is_parquet(path: str) -> bool:
    if not Path(path).is_file():
        return False
    with Path(path).open("rb") as file:
        return file.read(len(_PARQUET)) == _PARQUET or path.endswith(".parquet")
