from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqmelody.evaluation.intervals import rank_correlation
from seqmelody.objectives.metrics import area_under_curve, expected_calibration_error, spearman

NUMBERS = st.lists(st.integers(-5, 5).map(float), min_size=0, max_size=30)


@given(NUMBERS, st.randoms(use_true_random=False))
def test_spearman_is_that_of_the_evaluation(values, random):
    other = [random.randint(-3, 3) for _ in values]
    found = spearman(np.array(values), np.array(other, dtype=float))
    expected = rank_correlation(np.array(values), np.array(other, dtype=float))
    assert found == pytest.approx(expected, nan_ok=True)


@given(NUMBERS, st.randoms(use_true_random=False))
def test_the_area_is_the_share_of_pairs_in_order(values, random):
    yes = np.array([random.random() < 0.5 for _ in values], dtype=bool)
    score = np.array(values)
    pairs = [(a > b) + (a == b) / 2 for a in score[yes] for b in score[~yes]]
    expected = np.mean(pairs) if pairs else float("nan")
    assert area_under_curve(score, yes) == pytest.approx(expected, nan_ok=True)


def test_true_probabilities_have_a_small_calibration_error_and_shifted_ones_their_shift():
    random = np.random.default_rng(0)
    chance = random.uniform(0.2, 0.8, size=20_000)
    yes = random.random(chance.size) < chance
    assert expected_calibration_error(chance, yes) < 0.02
    assert expected_calibration_error(chance + 0.15, yes) == pytest.approx(0.15, abs=0.02)
    assert expected_calibration_error(np.full(chance.size, 0.9), yes) == pytest.approx(
        0.9 - yes.mean()
    )
    assert np.isnan(expected_calibration_error(chance[:0], yes[:0]))
