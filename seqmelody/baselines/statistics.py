"""``NoteStatistics``: hand-made features of a melody, for tasks with labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seqmelody.note_statistics import note_statistics
from seqmelody.tokens import TokenBatch


class NoteStatistics:
    """The numbers of ``seqmelody.note_statistics``. It takes labels to make a score of them."""

    name = "note-statistics"

    def vectors(self, melodies: TokenBatch) -> NDArray[np.float32]:
        """A column for each of ``STATISTICS``, ``(melodies, columns)``."""
        return note_statistics(melodies).astype(np.float32)
