"""``Ratings``: numbers that people gave to melodies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seqmelody.corpus import Corpus
from seqmelody.corpus.tables import TextTable, row_numbers
from seqmelody.errors import UsageError
from seqmelody.judgements.columns import melodies, missing, numbers, raters, repeats


@dataclass(frozen=True, eq=False)
class RatingTable:
    """A file of ratings, before its melodies were looked for.

    Attributes:
        path: The CSV file.
        key: ``id`` or ``path``: what the names are.
        names: Of the rated melody, one for each rating.
        value: The ratings, ``(ratings,)``.
        rater: Index into ``raters`` of who gave it, -1 where nobody is named, ``(ratings,)``.
        raters: The raters' names.
        warnings: What is odd about the file.
    """

    path: Path
    key: str
    names: list[str]
    value: NDArray[np.float64]
    rater: NDArray[np.int64]
    raters: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def read(
        cls,
        path: str | Path,
        *,
        column: str = "score",
        scale: tuple[float, float] | None = None,
        rater: str | None = None,
    ) -> RatingTable:
        """Read a CSV file: ``id`` or ``path``, the column of the rating, and maybe ``rater``.

        A row that repeats another one's rater, melody and rating counts once, and is told of;
        where nobody is named, equal rows are equal ratings of several people. Different ratings
        of one melody by one rater all count. A rater with a single rating, or who always gives
        the same one, is kept and told of.

        Args:
            path: The file.
            column: Which column holds the ratings.
            scale: Lowest and highest rating there can be.
            rater: Who gave the ratings, where the file names nobody.

        Raises:
            UsageError: The file cannot be read, lacks a column, holds no rating, or a rating is
                empty, no finite number, or outside the scale.
        """
        text = TextTable.read(path, "ratings")
        text.require_once()
        key = text.key()
        names = text.filled(key)
        value = numbers(text, column)
        if not names:
            raise UsageError(f"{text.path}: holds no rating")
        if scale is not None:
            low, high = scale
            outside = np.flatnonzero((value < low) | (value > high))
            if outside.size:
                raise UsageError(
                    f"{text.path}: {column} {value[outside[0]]:g} lies outside the scale from "
                    f"{low:g} to {high:g}, in {row_numbers(outside)}"
                )
        number, called = raters(text)
        if rater is not None and not called:
            number, called = np.zeros_like(number), (rater,)
        melody = np.unique(np.array(names, dtype=object), return_inverse=True)[1]
        again = repeats(melody, number, value) & (number >= 0)
        warnings = []
        if again.any():
            rows = np.flatnonzero(again)
            warnings.append(
                f"{text.path}: {rows.size} repeated "
                f"{'rating counts' if rows.size == 1 else 'ratings count'} once ({row_numbers(rows)})"
            )
        kept = ~again
        return cls(
            text.path,
            key,
            [name for name, keep in zip(names, kept, strict=True) if keep],
            value[kept],
            number[kept],
            called,
            (*warnings, *_odd_raters(text.path, value[kept], number[kept], called)),
        )


@dataclass(frozen=True, eq=False)
class Ratings:
    """Ratings of melodies of a corpus; ``RatingTable.read`` says what becomes of odd ones.

    Attributes:
        row: The melody's row in the corpus, ``(ratings,)``.
        value: The ratings, ``(ratings,)``.
        rater: Index into ``raters`` of who gave it, -1 where nobody is named, ``(ratings,)``.
        raters: The raters' names.
        warnings: What is odd about the file.
    """

    row: NDArray[np.int64]
    value: NDArray[np.float64]
    rater: NDArray[np.int64]
    raters: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return int(self.row.size)

    @classmethod
    def read(
        cls,
        path: str | Path,
        corpus: Corpus,
        *,
        column: str = "score",
        scale: tuple[float, float] | None = None,
    ) -> Ratings:
        """Read a CSV file, and find its melodies.

        A rating of a melody that the corpus has not is left out, and told of.

        Args:
            path: The file.
            corpus: Where the melodies are.
            column: Which column holds the ratings.
            scale: Lowest and highest rating there can be.

        Raises:
            UsageError: As ``RatingTable.read``; or the corpus has none of the melodies, or several
                that a name fits equally well.
        """
        table = RatingTable.read(path, column=column, scale=scale)
        [row] = melodies(corpus, [table.names], [table.key], table.path)
        absent = missing(table.names, row < 0, table.path, corpus)
        here = row >= 0
        # Two names may mean one melody.
        again = here & (table.rater >= 0) & repeats(row, table.rater, table.value)
        warnings = table.warnings
        if again.any():
            names = ", ".join(dict.fromkeys(table.names[place] for place in np.flatnonzero(again)))
            warnings += (
                f"{table.path}: ratings under two names of one melody count once ({names})",
            )
        kept = here & ~again
        return cls(
            row[kept], table.value[kept], table.rater[kept], table.raters, (*absent, *warnings)
        )

    def among(self, rows: NDArray[np.int64]) -> Ratings:
        """The ratings of some rows of the corpus."""
        here = np.isin(self.row, rows)
        return Ratings(self.row[here], self.value[here], self.rater[here], self.raters)


def _odd_raters(
    path: Path, value: NDArray[np.float64], rater: NDArray[np.int64], names: tuple[str, ...]
) -> list[str]:
    single, constant = [], []
    for number, name in enumerate(names):
        given = value[rater == number]
        if given.size == 1:
            single.append(name)
        elif np.ptp(given) == 0:
            constant.append(name)
    told = []
    few = "gave one rating: kept, and drawn to the consensus"
    alike = "always gave the same rating, which tells nothing of a taste: kept"
    for who, what in ((single, few), (constant, alike)):
        if who:
            several = f"{len(who)} raters" if len(who) > 1 else f"rater {who[0]!r}"
            told.append(f"{path}: {several} {what}")
    return told
