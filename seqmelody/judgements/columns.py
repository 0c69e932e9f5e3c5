"""What the files of judgements share: numbers, raters, and which melody a name means."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seqmelody.corpus import Corpus
from seqmelody.corpus.tables import MelodyKeys, TextTable, row_numbers
from seqmelody.errors import UsageError

RATER = "rater"
_SHOWN = 3
LARGEST = 1e6
"""No judgement is larger, or below its negative: squares of such numbers would overflow."""


def numbers(text: TextTable, column: str) -> NDArray[np.float64]:
    """A column of numbers, ``(rows,)``.

    Raises:
        UsageError: There is no such column, or a cell is empty, NaN, infinite, no number or a huge one.
    """
    cells = text.filled(column)
    values = np.array([_number(cell) for cell in cells], dtype=np.float64)
    wrong = np.flatnonzero(~np.isfinite(values))
    if not wrong.size:
        wrong = np.flatnonzero(np.abs(values) > LARGEST)
        if wrong.size:
            raise UsageError(
                f"{text.path}: {column} {cells[wrong[0]]} is beyond {LARGEST:,.0f}, in "
                f"{row_numbers(wrong)}"
            )
    if wrong.size:
        raise UsageError(
            f"{text.path}: {column} {cells[wrong[0]]!r} is no number, in {row_numbers(wrong)}"
        )
    return values


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan


def raters(text: TextTable) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Who judged: an index into the names a row, ``(rows,)``, -1 where nobody is named."""
    if RATER not in text.names:
        return np.full(text.table.num_rows, -1, dtype=np.int64), ()
    column = text.table.column(RATER).to_pylist()
    # In the order of the alphabet: the order of the rows means nothing.
    names = tuple(sorted({name for name in column if name is not None}))
    number = {name: place for place, name in enumerate(names)}
    return np.array([number.get(name, -1) for name in column], dtype=np.int64), names


def melodies(
    corpus: Corpus, columns: Sequence[Sequence[str]], kinds: Sequence[str], where: Path
) -> NDArray[np.int64]:
    """The corpus' row for each name, ``(columns, rows)``, -1 where it has no such melody.

    Args:
        corpus: Where the melodies are.
        columns: Columns of names, each with one for each row of the file.
        kinds: What they are: ``id``, ``path``, or either.
        where: The file.

    Raises:
        UsageError: A name fits several melodies equally well.
    """
    per_column = len(columns[0])
    names = [name for column in columns for name in column]
    unique, number = np.unique(np.array(names, dtype=object), return_inverse=True)
    ids, paths = corpus.column("id"), corpus.column("path")
    assert isinstance(ids, list)
    assert isinstance(paths, list)
    found = MelodyKeys(kinds, unique.tolist()).melodies(ids, paths)
    row_of = np.full(unique.size, -1, dtype=np.int64)
    for place, rows in enumerate(found):
        if rows.size > 1:
            shown = ", ".join(ids[row] for row in rows[:_SHOWN].tolist())
            at = row_numbers(np.flatnonzero(number == place) % per_column)
            raise UsageError(
                f"{where}: {unique[place]!r}, in {at}, fits {rows.size} melodies of the corpus "
                f"({shown}{', ...' if rows.size > _SHOWN else ''}); give more of its path"
            )
        if rows.size:
            row_of[place] = rows[0]
    found_row: NDArray[np.int64] = row_of[number].reshape(len(columns), per_column)
    return found_row


def missing(
    names: Sequence[str], absent: NDArray[np.bool_], where: Path, corpus: Corpus
) -> tuple[str, ...]:
    """A warning of the melodies that the corpus has not, if there are any.

    Raises:
        UsageError: It has none of them.
    """
    if absent.all():
        raise UsageError(
            f"{where}: none of its melodies is in {corpus.folder} (row 2 names {names[0]!r})"
            if len(names)
            else f"{where}: holds no judgement"
        )
    if not absent.any():
        return ()
    unknown = list(dict.fromkeys(name for name, gone in zip(names, absent, strict=True) if gone))
    shown = ", ".join(unknown[:_SHOWN]) + (", ..." if len(unknown) > _SHOWN else "")
    count = int(absent.sum())
    return (
        f"{where}: {count} row{'s' if count > 1 else ''} left out, for {corpus.folder} has no "
        f"melody {shown}",
    )


def repeats(*columns: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Which rows say again what a row before them says, ``(rows,)``."""
    seen: set[tuple[object, ...]] = set()
    again = np.zeros(len(columns[0]), dtype=bool)
    for place, row in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
        again[place] = row in seen
        seen.add(row)
    return again
