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
    rank_correlation_statistic,
)
from seqmelody.objectives.metrics import rank_correlation

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
    assert str(Estimate(0.25, 0.125, 0.5)) == "0.2500 (0.1250 to 0.5000)"


@pytest.mark.parametrize("count", [1, 7])
def test_one_group_tells_nothing_of_how_sure_a_figure_is(count):
    values, groups = np.linspace(0, 1, count), np.zeros(count, dtype=int)
    found = [
        bootstrap_mean(values, groups),
        bootstrap(lambda weight: (weight @ values) / weight.sum(1), groups),
        # Others are there, but nothing is known of them.
        bootstrap_mean(np.append(values, np.nan), np.append(groups, 1)),
    ]
    for each in found:
        assert each.value == pytest.approx(values.mean())
        assert np.isnan([each.low, each.high]).all()
        assert str(each) == f"{values.mean():.4f}"


@pytest.mark.parametrize("values", [[], [np.nan, np.nan]])
def test_nothing_has_no_mean(values):
    with pytest.raises(ValueError, match="no value"):
        bootstrap_mean(np.array(values), np.zeros(len(values), dtype=int))


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
