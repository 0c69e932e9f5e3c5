from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from seqmelody.errors import CorpusError
from seqmelody.evaluation.listeners import LIKED, listeners_task
from seqmelody.note_statistics import STATISTICS, note_statistics


class Hears:
    """A method whose embedding holds what listeners like, or is noise; its score is the range."""

    name = "hears"

    def __init__(self, *, deaf: bool = False) -> None:
        self.deaf = deaf

    def vectors(self, melodies) -> np.ndarray:
        columns = [STATISTICS.index(name) for name in LIKED]
        features = note_statistics(melodies)[:, columns]
        features = (features - features.mean(0)) / features.std(0)
        score = features[:, :1] + np.random.default_rng(0).normal(size=(len(features), 1))
        if self.deaf:
            features = np.random.default_rng(1).normal(size=features.shape)
        return np.concatenate([features, score], axis=1).astype(np.float32)


@pytest.fixture(scope="module")
def found(larger_essen_corpus):
    corpus = larger_essen_corpus
    return listeners_task(Hears(), corpus, corpus.split("test"), listeners=30, ratings=(5, 20, 60))


def test_tastes_that_the_embedding_holds_are_recovered_with_enough_ratings(found):
    assert list(found.learnt) == list(found.assumed) == [5, 20, 60]
    recovery = [figures.taste_recovery.value for figures in found.learnt.values()]
    assert recovery == sorted(recovery)
    assert recovery[-1] > 0.8
    assert found.taste_ceiling.value > 0.95


def test_a_listeners_own_ratings_predict_better_than_the_consensus(found):
    figures = found.learnt[60]
    assert figures.gain.low > 0
    assert figures.correlation_gain.low > 0
    assert figures.gain.value == pytest.approx(figures.consensus_error.value - figures.error.value)
    errors = [figures.error.value for figures in found.learnt.values()]
    assert errors == sorted(errors, reverse=True)
    # Few ratings do no harm, where it was learnt how listeners differ.
    assert found.learnt[5].gain.high > 0


def test_tastes_that_the_embedding_lacks_are_not_claimed(larger_essen_corpus):
    corpus = larger_essen_corpus
    deaf = listeners_task(
        Hears(deaf=True), corpus, corpus.split("test"), listeners=30, ratings=(50,)
    )
    assert abs(deaf.learnt[50].taste_recovery.value) < 0.15
    assert abs(deaf.taste_ceiling.value) < 0.15
    assert abs(deaf.learnt[50].correlation_gain.value) < 0.05
    # Offsets and slopes are heard all the same.
    assert deaf.learnt[50].gain.low > 0


def test_the_seed_decides_all(larger_essen_corpus):
    corpus = larger_essen_corpus
    one, again, other = (
        dataclasses.asdict(
            listeners_task(
                Hears(), corpus, corpus.split("test"), listeners=3, ratings=(5,), seed=seed
            )
        )
        for seed in (1, 1, 2)
    )
    assert one == again != other


def test_too_few_melodies_are_an_error(tune_corpus):
    with pytest.raises(CorpusError, match="too few melodies to simulate listeners who rate 50"):
        listeners_task(Hears(), tune_corpus, tune_corpus.split("test"))
