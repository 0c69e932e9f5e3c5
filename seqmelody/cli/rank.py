"""``seqmelody rank``: the best of many candidates, each melody once."""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
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
from seqmelody.errors import InputError, UsageError

if TYPE_CHECKING:
    from seqmelody.corpus import Corpus
    from seqmelody.midi import MidiSource
    from seqmelody.scorer import Ranking

HELP = "order candidates, and keep the best"
DESCRIPTION = """\
Scores candidates, such as those of a generator, and lists them best first. Of candidates that are
the same melody, in whatever key, the first is kept; with --distinct, of melodies that are alike the
better.

  seqmelody rank candidates/ --top 20 --distinct --without-warnings --copy-to best/
  seqmelody rank candidates.zip --percentile 50 --format json > kept.jsonl
  seqmelody rank candidates/ --distinct 0.7 --threshold 5

Rows and exit codes are those of 'seqmelody score'; files that cannot be read come last. A line on
standard error says how many were kept, and why the others were not."""

ALIKE = 0.8
"""Cosine of whitened embeddings from which on ``--distinct`` takes two melodies to be alike."""


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
        "--top", type=_number(int, 1, math.inf, "1 or more"), metavar="K", help="only the best K"
    )
    lowest = parser.add_mutually_exclusive_group()
    lowest.add_argument(
        "--threshold",
        type=_number(float, -sys.float_info.max, sys.float_info.max),
        metavar="SCORE",
        help="only what scores this or higher; a rating, where the checkpoint predicts ratings",
    )
    lowest.add_argument(
        "--percentile",
        type=_number(float, 0, 100, "from 0 to 100"),
        metavar="P",
        help="only what scores higher than P %% of the training melodies (by the score, whatever "
        "the rating)",
    )
    parser.add_argument(
        "--distinct",
        type=_number(float, math.ulp(0.0), 1, "above 0 and at most 1"),
        nargs="?",
        const=ALIKE,
        default=1.0,
        metavar="SIMILARITY",
        help="of melodies whose whitened embeddings have this cosine or a higher one, only "
        f"the better (without a number: {ALIKE}); put it after the paths",
    )
    parser.add_argument(
        "--without-warnings",
        action="store_true",
        help="only what no warning is given for: not what is too short, repeats itself without end, "
        "or is otherwise unlike the training melodies, nor what was cut down to be read",
    )
    parser.add_argument(
        "--copy-to",
        type=Path,
        metavar="DIR",
        help="copy what is kept into this folder, new or empty, as 1-NAME.mid, 2-NAME.mid, ...",
    )
    add_format_argument(parser)
    add_listener_argument(parser)
    add_scorer_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    folder: Path | None = args.copy_to
    if folder is not None and (folder.exists() or folder.is_symlink()):
        if not folder.is_dir():
            raise UsageError(f"{folder}: not a folder; give another --copy-to")
        if any(folder.iterdir()):
            raise UsageError(f"{folder}: not empty; give another --copy-to")
    inside = None if folder is None else _inside(folder, args.paths)
    if inside is not None:
        raise UsageError(
            f"{folder}: lies in {inside}, where the copies would be candidates the next time; give "
            "another --copy-to"
        )
    scorer = load_scorer(args)
    items = open_corpora(args.paths, scorer)

    from seqmelody.scorer import Selection

    wanted = Selection(
        args.top, args.threshold, args.percentile, args.distinct, args.without_warnings
    )
    ranking = scorer.ranking(items, wanted, progress=sys.stderr.isatty())
    failures = Failures()
    if folder is not None:
        _copy(items, ranking, folder, failures)
    write_scores(ranking.scores, scorer, args.format, failures)
    print(f"seqmelody: {_summary(ranking)}", file=sys.stderr)
    return failures.exit_code


def _number(
    kind: Callable[[str], float], low: float, high: float, bounds: str = ""
) -> Callable[[str], float]:
    """Parses a number within bounds, which are told in words."""

    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            what = f", {bounds}" if bounds else ""
            raise argparse.ArgumentTypeError(f"must be a number{what}, not {text!r}")
        return value

    return parse


def _inside(folder: Path, paths: list[str]) -> str | None:
    """Which of the folders that are read the other one lies in."""
    around = {folder.resolve(), *folder.resolve().parents}
    return next((path for path in paths if Path(path).resolve() in around), None)


def _summary(ranking: Ranking) -> str:
    if not ranking.read:
        return "nothing to rank: no melody could be read"
    kept = sum(score.error is None for score in ranking.scores)
    # One of them says what to mend; 'seqmelody score' has the others'.
    warning = f" ({ranking.warning!r})" if ranking.warned == 1 else f", such as {ranking.warning!r}"
    reasons = [
        (ranking.below, "scores too low", "score too low"),
        (ranking.warned, f"has a warning{warning}", f"have a warning{warning}"),
        (ranking.repeated, "repeats another", "repeat another"),
        (ranking.alike, "is too like a better one", "are too like a better one"),
        (ranking.beyond, "is not among the best", "are not among the best"),
    ]
    told = "; ".join(
        f"{count:,} {one if count == 1 else several}" for count, one, several in reasons if count
    )
    return f"kept {kept:,} of {ranking.read:,} melodies" + (f" ({told})" if told else "")


def _copy(items: list[str | Corpus], ranking: Ranking, folder: Path, failures: Failures) -> None:
    """Copies the files of the melodies kept, each with its rank before its name.

    The files are walked once more, since none was held in memory.
    """
    ranked = zip(ranking.places, ranking.scores, strict=True)
    kept = {place: score.path for place, score in ranked if score.error is None}
    rank = {place: number for number, place in enumerate(kept, 1)}
    digits = len(str(len(kept)))
    folder.mkdir(parents=True, exist_ok=True)
    for place, (name, write) in enumerate(_files(items)):
        if place not in kept:
            continue
        try:
            if name != kept[place]:
                raise InputError(kept[place], "not where it was any more, so it was not copied")
            last = re.split(r"[/\\!]", name)[-1]
            write(folder / f"{rank[place]:0{digits}}-{last}")
        except InputError as error:
            failures.tell(error)
        except OSError as error:
            failures.tell(InputError(name, f"could not be copied ({error.strerror})"))


def _files(items: list[str | Corpus]) -> Iterator[tuple[str, Callable[[Path], None]]]:
    """Name of each melody in the order it was read, and what writes it to a file."""
    from seqmelody.midi import iter_sources

    for item in items:
        if isinstance(item, str):
            for source in iter_sources([item]):
                yield source.name, partial(_copy_source, source)
        else:
            for row, name in enumerate(item.iter_column("path")):
                yield name, partial(_write_row, item, row)


def _copy_source(source: MidiSource, path: Path) -> None:
    path.write_bytes(source.read())


def _write_row(corpus: Corpus, row: int, path: Path) -> None:
    from seqmelody.midi import write_midi

    write_midi(corpus.tokenizer.decode(corpus.tokens(row)), path)
