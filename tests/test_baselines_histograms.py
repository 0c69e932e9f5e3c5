from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from melody_batches import together
from strategies import token_streams
from tunes import tune

from seqmelody.baselines.histograms import Histogram, Intervals
from seqmelody.tokens import Tokenizer, Tokens

METHODS = [Histogram(), Intervals()]


def vectors(method, *words: str) -> np.ndarray:
    return method.vectors(together(*(Tokenizer().encode(tune(each)) for each in words)))


def test_pitches_count_by_their_time_above_the_last():
    [found] = vectors(Histogram(), "E4:4 -:2 C4:3")
    # Nothing hinges on rests.
    assert np.flatnonzero(found).tolist() == [24, 28]
    assert found[[24, 28]] == pytest.approx([0.6, 0.8])


def test_intervals_count_each_once():
    [found] = vectors(Intervals(), "C4 E4:4 G4 C4 E4 C4")
    assert np.flatnonzero(found).tolist() == [24 - 7, 24 - 4, 24 + 3, 24 + 4]
    assert found[24 + 4] / found[24 + 3] == pytest.approx(2)


def test_what_lies_beyond_two_octaves_counts_at_the_edge():
    [far, edge] = vectors(Intervals(), "C1 C8 C1", "C1 C3 C1")
    np.testing.assert_allclose(far, edge)


def test_one_note_has_no_interval():
    assert not vectors(Intervals(), "C4").any()


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
@given(
    st.lists(token_streams(lowest=12, highest=115), min_size=1, max_size=4), st.integers(-12, 12)
)
def test_each_melody_stands_alone_and_the_key_does_not_matter(method, melodies, semitones):
    found = method.vectors(together(*melodies))
    assert found.dtype == np.float32
    moved = [
        Tokens((each.pitch.astype(int) + semitones).astype(np.uint8), each.duration, each.rest)
        for each in melodies
    ]
    for row, each in zip(found, moved, strict=True):
        np.testing.assert_array_equal(row, method.vectors(together(each))[0])
    length = np.linalg.norm(found, axis=1)
    expected = [1.0 if method.name == "histogram" or len(each) > 1 else 0.0 for each in melodies]
    assert length == pytest.approx(expected, abs=1e-5)
    np.testing.assert_array_equal(method.embeddings(together(*melodies)), found)
