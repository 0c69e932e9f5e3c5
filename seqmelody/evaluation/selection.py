"""Which melodies of a corpus a task is about, and what people said of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
from numpy.typing import NDArray

from seqmelody.corpus import Corpus
from seqmelody.errors import CorpusError
from seqmelody.evaluation.ratings import Stimuli
from seqmelody.evaluation.tasks import ALL, DEVELOPMENT


@dataclass(frozen=True, eq=False)
class Rated:
    """Ratings found in their corpus.

    Attributes:
        corpus: Where the stimuli are.
        stimuli: All of them.
        for_choosing: Which are for choosing, ``(stimuli,)``; None where nobody numbers them.
        warnings: What is odd about the file.
    """

    corpus: Corpus
    stimuli: Stimuli
    for_choosing: NDArray[np.bool_] | None
    warnings: tuple[str, ...]

    def chosen(self, stimuli: str) -> NDArray[np.bool_]:
        """Which stimuli a task is about, ``(stimuli,)``."""
        if stimuli == ALL or self.for_choosing is None:
            return np.ones(len(self.stimuli), dtype=bool)
        return self.for_choosing if stimuli == DEVELOPMENT else ~self.for_choosing


def for_choosing(number: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which numbered stimuli are for choosing among methods; the others are for reporting."""
    return np.asarray(number % 5 < 2)


def numbers_of(corpus: Corpus, column: str, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Whole numbers of some melodies.

    Raises:
        CorpusError: One of them has none.
    """
    values = np.asarray(corpus.column(column))[rows]
    # Missing whole numbers make a column of floats; in text there is no number at all.
    if values.dtype.kind not in "if" or (values != np.rint(values)).any():
        raise CorpusError(
            f"{corpus.folder}: column {column!r} is no whole number for each of the rated melodies"
        )
    return values.astype(np.int64)


def rows_of(corpus: Corpus, split: str, where: Mapping[str, str]) -> NDArray[np.int64]:
    """Rows of the melodies of a split that fit patterns.

    Raises:
        CorpusError: There are none, or no such column.
    """
    rows = np.arange(len(corpus)) if split == ALL else corpus.split(split)
    for column, pattern in where.items():
        if column not in corpus.columns:
            raise CorpusError(
                f"{corpus.folder}: no column {column!r}; there are {', '.join(corpus.columns)}"
            )
        values = corpus.column(column)
        rows = rows[[fnmatchcase(str(values[row]), pattern) for row in rows.tolist()]]
    if len(rows) == 0:
        what = "".join(f" with {column} {pattern}" for column, pattern in where.items())
        raise CorpusError(f"{corpus.folder}: no melodies in its {split} split{what}")
    return rows
