"""Exact duplicates, and groups of near-duplicates.

Two melodies are near-duplicates when the shorter one shares a third of its runs of eight
intervals with the other, and six at least. Intervals are blind to transposition and rhythm; runs
are compared once as they are and once with repeated notes merged, since texts of other lengths
divide notes. Runs of few distinct intervals (trills, a drone) say little, and do not count.
Near-duplicates, and theirs in turn, form a group.

What two unrelated melodies share by chance grows with the corpus, so the runs grow too: half an
interval per doubling, since an interval carries about two bits.

Memory is bounded: the runs are divided among files on disk so that equal ones lie in one file,
then the pairs that share one so that equal pairs do; one file is in memory at a time. What a run
occurs in very often is linked to its next neighbours only, in an order drawn from the content:
copies of one tune are neighbours in all their runs. So the groups depend on the set of melodies
alone, not on the order or the names of their files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

RUN_INTERVALS = 8
MIN_SHARED_RUNS = 6
MIN_SHARE = 1 / 3
"""Of the distinct runs of the shorter melody."""

MIN_DISTINCT_INTERVALS = 3
"""A run with fewer distinct intervals does not count."""

_REFERENCE_NOTES = 400_000
"""Size of the corpus (Essen) that the figures above were chosen on."""

_NEIGHBOURS = 16
_PARTITION_RUNS = 1_000_000
_RUN = np.dtype([("hash", "<u8"), ("melody", "<i4")])


def exact_duplicates(digests: NDArray[np.uint64]) -> NDArray[np.int64]:
    """For each melody the first one with the same streams; itself if it is the first.

    Args:
        digests: 128 bits that stand for the streams, ``(melodies, 2)``.

    Returns:
        Rows, ``(melodies,)``.
    """
    order = np.lexsort((digests[:, 0], digests[:, 1]))  # stable: the first of equals stays first
    ordered = digests[order]
    is_first = np.ones(order.size, dtype=bool)
    is_first[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    first = np.empty(order.size, dtype=np.int64)
    first[order] = order[np.flatnonzero(is_first)[np.cumsum(is_first) - 1]]
    return first


def near_duplicate_groups(
    batches: Iterable[tuple[NDArray[np.uint8], NDArray[np.int64]]],
    digests: NDArray[np.uint64],
    notes: int,
    folder: Path,
) -> NDArray[np.int32]:
    """The group of each melody.

    Args:
        batches: Pitch streams end to end, and the length of each; all melodies in order.
        digests: 128 bits that stand for each melody's streams, no two alike, ``(melodies, 2)``.
        notes: How many notes there are in all.
        folder: For temporary files.

    Returns:
        Groups ``(melodies,)``, numbered from 0 in the order of their first melodies.
    """
    melodies = len(digests)
    # Within this module a melody is known by its rank, which its file's place does not change.
    rank = np.empty(melodies, dtype=np.int32)
    rank[np.lexsort((digests[:, 0], digests[:, 1]))] = np.arange(melodies, dtype=np.int32)
    length = RUN_INTERVALS + max(0, round(0.5 * np.log2(notes / _REFERENCE_NOTES)))
    partitions = 1 + 2 * notes // _PARTITION_RUNS
    linked = np.arange(melodies, dtype=np.int32)
    for merge_repeats in (False, True):
        runs = _Spill(folder, "runs", partitions, _RUN)
        row = 0
        for pitch, lengths in batches:
            names = np.repeat(rank[row : row + lengths.size], lengths)
            row += lengths.size
            moves = np.ones(pitch.size, dtype=bool)
            if merge_repeats:
                moves[1:] = (pitch[1:] != pitch[:-1]) | (names[1:] != names[:-1])
            found = _runs(pitch[moves], names[moves], length)
            runs.add(found, found["hash"] >> np.uint64(32))
        linked = _link(linked, *_shared_runs(runs, melodies, folder))
    _, first, group = np.unique(linked[rank], return_index=True, return_inverse=True)
    numbers = np.empty(first.size, dtype=np.int32)
    numbers[np.argsort(first)] = np.arange(first.size, dtype=np.int32)
    return numbers[group]


class _Spill:
    """Records divided among files on disk.

    Args:
        folder: Where the files lie.
        name: What they are called.
        partitions: How many there are.
        dtype: Of a record.
    """

    def __init__(self, folder: Path, name: str, partitions: int, dtype: Any) -> None:
        self._files = [folder / f"{name}-{number}" for number in range(partitions)]
        self._dtype = np.dtype(dtype)
        self.partitions = partitions
        for file in self._files:
            file.write_bytes(b"")

    def add(self, records: NDArray[Any], keys: NDArray[Any]) -> None:
        """Append records; those of equal keys go to the same file."""
        place = (keys % keys.dtype.type(len(self._files))).astype(np.int64)
        order = np.argsort(place, kind="stable")
        bounds = np.searchsorted(place[order], np.arange(len(self._files) + 1))
        for number, file in enumerate(self._files):
            part = records[order[bounds[number] : bounds[number + 1]]]
            if part.size:
                with file.open("ab") as out:
                    out.write(part.tobytes())

    def drain(self) -> Iterator[NDArray[Any]]:
        """The files' records, one file after the other; each is then removed."""
        for file in self._files:
            yield np.fromfile(file, dtype=self._dtype)
            file.unlink()


