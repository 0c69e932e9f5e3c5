"""Task: does a melody find the others of its family?

Shapes: P melodies of the pool, Q queries, B queries of a block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqmelody.corpus import Corpus
from seqmelody.corpus.families import entry_name
from seqmelody.errors import CorpusError
from seqmelody.evaluation.intervals import Estimate, bootstrap_mean
from seqmelody.evaluation.methods import Remembered
from seqmelody.objectives.metrics import RECALL_AT, ranked
from seqmelody.tokens import TokenBatch

_FIGURES = ("MAP", "P@1", f"recall@{RECALL_AT}")
_LEFT_OUT = "copies left out"


@dataclass(frozen=True, eq=False)
class Pool:
    """Melodies to search, and which of them ask.

    Attributes:
        rows: In the corpus, ``(P,)``.
        melodies: Their streams.
        family: Number of the family of each, ``(P,)``; -1 where none is named.
        names: Of the families, by number.
        queries: Places in the pool of those that have another of their family there, ``(Q,)``.
        copies: Melodies that are the same up to transposition share a number, ``(P,)``.
    """

    rows: NDArray[np.int64]
    melodies: TokenBatch
    family: NDArray[np.int64]
    names: tuple[str, ...]
    queries: NDArray[np.int64]
    copies: NDArray[np.int64]

    @classmethod
    def of(cls, corpus: Corpus, rows: NDArray[np.int64], label: str) -> Pool:
        """The pool of some melodies.

        Args:
            corpus: Where they are.
            rows: Which of them.
            label: Column that names the family.

        Raises:
            CorpusError: There is no such column, or no family has two of these melodies.
        """
        column = corpus.column(label)
        named = [entry_name(column[row]) for row in rows.tolist()]
        names = tuple(sorted({name for name in named if name}))
        number = {name: place for place, name in enumerate(names)}
        family = np.array([number.get(name, -1) for name in named], dtype=np.int64)
        members = np.bincount(family[family >= 0], minlength=len(names))
        queries = np.flatnonzero((family >= 0) & (members[family] > 1))
        if not queries.size:
            raise CorpusError(
                f"{corpus.folder}: no two of {len(rows)} melodies share an entry of column {label!r}"
            )
        melodies = corpus.token_batch(rows)
        return cls(rows, melodies, family, names, queries, _copies(melodies))

    @property
    def families(self) -> int:
        """How many families ask."""
        return len(np.unique(self.family[self.queries]))

    @property
    def copied(self) -> int:
        """How many queries have a copy of themselves in their own family."""
        key = np.stack([self.copies, self.family], 1)[self.queries]
        _, place, count = np.unique(key, axis=0, return_inverse=True, return_counts=True)
        return int((count[place.reshape(-1)] > 1).sum())


@dataclass(frozen=True, eq=False)
class RetrievalResult:
    """How well queries found the others of their families.

    Attributes:
        found: Mean average precision, precision at 1 and recall at 10: means over the queries.
        without_copies: The same with what equals the query up to transposition neither searched nor
            asked for; empty if no query has such a copy in its family.
    """

    found: dict[str, Estimate]
    without_copies: dict[str, Estimate]

    @property
    def headlines(self) -> tuple[str, ...]:
        """The three figures, and the first without copies where there are any."""
        return (*_FIGURES, *(name for name in self.without_copies if name.startswith(_FIGURES[0])))

    def figures(self) -> dict[str, Estimate]:
        """All figures by name."""
        return {**self.found, **self.without_copies}


@dataclass(frozen=True, eq=False)
class ByFamily:
    """What the queries of each family found.

    Attributes:
        names: Of the families.
        queries: How many each has.
        figures: Means over its queries, by name, each in the order of ``names``.
    """

    names: tuple[str, ...]
    queries: tuple[int, ...]
    figures: dict[str, tuple[float, ...]]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "families": {
                name: {
                    "queries": self.queries[place],
                    **{figure: values[place] for figure, values in self.figures.items()},
                }
                for place, name in enumerate(self.names)
            }
        }


def retrieval_task(method: Remembered, pool: Pool) -> tuple[RetrievalResult, ByFamily]:
    """Asks the pool for the others of each query's family; the query itself is left out.

    Average precision and the other figures are means over the queries. Melodies of one family are no
    independent evidence: the bootstrap draws whole families. Where several melodies are equally alike,
    a figure is its mean over all their orders (McSherry & Najork, 2008).

    Args:
        method: Says how alike melodies are.
        pool: What asks and what is searched.

    Raises:
        SeqmelodyError: A similarity is no finite number.
    """
    told_QF = np.zeros((len(pool.queries), len(_FIGURES)))
    fewer_QF = np.full_like(told_QF, np.nan)
    place = 0
    for block_BP in method.similarities(pool.melodies, pool.queries):
        for similarity_P in block_BP:
            query = pool.queries[place]
            others = np.arange(len(pool.rows)) != query
            wanted = pool.family == pool.family[query]
            told_QF[place] = ranked(similarity_P[others], wanted[others])
            others &= pool.copies != pool.copies[query]
            if wanted[others].any():
                fewer_QF[place] = ranked(similarity_P[others], wanted[others])
            place += 1
    family_Q = pool.family[pool.queries]
    copied = pool.copied > 0 and not np.isnan(fewer_QF).all()
    result = RetrievalResult(
        found={
            name: bootstrap_mean(told_QF[:, number], family_Q)
            for number, name in enumerate(_FIGURES)
        },
        without_copies={
            f"{name}, {_LEFT_OUT}": bootstrap_mean(fewer_QF[:, number], family_Q)
            for number, name in enumerate(_FIGURES)
            if copied
        },
    )
    asking, of, queries = np.unique(family_Q, return_inverse=True, return_counts=True)
    means = [np.bincount(of, weights=told_Q) / queries for told_Q in told_QF.T]
    by_family = ByFamily(
        names=tuple(pool.names[number] for number in asking),
        queries=tuple(queries.tolist()),
        figures={name: tuple(mean.tolist()) for name, mean in zip(_FIGURES, means, strict=True)},
    )
    return result, by_family


def _copies(melodies: TokenBatch) -> NDArray[np.int64]:
    """A number for each melody, the same for those that are equal up to transposition."""
    numbers: dict[bytes, int] = {}
    found = np.zeros(len(melodies), dtype=np.int64)
    for place in range(len(melodies)):
        melody = melodies[place]
        interval = np.diff(melody.pitch.astype(np.int16))
        key = b"".join(stream.tobytes() for stream in (interval, melody.duration, melody.rest))
        found[place] = numbers.setdefault(key, len(numbers))
    return found
