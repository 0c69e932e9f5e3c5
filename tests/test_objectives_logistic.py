from __future__ import annotations

import numpy as np
import pytest

from seqmelody.objectives.logistic import (
    LARGEST_SCALE,
    LEAST_SCALE,
    fit_logistic,
    probability,
)


def answers(x: np.ndarray, offset: float, scale: float, seed: int = 0) -> np.ndarray:
    chance = 1 / (1 + np.exp(-(offset + scale * x)))
    return (np.random.default_rng(seed).random(len(x)) < chance).astype(float)


@pytest.mark.parametrize("unit", [0.01, 1.0, 50.0])
def test_it_finds_the_line_that_made_the_answers(unit):
    x = np.random.default_rng(1).normal(3, 2, size=50_000) * unit
    offset, scale = fit_logistic(x, answers(x, -1.0, 0.7 / unit))
    assert offset == pytest.approx(-1.0, abs=0.07)
    assert scale == pytest.approx(0.7 / unit, rel=0.05)


def test_scores_all_alike_say_nothing_whatever_rounding_makes_of_them():
    yes = np.array([1.0] * 5 + [0.0] * 2)
    offset, scale = fit_logistic(np.full(7, 3.3), yes)
    assert scale == 1
    assert offset == fit_logistic(np.zeros(7), yes)[0]


def test_a_probability_is_one_without_overflow():
    with np.errstate(all="raise", under="ignore"):
        found = probability(np.array([-1e9, -1000.0, -2.0, 0.0, 2.0, 1000.0, 1e9]))
    np.testing.assert_allclose(
        found, [0, 0, 1 / (1 + np.e**2), 0.5, 1 / (1 + np.e**-2), 1, 1], atol=1e-300
    )


def test_without_an_offset_differences_of_scores_decide():
    x = np.random.default_rng(1).normal(size=20_000)
    offset, scale = fit_logistic(x, answers(x, 0.0, 1.5), offset=False)
    assert offset == 0
    assert scale == pytest.approx(1.5, rel=0.05)


def test_what_is_separated_or_against_the_score_or_says_nothing_stays_finite():
    x = np.linspace(-1, 1, 10)
    _, separated = fit_logistic(x, (x > 0).astype(float))
    assert 1 < separated < LARGEST_SCALE
    _, against = fit_logistic(x, (x < 0).astype(float))
    assert against == LEAST_SCALE
    for yes in (np.zeros(10), np.ones(10)):
        offset, scale = fit_logistic(x, yes)
        assert np.isfinite([offset, scale]).all()
        assert (offset > 0) == (yes[0] > 0)
    offset, scale = fit_logistic(np.ones(8), np.array([1.0] * 6 + [0.0] * 2))
    assert 1 / (1 + np.exp(-offset)) == pytest.approx(0.75, abs=0.1)


@pytest.mark.parametrize("middle", [-40.0, 300.0])
@pytest.mark.parametrize(
    ("unit", "bound"), [(30.0, LEAST_SCALE), (1e-4, LARGEST_SCALE)], ids=["against", "steep"]
)
def test_where_the_scale_is_bounded_the_offset_still_makes_the_mean_probability_true(
    middle, unit, bound
):
    random = np.random.default_rng(0)
    x = middle + random.normal(size=2000) * unit
    # Three in four say yes: to the lower scores, or to the higher ones very surely.
    low = np.quantile(x, 0.75)
    yes = (x < low if bound == LEAST_SCALE else x > np.quantile(x, 0.25)).astype(float)
    offset, scale = fit_logistic(x, yes)
    assert scale == bound
    chance = 1 / (1 + np.exp(-(offset + scale * x)))
    assert chance.mean() == pytest.approx(yes.mean(), abs=2e-3)