def _runs(pitch: NDArray[np.uint8], names: NDArray[np.int32], length: int) -> NDArray[np.void]:
    """Hash and melody of each run of ``length`` intervals that says something."""
    if pitch.size <= length:
        return np.zeros(0, dtype=_RUN)
    interval = np.diff(pitch.astype(np.int8))  # keys end at 127, so no difference overflows
    within = names[length:] == names[:-length]
    windows = np.lib.stride_tricks.sliding_window_view(interval, length)[within]
    ordered = np.sort(windows, axis=1)
    telling = (ordered[:, 1:] != ordered[:, :-1]).sum(axis=1) + 1 >= MIN_DISTINCT_INTERVALS
    windows = windows[telling]
    hashes = np.zeros(len(windows), dtype=np.uint64)
    for column in range(length):
        hashes *= np.uint64(0x9E3779B97F4A7C15)
        hashes += (windows[:, column] + np.int16(128)).astype(np.uint64)
        hashes ^= hashes >> np.uint64(29)
    runs = np.empty(len(windows), dtype=_RUN)
    runs["hash"] = hashes
    runs["melody"] = names[:-length][within][telling]
    return runs


def _shared_runs(
    runs: _Spill, melodies: int, folder: Path
) -> tuple[NDArray[np.int32], Iterator[NDArray[np.int64]]]:
    """How many distinct runs each melody has, and the pairs that share one.

    A pair ``a, b`` is the number ``a * melodies + b``, and occurs once for each run they share.
    """
    counts = np.zeros(melodies, dtype=np.int32)
    pairs = _Spill(folder, "pairs", runs.partitions, np.int64)
    for part in runs.drain():
        ordered = part[np.lexsort((part["melody"], part["hash"]))]
        new = np.ones(ordered.size, dtype=bool)
        new[1:] = ordered[1:] != ordered[:-1]
        hashes, names = ordered["hash"][new], ordered["melody"][new].astype(np.int64)
        counts += np.bincount(names, minlength=melodies).astype(np.int32)
        for step in range(1, _NEIGHBOURS + 1):
            same = np.flatnonzero(hashes[step:] == hashes[:-step])
            if not same.size:
                break
            left, right = names[same], names[same + step]
            pairs.add(left * melodies + right, left)
    return counts, pairs.drain()


def _link(
    linked: NDArray[np.int32], counts: NDArray[np.int32], pairs: Iterator[NDArray[np.int64]]
) -> NDArray[np.int32]:
    """Join the pairs that share enough."""
    for part in pairs:
        distinct, shared = np.unique(part, return_counts=True)
        left, right = np.divmod(distinct, counts.size)
        needed = np.maximum(
            MIN_SHARED_RUNS, np.ceil(MIN_SHARE * np.minimum(counts[left], counts[right]))
        )
        near = shared >= needed
        linked = join(linked, left[near], right[near])
    return linked


def join(
    linked: NDArray[np.int32], left: NDArray[np.integer], right: NDArray[np.integer]
) -> NDArray[np.int32]:
    """Union-find on arrays: the components after more links.

    Args:
        linked: The smallest member of each one's component, ``(items,)``.
        left: One end of each link, ``(links,)``.
        right: The other end, ``(links,)``.

    Returns:
        The smallest member of each one's component after joining, ``(items,)``.
    """
    linked = linked.copy()
    while True:
        one, other = linked[left], linked[right]
        apart = one != other
        if not apart.any():
            return linked
        left, right = one[apart], other[apart]
        # Hang each root below the smallest root it is linked to, then shorten all paths.
        np.minimum.at(linked, np.maximum(left, right), np.minimum(left, right))
        while (linked[linked] != linked).any():
            linked = linked[linked]
