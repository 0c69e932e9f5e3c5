"""Families of melodies that ``prepare`` keeps together, such as those of one tune.

A split must not divide a family, nor a group of near-duplicates. Where near-duplicates belong to two
families, both go together, and so on: what is linked by either is a block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from seqmelody.corpus.duplicates import join, numbered
from seqmelody.corpus.labels import Labels
from seqmelody.errors import UsageError

NO_FAMILY = -1


def entry_name(entry: Any) -> str:
    """The family, or any class, that an entry of a column names; empty where it names none."""
    return "" if entry is None or entry != entry else str(entry)  # noqa: PLR0124 - not a number


@dataclass(frozen=True)
class Families:
    """A column of labels whose values are families.

    Attributes:
        column: Its name.
    """

    column: str
    _labels: Labels = field(repr=False)
    _numbers: NDArray[np.int32] = field(repr=False)

    @classmethod
    def of(cls, labels: Labels, column: str) -> Families:
        """The families in a table of labels.

        Raises:
            UsageError: There is no such column; the message names those there are.
        """
        columns = labels.table.column_names
        if column not in columns:
            raise UsageError(
                f"{labels.path}: no column {column!r} to keep together; "
                + (f"there are {', '.join(columns)}" if columns else "it has no labels")
            )
        cells = pc.dictionary_encode(labels.table[column].combine_chunks())
        return cls(column, labels, pc.fill_null(cells.indices, NO_FAMILY).to_numpy())

    def find(self, ids: Sequence[str], paths: Sequence[str]) -> NDArray[np.int32]:
        """The family of each melody, from 0; ``NO_FAMILY`` for none.

        Args:
            ids: The melodies' ids.
            paths: Their source names.
        """
        found = np.full(len(ids), NO_FAMILY, dtype=np.int32)
        rows = self._labels.find(ids, paths)
        found[rows >= 0] = self._numbers[rows[rows >= 0]]
        return found


def blocks(group: NDArray[np.int32], family: NDArray[np.int32]) -> NDArray[np.int32]:
    """What has to share a split: groups of near-duplicates, joined by families.

    Args:
        group: Group of each melody, ``(melodies,)``, from 0.
        family: Family of each melody, ``(melodies,)``, from 0; ``NO_FAMILY`` for one that goes with
            its group alone.

    Returns:
        Blocks ``(melodies,)``, numbered from 0 in the order of their first melodies.
    """
    member = family != NO_FAMILY
    family, left = family[member], group[member]
    # A family's groups are all linked to one of them, whichever was put down last.
    right = np.zeros(family.max(initial=NO_FAMILY) + 1, dtype=np.int32)
    right[family] = left
    alone = np.arange(group.max(initial=-1) + 1, dtype=np.int32)
    return numbered(join(alone, left, right[family])[group])


def block_counts(
    group: NDArray[np.int32], family: NDArray[np.int32], block: NDArray[np.int32]
) -> dict[str, Any]:
    """What joining did, for the report.

    Args:
        group: Group of each melody, ``(melodies,)``, from 0.
        family: Family of each, or ``NO_FAMILY``.
        block: Block of each, from 0.

    Returns:
        ``melodies`` with a family; ``families``; ``blocks``; ``joined_groups``, which share a block
        with another; ``chained_families``, which do so; ``largest``: melodies, groups and families
        of the largest block.
    """
    block_of_group = np.zeros(group.max(initial=-1) + 1, dtype=np.int32)
    block_of_group[group] = block
    member = family != NO_FAMILY
    # A family lies in one block, so that any of its melodies tells which.
    block_of_family = np.full(family.max(initial=NO_FAMILY) + 1, -1, dtype=np.int32)
    block_of_family[family[member]] = block[member]
    block_of_family = block_of_family[block_of_family >= 0]
    melodies = np.bincount(block)
    groups = np.bincount(block_of_group, minlength=melodies.size)
    families = np.bincount(block_of_family, minlength=melodies.size)
    largest = int(melodies.argmax())
    return {
        "melodies": int(np.count_nonzero(member)),
        "families": int(block_of_family.size),
        "blocks": int(melodies.size),
        "joined_groups": int(groups[groups > 1].sum()),
        "chained_families": int(families[families > 1].sum()),
        "largest": {
            "melodies": int(melodies[largest]),
            "groups": int(groups[largest]),
            "families": int(families[largest]),
        },
    }
