"""``seqmelody search``: the melodies of an index that are nearest to some MIDI files."""

from __future__ import annotations

import argparse
import csv
import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqmelody.cli.scoring import (
    Failures,
    add_format_argument,
    add_scorer_arguments,
    load_scorer,
    open_corpora,
    printable,
)
from seqmelody.errors import UsageError

if TYPE_CHECKING:
    from seqmelody.retrieval import Alignment, Answer, Hit, MelodyIndex

HELP = "find the melodies of an index that are like a tune"
DESCRIPTION = """\
Finds the melodies nearest to each query, in whatever key, by the cosine of their embeddings: 1 is the
same. With the checkpoint 'variants', variants of a tune mostly have 0.5 to 0.8, two tunes that have
nothing to do with each other about 0.1, and one pair in a hundred 0.4 to 0.5: so among hundreds of
strangers the nearest has 0.5 as well. --align also shows the passage that a hit and the query share, and
whether chance gives as much.

  seqmelody search tunes.index whistled.mid
  seqmelody search tunes.index whistled.mid --align --export found/
  seqmelody search tunes.index sketches/ --top 3 --format json > found.jsonl

A passage such as 'notes 5-20 ~ notes 13-28, up a fourth, 14 of 16 alike' says: notes 5 to 20 of the
query are notes 13 to 28 of the hit, which is a fourth higher; 14 of 16 have the same pitch then.
Of the others, one has another pitch, or is there in one melody only. 'No more than chance gives':
unrelated melodies share as much now and then.

As JSON, each query is one object: 'query', 'warnings' and 'hits' (or 'error'); each hit has 'rank',
'similarity', 'id', 'path', 'same' (note by note, in whatever key) and with --align 'passage': its notes
counted from 1, the hit's 'transposition' in semitones and 'time_scale' (how many times as long its notes
are), how many notes are 'alike' of the passage's 'length' ('identity' is their ratio) and how many of
those agree in rhythm too ('same_rhythm'), 'by_chance', 'score', and the 'pairs' of notes that stand for
each other. CSV has the same but warnings, score and pairs.

A query that cannot be read, or has fewer than 4 notes, gets a line that says why; the exit code is
then 1."""

_COLUMNS = ("query", "rank", "similarity", "id", "path", "same")
_PASSAGE = (
    "query_from",
    "query_to",
    "hit_from",
    "hit_to",
    "transposition",
    "time_scale",
    "alike",
    "length",
    "identity",
    "same_rhythm",
    "by_chance",
)


_STEM_BYTES = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("index", metavar="X.index", help="what 'seqmelody index' wrote")
    parser.add_argument(
        "queries",
        nargs="+",
        metavar="QUERY",
        help="MIDI file, folder (walked), .zip or .tar archive of MIDI files, or corpus: each "
        "melody is a query",
    )
    parser.add_argument(
        "--top", type=_count, default=10, metavar="K", help="hits for each query (default: 10)"
    )
    parser.add_argument(
        "--align", action="store_true", help="show the passage that each hit and the query share"
    )
    parser.add_argument(
        "--export",
        type=Path,
        metavar="DIR",
        help="write the hits as MIDI files into this folder, new or empty; with --align their "
        "passages as well",
    )
    add_format_argument(parser)
    add_scorer_arguments(parser, default="that of the index, if it is one of these")


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    from seqmelody.retrieval import MelodyIndex

    folder: Path | None = args.export
    if folder is not None and (folder.exists() or folder.is_symlink()):
        if not folder.is_dir():
            raise UsageError(f"{folder}: not a folder; give another --export")
        if any(folder.iterdir()):
            raise UsageError(f"{folder}: not empty; give another --export")
    index = MelodyIndex.open(args.index)
    if args.align or folder is not None:
        index.require_notes()
    scorer = load_scorer(args, default=index.checkpoint_name())
    queries = open_corpora(args.queries, scorer)
    failures = Failures()
    answers: Iterable[Answer] = index.iter_search(
        queries, top=args.top, align=args.align, scorer=scorer
    )
    answers = _told(answers, failures)
    if folder is not None:
        answers = _exported(answers, index, folder)
    {"table": _write_table, "json": _write_json, "csv": _write_csv}[args.format](
        answers, args.align
    )
    return failures.exit_code


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a number, 1 or more, not {text!r}")
    return int(text)


def _told(answers: Iterable[Answer], failures: Failures) -> Iterator[Answer]:
    for answer in answers:
        if answer.error is not None:
            failures.tell(answer.error)
        yield answer


def _exported(answers: Iterable[Answer], index: MelodyIndex, folder: Path) -> Iterator[Answer]:
    """Writes the hits of each query, named after the query, their rank and themselves."""
    from seqmelody.cli.names import UniqueNames
    from seqmelody.midi import write_midi

    folder.mkdir(parents=True, exist_ok=True)
    names = UniqueNames()
    for answer in answers:
        if answer.hits:
            (query,) = names.take([_stem(answer.path)])
        digits = len(str(len(answer.hits)))
        for rank, hit in enumerate(answer.hits, 1):
            name = f"{query}-{rank:0{digits}}-{_stem(hit.id)}"
            melody = index.melody(hit.row)
            write_midi(melody, folder / f"{name}.mid")
            if hit.alignment is not None:
                write_midi(melody[hit.alignment.hit_notes], folder / f"{name}-passage.mid")
        yield answer


def _stem(name: str) -> str:
    """The last part of a name without a suffix, such that it may name a file."""
    last = re.split(r"[/\\!]", name)[-1]
    stem = re.sub(r"[^\w.~ -]", "_", re.sub(r"\.\w{1,5}$", "", last)) or "melody"
    # Two of them make a name, and file systems take 255 bytes.
    return stem.encode()[:_STEM_BYTES].decode(errors="ignore")


def _write_json(answers: Iterable[Answer], _aligned: bool) -> None:
    """One object for each query, its hits in a list."""
    for answer in answers:
        if answer.error is not None:
            print(json.dumps({"query": answer.path, "error": answer.error.reason}))
            continue
        hits = [_as_json(rank, hit) for rank, hit in enumerate(answer.hits, 1)]
        told = {"query": answer.path, "warnings": list(answer.warnings), "hits": hits}
        print(json.dumps(told))


def _as_json(rank: int, hit: Hit) -> dict[str, Any]:
    told: dict[str, Any] = {"rank": rank, **_about(hit)}
    if hit.alignment is not None:
        told["passage"] = _passage(hit.alignment) | {
            "score": hit.alignment.score,
            "pairs": (hit.alignment.pairs + 1).tolist(),
            "pairs_alike": hit.alignment.same_pitch.tolist(),
        }
    return told


def _write_csv(answers: Iterable[Answer], aligned: bool) -> None:
    """One row for each hit."""
    columns = (*_COLUMNS, *(_PASSAGE if aligned else ()), "error")
    writer = csv.DictWriter(sys.stdout, columns, restval="", lineterminator="\n")
    writer.writeheader()
    for answer in answers:
        if answer.error is not None:
            writer.writerow({"query": answer.path, "error": answer.error.reason})
        for rank, hit in enumerate(answer.hits, 1):
            passage = {} if hit.alignment is None else _passage(hit.alignment)
            writer.writerow({"query": answer.path, "rank": rank, **_about(hit), **passage})


def _about(hit: Hit) -> dict[str, Any]:
    return {
        "similarity": round(hit.similarity, 6),
        "id": hit.id,
        "path": hit.path,
        "same": hit.same,
    }


def _passage(found: Alignment) -> dict[str, Any]:
    """The passage, its notes counted from 1."""
    return {
        "query_from": found.query_notes.start + 1,
        "query_to": found.query_notes.stop,
        "hit_from": found.hit_notes.start + 1,
        "hit_to": found.hit_notes.stop,
        "transposition": found.transposition,
        "time_scale": float(found.time_scale),
        "alike": found.alike,
        "length": found.length,
        "identity": round(found.identity, 4),
        "same_rhythm": int(found.same_rhythm.sum()),
        "by_chance": found.by_chance,
    }


def _write_table(answers: Iterable[Answer], aligned: bool) -> None:
    """A table for each query."""
    from tabulate import tabulate

    for number, answer in enumerate(answers):
        if number:
            print()
        notes = "" if answer.tokens is None else f" ({len(answer.tokens)} notes)"
        told = f"error: {answer.error.reason}" if answer.error else "; ".join(answer.warnings)
        print(f"{printable(answer.path)}{notes}{': ' * bool(told)}{printable(told)}")
        if answer.error is not None:
            continue
        rows = [
            [
                rank,
                hit.similarity,
                printable(hit.path),
                *([_passage_in_words(hit)] if aligned else []),
                "the same melody" if hit.same else "",
            ]
            for rank, hit in enumerate(answer.hits, 1)
        ]
        headers = ["rank", "similarity", "path", *(["passage"] if aligned else []), "remarks"]
        text = [number for number, name in enumerate(headers) if name not in headers[:2]]
        print(tabulate(rows, headers, floatfmt=".3f", disable_numparse=text))


def _passage_in_words(hit: Hit) -> str:
    return "too long to be aligned" if hit.alignment is None else hit.alignment.describe()
