"""What a search finds."""

from __future__ import annotations

from dataclasses import dataclass

from seqmelody.errors import InputError
from seqmelody.retrieval.alignment import Alignment
from seqmelody.tokens import Tokens


@dataclass(frozen=True, eq=False)
class Hit:
    """A melody of the index that is near a query.

    Attributes:
        row: Its place in the index; ``MelodyIndex.melody`` gives its notes.
        id: What it is called.
        path: Where it came from.
        similarity: Cosine of the embeddings, -1 to 1.
        same: Whether it is the query itself, in whatever key: the notes are compared where they are
            at hand, else the similarity is 1.
        alignment: The passage that it shares with the query, where that was asked for and neither
            is too long.
    """

    row: int
    id: str
    path: str
    similarity: float
    same: bool
    alignment: Alignment | None = None


@dataclass(frozen=True, eq=False)
class Answer:
    """What was found for one query.

    Attributes:
        path: What the query is called.
        hits: The nearest melodies, the nearest first.
        tokens: The query's streams; ``None`` for a vector, or where it could not be read.
        warnings: What to know before the hits are trusted.
        error: Why nothing could be searched for.
    """

    path: str
    hits: tuple[Hit, ...] = ()
    tokens: Tokens | None = None
    warnings: tuple[str, ...] = ()
    error: InputError | None = None
