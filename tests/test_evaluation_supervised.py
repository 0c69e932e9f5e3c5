from __future__ import annotations

import sys

import numpy as np
import pytest
from rated import stimuli
from stand_ins import By, ByVectors, mean_pitch

from seqmelody.errors import CorpusError, SeqmelodyError
from seqmelody.evaluation.supervised import supervised_task

SYSTEMS = ["a", "b", "c"] * 20


def learn(method, corpus, rated, **options):
    pytest.importorskip("sklearn")
    return supervised_task(method, corpus, rated, **{"seeds": 1, **options})


def height_and_noise(melodies):
    random = np.random.default_rng(5)
    return np.column_stack([mean_pitch(melodies), random.normal(size=(len(melodies), 3))])


@pytest.fixture(scope="module")
def height(essen_corpus) -> np.ndarray:
    return mean_pitch(essen_corpus.token_batch(np.arange(60)))


def test_what_the_vectors_hold_is_learnt_for_stimuli_and_for_systems(essen_corpus, height):
    # A score could not: the higher the better up to a height, then the lower.
    result = learn(ByVectors(height_and_noise), essen_corpus, stimuli(-height, SYSTEMS), seeds=2)
    assert result.folds.value > 0.95
    assert result.left_out.value > 0.95
    assert len(result.by_seed) == 2
    assert result.folds.value == pytest.approx(np.mean(result.by_seed))
    assert list(result.by_system) == ["a", "b", "c"]
    assert result.stimuli == 60


@pytest.mark.slow
def test_trees_learn_what_is_not_straight(essen_corpus, height):
    bent = stimuli(np.abs(height - np.median(height)), SYSTEMS)
    vectors = ByVectors(height_and_noise)
    by_trees = learn(vectors, essen_corpus, bent, regression="boosting")
    by_ridge = learn(vectors, essen_corpus, bent)
    assert by_trees.folds.value > 0.5 > by_ridge.folds.value


def test_what_is_predicted_was_not_learnt(essen_corpus):
    """Vectors that name each melody give nothing away of the others."""
    random = np.random.default_rng(0)
    rated = stimuli(random.normal(size=60), SYSTEMS)
    names = ByVectors(lambda melodies: np.eye(len(melodies)))
    result = learn(names, essen_corpus, rated)
    assert abs(result.folds.value) < 0.15
    # Of near-duplicates that share a vector and a rating, one would tell the other.
    twins = stimuli(
        np.repeat(random.normal(size=30), 2), ["a", "b"] * 30, groups=np.repeat(np.arange(30), 2)
    )
    pairs = ByVectors(lambda melodies: np.repeat(np.eye(len(melodies) // 2), 2, axis=0))
    assert learn(pairs, essen_corpus, twins).folds.low < 0.1
    twins_elsewhere = stimuli(twins.mean, ["a", "b", "c", "a", "b", "c"] * 10, groups=twins.groups)
    assert learn(pairs, essen_corpus, twins_elsewhere).left_out.low < 0.2


def test_a_score_alone_is_a_vector_of_one(essen_corpus, height):
    result = learn(By(mean_pitch), essen_corpus, stimuli(height, SYSTEMS))
    assert result.folds.value > 0.95


def test_figures_can_be_about_some_of_what_is_learnt(essen_corpus, height):
    reported = np.arange(60) < 30
    result = learn(By(mean_pitch), essen_corpus, stimuli(height, SYSTEMS), reported=reported)
    assert result.stimuli == 30


def test_with_two_systems_none_is_left_out(essen_corpus, height):
    result = learn(By(mean_pitch), essen_corpus, stimuli(height, ["a", "b"] * 30))
    assert np.isnan(result.left_out.value)
    assert result.by_system == {}


def test_what_cannot_be_learnt_is_said(essen_corpus, height, monkeypatch):
    with pytest.raises(CorpusError, match="too few rated melodies"):
        learn(By(mean_pitch), essen_corpus, stimuli(height[:9], [""] * 9))
    monkeypatch.setitem(sys.modules, "sklearn.model_selection", None)
    with pytest.raises(SeqmelodyError, match=r"pip install 'seqmelody\[baselines\]'"):
        supervised_task(By(mean_pitch), essen_corpus, stimuli(height, SYSTEMS))
