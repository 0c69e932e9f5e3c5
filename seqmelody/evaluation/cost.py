"""Task: what does a score cost?"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqmelody.corpus import Corpus
from seqmelody.evaluation.intervals import Estimate
from seqmelody.evaluation.methods import CheckpointMethod
from seqmelody.evaluation.protocols import Method

MELODIES = 500
ROUNDS = 3


@dataclass(frozen=True)
class CostResult:
    """What scoring costs.

    Attributes:
        milliseconds: Of processor time, all threads together, for a melody whose tokens are at
            hand: the median of some rounds, and the least and the most of them.
        parameters: Of a checkpoint's model; ``None`` for a baseline.
    """

    milliseconds: Estimate
    parameters: int | None

    headlines = ("ms a melody",)

    def figures(self) -> dict[str, Estimate]:
        """All figures by name."""
        figures = {"ms a melody": self.milliseconds}
        if self.parameters is not None:
            figures["parameters"] = Estimate(self.parameters, math.nan, math.nan)
        return figures


def cost_task(method: Method, corpus: Corpus, rows: NDArray[np.int64]) -> CostResult:
    """Measures the processor time of scores.

    Times of methods may be compared if they were taken in one run.

    Args:
        method: Scores the melodies anew in each round: none that remembers.
        corpus: Where they are.
        rows: Which of them.
    """
    rows = some_of(rows)
    melodies = corpus.token_batch(rows)
    # What is done once is no cost of a melody.
    method.scores(melodies)
    took = []
    for _ in range(ROUNDS):
        started = time.process_time()
        method.scores(melodies)
        took.append(1000 * (time.process_time() - started) / len(rows))
    parameters = None
    if isinstance(method, CheckpointMethod):
        parameters = sum(weight.numel() for weight in method.checkpoint.model.parameters())
    found = Estimate(float(np.median(took)), min(took), max(took))
    return CostResult(found, parameters)


def mean_cost(found: Sequence[CostResult]) -> CostResult:
    """That of several trainings of one model: the mean, with the least and the most of all rounds."""
    each = [result.milliseconds for result in found]
    mean = sum(one.value for one in each) / len(each)
    together = Estimate(mean, min(one.low for one in each), max(one.high for one in each))
    return CostResult(together, found[0].parameters)


def some_of(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of many melodies some spread evenly, which are enough."""
    return rows[:: max(1, len(rows) // MELODIES)]
