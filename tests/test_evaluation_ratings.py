from __future__ import annotations

import numpy as np
import pytest
from rated import RATERS, prepare_rated, stimuli
from stand_ins import By, mean_pitch

from seqmelody.errors import CorpusError
from seqmelody.evaluation.ratings import Stimuli, follow, ratings_task, stimuli_of
from seqmelody.judgements import Ratings
from seqmelody.objectives.metrics import rank_correlation


def test_a_score_that_is_the_rating_follows_it(essen_corpus):
    height = mean_pitch(essen_corpus.token_batch(np.arange(40)))
    result = ratings_task(By(mean_pitch), essen_corpus, stimuli(height, ["a", "b"] * 20))
    found = [result.overall, result.within, *result.by_system.values()]
    assert [each.value for each in found] == pytest.approx([1] * 4)
    assert [each.low for each in found] == pytest.approx([1] * 4)
    assert result.stimuli == 40


def test_knowing_who_made_it_is_not_knowing_what_is_good():
    random = np.random.default_rng(0)
    level = np.repeat(np.arange(5.0), 40)
    rated = stimuli(level + 0.1 * random.normal(size=200), [f"s{each:.0f}" for each in level])
    result = follow(level + 0.1 * random.normal(size=200), rated)
    assert result.overall.value > 0.9
    assert result.within.low < 0 < result.within.high
    # The score of the maker alone is constant within each: that is no correlation, not no figure.
    constant = follow(level, rated)
    assert constant.overall.value > 0.9
    assert (constant.within.value, constant.within.low, constant.within.high) == (0, 0, 0)


def test_the_mean_within_systems_is_the_mean_of_theirs_and_small_ones_are_left_out():
    random = np.random.default_rng(1)
    systems = ["a"] * 20 + ["b"] * 10 + ["few"] * 4 + [""] * 6
    mean, score = random.normal(size=(2, 40))
    result = follow(score, stimuli(mean, systems))
    assert list(result.by_system) == ["a", "b"]
    within = [rank_correlation(score[:20], mean[:20]), rank_correlation(score[20:30], mean[20:30])]
    assert [each.value for each in result.by_system.values()] == pytest.approx(within)
    assert result.within.value == pytest.approx(np.mean(within))
    assert result.overall.value == pytest.approx(rank_correlation(score, mean))
    assert set(result.figures()) == {
        "rho",
        "mean rho within systems",
        "rho within a",
        "rho within b",
    }


def test_without_systems_there_is_nothing_within_them():
    result = follow(np.arange(9.0), stimuli(np.arange(9.0), [""] * 9))
    assert result.overall.value == pytest.approx(1)
    assert np.isnan(result.within.value)
    assert result.by_system == {}


def test_repeats_are_averaged():
    random = np.random.default_rng(2)
    mean, one, other = random.normal(size=(3, 30))
    result = follow(np.stack([one, other]), stimuli(mean, [""] * 30))
    expected = (rank_correlation(one, mean) + rank_correlation(other, mean)) / 2
    assert result.overall.value == pytest.approx(expected)


def test_the_ceiling_is_what_an_error_free_score_reaches():
    random = np.random.default_rng(0)
    count, noise = 4000, 1.5
    systems = random.integers(0, 4, size=count)
    truth = 2.0 * systems + random.normal(size=count)
    ratings = truth[:, None] + noise * random.normal(size=(count, RATERS))
    rated = stimuli(
        ratings.mean(1), [f"s{each}" for each in systems], variance=ratings.var(1, ddof=1).mean()
    )
    for within, score in ((False, truth), (True, truth - 2.0 * systems)):
        seen = rated.mean - 2.0 * systems * within
        reached = np.corrcoef(score, seen)[0, 1]
        assert rated.ceiling(within=within) == pytest.approx(reached, abs=0.03)
    assert np.isnan(stimuli(np.ones(9), [""] * 9).ceiling(within=True))
    assert np.isnan(stimuli(np.arange(9), ["a"] * 9, variance=np.nan).ceiling(within=False))
    # More noise than there is variance: the means tell nothing.
    assert stimuli(np.arange(9), ["a"] * 9, variance=1e6).ceiling(within=False) == 0


def test_ratings_are_put_together(essen_corpus, tmp_path):
    corpus = prepare_rated(essen_corpus, tmp_path)
    ratings = Ratings.read(tmp_path / "ratings.csv", corpus, column="liked")
    found = stimuli_of(corpus, ratings, "maker")
    assert len(found) == 120
    assert set(found.raters.tolist()) == {RATERS}
    assert found.names() == ["A-Orig", "B-Orig", "GAN", "RNN"]
    assert 0.8 < found.variance < 1.25
    height = mean_pitch(corpus.token_batch(found.rows))
    assert np.abs(found.mean - height).max() < 3
    half = found[found.systems == "RNN"]
    assert len(half) == 30
    assert half.names() == ["RNN"]
    with pytest.raises(CorpusError, match="no column 'system'"):
        stimuli_of(corpus, ratings, "system")
    assert stimuli_of(corpus, ratings).names() == []


def test_a_figure_lies_in_its_interval_where_a_draw_may_lack_a_system():
    """Six systems that are one group each: most draws lack some of them."""
    mean = np.tile(np.arange(5.0), 6)
    score = np.tile([0.0, 1.0, 2.0, 4.0, 3.0], 6)
    systems = np.repeat(list("abcdef"), 5)
    rated = Stimuli(
        rows=np.arange(30),
        mean=mean,
        raters=np.full(30, 3),
        variance=1.0,
        groups=np.repeat(np.arange(6), 5),
        systems=systems,
    )
    within = follow(score, rated).within
    assert within.value == pytest.approx(0.9)
    assert within.low <= within.value + 1e-9 <= within.high + 2e-9


def test_predictions_of_folds_are_compared_within_each():
    """Each fold is ordered rightly, on a mean that is high where the fold's ratings are low."""
    mean = np.array([1.0, 2.0, 3.0, 11.0, 12.0, 13.0])
    predicted = np.array([101.0, 102.0, 103.0, 1.0, 2.0, 3.0])
    fold = np.array([0, 0, 0, 1, 1, 1])
    rated = Stimuli(
        rows=np.arange(6),
        mean=mean,
        raters=np.full(6, 3),
        variance=1.0,
        groups=np.arange(6),
        systems=np.array([""] * 6),
    )
    assert follow(predicted, rated, fold).overall.value == pytest.approx(1)
    assert follow(predicted, rated).overall.value < 0
