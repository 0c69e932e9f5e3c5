from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from melody_batches import together
from strategies import token_streams
from tunes import tune

from seqmelody.baselines.counts import Density, Length, PitchClasses
from seqmelody.note_statistics import STATISTICS, note_statistics
from seqmelody.tokens import Tokenizer


def melodies(*words: str):
    return together(*(Tokenizer().encode(tune(notes)) for notes in words))


def test_length_counts_notes():
    assert Length().scores(melodies("C4", "C4 D4 E4:3", "C4 D4")).tolist() == [1, 3, 2]


def test_density_counts_notes_per_quarter():
    # Two notes in four quarters, the rest between them counted; four in two.
    found = Density().scores(melodies("C4:1 -:1 C4:2", "C4:.5 D4:.5 E4:.5 F4:.5", "C4:4"))
    assert found.tolist() == pytest.approx([0.5, 2, 0.25])


def test_fewer_pitch_classes_score_higher():
    found = PitchClasses().scores(melodies("C4 C5 C3", "C4 D4 E4 C4", "C4 C#4 D4 D#4 E4"))
    assert found.tolist() == [-1, -3, -5]


@given(st.lists(token_streams(), min_size=1, max_size=4))
def test_they_agree_with_the_note_statistics(streams):
    batch = together(*streams)
    known = dict(zip(STATISTICS, note_statistics(batch).T, strict=True))
    np.testing.assert_allclose(Length().scores(batch), known["notes"])
    np.testing.assert_allclose(Density().scores(batch), known["notes_per_quarter"])
    np.testing.assert_allclose(PitchClasses().scores(batch), -known["pitch_classes"])
