from __future__ import annotations

import sys

import numpy as np
import pytest
from melody_batches import together
from tunes import TUNES, tune

from seqmelody.baselines import make
from seqmelody.errors import UsageError
from seqmelody.tokens import Tokenizer

TOKENS = {name: Tokenizer().encode(melody) for name, melody in TUNES.items()}


def test_without_the_package_one_line_says_how_to_get_it(tune_corpus, monkeypatch):
    monkeypatch.setitem(sys.modules, "melody_features", None)
    with pytest.raises(UsageError) as failed:
        make("melody-features", tune_corpus)
    assert "pip install 'seqmelody[baselines]'" in str(failed.value)
    assert "\n" not in str(failed.value)


@pytest.fixture(scope="module")
def baseline():
    pytest.importorskip("melody_features", reason="the extra 'baselines' is not installed")
    return make("melody-features", None)


def test_it_gives_a_row_of_finite_numbers_and_no_score(baseline):
    found = baseline.vectors(together(*TOKENS.values()))
    assert found.shape == (len(TOKENS), len(baseline.features))
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert len(baseline.features) > 150
    assert not hasattr(baseline, "scores")


def test_the_features_are_those_of_the_melody(baseline):
    row = baseline.vectors(together(TOKENS["frere-jacques"]))[0]
    found = dict(zip(baseline.features, row.tolist(), strict=True))
    assert found["total_number_of_notes"] == len(TUNES["frere-jacques"])
    assert found["pitch_range"] == 14
    assert found["first_pitch"] == 65
    assert found["duration_in_seconds"] == pytest.approx(16)


def test_the_same_melody_is_worked_out_once(baseline, monkeypatch):
    worked = []
    row = type(baseline)._row
    monkeypatch.setattr(
        type(baseline), "_row", lambda self, tokens: worked.append(0) or row(self, tokens)
    )
    songs = [TOKENS["freude"], TOKENS["new-britain"], TOKENS["freude"], TOKENS["freude"]]
    found = baseline.vectors(together(*songs))
    assert len(worked) == 2
    np.testing.assert_array_equal(found[[0, 0]], found[[2, 3]])
    assert (found[0] != found[1]).any()


@pytest.mark.parametrize("notes", ["C4", "C4 D4", "C4 C4 C4 C4 C4"])
def test_melodies_that_hardly_have_features_have_finite_ones(baseline, notes):
    assert np.isfinite(baseline.vectors(together(Tokenizer().encode(tune(notes))))).all()
