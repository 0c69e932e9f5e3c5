"""``Preferences``: pairs of melodies of which people liked one better."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seqmelody.corpus import Corpus
from seqmelody.corpus.tables import KEYS, TextTable, row_numbers
from seqmelody.errors import UsageError
from seqmelody.judgements.columns import melodies, missing, numbers, raters, repeats

TIE = "tie"


@dataclass(frozen=True, eq=False)
class Preferences:
    """Preferences between melodies of a corpus.

    Attributes:
        winner: Row in the corpus of the melody that was preferred, ``(pairs,)``.
        loser: Row of the other.
        tie: Where neither was preferred, so that winner and loser are just two, ``(pairs,)``.
        rater: Index into ``raters`` of who said so, -1 where nobody is named, ``(pairs,)``.
        raters: The raters' names.
        warnings: What is odd about the file.
    """

    winner: NDArray[np.int64]
    loser: NDArray[np.int64]
    tie: NDArray[np.bool_]
    rater: NDArray[np.int64]
    raters: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return int(self.winner.size)

    @classmethod
    def read(cls, path: str | Path, corpus: Corpus) -> Preferences:
        """Read a CSV file with ``winner`` and ``loser``, and maybe ``rater`` and ``tie`` (0 or 1).

        Winner and loser are ids, or else paths. A pair with a melody that the corpus has not is
        left out, and told of. Contradictory pairs, A over B and B over A, are evidence both, and
        are counted in a warning. A row that repeats another one of the same rater counts once;
        where nobody is named, equal rows are equal choices of several people.

        Args:
            path: The file.
            corpus: Where the melodies are.

        Raises:
            UsageError: The file cannot be read, lacks a column, or holds no pair; a cell is empty;
                a tie is neither 0 nor 1; a melody is compared with itself; or the corpus has no
                pair's melodies, or several that a name fits equally well.
        """
        text = TextTable.read(path, "preferences")
        text.require_once()
        names = [text.filled(column) for column in ("winner", "loser")]
        tie = _ties(text)
        rater, called = raters(text)
        winner, loser = melodies(corpus, names, KEYS, text.path)
        same_name = np.array([one == other for one, other in zip(*names, strict=True)], dtype=bool)
        same = np.flatnonzero(same_name | ((winner == loser) & (winner >= 0)))
        if same.size:
            raise UsageError(
                f"{text.path}: {names[0][same[0]]!r} is compared with itself, in "
                f"{row_numbers(same)}"
            )
        absent = (winner < 0) | (loser < 0)
        unknown = [
            first if row < 0 else second
            for first, second, row in zip(*names, winner.tolist(), strict=True)
        ]
        warnings = missing(unknown, absent, text.path, corpus)
        # Ties have no order.
        low, high = np.minimum(winner, loser), np.maximum(winner, loser)
        again = rater >= 0
        again &= repeats(np.where(tie, low, winner), np.where(tie, high, loser), tie, rater)
        again &= ~absent
        if again.any():
            rows = np.flatnonzero(again)
            warnings += (
                f"{text.path}: {rows.size} repeated "
                f"{'pair counts' if rows.size == 1 else 'pairs count'} once ({row_numbers(rows)})",
            )
        kept = ~absent & ~again
        contradictory = _contradictory(winner[kept & ~tie], loser[kept & ~tie])
        if contradictory:
            warnings += (
                f"{text.path}: {contradictory} pair{'s' if contradictory > 1 else ''} of melodies "
                "judged both ways: both kept as evidence",
            )
        return cls(winner[kept], loser[kept], tie[kept], rater[kept], called, warnings)

    def among(self, rows: NDArray[np.int64]) -> Preferences:
        """The pairs of which both melodies are among some rows of the corpus."""
        here = np.isin(self.winner, rows) & np.isin(self.loser, rows)
        return Preferences(
            self.winner[here], self.loser[here], self.tie[here], self.rater[here], self.raters
        )


def _ties(text: TextTable) -> NDArray[np.bool_]:
    """Which rows are ties; none where there is no such column."""
    if TIE not in text.names:
        return np.zeros(text.table.num_rows, dtype=bool)
    tie = numbers(text, TIE)
    wrong = np.flatnonzero((tie != 0) & (tie != 1))
    if wrong.size:
        raise UsageError(
            f"{text.path}: tie must be 0 or 1, not {tie[wrong[0]]:g}, in {row_numbers(wrong)}"
        )
    is_tie: NDArray[np.bool_] = tie == 1
    return is_tie


def _contradictory(winner: NDArray[np.int64], loser: NDArray[np.int64]) -> int:
    """How many pairs of melodies were decided both ways."""
    decided = set(zip(winner.tolist(), loser.tolist(), strict=True))
    return sum((loser, winner) in decided for winner, loser in decided) // 2
