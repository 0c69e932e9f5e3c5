"""``UniqueNames``: no name twice, in a few bytes for each of millions."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class UniqueNames:
    """Makes names unique: a repeated one gets ``~2``, ``~3`` and so on.

    Of what was given out only hashes of 8 bytes are kept, in sorted runs, each at least twice as
    long as the next: a look-up is a few bisections, and memory a tenth of a set's. Only names that
    were repeated are kept as they are. Two names of one hash would only cost the later one a suffix
    that it does not need.
    """

    def __init__(self) -> None:
        self._runs: list[NDArray[np.uint64]] = []
        # Where to go on counting, for the names that were repeated.
        self._next_number: dict[str, int] = {}

    def take(self, names: Sequence[str]) -> list[str]:
        """The names, each different from the others and from all that were given out."""
        if not names:
            return []
        unique = list(names)
        hashes = np.array([_hash(name) for name in unique], dtype=np.uint64)
        if np.unique(hashes).size < hashes.size or self._taken(hashes).any():
            unique, hashes = self._renamed(unique)
        run = np.sort(hashes)
        while self._runs and self._runs[-1].size < 2 * run.size:
            run = np.sort(np.concatenate([self._runs.pop(), run]))
        self._runs.append(run)
        return unique

    def _renamed(self, names: Sequence[str]) -> tuple[list[str], NDArray[np.uint64]]:
        """The names one by one, each looked up among those before it."""
        here: dict[int, str] = {}
        for name in names:
            for number in itertools.count(self._next_number.get(name, 1)):
                candidate = name if number == 1 else f"{name}~{number}"
                hashed = _hash(candidate)
                if hashed not in here and not self._taken(np.array([hashed], np.uint64)).any():
                    break
            if number > 1:
                self._next_number[name] = number + 1
            here[hashed] = candidate
        return list(here.values()), np.array(list(here), dtype=np.uint64)

    def _taken(self, hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
        taken = np.zeros(hashes.shape, dtype=bool)
        for run in self._runs:
            place = np.searchsorted(run, hashes)
            taken |= run[np.minimum(place, run.size - 1)] == hashes
        return taken


def _hash(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")
