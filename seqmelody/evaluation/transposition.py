"""Task: does the score hinge on the key?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqmelody.corpus import Corpus
from seqmelody.evaluation.protocols import Method
from seqmelody.evaluation.streams import room_for, select, transposed
from seqmelody.objectives.metrics import rank_correlation

SHIFTS = tuple(shift for shift in range(-6, 7) if shift != 0)


@dataclass(frozen=True)
class TranspositionResult:
    """How the scores of transposed melodies follow those of the originals.

    Attributes:
        rank_correlation: Spearman's, for each shift in semitones; NaN where there are too few
            melodies for one, or all scores are alike.
        largest_change: Largest change of a melody's score.
    """

    rank_correlation: dict[int, float]
    largest_change: float

    @property
    def worst(self) -> float:
        """The lowest correlation of all shifts; NaN if one of them is."""
        return float(np.min(list(self.rank_correlation.values())))


def transposition_task(
    method: Method, corpus: Corpus, rows: NDArray[np.int64]
) -> TranspositionResult:
    """Scores each melody in thirteen keys, from six semitones below to six above.

    A melody that would leave the MIDI range in any of them is left out.

    Args:
        method: Scores them.
        corpus: Where the melodies are.
        rows: Which of them.
    """
    melodies = corpus.token_batch(rows)
    roomy = np.flatnonzero(room_for(melodies, SHIFTS))
    melodies = select(melodies, roomy)
    scores = {
        shift: method.scores(transposed(melodies, shift)) if roomy.size else np.zeros(0)
        for shift in (0, *SHIFTS)
    }
    return TranspositionResult(
        rank_correlation={shift: rank_correlation(scores[0], scores[shift]) for shift in SHIFTS},
        largest_change=float(
            max(np.abs(scores[shift] - scores[0]).max(initial=0.0) for shift in SHIFTS)
        ),
    )
