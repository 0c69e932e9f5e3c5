"""What the commands that use a ``Scorer`` share: options, what they read, how failures are told."""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqmelody.config import DEFAULT, SHIPPED
from seqmelody.errors import CheckpointError, UsageError

if TYPE_CHECKING:
    from seqmelody.corpus import Corpus
    from seqmelody.errors import InputError
    from seqmelody.scorer import Score, Scorer
    from seqmelody.tokens import Tokenizer

COLUMNS = ("path", "score", "percentile", "notes", "warnings", "error")
INTERVAL = ("low", "high")
"""The columns behind the score, where the checkpoint knows how sure it is."""
RATING = "rating"
"""The column behind those, where a listener is asked for."""
CATCHY = "catchy"
"""The column behind that, where the checkpoint has learnt yes-or-no answers."""
_FORMATS = {
    **dict.fromkeys((*INTERVAL, RATING, CATCHY), ".2f"),
    "score": ".3f",
    "percentile": ".1f",
}
_NARROWEST = 24
"""Characters that the remarks of a table have at least: narrower ones would be unreadable."""


CHECKPOINT_HELP = (
    "checkpoint folder or .ckpt file, or one that comes with seqmelody, by name: "
    f"{', '.join(SHIPPED)}"
)


def add_scorer_arguments(parser: argparse.ArgumentParser, default: str = DEFAULT) -> None:
    """Declares ``--checkpoint``, ``--line``, ``--device`` and ``--threads``.

    Args:
        parser: Of the command.
        default: What the command uses unless told otherwise, as its help says it.
    """
    parser.add_argument(
        "--checkpoint",
        metavar="C",
        help=f"{CHECKPOINT_HELP} (default: {default})",
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


def add_format_argument(parser: argparse.ArgumentParser) -> None:
    """Declares ``--format``, for ``write_scores``."""
    parser.add_argument(
        "--format",
        choices=("table", "json", "csv"),
        default="table",
        help="table (default; on a terminal, long remarks go on below), json (one object a line), "
        "or csv",
    )


def add_listener_argument(parser: argparse.ArgumentParser) -> None:
    """Declares ``--listener``."""
    parser.add_argument(
        "--listener",
        metavar="NAME",
        help="add what this listener would rate each melody, and rank by it; the checkpoint must "
        "know the listener ('seqmelody adapt')",
    )


def load_scorer(args: argparse.Namespace, default: str | None = None) -> Scorer:
    """The scorer that the options ask for.

    What is wrong with them is told before torch is imported, which takes seconds.

    Args:
        args: The command's.
        default: Name of the checkpoint where none is given; by default that of ``Scorer.load``.

    Raises:
        UsageError: An option has no such value.
        CheckpointError: The checkpoint cannot be read.
    """
    from seqmelody.midi import MelodyLine

    line = MelodyLine.parse(args.line)
    if args.threads is not None and args.threads < 1:
        raise UsageError(f"threads must be at least 1, not {args.threads}")
    named = default if args.checkpoint is None else args.checkpoint
    if named is not None:
        require_there(named)

    from seqmelody.scorer import Scorer

    return Scorer.load(
        named,
        device=args.device,
        threads=args.threads,
        line=line,
        listener=getattr(args, "listener", None),
    )


def require_there(checkpoint: str) -> None:
    """Checks that a checkpoint is there, before torch is imported to read it.

    Raises:
        CheckpointError: It is not.
    """
    if checkpoint not in SHIPPED and not Path(checkpoint).exists():
        raise CheckpointError(
            f"{checkpoint}: no such checkpoint folder or .ckpt file; with the package come "
            f"{', '.join(SHIPPED)}"
        )


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


def write_scores(scores: Iterable[Score], scorer: Scorer, form: str, failures: Failures) -> None:
    """Writes scores to standard output, and tells of the failed ones.

    Args:
        scores: JSON and CSV are written as they come.
        scorer: Whose they are: it has an interval, a rating or a probability for each, or not.
        form: ``table``, ``json`` or ``csv``.
        failures: Told of each score with an error.
    """
    extra: tuple[str, ...] = INTERVAL if scorer.knows_intervals else ()
    extra += (RATING,) if scorer.knows_ratings else ()
    extra += (CATCHY,) if scorer.knows_catchy else ()
    write = {"table": _write_table, "json": _write_json, "csv": _write_csv}[form]
    write(_rows(scores, failures, extra), (*COLUMNS[:2], *extra, *COLUMNS[2:]))


def _rows(
    scores: Iterable[Score], failures: Failures, extra: tuple[str, ...]
) -> Iterator[dict[str, Any]]:
    """Rows of ``COLUMNS`` and the extra ones; only a failed row has an error."""
    for score in scores:
        low, high = score.interval or (None, None)
        behind = {"low": low, "high": high, RATING: score.rating, CATCHY: score.catchy}
        row = {
            "path": score.path,
            "score": None if score.error else round(score.score, 6),
            **{name: value and round(value, 4) for name, value in behind.items() if name in extra},
            "percentile": None if score.percentile is None else round(score.percentile, 2),
            "notes": score.notes,
            "warnings": list(score.warnings),
        }
        if score.error is not None:
            failures.tell(score.error)
            row["error"] = score.error.reason
        yield row


def _write_json(rows: Iterator[dict[str, Any]], _columns: tuple[str, ...]) -> None:
    for row in rows:
        print(json.dumps(row))


def _write_csv(rows: Iterator[dict[str, Any]], columns: tuple[str, ...]) -> None:
    writer = csv.DictWriter(sys.stdout, columns, restval="", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({**row, "warnings": "; ".join(row["warnings"])})


def _write_table(rows: Iterator[dict[str, Any]], columns: tuple[str, ...]) -> None:
    shown = columns[1:-2]
    cells = [
        [
            printable(row["path"]),
            *(row[name] for name in shown),
            printable("; ".join([f"error: {row['error']}"] if "error" in row else row["warnings"])),
        ]
        for row in rows
    ]
    table = _table(cells, shown)
    if sys.stdout.isatty():
        # A person reads it: remarks go on below, so that the columns stay columns. What reads a
        # pipe gets a line for each melody.
        excess = max(map(len, table.splitlines())) - shutil.get_terminal_size().columns
        longest = max((len(row[-1]) for row in cells), default=0)
        if excess > 0 and longest > _NARROWEST:
            table = _table(cells, shown, max(longest - excess, _NARROWEST))
    print(table)


def _table(cells: list[list[Any]], shown: tuple[str, ...], remarks: int | None = None) -> str:
    """The table, its remarks in lines of so many characters at most."""
    from tabulate import tabulate

    return tabulate(
        cells,
        headers=["path", *shown, "remarks"],
        floatfmt=("", *(_FORMATS.get(name, "") for name in shown), ""),
        missingval="-",
        # tabulate cannot say so of columns of a table without rows.
        disable_numparse=[0, 1 + len(shown)] if cells else False,
        maxcolwidths=None if remarks is None else [*[None] * (1 + len(shown)), remarks],
    )
