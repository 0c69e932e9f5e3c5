"""Whatever a user calls a melody, read one after the other.

What is wrong with an item becomes part of what was read of it, so that it stops no other.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, Union

from seqmelody.corpus import Corpus
from seqmelody.errors import CorpusError, InputError
from seqmelody.melody import STEPS_PER_QUARTER, Melody
from seqmelody.midi import MelodyLine, MidiSource, iter_sources, read_melody
from seqmelody.tokens import Tokenizer, Tokens

if TYPE_CHECKING:
    from miditoolkit import MidiFile

Item: TypeAlias = Union[
    str, "os.PathLike[str]", bytes, BinaryIO, "MidiFile", MidiSource, Melody, Corpus
]
"""A path, folder or archive (walked: each MIDI file in it counts), the bytes of a MIDI file, an
open binary file, a ``miditoolkit.MidiFile``, a ``MidiSource``, a ``Melody``, or a ``Corpus`` (each
row counts)."""
Items: TypeAlias = Item | Iterable[Item]
"""Many items, or one in place of a list of one."""

FEW_NOTES = 8
"""A melody of fewer notes gets a warning."""
FEW_PITCHES = 3
"""A melody of fewer distinct pitches gets a warning: the model learnt to tell melodies from
corrupted ones, and no corruption makes a melody as dull as that."""
MAX_NOTES = 200_000
"""A longer melody is refused: the model would need more than 600 MB of memory for it."""


@dataclass(frozen=True)
class ReadItem:
    """An item that was read, or why it was not.

    Attributes:
        path: What to call it.
        tokens: The streams; ``None`` with an error.
        melody: The notes before any was clipped; ``None`` with an error and from a corpus.
        warnings: What to know before a score is trusted.
        error: Why it was not read.
    """

    path: str
    tokens: Tokens | None = None
    melody: Melody | None = None
    warnings: tuple[str, ...] = ()
    error: InputError | None = None


def read_items(items: Items, tokenizer: Tokenizer, line: MelodyLine) -> Iterator[ReadItem]:
    """Reads items in order; a folder, archive or corpus gives one result for each melody in it.

    Args:
        items: What to read.
        tokenizer: Encodes the melodies.
        line: Which line of a MIDI file is the melody.

    Raises:
        CorpusError: A corpus was written with another tokenizer.
        TypeError: An item is of a kind that is not known.
    """
    for place, item in enumerate(_as_items(items)):
        if isinstance(item, (str, os.PathLike)):
            for source in iter_sources([item]):
                yield _read_midi(source, source.name, tokenizer, line)
        elif isinstance(item, Corpus):
            yield from _read_corpus(item, tokenizer)
        elif isinstance(item, Melody):
            yield _encoded(f"<Melody {place}>", item, (), tokenizer)
        elif isinstance(item, MidiSource):
            yield _read_midi(item, item.name, tokenizer, line)
        else:
            name = getattr(item, "name", None)
            called = name if isinstance(name, str) else f"<{type(item).__name__} {place}>"
            yield _read_midi(item, called, tokenizer, line)


def _as_items(items: Any) -> Iterable[Any]:
    one = isinstance(items, (str, os.PathLike, bytes, bytearray, memoryview, Melody, Corpus))
    # Open files can be iterated over, by lines; a MidiFile and a MidiSource cannot.
    return [items] if one or hasattr(items, "read") or not isinstance(items, Iterable) else items


def _read_midi(source: Any, name: str, tokenizer: Tokenizer, line: MelodyLine) -> ReadItem:
    try:
        found = read_melody(source, name=name, line=line)
    except InputError as error:
        return ReadItem(name, error=error)
    return _encoded(name, found.melody, found.warnings, tokenizer)


def _read_corpus(corpus: Corpus, tokenizer: Tokenizer) -> Iterator[ReadItem]:
    if corpus.tokenizer.fingerprint != tokenizer.fingerprint:
        raise CorpusError(
            f"{corpus.folder}: written with tokenizer {corpus.tokenizer.fingerprint}, the "
            f"checkpoint reads {tokenizer.fingerprint}; prepare the corpus again"
        )
    for row, path in enumerate(corpus.column("path")):
        yield _checked(path, corpus.tokens(row), None, (), tokenizer)


def _encoded(
    name: str, melody: Melody, warnings: tuple[str, ...], tokenizer: Tokenizer
) -> ReadItem:
    return _checked(name, tokenizer.encode(melody), melody, warnings, tokenizer)


def _checked(
    name: str,
    tokens: Tokens,
    melody: Melody | None,
    warnings: tuple[str, ...],
    tokenizer: Tokenizer,
) -> ReadItem:
    notes = len(tokens)
    if notes > MAX_NOTES:
        reason = f"{notes:,} notes, more than the {MAX_NOTES:,} that can be scored at once"
        return ReadItem(name, error=InputError(name, reason))
    if tokens.clipped_durations:
        warnings += (_clipped("note", tokens.clipped_durations, tokenizer.max_duration_steps),)
    if tokens.clipped_rests:
        warnings += (_clipped("rest", tokens.clipped_rests, tokenizer.max_rest_steps),)
    if notes < FEW_NOTES:
        few = "only 1 note" if notes == 1 else f"only {notes} notes"
        warnings += (f"{few}: below {FEW_NOTES} a score means little",)
    if len(set(tokens.pitch.tolist())) < FEW_PITCHES:
        warnings += (f"fewer than {FEW_PITCHES} distinct pitches: the score means little",)
    return ReadItem(name, tokens, melody, warnings)


def _clipped(what: str, count: int, cap_steps: int) -> str:
    plural = "" if count == 1 else "s"
    quarters = cap_steps / STEPS_PER_QUARTER
    return f"{count} {what}{plural} longer than {quarters:g} quarters, read as that long"
