"""Task: does the score hinge on the key?"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from seqmelody.batching import OrderedBatches
from seqmelody.corpus import Corpus
from seqmelody.evaluation.intervals import rank_correlation
from seqmelody.model import MelodyModel

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
    model: MelodyModel, corpus: Corpus, rows: NDArray[np.int64]
) -> TranspositionResult:
    """Scores each melody in thirteen keys, from six semitones below to six above.

    A melody that would leave the MIDI range in any of them is left out.

    Args:
        model: In evaluation mode, on the CPU.
        corpus: Where the melodies are.
        rows: Which of them.
    """
    scores: dict[int, list[NDArray[np.float32]]] = {shift: [] for shift in (0, *SHIFTS)}
    with torch.inference_mode():
        for batch in OrderedBatches(corpus, rows):
            low_B = batch.pitch_BL.masked_fill(~batch.mask_BL, 127).amin(1)
            room_B = (low_B + min(SHIFTS) >= 0) & (batch.pitch_BL.amax(1) + max(SHIFTS) <= 127)
            roomy = batch[room_B]
            if len(roomy) == 0:
                continue
            for shift, found in scores.items():
                moved = replace(roomy, pitch_BL=(roomy.pitch_BL + shift) * roomy.mask_BL)
                found.append(model(moved).score_B.numpy())
    nothing = np.zeros(0, dtype=np.float32)
    joined = {shift: np.concatenate([nothing, *found]) for shift, found in scores.items()}
    return TranspositionResult(
        rank_correlation={shift: rank_correlation(joined[0], joined[shift]) for shift in SHIFTS},
        largest_change=float(
            max(np.abs(joined[shift] - joined[0]).max(initial=0.0) for shift in SHIFTS)
        ),
    )
