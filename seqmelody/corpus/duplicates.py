"""Exact duplicates, and groups of near-duplicates.

Two melodies are near-duplicates when the shorter one shares a third of its runs of eight
intervals with the other, and six at least. Intervals are blind to transposition and rhythm; runs
are compared once as they are and once with repeated notes merged, since texts of other lengths
divide notes. Runs of one or two distinct intervals (trills, a drone) say little, and do not count.
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

_REFERENCE_NOTES = 400_000
"""Size of the corpus (Essen) that the figures above were chosen on."""

_NEIGHBOURS = 16
_PARTITION_RUNS = 1_000_000
_BUCKET_BITS = 20
_RUN = np.dtype([("hash", "<u8"), ("melody", "<i4")])


def exact_duplicates(digests: NDArray[np.uint64]) -> NDArray[np.int32]:
    """For each melody the first one with the same streams; itself if it is the first.

    Args:
        digests: 128 bits that stand for the streams, ``(melodies, 2)``.

    Returns:
        Rows, ``(melodies,)``.
    """
    order = np.lexsort((digests[:, 0], digests[:, 1]))  # stable: the first of equals stays first
    is_first = np.zeros(order.size, dtype=bool)
    is_first[:1] = True
    for half in digests.T:
        ordered = half[order]
        is_first[1:] |= ordered[1:] != ordered[:-1]
    number = np.cumsum(is_first, dtype=np.int32)
    number -= 1
    first = np.empty(order.size, dtype=np.int32)
    first[order] = order[is_first].astype(np.int32)[number]
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
    return numbered(linked[rank])


def numbered(components: NDArray[np.int32]) -> NDArray[np.int32]:
    """Components numbered from 0 in the order of their first members.

    Args:
        components: A number below that of the items for each item, the same within a component,
            ``(items,)``.
    """
    rows = np.arange(components.size, dtype=np.int32)
    first = np.empty_like(rows)
    first[components[::-1]] = rows[::-1]  # of those that share a component, the last one stays
    first = first[components]
    numbers = np.cumsum(first == rows, dtype=np.int32)
    numbers -= 1
    return numbers[first]


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
        if self.partitions > 1:
            place = (keys % keys.dtype.type(self.partitions)).astype(np.uint32)
            records = records[np.argsort(place, kind="stable")]
            bounds = np.cumsum(np.bincount(place, minlength=self.partitions)).tolist()
        else:
            bounds = [records.size]
        for file, start, end in zip(self._files, [0, *bounds], bounds, strict=False):
            if start < end:
                with file.open("ab") as out:
                    out.write(records[start:end].data)

    def drain(self) -> Iterator[NDArray[Any]]:
        """The files' records, one file after the other; each is then removed."""
        for file in self._files:
            yield np.fromfile(file, dtype=self._dtype)
            file.unlink()


def _runs(pitch: NDArray[np.uint8], names: NDArray[np.int32], length: int) -> NDArray[np.void]:
    """Hash and melody of each run of ``length`` intervals that says something."""
    count = pitch.size - length
    if count <= 0:
        return np.zeros(0, dtype=_RUN)
    keys = pitch.astype(np.int8)
    interval = keys[1:] - keys[:-1]  # keys end at 127, so no difference overflows
    within = names[length:] == names[:-length]
    starts = np.flatnonzero(within & _telling(interval, length))
    # Eight intervals are eight bytes, and so a number: no two runs of eight share a hash.
    words = np.ndarray(interval.size - 7, "<u8", interval, strides=(1,))
    hashes = np.zeros(starts.size, dtype=np.uint64)
    for place in (*range(0, length - 8, 8), length - 8):
        hashes ^= hashes >> np.uint64(32)
        hashes += words[starts + place]
        hashes *= np.uint64(0x9E3779B97F4A7C15)
    runs = np.empty(starts.size, dtype=_RUN)
    runs["hash"] = hashes
    runs["melody"] = names[starts]
    return runs


