"""``Meaning``: what a checkpoint's scores say beyond their number.

Where a score lies among the training melodies, how sure it is, and what people would say, as far as
the checkpoint has learnt from people.

Shapes: N melodies of a chunk.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from seqmelody.checkpoint import Checkpoint
from seqmelody.errors import UsageError
from seqmelody.listeners import Listeners, probability
from seqmelody.model.posterior import INTERVAL_SDS
from seqmelody.scorer.pipeline import ScoredChunk
from seqmelody.scorer.results import Preferred, Score


class Meaning:
    """Makes results of what the model computed.

    Args:
        checkpoint: Whose scores they are.
        listener: Name of a listener whom it knows, for ratings.

    Raises:
        UsageError: It knows no such listener.
    """

    def __init__(self, checkpoint: Checkpoint, listener: str | None = None) -> None:
        self._checkpoint = checkpoint
        self._rated = None if listener is None else checkpoint.rated_by(listener)
        people = checkpoint.listeners or Listeners()
        self._catchy = people.catchy
        self._preference = people.preference

    @property
    def knows_ratings(self) -> bool:
        """Whether there is a listener."""
        return self._rated is not None

    @property
    def knows_catchy(self) -> bool:
        """Whether the checkpoint has learnt yes-or-no answers."""
        return self._catchy is not None

    def scores(self, chunk: ScoredChunk) -> list[Score]:
        """What to say of the melodies of a chunk, one by one; NaN where there are no scores."""
        read, score_N = chunk.read, chunk.score_N
        if not self._checkpoint.gives_scores:
            score_N = np.full_like(score_N, np.nan)
        nothing: list[Any] = [None] * len(read)
        percentile_N = self._checkpoint.percentile(score_N)
        rating_N = None if self._rated is None else self._rated(score_N, chunk.embedding_NE)
        catchy_N = None
        if self._catchy is not None:
            offset, scale = self._catchy["offset"], self._catchy["scale"]
            catchy_N = probability(offset + scale * score_N.astype(np.float64))
        half_N = INTERVAL_SDS * chunk.sd_N
        bounds = zip((score_N - half_N).tolist(), (score_N + half_N).tolist(), strict=True)
        intervals = [None if math.isnan(low) else (low, high) for low, high in bounds]
        rows = zip(
            read.paths,
            score_N.tolist(),
            nothing if percentile_N is None else percentile_N.tolist(),
            np.diff(read.tokens.offsets).tolist(),
            read.warnings,
            read.errors,
            nothing if rating_N is None else rating_N.tolist(),
            intervals,
            nothing if catchy_N is None else catchy_N.tolist(),
            strict=True,
        )
        return [
            Score(*row) if row[5] is None else Score(row[0], math.nan, None, 0, error=row[5])
            for row in rows
        ]

    def preferred(self, score_a: float, score_b: float) -> Preferred:
        """Which of two melodies people would prefer; ``objectives.preference`` has the model.

        Raises:
            UsageError: The checkpoint has learnt no preferences.
        """
        if self._preference is None:
            raise UsageError(
                f"{self._checkpoint.name}: has learnt no preferences, so it cannot say how many "
                "people would prefer one melody; compare the scores, or use a checkpoint that was "
                "trained with 'preference'"
            )
        half = 0.5 * self._preference["scale"] * (score_a - score_b)
        # In units of the likelier choice: exponentials of far scores would overflow.
        a, b = math.exp(half - abs(half)), math.exp(-half - abs(half))
        neither = self._preference["tie"] * math.exp(-abs(half))
        total = a + b + neither
        return Preferred(a / total, b / total, neither / total)
