"""The melodies of a map: read from files and corpora, or so many of them drawn by chance."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from seqmelody.corpus import Corpus
from seqmelody.corpus.reading import ReadSettings, read_all, rooted_sources
from seqmelody.errors import InputError
from seqmelody.midi import MelodyLine
from seqmelody.scorer.chunk import MAX_NOTES
from seqmelody.tokens import Tokenizer, Tokens

Tell: TypeAlias = Callable[[InputError], None]
"""Is told of each file that cannot be read."""


@dataclass(frozen=True, eq=False)
class Entry:
    """A melody that was read.

    Attributes:
        id: The source's name without its suffix; not always unique.
        path: The source's name.
        tokens: Its streams.
        columns: What its corpus says of it, by column; a file has none.
    """

    id: str
    path: str
    tokens: Tokens
    columns: Mapping[str, Any] = field(default_factory=dict)


def read_entries(
    inputs: Sequence[str | Corpus],
    tokenizer: Tokenizer,
    *,
    line: MelodyLine,
    columns: Sequence[str],
    most: int,
    seed: int,
    tell: Tell,
    progress: bool = False,
) -> tuple[list[Entry], int]:
    """Reads melodies; of more than ``most``, as many drawn by chance, all equally likely.

    Memory hangs on ``most``, not on how many there are.

    Args:
        inputs: Corpora, and paths of MIDI files, folders and archives.
        tokenizer: Encodes melodies; the corpora were written with it.
        line: Which line of a file is its melody.
        columns: What to keep of the columns of corpora, where they have them.
        most: How many melodies to keep.
        seed: Draws them.
        tell: See ``Tell``.
        progress: Show a progress bar on standard error.

    Returns:
        The melodies kept, in the order of the inputs, and how many could be read.
    """
    from tqdm import tqdm

    chance = random.Random(seed)  # noqa: S311 -- draws a sample, guards nothing
    # The melodies with the least numbers, the largest of these first; the place breaks ties.
    kept: list[tuple[float, int, Entry]] = []
    count = 0
    drawn = _draws(inputs, tokenizer, line, columns, tell)
    for count, make in enumerate(
        tqdm(drawn, unit=" melodies", desc="reading", leave=False, disable=not progress), 1
    ):
        key = -chance.random()
        if len(kept) < most:
            heapq.heappush(kept, (key, count, make()))
        elif key > kept[0][0]:
            heapq.heapreplace(kept, (key, count, make()))
    return [entry for _, _, entry in sorted(kept, key=lambda item: item[1])], count


def _draws(
    inputs: Sequence[str | Corpus],
    tokenizer: Tokenizer,
    line: MelodyLine,
    columns: Sequence[str],
    tell: Tell,
) -> Iterator[Callable[[], Entry]]:
    """For each melody what makes its entry, which costs time and memory only where it is called."""
    for each in inputs:
        if isinstance(each, Corpus):
            yield from _rows(each, columns)
        else:
            yield from _files(each, ReadSettings(line, tokenizer, 1, MAX_NOTES), tell)


def _rows(corpus: Corpus, columns: Sequence[str]) -> Iterator[Callable[[], Entry]]:
    names = ["id", "path", *(name for name in columns if name in corpus.columns)]
    cells = zip(*map(corpus.iter_column, names), strict=True)
    for row, (melody, path, *rest) in enumerate(cells):

        def make(row: int = row, melody: str = melody, path: str = path, rest: Any = rest) -> Entry:
            return Entry(
                melody,
                path,
                _copied(corpus.tokens(row), slice(None)),
                dict(zip(names[2:], rest, strict=True)),
            )

        yield make


def _files(path: str, settings: ReadSettings, tell: Tell) -> Iterator[Callable[[], Entry]]:
    for chunk in read_all(rooted_sources([path]), settings, workers=1):
        for name, reason in (*chunk.failed, *chunk.skipped):
            tell(InputError(name, reason))
        streams = Tokens(chunk.pitch, chunk.duration, chunk.rest)
        end = 0
        for melody, name, notes in zip(chunk.ids, chunk.paths, chunk.notes.tolist(), strict=True):
            here = slice(end, end + notes)
            end += notes

            def make(
                melody: str = melody,
                name: str = name,
                streams: Tokens = streams,
                here: slice = here,
            ) -> Entry:
                return Entry(melody, name, _copied(streams, here))

            yield make


def _copied(tokens: Tokens, here: slice) -> Tokens:
    """A part of the streams that keeps no larger array, and no file, in memory."""
    return Tokens(tokens.pitch[here].copy(), tokens.duration[here].copy(), tokens.rest[here].copy())
