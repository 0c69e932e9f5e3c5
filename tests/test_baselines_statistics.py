from __future__ import annotations

import numpy as np
from melody_batches import together
from tunes import TUNES

from seqmelody.baselines.statistics import NoteStatistics
from seqmelody.note_statistics import note_statistics
from seqmelody.tokens import Tokenizer


def test_it_gives_the_note_statistics_and_no_score():
    melodies = together(*map(Tokenizer().encode, TUNES.values()))
    found = NoteStatistics().vectors(melodies)
    np.testing.assert_allclose(found, note_statistics(melodies), rtol=1e-6)
    assert not hasattr(NoteStatistics(), "scores")
