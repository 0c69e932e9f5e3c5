"""Candidates in order: good enough, and none of them a repeat of a better one.

Two melodies that differ in nothing but their key are the same one, and the first is kept. Beyond
that, of two melodies whose embeddings are alike the better is kept, greedily: from the best one
down, each is compared with all that were kept before it.

A candidate takes up to 3 kB, with its embedding. Comparing costs a product of vectors for each
candidate and each one kept, in blocks: 100,000 candidates that are all different took 19 s of one
core, where scoring them took 69 s. It ends where enough are kept.

Shapes: N candidates, K kept, E embedding size.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqmelody.errors import UsageError
from seqmelody.scorer.pipeline import ScoredChunk
from seqmelody.scorer.results import Score
from seqmelody.tokens import TokenBatch

SAME = 1.0
"""The similarity that asks for no more than that no melody is kept in two keys."""
_BLOCK, _TILE = 512, 8192


@dataclass(frozen=True)
class Selection:
    """Which candidates are kept.

    Attributes:
        top: Most that are kept; all if ``None``.
        threshold: Lowest rating, where the checkpoint predicts ratings; else lowest score.
        percentile: Lowest percentile of the score.
        distinct: From this cosine of their embeddings on, of two melodies the better is kept; 1
            only drops what differs in its key alone, and ``None`` drops nothing.
        without_warnings: Whether a melody with a warning is dropped.

    Raises:
        UsageError: A value makes no sense.
    """

    top: int | None = None
    threshold: float | None = None
    percentile: float | None = None
    distinct: float | None = None
    without_warnings: bool = False

    def __post_init__(self) -> None:
        if self.top is not None and self.top < 1:
            raise UsageError(f"top must be at least 1, not {self.top}")
        if self.threshold is not None and math.isnan(self.threshold):
            raise UsageError("the threshold must be a number, not NaN")
        if self.percentile is not None and not 0 <= self.percentile <= 100:
            raise UsageError(f"the percentile must be from 0 to 100, not {self.percentile}")
        if self.distinct is not None and not 0 < self.distinct <= SAME:
            raise UsageError(
                f"the similarity of distinct must be above 0 and at most 1, not {self.distinct}"
            )

    @property
    def compares(self) -> bool:
        """Whether embeddings are compared."""
        return self.distinct is not None and self.distinct < SAME

    def admits(self, score: Score) -> bool:
        """Whether a score is high enough."""
        if self.threshold is not None and _worth(score) < self.threshold:
            return False
        if self.percentile is None:
            return True
        return score.percentile is not None and score.percentile >= self.percentile


@dataclass(frozen=True)
class Ranking:
    """Candidates in order, and what became of the others.

    Attributes:
        scores: Those kept, best first; then the items that could not be read.
        places: Where each of ``scores`` stood among all that was read, from 0.
        read: How many melodies could be read.
        below: How many of them scored too low.
        warned: How many of the rest were dropped for their warnings.
        warning: One of those warnings, as an example; empty if ``warned`` is 0.
        repeated: How many of the rest repeat an earlier one, in whatever key.
        alike: How many of the rest are too like a better one, as far as was looked.
        beyond: How many are left that are not among the best.
    """

    scores: list[Score]
    places: list[int]
    read: int
    below: int
    warned: int
    warning: str
    repeated: int
    alike: int
    beyond: int


class Candidates:
    """Takes melodies as they are scored, then ranks them.

    Args:
        selection: Which are kept.
    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._seen: set[bytes] = set()
        self._scores: list[Score] = []
        self._places: list[int] = []
        self._vectors: list[NDArray[np.float32]] = []
        self._failed: list[Score] = []
        self._failed_places: list[int] = []
        self._place = 0
        self._below = 0
        self._warned = 0
        self._warning = ""
        self._repeated = 0

    def add(
        self, chunk: ScoredChunk, scores: list[Score], vector_NE: NDArray[np.float32] | None
    ) -> None:
        """Takes the melodies of a chunk.

        Args:
            chunk: Whose they are.
            scores: What is said of each.
            vector_NE: Their comparable embeddings, where those are compared.
        """
        selection, taken = self._selection, []
        keys = iter(()) if selection.distinct is None else _keys(chunk.read.tokens)
        for row, score in enumerate(scores):
            key = next(keys, None)
            place, self._place = self._place, self._place + 1
            if score.error is not None:
                self._failed.append(score)
                self._failed_places.append(place)
            elif not selection.admits(score):
                self._below += 1
            elif selection.without_warnings and score.warnings:
                self._warning = self._warning or score.warnings[0]
                self._warned += 1
            elif key is not None and key in self._seen:
                self._repeated += 1
            else:
                if key is not None:
                    self._seen.add(key)
                self._scores.append(score)
                self._places.append(place)
                taken.append(row)
        if vector_NE is not None:
            self._vectors.append(vector_NE[taken])

    def ranking(self, *, progress: bool = False) -> Ranking:
        """Ranks what was taken.

        Args:
            progress: Show a progress bar on standard error while melodies are compared.
        """
        read = self._below + self._warned + self._repeated + len(self._scores)
        score_N = np.array([_worth(score) for score in self._scores], dtype=np.float64)
        order = np.argsort(-score_N, kind="stable")
        alike = 0
        similarity = self._selection.distinct
        if self._vectors and similarity is not None:
            vector_NE = np.concatenate(self._vectors)[order]
            self._vectors.clear()
            kept, looked_at = distinct_rows(
                vector_NE, similarity, self._selection.top, progress=progress
            )
            order, alike = order[kept], looked_at - kept.size
        rows = order[: self._selection.top].tolist()
        return Ranking(
            scores=[*(self._scores[row] for row in rows), *self._failed],
            places=[*(self._places[row] for row in rows), *self._failed_places],
            read=read,
            below=self._below,
            warned=self._warned,
            warning=self._warning,
            repeated=self._repeated,
            alike=alike,
            beyond=len(self._scores) - alike - len(rows),
        )


