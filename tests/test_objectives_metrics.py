from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ranked_lists import textbook_figures

from seqmelody.objectives.metrics import (
    area_under_curve,
    expected_calibration_error,
    mean_average_precision,
    rank_correlation,
    ranked,
)

NUMBERS = st.lists(st.integers(-5, 5).map(float), min_size=0, max_size=30)


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


@given(NUMBERS, st.randoms(use_true_random=False))
def test_rank_correlation_is_symmetric_and_hinges_on_ranks_alone(values, random):
    a = np.array(values)
    b = np.array([random.randint(-3, 3) for _ in a], dtype=float)
    found = rank_correlation(a, b)
    assert np.isnan(rank_correlation(a[:1], b[:1]))
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        assert np.isnan(found)
        return
    assert -1 - 1e-9 <= found <= 1 + 1e-9
    assert rank_correlation(b, a) == pytest.approx(found)
    assert rank_correlation(np.exp(a), b**3) == pytest.approx(found)
    assert rank_correlation(-a, b) == pytest.approx(-found)
    assert rank_correlation(a, a) == pytest.approx(1)


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


def over_orders(similarity, wanted) -> np.ndarray:
    """Mean of the figures over all orders that fit the similarities."""
    levels = [
        [hit for other, hit in zip(similarity, wanted, strict=True) if other == value]
        for value in sorted(set(similarity), reverse=True)
    ]
    found = [
        textbook_figures([hit for level in order for hit in level])
        for order in itertools.product(*map(itertools.permutations, levels))
    ]
    return np.mean(found, axis=0)


lists = st.integers(1, 6).flatmap(
    lambda size: st.tuples(
        st.lists(st.integers(0, 3), min_size=size, max_size=size),
        st.lists(st.booleans(), min_size=size, max_size=size).filter(any),
    )
)


def test_a_list_by_hand():
    similarity = np.array([0.1, 0.9, 0.5, 0.7])
    wanted = np.array([False, True, True, False])
    # Hit, miss, hit, miss.
    assert ranked(similarity, wanted) == pytest.approx(((1 + 2 / 3) / 2, 1, 1))
    assert ranked(-similarity, wanted) == pytest.approx(((1 / 2 + 2 / 4) / 2, 0, 1))


def test_recall_stops_at_ten():
    similarity = -np.arange(20.0)
    assert ranked(similarity, np.arange(20) >= 8)[2] == pytest.approx(2 / 12)
    assert ranked(similarity, np.arange(20) == 10)[2] == 0
    # Eight of twenty that are equally alike stand above the tenth place in four of ten cases.
    assert ranked(np.repeat([1.0, 0.0], [2, 20]), np.arange(22) == 9)[2] == pytest.approx(8 / 20)


@given(lists)
def test_equals_stand_in_all_orders(drawn):
    similarity, wanted = drawn
    found = ranked(np.array(similarity, dtype=float), np.array(wanted))
    np.testing.assert_allclose(found, over_orders(similarity, wanted), atol=1e-9)


@given(lists)
def test_the_mean_is_over_melodies_with_relatives_and_ties_are_in_no_order(drawn):
    similarity, wanted = (np.array(values) for values in drawn)
    # The first melody asks: those that are wanted are its family, all others are strangers.
    size = len(wanted) + 1
    matrix = np.zeros((size, size))
    matrix[0, 1:] = matrix[1:, 0] = similarity
    family = np.arange(size)
    family[1:][wanted] = 0
    queries = np.flatnonzero(family == 0)
    expected = [
        ranked(np.delete(matrix[query], query), np.delete(family == 0, query))[0]
        for query in queries
    ]
    assert mean_average_precision(matrix, family) == pytest.approx(np.mean(expected))
    order = np.random.default_rng(0).permutation(size)
    again = mean_average_precision(matrix[np.ix_(order, order)], family[order])
    assert again == pytest.approx(np.mean(expected))


def test_without_relatives_there_is_no_mean():
    assert np.isnan(mean_average_precision(np.eye(3), np.arange(3)))
