from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqmelody.evaluation.intervals import (
    Estimate,
    area_under_roc_statistic,
    bootstrap,
    bootstrap_mean,
    rank_correlation,
    rank_correlation_statistic,
)

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


@given(figures, st.randoms(use_true_random=False))
def test_drawing_a_melody_twice_is_as_if_it_were_there_twice(a, random):
    b = np.array([random.randint(-3, 3) for _ in a], dtype=float)
    weight = np.array([[random.randint(0, 3) for _ in a] for _ in range(4)])
    weight[:, 0] = np.maximum(weight[:, 0], 1)
    found = rank_correlation_statistic(a, b)(weight.astype(float))
    repeated = [np.repeat(np.arange(len(a)), counts) for counts in weight]
    expected = [rank_correlation(a[rows], b[rows]) for rows in repeated]
    assert found == pytest.approx(expected, nan_ok=True)


@given(figures, st.randoms(use_true_random=False))
def test_the_area_under_the_curve_is_the_share_of_pairs_won(scores, random):
    positive = np.array([random.random() < 0.5 for _ in scores])
    weight = np.array([random.randint(0, 2) for _ in scores])
    rows = np.repeat(np.arange(len(scores)), weight)
    people, machines = scores[rows][positive[rows]], scores[rows][~positive[rows]]
    pairs = (np.sign(people[:, None] - machines) + 1) / 2
    expected = pairs.mean() if pairs.size else np.nan
    [found] = area_under_roc_statistic(scores, positive)(weight[None].astype(float))
    assert found == pytest.approx(expected, nan_ok=True)


def test_an_interval_of_a_rank_correlation_holds_the_truth_about_95_times_in_100():
    random = np.random.default_rng(0)
    # Spearman's for two normal variables of correlation r is 6 / pi asin(r / 2).
    truth, held, runs = 6 / np.pi * np.arcsin(0.25), 0, 200
    for run in range(runs):
        a = random.normal(size=100)
        b = 0.5 * a + np.sqrt(0.75) * random.normal(size=100)
        found = bootstrap(rank_correlation_statistic(a, b), np.arange(100), seed=run)
        held += found.low <= truth <= found.high
    assert 0.89 < held / runs < 0.99


def test_any_figure_can_have_an_interval_and_the_mean_has_the_same_as_ever():
    random = np.random.default_rng(0)
    values, groups = random.normal(size=60), random.integers(0, 20, size=60)
    found = bootstrap(lambda weight: (weight @ values) / weight.sum(1), groups, seed=3)
    expected = bootstrap_mean(values, groups, seed=3)
    assert (found.value, found.low, found.high) == pytest.approx(
        (expected.value, expected.low, expected.high)
    )
    unknown = bootstrap(lambda weight: np.full(len(weight), np.nan), groups)
    assert np.isnan([unknown.value, unknown.low, unknown.high]).all()
