"""``seqmelody embed``: embeddings of MIDI files or of a corpus, as a Parquet file."""

from __future__ import annotations

import argparse
import itertools
import os
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from seqmelody.cli.scoring import Failures, add_scorer_arguments, load_scorer, open_corpora
from seqmelody.errors import SeqmelodyError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from seqmelody.scorer import Item, Scorer

    _Row: TypeAlias = tuple[str, str, NDArray[np.float32], float]

HELP = "write the embeddings of MIDI files or of a corpus to Parquet"
DESCRIPTION = """\
Writes one row for each melody: 'id', 'path', 'embedding' (a unit vector of float32) and 'score'.
The dot product of two embeddings says how alike two melodies are, from -1 to 1.

  seqmelody embed tunes/ --out tunes.parquet
  seqmelody embed data/essen.corpus --out essen.parquet

Read it with pandas, Polars, DuckDB or PyArrow. Rows are written as they come, so that a corpus may
be larger than memory; the file appears when it is whole. A file that cannot be read is told on
standard error and has no row; the exit code is then 1."""

ROWS_PER_GROUP = 8192


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="corpus that 'seqmelody prepare' wrote, or MIDI file, folder (walked), or .zip or "
        ".tar archive of MIDI files",
    )
    parser.add_argument("--out", required=True, metavar="X.parquet", help="file to write")
    add_scorer_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    out = _require_writable(args.out)
    scorer = load_scorer(args)
    failures = Failures()
    written = _write(_rows(args.paths, scorer, failures), out, scorer)
    if written == 0:
        raise SeqmelodyError(f"{args.out}: not written, no melody could be read")
    print(f"{args.out}: {written:,} embeddings of {scorer.embedding_size} numbers")
    return failures.exit_code


def _require_writable(given: str) -> Path:
    """The file that ``--out`` means; its folder is not made yet.

    The result takes the place of what is there, which must not be a device, a pipe or a link.

    Raises:
        UsageError: No file can be written there.
    """
    out = Path(os.path.realpath(given))
    try:
        if out.is_dir():
            raise UsageError(f"{given}: --out must name a file, and this is a folder")
        # Asked of the given path: a pipe behind /proc/self/fd has a real path that does not exist.
        if Path(given).exists() and not Path(given).is_file():
            raise UsageError(f"{given}: --out must name a regular file, and this is none")
        # The folder, or the one that is there of those it lies in.
        there = next(folder for folder in out.parents if folder.exists())
        tried = there / _temporary(out).name
        tried.touch()
        tried.unlink()
    except OSError as error:
        raise UsageError(f"{given}: cannot be written to ({error.strerror})") from error
    return out


def _temporary(out: Path) -> Path:
    """Where the result grows until it is whole."""
    return out.with_name(f".{out.name}.{os.getpid()}.part")


def _rows(paths: Sequence[str], scorer: Scorer, failures: Failures) -> Iterator[_Row]:
    """Id (maybe of several rows), path, embedding and score of each melody that can be read."""
    from seqmelody.corpus import Corpus
    from seqmelody.corpus.reading import melody_id, rooted_sources, utf8_text

    opened = open_corpora(paths, scorer)
    # The ids of what the scorer has drawn and not yet given back; it keeps the order.
    ids: deque[Iterator[str]] = deque()

    def items() -> Iterator[Item]:
        for item in opened:
            if isinstance(item, Corpus):
                ids.append(item.iter_column("id"))
                yield item
            else:
                for source in rooted_sources([item]):
                    ids.append(iter([melody_id(source.relative)]))
                    yield source.source

    for score, embedding_E in scorer.iter_embeddings(items(), progress=sys.stderr.isatty()):
        while (name := next(ids[0], None)) is None:
            ids.popleft()
        if embedding_E is None:
            assert score.error is not None
            failures.tell(score.error)
            continue
        yield name, utf8_text(score.path), embedding_E, score.score


def _write(rows: Iterator[_Row], out: Path, scorer: Scorer) -> int:
    """Writes the rows; returns how many. The file appears when it is whole, or not at all."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from seqmelody.cli.names import UniqueNames

    schema = pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("path", pa.string(), nullable=False),
            pa.field("embedding", pa.list_(pa.float32(), scorer.embedding_size), nullable=False),
            pa.field("score", pa.float32(), nullable=False),
        ],
        metadata={"seqmelody.checkpoint": scorer.checkpoint.name},
    )
    group = list(itertools.islice(rows, ROWS_PER_GROUP))
    if not group:
        return 0
    temporary = _temporary(out)
    names = UniqueNames()
    written = 0
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        with pq.ParquetWriter(temporary, schema) as writer:
            while group:
                ids, paths, embeddings, scores = zip(*group, strict=True)
                flat = pa.array(np.concatenate(embeddings))
                columns = [
                    pa.array(names.take(ids)),
                    pa.array(paths),
                    pa.FixedSizeListArray.from_arrays(flat, scorer.embedding_size),
                    pa.array(scores, pa.float32()),
                ]
                writer.write_table(pa.table(columns, schema=schema))
                written += len(group)
                group = list(itertools.islice(rows, ROWS_PER_GROUP))
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)
    return written
