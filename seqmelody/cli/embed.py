"""``seqmelody embed``: embeddings of MIDI files or of a corpus, as a Parquet file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, NoReturn

from seqmelody.cli.out import require_writable
from seqmelody.cli.scoring import Failures, add_scorer_arguments, load_scorer, open_corpora
from seqmelody.errors import InputError, SeqmelodyError, UsageError

if TYPE_CHECKING:
    from tqdm import tqdm

    from seqmelody.cli.portions import Portion, Portions
    from seqmelody.embeddings import Parts, Row
    from seqmelody.scorer import Scorer

HELP = "write the embeddings of MIDI files or of a corpus to Parquet"
DESCRIPTION = """\
Writes one row for each melody: 'id', 'path', 'embedding' (a unit vector of float32) and 'score'.
The dot product of two embeddings says how alike two melodies are, from -1 to 1; that of two that
have nothing to do with each other is near 0 in the mean, but may well be 0.4. To find variants of a tune by, give --checkpoint variants,
which was trained for that; it gives no scores.

  seqmelody embed tunes/ --out tunes.parquet
  seqmelody embed data/essen.corpus --out essen.parquet
  seqmelody embed data/essen.corpus --out essen.parquet --resume    # after an interrupt

With --per-note a row also has a vector for each note ('note_embeddings') and how much the note
counts ('note_weights'): the embedding is the sum of these vectors, each times its weight. They take
as much room as so many melodies.

Read the file with pandas, Polars, DuckDB or PyArrow. A corpus may be larger than memory. The file
appears when it is whole; until then its parts lie beside it in a folder '.X.parquet.parts', which
needs as much room again in the end. A run that was interrupted goes on with the same command and
--resume: what the parts hold is neither read nor embedded again, and the file is the same as without
the interrupt. A file that cannot be read is told on standard error and has no row; the exit code is
then 1."""

INPUTS_PER_PART = 16_384
"""What an interrupt costs at most; a part begins and ends with some idle threads."""


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
    parser.add_argument(
        "--per-note", action="store_true", help="add a vector for each note, and its weight"
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on from where a run to the same file was interrupted, if one was",
    )
    add_scorer_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    out = require_writable(args.out)
    scorer = load_scorer(args)

    from seqmelody import __version__
    from seqmelody.cli.names import UniqueNames
    from seqmelody.cli.portions import Portions
    from seqmelody.embeddings import Layout, Parts

    portions = Portions(open_corpora(args.paths, scorer))
    layout = Layout(
        scorer.checkpoint.name,
        scorer.checkpoint.fingerprint,
        scorer.embedding_size,
        args.per_note,
    )
    made_from = {
        "version of seqmelody": __version__,
        "--line": args.line,
        "list of inputs": list(args.paths),
        "corpus": portions.digests,
    }
    failures = Failures()
    with Parts(out, layout, made_from, resume=args.resume) as parts:
        if parts.damaged:
            print(
                f"seqmelody: part {len(parts.made) + 1} in {parts.folder} is damaged: from it on, all "
                "is made anew",
                file=sys.stderr,
            )
        _skip(portions, parts, failures)
        try:
            _embed(portions, parts, failures, scorer, per_note=args.per_note)
            written = parts.finish(UniqueNames().take)
        except BaseException as error:
            # Our own errors say by themselves what to do.
            if parts.made and not isinstance(error, SeqmelodyError):
                kept = f"{args.out}: {parts.inputs:,} melodies are done and kept in {parts.folder}"
                print(
                    f"seqmelody: {kept}; go on with the same command and --resume", file=sys.stderr
                )
            raise
    if written == 0:
        raise SeqmelodyError(f"{args.out}: not written, no melody could be read")
    print(f"{args.out}: {written:,} embeddings of {scorer.embedding_size} numbers")
    return failures.exit_code


def _skip(portions: Portions, parts: Parts, failures: Failures) -> None:
    """Passes over what the parts hold, and tells of what failed in them.

    Raises:
        UsageError: It is not what they were made from.
    """
    for made in parts.made:
        portion = portions.take(INPUTS_PER_PART)
        portion.skip()
        if (portion.inputs, portion.digest) != (made.inputs, made.digest):
            raise UsageError(
                f"{parts.folder}: the inputs have changed since; remove the folder to start over"
            )
        for name, reason in made.failures:
            failures.tell(InputError(name, reason))
    if parts.made:
        print(f"seqmelody: going on after {parts.inputs:,} melodies", file=sys.stderr)


def _embed(
    portions: Portions, parts: Parts, failures: Failures, scorer: Scorer, *, per_note: bool
) -> None:
    """Makes the parts that are missing."""
    from tqdm import tqdm

    from seqmelody.embeddings import Made

    with tqdm(
        total=portions.total,
        initial=parts.inputs,
        unit=" melodies",
        leave=False,
        disable=not sys.stderr.isatty(),
    ) as bar:
        while True:
            portion = portions.take(INPUTS_PER_PART)
            failed: list[tuple[str, str]] = []
            results = _results(portion, scorer, per_note=per_note)
            written = parts.write(_readable(results, failures, failed, bar))
            if portion.inputs == 0:
                return
            parts.keep(Made(portion.inputs, portion.digest, tuple(failed), written))


def _results(portion: Portion, scorer: Scorer, *, per_note: bool) -> Iterator[Row | InputError]:
    """A row for each melody, or why it cannot be read."""
    from seqmelody.corpus.reading import utf8_text
    from seqmelody.embeddings import Row

    items = portion.items()
    if per_note:
        for score, found in scorer.iter_note_embeddings(items):
            name, path = portion.next_id(), utf8_text(score.path)
            if score.error is not None:
                yield score.error
            elif found is not None:
                yield Row(name, path, found.embedding, score.score, found.weight, found.vector)
    else:
        for score, embedding_E in scorer.iter_embeddings(items):
            name, path = portion.next_id(), utf8_text(score.path)
            if score.error is not None:
                yield score.error
            elif embedding_E is not None:
                yield Row(name, path, embedding_E, score.score)


def _readable(
    results: Iterator[Row | InputError],
    failures: Failures,
    failed: list[tuple[str, str]],
    bar: tqdm[NoReturn],
) -> Iterator[Row]:
    """The rows; what could not be read is told, and put on the list."""
    for result in results:
        bar.update()
        if isinstance(result, InputError):
            failures.tell(result)
            failed.append((result.name, result.reason))
        else:
            yield result
