"""Melodies of tests end to end."""

from __future__ import annotations

import numpy as np

from seqmelody.tokens import TokenBatch, Tokens


def together(*melodies: Tokens) -> TokenBatch:
    """Melodies, which may be without notes, as one batch."""

    def column(name: str, kind: type):
        return np.concatenate([np.zeros(0, kind), *(getattr(m, name) for m in melodies)])

    none = np.zeros(len(melodies), dtype=np.int64)
    return TokenBatch(
        column("pitch", np.uint8),
        column("duration", np.uint16),
        column("rest", np.uint16),
        np.cumsum([0, *map(len, melodies)], dtype=np.int64),
        none,
        none,
    )