def _telling(interval: NDArray[np.int8], length: int) -> NDArray[np.bool_]:
    """Which runs hold more than two distinct intervals: one between the lowest and the highest."""
    windows = [interval[place : interval.size - length + 1 + place] for place in range(length)]
    low, high = windows[0].copy(), windows[0].copy()
    for window in windows[1:]:
        np.minimum(low, window, out=low)
        np.maximum(high, window, out=high)
    telling = np.zeros(low.size, dtype=bool)
    for window in windows:
        telling |= (window != low) & (window != high)
    return telling


def _shared_runs(
    runs: _Spill, melodies: int, folder: Path
) -> tuple[NDArray[np.int32], Iterator[NDArray[np.int64]]]:
    """How many distinct runs each melody has, and the pairs that share one.

    A pair ``a, b`` is the number ``a * melodies + b``, and occurs once for each run they share.
    """
    counts = np.zeros(melodies, dtype=np.int32)
    pairs = _Spill(folder, "pairs", runs.partitions, np.int64)
    for part in runs.drain():
        hashes, names = np.ascontiguousarray(part["hash"]), np.ascontiguousarray(part["melody"])
        # Most runs occur once, and many of these are known before anything is sorted.
        bucket = (hashes >> np.uint64(64 - _BUCKET_BITS)).astype(np.int64)
        alone = (np.bincount(bucket) == 1)[bucket]
        _count(counts, names[alone])
        hashes, names = hashes[~alone], names[~alone]
        order = np.argsort(hashes)
        hashes = hashes[order]
        run = np.zeros(order.size, dtype=np.int64)
        np.cumsum(hashes[1:] != hashes[:-1], out=run[1:])
        # A number for run and melody: far quicker to sort than two columns.
        held = (run << 32) | names[order]
        held.sort()
        held = held[_changes(held)]
        run, names = held >> 32, held & 0xFFFFFFFF
        _count(counts, names)
        ahead = np.arange(run.size)
        for step in range(1, _NEIGHBOURS + 1):
            # Who shares a run with the one ahead by some steps shares it with those between.
            ahead = ahead[: np.searchsorted(ahead, run.size - step)]
            ahead = ahead[run[ahead + step] == run[ahead]]
            if not ahead.size:
                break
            left, right = names[ahead], names[ahead + step]
            pairs.add(left * melodies + right, left)
    return counts, pairs.drain()


def _count(counts: NDArray[np.int32], names: NDArray[np.integer[Any]]) -> None:
    np.add.at(counts, names, np.int32(1))  # a number of another type takes fifty times as long


def _link(
    linked: NDArray[np.int32], counts: NDArray[np.int32], pairs: Iterator[NDArray[np.int64]]
) -> NDArray[np.int32]:
    """Join the pairs that share enough."""
    found: list[tuple[NDArray[np.int32], NDArray[np.int32]]] = []
    for part in pairs:
        part.sort()
        first = np.flatnonzero(_changes(part))
        shared = np.diff(first, append=part.size)
        left, right = np.divmod(part[first], counts.size)
        needed = np.maximum(
            MIN_SHARED_RUNS, np.ceil(MIN_SHARE * np.minimum(counts[left], counts[right]))
        )
        near = shared >= needed
        found.append((left[near].astype(np.int32), right[near].astype(np.int32)))
        # Joining looks at all melodies: not for each of a thousand parts.
        if sum(left.size for left, _ in found) > counts.size // 2:
            linked = _join_all(linked, found)
            found = []
    return _join_all(linked, found)


def _join_all(
    linked: NDArray[np.int32], found: list[tuple[NDArray[np.int32], NDArray[np.int32]]]
) -> NDArray[np.int32]:
    if not found:
        return linked
    left, right = (np.concatenate(ends) for ends in zip(*found, strict=True))
    return join(linked, left, right)


def _changes(ordered: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which entries are the first of their value."""
    first = np.ones(ordered.size, dtype=bool)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return first


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
