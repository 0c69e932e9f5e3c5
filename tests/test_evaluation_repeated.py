from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqmelody.evaluation.intervals import Estimate
from seqmelody.evaluation.repeated import RepeatedResult, mean_of

shares = st.floats(0, 1)
ANY = (-math.inf, math.inf)


class Found:
    headlines = ("rho",)

    def __init__(self, **figures):
        self._figures = figures

    def figures(self):
        return self._figures


@given(shares, shares, st.integers(2, 6))
def test_trainings_that_agree_are_as_sure_as_one(value, half, trainings):
    one = Estimate(value, value - half, value + half)
    found = mean_of([one] * trainings, ANY)
    assert found.value == pytest.approx(value)
    assert (found.low, found.high) == (
        pytest.approx(value - half, abs=1e-9),
        pytest.approx(value + half, abs=1e-9),
    )


def test_trainings_that_differ_are_less_sure():
    near = [Estimate(value, value - 0.01, value + 0.01) for value in (0.49, 0.50, 0.51)]
    far = [Estimate(value, value - 0.01, value + 0.01) for value in (0.40, 0.50, 0.60)]
    assert mean_of(near, ANY).value == pytest.approx(0.5)
    assert mean_of(far, ANY).high - mean_of(far, ANY).low > 5 * (
        mean_of(near, ANY).high - mean_of(near, ANY).low
    )


def test_the_interval_of_three_trainings_by_hand():
    found = mean_of([Estimate(value, value - 0.2, value + 0.2) for value in (0.4, 0.5, 0.6)], ANY)
    # Their variance is 0.01, that of the mean a third; 4.303 is Student's t for two degrees.
    half = math.sqrt(0.2**2 + 4.303**2 * 0.01 / 3)
    assert (found.value, found.high - 0.5, 0.5 - found.low) == (
        pytest.approx(0.5),
        pytest.approx(half),
        pytest.approx(half),
    )


@pytest.mark.parametrize(("trainings", "own"), [(3, 0.02), (3, 0.04), (8, 0.04), (15, 0.04)])
def test_the_interval_covers_the_truth_at_least_as_often_as_it_says(trainings, own):
    # Melodies shared by the trainings shift all figures alike; each training has a shift of its own.
    random = np.random.default_rng(0)
    hits = 0
    for _ in range(2000):
        shared = random.normal(0, 0.01)
        values = 0.6 + shared + random.normal(0, own, trainings)
        found = mean_of([Estimate(v, v - 1.96 * 0.01, v + 1.96 * 0.01) for v in values], ANY)
        hits += found.low <= 0.6 <= found.high
    assert 0.94 < hits / 2000 < 0.99


def test_one_training_is_itself_and_unknown_bounds_stay_unknown():
    skewed = Estimate(0.5, 0.1, 0.6)
    assert mean_of([skewed], ANY) == skewed
    unknown = Estimate(0.7, math.nan, math.nan)
    found = mean_of([skewed, unknown], ANY)
    assert found.value == pytest.approx(0.6)
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_skewed_intervals_stay_skewed_and_within_what_can_be():
    each = [Estimate(value, value - 0.1, min(1.0, value + 0.01)) for value in (0.99, 0.995, 1.0)]
    found = mean_of(each, (0, 1))
    assert found.high <= 1 < mean_of(each, ANY).high
    assert found.value - found.low > 3 * (found.high - found.value)


def test_headlines_are_told_training_by_training():
    first, second = Estimate(0.4, 0.3, 0.5), Estimate(0.6, 0.5, 0.7)
    found = RepeatedResult(
        (Found(rho=first, other=first, own=first), Found(rho=second, other=second)), (-1, 1)
    )
    figures = found.figures()
    assert found.headlines == ("rho",)
    assert list(figures) == ["rho", "other", "rho, training 1", "rho, training 2"]
    assert figures["rho, training 2"] == second
    assert figures["other"].value == pytest.approx(0.5)
