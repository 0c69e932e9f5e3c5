"""What the commands that use a ``Scorer`` share: options, what they read, how failures are told."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from seqmelody.errors import CheckpointError, UsageError

if TYPE_CHECKING:
    from seqmelody.corpus import Corpus
    from seqmelody.errors import InputError
    from seqmelody.scorer import Scorer
    from seqmelody.tokens import Tokenizer


def add_scorer_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares ``--checkpoint``, ``--line``, ``--device`` and ``--threads``."""
    parser.add_argument(
        "--checkpoint",
        metavar="C",
        help="checkpoint folder or .ckpt file (default: the one that ships with seqmelody)",
    )
    parser.add_argument(
        "--line",
        metavar="LINE",
        default="auto",
        help="which line of a file is its melody: auto (default; the track that looks most like "
        "one), skyline, track:NUMBER or name:TRACKNAME",
    )
    parser.add_argument("--device", default="cpu", help="where the model runs (default: cpu)")
    parser.add_argument(
        "--threads",
        type=int,
        metavar="N",
        help="batches worked on at once (default: one for each core)",
    )


def load_scorer(args: argparse.Namespace) -> Scorer:
    """The scorer that the options ask for.

    What is wrong with them is told before torch is imported, which takes seconds.

    Raises:
        UsageError: An option has no such value.
        CheckpointError: The checkpoint cannot be read.
    """
    from seqmelody.midi import MelodyLine

    line = MelodyLine.parse(args.line)
    if args.threads is not None and args.threads < 1:
        raise UsageError(f"threads must be at least 1, not {args.threads}")
    if args.checkpoint is not None and not Path(args.checkpoint).exists():
        raise CheckpointError(f"{args.checkpoint}: no such checkpoint folder or .ckpt file")

    from seqmelody.scorer import Scorer

    return Scorer.load(args.checkpoint, device=args.device, threads=args.threads, line=line)


def open_corpora(paths: Sequence[str], scorer: Scorer) -> list[str | Corpus]:
    """The paths in their order, those of corpora opened: a wrong one is told before any is read.

    Raises:
        CorpusError: A corpus cannot be read, or was written with another tokenizer.
    """
    return [_open_corpus(path, scorer.tokenizer) if Path(path).is_dir() else path for path in paths]


def _open_corpus(folder: str, tokenizer: Tokenizer) -> str | Corpus:
    """The corpus in a folder; the folder itself where there is none."""
    from seqmelody.corpus import Corpus
    from seqmelody.corpus.format import MELODIES_FILE

    return Corpus.open(folder, tokenizer) if Path(folder, MELODIES_FILE).is_file() else folder


def printable(name: str) -> str:
    """The name with what a terminal would obey, or cannot show, as backslash escapes."""
    if name.isprintable():
        return name
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in name
    )


class Failures:
    """Tells of failed items as they come, and counts them."""

    def __init__(self) -> None:
        self.count = 0

    def tell(self, error: InputError) -> None:
        """A line on standard error, clear of any progress bar."""
        from tqdm import tqdm

        self.count += 1
        tqdm.write(f"seqmelody: {printable(str(error))}", file=sys.stderr)

    @property
    def exit_code(self) -> int:
        """1 if anything failed."""
        return 1 if self.count else 0
