"""Train, validation and test splits that no group of near-duplicates straddles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

HELD_OUT_SHARE = 0.1
"""Share of the melodies in the validation split, and in the test split."""


def assign_splits(
    groups: NDArray[np.integer], digests: NDArray[np.uint64], seed: int
) -> NDArray[np.int8]:
    """A split for each melody.

    Groups are put in an order drawn from the seed and their content. In this order, each goes to
    the validation split if it still fits, then likewise to the test split; the rest is for
    training. So neither the order of the files nor their names change anything, and more melodies
    move only the groups at the borders.

    Args:
        groups: Group of each melody, ``(melodies,)``, from 0; or block, where families are kept
            together.
        digests: Hash of each melody's content, ``(melodies,)``.
        seed: Another seed gives other splits.

    Returns:
        0 train, 1 validation, 2 test, ``(melodies,)``. Both held-out splits hold a tenth of the
        melodies, unless no set of groups gives that; with three groups or more, none is empty.
    """
    sizes = np.bincount(groups)
    # A group is known by the smallest digest in it, whatever order its members come in.
    names = np.full(sizes.size, np.iinfo(np.uint64).max, dtype=np.uint64)
    np.minimum.at(names, groups, digests)
    order = np.lexsort((names, _mix(names ^ _mix(np.array([seed % 2**64], dtype=np.uint64)))))
    quota = max(1, round(HELD_OUT_SHARE * groups.size))
    split = np.zeros(sizes.size, dtype=np.int8)
    for code in (1, 2):
        free = order[split[order] == 0]
        spare = free.size - (3 - code)  # the splits that follow need a group each
        room = quota
        for group in free:
            if spare <= 0 or room == 0:
                break
            if sizes[group] <= room:
                split[group] = code
                room -= sizes[group]
                spare -= 1
        if spare > 0 and room == quota:
            split[free[sizes[free].argmin()]] = code
    assigned: NDArray[np.int8] = split[groups]
    return assigned


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finalizer of SplitMix64 (Steele et al. 2014): neighbours end far apart."""
    mixed: NDArray[np.uint64] = values + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed
