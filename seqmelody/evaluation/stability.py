"""Task: does the order of scores survive changes that leave the music what it is?

A change of key, of tempo as it is written, and the loss of an ending.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqmelody.corpus import Corpus
from seqmelody.evaluation.intervals import Estimate, bootstrap, rank_correlation_statistic
from seqmelody.evaluation.protocols import Method
from seqmelody.evaluation.streams import (
    beginnings,
    can_be_faster,
    can_be_slower,
    faster,
    room_for,
    select,
    slower,
    transposed,
)
from seqmelody.tokens import TokenBatch

SHIFTS = (-5, 1, 6)

_Fits = Callable[[TokenBatch], NDArray[np.bool_]]
_Change = Callable[[TokenBatch], TokenBatch]


@dataclass(frozen=True)
class StabilityResult:
    """Spearman's rank correlation of the scores of changed melodies with those of the originals.

    Attributes:
        by_change: For each change; NaN where fewer than two melodies can be changed so.
        melodies: How many could.
    """

    by_change: dict[str, Estimate]
    melodies: dict[str, int]

    headlines = ("transposed by +6", "durations doubled", "durations halved", "first half")

    def figures(self) -> dict[str, Estimate]:
        """All figures by name."""
        return self.by_change


def stability_task(method: Method, corpus: Corpus, rows: NDArray[np.int64]) -> StabilityResult:
    """Compares scores before and after each change.

    A melody that the MIDI range, the grid or the tokenizer's caps cannot hold when changed is left
    out of that change.

    Args:
        method: Scores them.
        corpus: Where the melodies are.
        rows: Which of them.
    """
    melodies = corpus.token_batch(rows)
    groups = np.asarray(corpus.column("group"))[rows]
    tokenizer = corpus.tokenizer

    def all_fit(of: TokenBatch) -> NDArray[np.bool_]:
        return np.ones(len(of), dtype=bool)

    changes: dict[str, tuple[_Fits, _Change]] = {
        f"transposed by {shift:+d}": (
            lambda of, shift=shift: room_for(of, (shift,)),  # type: ignore[misc]
            lambda of, shift=shift: transposed(of, shift),  # type: ignore[misc]
        )
        for shift in SHIFTS
    }
    changes["durations doubled"] = (lambda of: can_be_slower(of, tokenizer), slower)
    changes["durations halved"] = (can_be_faster, faster)
    changes["first three quarters"] = (all_fit, lambda of: beginnings(of, 0.75))
    changes["first half"] = (all_fit, lambda of: beginnings(of, 0.5))
    before = method.scores(melodies)
    found, count = {}, {}
    for name, (fits, change) in changes.items():
        places = np.flatnonzero(fits(melodies))
        count[name] = len(places)
        after = method.scores(change(select(melodies, places))) if places.size else np.zeros(0)
        statistic = rank_correlation_statistic(before[places], after)
        found[name] = bootstrap(statistic, groups[places])
    return StabilityResult(found, count)
