from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqmelody.evaluation.intervals import Estimate, bootstrap_mean, rank_correlation

figures = st.lists(st.integers(-5, 5), min_size=2, max_size=30).map(
    lambda values: np.array(values, dtype=float)
)


@pytest.mark.parametrize("within_groups", [0.0, 1.0], ids=["independent", "variants"])
def test_the_interval_holds_the_truth_about_95_times_in_100(within_groups):
    random = np.random.default_rng(0)
    held, runs = 0, 200
    for run in range(runs):
        groups = random.integers(0, 150, size=250)
        shared = random.normal(size=150)[groups]
        values = 0.7 + within_groups * shared + random.normal(size=250)
        found = bootstrap_mean(values, groups, seed=run)
        held += found.low <= 0.7 <= found.high
    # Give or take three standard errors.
    assert 0.90 < held / runs < 0.99


def test_melodies_that_are_alike_widen_the_interval():
    random = np.random.default_rng(0)
    values = np.repeat(random.normal(size=40), 25)
    width = [
        (found := bootstrap_mean(values, groups)).high - found.low
        for groups in (np.arange(1000), np.repeat(np.arange(40), 25))
    ]
    assert width[1] > 4 * width[0]


def test_the_figure_is_the_mean_of_what_is_known():
    values = np.array([1.0, np.nan, 0.0, 0.5, np.nan])
    found = bootstrap_mean(values, np.array([7, 7, 3, 3, 9]))
    assert found.value == 0.5
    assert 0.25 <= found.low <= 0.5 <= found.high <= 1
    assert bootstrap_mean(values, np.array([7, 7, 3, 3, 9])) == found
    one = bootstrap_mean(np.array([0.25]), np.array([0]))
    assert one == Estimate(0.25, 0.25, 0.25)
    assert str(one) == "0.2500 (0.2500 to 0.2500)"


@pytest.mark.parametrize("values", [[], [np.nan, np.nan]])
def test_nothing_has_no_mean(values):
    with pytest.raises(ValueError, match="no value"):
        bootstrap_mean(np.array(values), np.zeros(len(values), dtype=int))


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([1, 2, 3, 4], [10, 20, 30, 400], 1.0),
        ([1, 2, 3, 4], [4, 3, 2, 1], -1.0),
        # Ranks 1, 2.5, 2.5, 4 and 1, 3, 2, 4.
        ([1, 2, 2, 3], [1, 3, 2, 4], 4.5 / np.sqrt(4.5 * 5)),
        # Ranks 1.5, 1.5, 3, 4 and 3, 1.5, 1.5, 4.
        ([0, 0, 1, 2], [5, 3, 3, 9], 2.25 / 4.5),
        # Without ties 1 - 6 sum(d^2) / (n (n^2 - 1)), as Spearman (1904) has it.
        ([86, 97, 99, 100, 101, 103, 106], [2, 20, 28, 27, 50, 29, 7], 1 - 6 * 34 / 336),
    ],
)
def test_rank_correlation_of_known_cases(a, b, expected):
    assert rank_correlation(np.array(a), np.array(b)) == pytest.approx(expected)


@given(figures, st.randoms(use_true_random=False))
def test_rank_correlation_is_symmetric_and_hinges_on_ranks_alone(a, random):
    b = np.array([random.randint(-3, 3) for _ in a], dtype=float)
    found = rank_correlation(a, b)
    assert np.isnan(rank_correlation(a[:1], b[:1]))
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        assert np.isnan(found)
        return
    assert -1 - 1e-9 <= found <= 1 + 1e-9
    assert rank_correlation(b, a) == pytest.approx(found)
    assert rank_correlation(np.exp(a), b**3) == pytest.approx(found)
    assert rank_correlation(-a, b) == pytest.approx(-found)
    assert rank_correlation(a, a) == pytest.approx(1)
