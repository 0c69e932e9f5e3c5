"""Baselines that count one thing: what a score must beat to say anything about music."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seqmelody.melody import STEPS_PER_QUARTER
from seqmelody.tokens import TokenBatch


class Length:
    """The number of notes.

    Not because longer melodies are better: a score that sums over notes, or that was trained on
    pieces of unlike lengths, can come to measure length, and where length goes along with quality
    or with who made the melody, it then looks right for a wrong reason. What this baseline reaches
    on a task is what can be reached in that way. A spoiled copy has as many notes as its original,
    so that it must come out at chance there.
    """

    name = "length"

    def scores(self, melodies: TokenBatch) -> NDArray[np.float64]:
        """Notes of each melody, ``(melodies,)``."""
        return np.diff(melodies.offsets).astype(np.float64)


class Density:
    """Notes per quarter note, from the first onset to the end of the last note.

    Here for the reason that ``Length`` is.
    """

    name = "density"

    def scores(self, melodies: TokenBatch) -> NDArray[np.float64]:
        """Notes per quarter, ``(melodies,)``."""
        steps = melodies.duration.astype(np.float64) + melodies.rest
        last = melodies.offsets[1:] - 1
        span = np.add.reduceat(steps, melodies.offsets[:-1]) - melodies.rest[last]
        return np.asarray(np.diff(melodies.offsets) * STEPS_PER_QUARTER / span)


class PitchClasses:
    """Minus the number of different pitch classes: a melody of few is more melodic.

    No more than that goes a long way with human ratings of machine-made music, which often strays
    from its key.
    """

    name = "pitch-classes"

    def scores(self, melodies: TokenBatch) -> NDArray[np.float64]:
        """Minus the number of pitch classes, ``(melodies,)``."""
        member = np.repeat(np.arange(len(melodies)), np.diff(melodies.offsets))
        there = np.zeros((len(melodies), 12))
        there[member, melodies.pitch % 12] = 1
        return np.asarray(-there.sum(1))
