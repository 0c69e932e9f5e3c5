"""Melodies with labels of any kind, where a test needs no corpus on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from melody_batches import together

from seqmelody.errors import CorpusError
from seqmelody.tokens import TokenBatch, Tokens


class Songs:
    """As much of ``Corpus`` as tasks about melodies with labels ask for."""

    folder = Path("songs")

    def __init__(self, melodies: Sequence[Tokens], **columns: Sequence[Any]) -> None:
        self._melodies = melodies
        self._columns = {"group": np.arange(len(melodies)), **columns}

    def __len__(self) -> int:
        return len(self._melodies)

    def column(self, name: str) -> Sequence[Any]:
        if name not in self._columns:
            raise CorpusError(f"{self.folder}: no column {name!r}")
        return self._columns[name]

    def token_batch(self, rows: np.ndarray) -> TokenBatch:
        return together(*(self._melodies[row] for row in rows.tolist()))


def numbered(count: int) -> list[Tokens]:
    """Melodies of two notes that no two are alike, in order of their first duration."""
    return [
        Tokens(
            np.array([60, 62], dtype=np.uint8),
            np.array([number + 1, 24], dtype=np.uint16),
            np.zeros(2, dtype=np.uint16),
        )
        for number in range(count)
    ]


def number_of(melodies: TokenBatch) -> np.ndarray:
    """Which of ``numbered`` each melody is."""
    return melodies.duration[melodies.offsets[:-1]].astype(np.int64) - 1