def distinct_rows(
    vector_NE: NDArray[np.float32],
    similarity: float,
    top: int | None = None,
    *,
    progress: bool = False,
) -> tuple[NDArray[np.int64], int]:
    """From the first row on, each that is not alike to one kept before.

    Args:
        vector_NE: Unit vectors, the best first; it is overwritten.
        similarity: Two rows are alike from this dot product on.
        top: How many are enough.
        progress: Show a progress bar on standard error.

    Returns:
        The rows kept, in order, and how many rows were looked at for that.
    """
    from tqdm import tqdm

    kept: list[int] = []
    looked_at = 0
    with tqdm(
        total=len(vector_NE), desc="comparing", unit=" melodies", leave=False, disable=not progress
    ) as bar:
        for start in range(0, len(vector_NE), _BLOCK):
            block_BE = vector_NE[start : start + _BLOCK]
            fresh_B = np.arange(len(block_BE))
            # The rows kept have been moved to the front, over rows that were looked at before.
            for tile in range(0, len(kept), _TILE):
                other_TE = vector_NE[tile : min(tile + _TILE, len(kept))]
                nearest_B = (block_BE[fresh_B] @ other_TE.T).max(1)
                fresh_B = fresh_B[nearest_B < similarity]
            rows_B = fresh_B[_apart(block_BE[fresh_B], similarity)]
            if top is not None and len(kept) + rows_B.size >= top:
                rows_B = rows_B[: top - len(kept)]
                kept.extend((start + rows_B).tolist())
                looked_at = kept[-1] + 1
                break
            vector_NE[len(kept) : len(kept) + rows_B.size] = block_BE[rows_B]
            kept.extend((start + rows_B).tolist())
            looked_at = start + len(block_BE)
            bar.update(len(block_BE))
    return np.array(kept, dtype=np.int64), looked_at


def _apart(vector_BE: NDArray[np.float32], similarity: float) -> NDArray[np.bool_]:
    """Which rows are not alike to one kept before them."""
    alike_BB = vector_BE @ vector_BE.T >= similarity
    apart_B = np.ones(len(vector_BE), dtype=bool)
    for row in range(len(vector_BE)):
        if apart_B[row]:
            apart_B[row + 1 :] &= ~alike_BB[row, row + 1 :]
    return apart_B


def _worth(score: Score) -> float:
    """What candidates are ordered by: the rating, of a listener or of all, where there is one."""
    return score.score if score.rating is None else score.rating


def _keys(tokens: TokenBatch) -> Iterator[bytes]:
    """Sixteen bytes for each melody that tell it from others, whatever its key."""
    # One whole number a note: the interval from the note before, the duration and the rest.
    pitch = tokens.pitch.astype(np.int64)
    interval = np.zeros_like(pitch)
    interval[1:] = pitch[1:] - pitch[:-1]
    starts = tokens.offsets[:-1]
    interval[starts[starts < interval.size]] = 0
    note = ((interval + 128) << 32) | (tokens.duration.astype(np.int64) << 16) | tokens.rest
    data = memoryview(note.tobytes())
    bounds = (tokens.offsets * note.itemsize).tolist()
    for start, end in itertools.pairwise(bounds):
        yield hashlib.blake2b(data[start:end], digest_size=16).digest()
