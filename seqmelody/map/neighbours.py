"""The melodies nearest to each melody, found exactly.

Shapes: N melodies, K neighbours of each, E embedding size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LISTED = 10
"""Neighbours that a page names for each melody."""
_BLOCK = 512
"""Melodies compared with all others at once: 60 MB at 30,000 melodies."""


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Who is nearest to whom.

    Attributes:
        row_NK: The nearest melodies of each, the nearest first; never itself.
        cosine_NK: How alike they are, -1 to 1.
    """

    row_NK: NDArray[np.int32]
    cosine_NK: NDArray[np.float32]


def nearest(
    embedding_NE: NDArray[np.float32], count: int = LISTED, *, progress: bool = False
) -> Neighbours:
    """The nearest neighbours of each melody, by comparing all with all.

    Args:
        embedding_NE: Unit vectors of two melodies or more.
        count: How many neighbours; of fewer melodies, all others.
        progress: Show a progress bar on standard error.
    """
    from tqdm import tqdm

    melodies = len(embedding_NE)
    count = min(count, melodies - 1)
    row_NK = np.empty((melodies, count), dtype=np.int32)
    cosine_NK = np.empty((melodies, count), dtype=np.float32)
    starts = range(0, melodies, _BLOCK)
    for start in tqdm(starts, desc="comparing", leave=False, disable=not progress):
        cosine_BN = embedding_NE[start : start + _BLOCK] @ embedding_NE.T
        own = np.arange(len(cosine_BN))
        cosine_BN[own, start + own] = -np.inf
        # Equal ones in the order of the melodies, so that the same input gives the same page.
        row_BK = np.sort(np.argpartition(-cosine_BN, count - 1, axis=1)[:, :count], axis=1)
        found_BK = np.take_along_axis(cosine_BN, row_BK, axis=1)
        order_BK = np.argsort(-found_BK, axis=1, kind="stable")
        stop = start + len(own)
        row_NK[start:stop] = np.take_along_axis(row_BK, order_BK, axis=1)
        cosine_NK[start:stop] = np.take_along_axis(found_BK, order_BK, axis=1)
    return Neighbours(row_NK, np.clip(cosine_NK, -1.0, 1.0))
