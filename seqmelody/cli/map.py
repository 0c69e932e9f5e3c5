"""``seqmelody map``: an interactive page of melodies, those that are alike close together."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqmelody.cli.out import require_writable, temporary
from seqmelody.cli.scoring import Failures, add_scorer_arguments, load_scorer, open_corpora
from seqmelody.errors import InputError, SeqmelodyError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from seqmelody.corpus import Corpus
    from seqmelody.corpus.labels import Labels
    from seqmelody.map import Entry
    from seqmelody.scorer import Scorer

HELP = "draw a map of melodies as a page to look at and listen to"
DESCRIPTION = """\
Writes one HTML file that shows each melody as a dot; melodies with similar embeddings lie close
together. Point at a dot to see its piano roll, click to hear it and to list its nearest melodies,
which are those by the whole embedding and not by the picture. The page needs nothing but a browser.

  seqmelody map data/essen.corpus --color region --out essen.html
  seqmelody map tunes/ --labels labels.csv --color family --out tunes.html
  seqmelody map human/ machine.zip --out both.html

Dots are coloured by a column of the corpora or of --labels, or by the score (default). The twelve most
frequent labels have colours of their own; numbers of more than twelve values get a scale. A file that
cannot be read is told on standard error and left out; the exit code is then 1."""

SCORE = "score"
TITLE = "title"
"""A column of names that people know the melodies by; shown where there is one."""
LEAST = 3
"""Fewer melodies make no map."""
_SHOWN_INPUTS = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="corpus that 'seqmelody prepare' wrote, or MIDI file, folder (walked), or .zip or "
        ".tar archive of MIDI files",
    )
    parser.add_argument("--out", required=True, metavar="X.html", help="file to write")
    parser.add_argument(
        "--color",
        default=SCORE,
        metavar="COLUMN",
        help="column of --labels or of the corpora, or 'score' (default; the number of notes instead, "
        "where the checkpoint gives no scores)",
    )
    parser.add_argument(
        "--labels",
        metavar="CSV",
        help="labels by column 'id' or 'path'; by default labels.csv in PATH, if PATH is one "
        "folder that has it",
    )
    parser.add_argument(
        "--most",
        type=int,
        default=30_000,
        metavar="N",
        help="of more melodies, show so many drawn by chance (default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="of the projection, and of what is drawn by chance (default: %(default)s)",
    )
    add_scorer_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    if args.most < LEAST:
        raise UsageError(f"most must be at least {LEAST}, not {args.most}")
    if args.seed < 0:
        raise UsageError(f"seed must be at least 0, not {args.seed}")
    out = require_writable(args.out)
    scorer = load_scorer(args)

    from seqmelody.map import MapContent, nearest, page, project, read_entries, require_projection

    require_projection()
    inputs = open_corpora(args.paths, scorer)
    labels = _labels(args)
    _require_column(args.color, inputs, labels)
    failures = Failures()
    progress = sys.stderr.isatty()
    entries, count = read_entries(
        inputs,
        scorer.tokenizer,
        line=scorer.line,
        columns=(args.color, TITLE),
        most=args.most,
        seed=args.seed,
        tell=failures.tell,
        progress=progress,
    )
    entries, score_N, embedding_NE = _scored(entries, scorer, failures, progress)
    if len(entries) < LEAST:
        found = {0: "no melody", 1: "only one melody"}.get(len(entries), "only two melodies")
        raise SeqmelodyError(
            f"{args.out}: not written, {found} could be read; a map needs {LEAST} or more"
        )
    columns = _columns(entries, (args.color, TITLE), labels)
    label = None
    if args.color != SCORE:
        label = _colouring(args.color, columns)
    elif not scorer.checkpoint.gives_scores:
        label = _colouring("notes", {"notes": [len(entry.tokens) for entry in entries]})
    neighbours = nearest(embedding_NE, progress=progress)
    content = MapContent(
        ids=_ids(entries),
        titles=columns[TITLE],
        tokens=[entry.tokens for entry in entries],
        score_N=score_N,
        place_N2=project(embedding_NE, seed=args.seed, threads=args.threads, progress=progress),
        neighbours=neighbours,
        label=label,
    )
    names = [Path(path).name or path for path in args.paths]
    more = f" and {len(names) - _SHOWN_INPUTS} more" if len(names) > _SHOWN_INPUTS else ""
    about = [f"checkpoint {scorer.checkpoint.name}"]
    if count > args.most:
        about.insert(0, f"drawn by chance from {count:,}")
    text = page(content, title=f"{', '.join(names[:_SHOWN_INPUTS])}{more}", about=about)
    _write(out, text)
    drawn = f" drawn from {count:,}" if count > args.most else ""
    print(f"{args.out}: {len(entries):,} melodies{drawn}, {len(text) / 1e6:.1f} MB")
    if content.label is not None and content.label.unlabelled:
        print(f"without {args.color}: {content.label.unlabelled:,} melodies")
    return failures.exit_code


def _labels(args: argparse.Namespace) -> Labels | None:
    from seqmelody.corpus.catalogue import LABELS_FILE
    from seqmelody.corpus.labels import Labels

    if args.labels is not None:
        return Labels.read(args.labels)
    beside = Path(args.paths[0], LABELS_FILE)
    if len(args.paths) == 1 and beside.is_file():
        print(f"labels from {beside}")
        return Labels.read(beside)
    return None


def _require_column(name: str, inputs: Sequence[str | Corpus], labels: Labels | None) -> None:
    """Checks that a column is there, before anything is read.

    Raises:
        UsageError: It is in no corpus, and not in the labels.
    """
    known = [] if labels is None else list(labels.table.column_names)
    for each in inputs:
        known += [] if isinstance(each, str) else each.columns
    if name not in (SCORE, *known):
        there = ", ".join(dict.fromkeys([SCORE, *known]))
        remedy = "" if known else "; give a corpus that has labels, or --labels"
        raise UsageError(f"--color {name}: no such column; there is {there}{remedy}")


def _scored(
    entries: Sequence[Entry], scorer: Scorer, failures: Failures, progress: bool
) -> tuple[list[Entry], NDArray[np.float64], NDArray[np.float32]]:
    """Those melodies that have an embedding, their scores, and the embeddings."""
    import numpy as np

    melodies = (scorer.tokenizer.decode(entry.tokens) for entry in entries)
    kept, scores, embeddings = [], [], []
    found = scorer.iter_embeddings(melodies, progress=progress)
    for entry, (score, embedding_E) in zip(entries, found, strict=True):
        if score.error is not None:
            failures.tell(InputError(entry.path, score.error.reason))
        elif embedding_E is None or not np.isfinite(embedding_E).all():
            failures.tell(InputError(entry.path, "the checkpoint makes no numbers of it"))
        else:
            kept.append(entry)
            scores.append(score.score)
            embeddings.append(embedding_E)
    size = (len(kept), scorer.embedding_size)
    return kept, np.array(scores), np.array(embeddings, dtype=np.float32).reshape(size)


def _columns(
    entries: Sequence[Entry], names: Sequence[str], labels: Labels | None
) -> dict[str, list[Any] | None]:
    """What the labels, or else the corpora, say of each melody; ``None`` where neither has a column.

    Raises:
        UsageError: The labels fit none of the melodies.
    """
    columns: dict[str, list[Any] | None] = {
        name: [entry.columns.get(name) for entry in entries]
        if any(name in entry.columns for entry in entries)
        else None
        for name in names
    }
    if labels is None:
        return columns
    rows = labels.find([entry.id for entry in entries], [entry.path for entry in entries])
    if (rows < 0).all():
        example = entries[0].id if labels.key == "id" else entries[0].path
        raise UsageError(
            f"{labels.path}: fits none of {len(entries):,} melodies; their {labels.key}s are such "
            f"as {example!r}"
        )
    for name in set(names) & set(labels.table.column_names):
        said = labels.table.column(name).to_pylist()
        before = columns[name] or [None] * len(entries)
        columns[name] = [
            said[row] if row >= 0 else other for row, other in zip(rows, before, strict=True)
        ]
    return columns


def _colouring(name: str, columns: dict[str, list[Any] | None]) -> Any:
    from seqmelody.map import colouring

    values = columns[name]
    return None if values is None else colouring(name, values)


def _ids(entries: Sequence[Entry]) -> list[str]:
    from seqmelody.cli.names import UniqueNames

    return UniqueNames().take([entry.id for entry in entries])


def _write(out: Path, text: str) -> None:
    """Writes the page; it appears when it is whole."""
    out.parent.mkdir(parents=True, exist_ok=True)
    part = temporary(out)
    try:
        part.write_text(text, encoding="utf-8", newline="\n")
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)
