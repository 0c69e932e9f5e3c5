from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from stand_ins import By, ByVectors, mean_pitch

from seqmelody.baselines import BASELINES
from seqmelody.checkpoint import load_checkpoint
from seqmelody.config import TRAINED_KINDS
from seqmelody.errors import CheckpointError, CorpusError, SeqmelodyError, UsageError
from seqmelody.evaluation import (
    CheckpointMethod,
    Method,
    SimilarityMethod,
    VectorMethod,
    method,
)
from seqmelody.evaluation.methods import Remembered
from seqmelody.evaluation.provenance import (
    check_tokenizer,
    families_learnt,
    kinds_trained_on,
    trained_on,
)
from seqmelody.scorer import Scorer
from seqmelody.tokens import Tokenizer
from seqmelody.whitening import Whitening


@pytest.fixture(scope="module")
def melodies(essen_corpus):
    return essen_corpus.token_batch(np.arange(60))


def test_a_checkpoint_scores_as_the_scorer_does(checkpoint_folder, essen_corpus, melodies):
    found = method(checkpoint_folder)
    assert isinstance(found, Method)
    assert isinstance(found, VectorMethod)
    assert found.name == "untrained"
    said = [row.score for row in Scorer.load(checkpoint_folder).score(essen_corpus)[:60]]
    assert found.scores(melodies) == pytest.approx(said, abs=1e-5)
    vectors = found.vectors(melodies)
    assert vectors.shape == (60, 8 + 1)
    assert vectors[:, -1] == pytest.approx(found.scores(melodies))
    assert np.linalg.norm(vectors[:, :-1], axis=1) == pytest.approx(np.ones(60), abs=1e-5)


def test_baselines_come_by_name(essen_corpus, melodies):
    assert {"length", "density"} <= set(BASELINES)
    found = method("length", essen_corpus)
    assert found.name == "length"
    assert np.array_equal(np.argsort(found.scores(melodies)), np.argsort(essen_corpus.notes[:60]))
    with pytest.raises(CorpusError, match="no corpus to learn from"):
        method("length")


def test_what_is_no_method_is_named(essen_corpus, tmp_path):
    with pytest.raises(
        UsageError,
        match=r"nothing: no such checkpoint; with .* come melodic, .*; the baselines are length",
    ):
        method("nothing", essen_corpus)
    with pytest.raises(CheckpointError, match="not a checkpoint folder"):
        method(tmp_path, essen_corpus)


def test_the_same_melodies_are_scored_once(melodies, essen_corpus):
    asked = []

    def score(of):
        asked.append(len(of))
        return mean_pitch(of)

    remembered = Remembered(By(score), "other name")
    assert remembered.name == "other name"
    again = essen_corpus.token_batch(np.arange(60))
    assert np.array_equal(remembered.scores(melodies), remembered.scores(again))
    assert remembered.vectors(melodies).shape == (60, 1)
    assert asked == [60]
    remembered.scores(essen_corpus.token_batch(np.arange(59)))
    assert asked == [60, 59]


def test_a_score_that_is_no_number_is_an_error(melodies):
    holes = Remembered(By(lambda of: np.where(mean_pitch(of) > 70, np.nan, 0.0)))
    bad = int((mean_pitch(melodies) > 70).sum())
    assert 0 < bad < 60
    with pytest.raises(SeqmelodyError, match=rf"rule: no finite score for {bad} of 60 melodies"):
        holes.scores(melodies)
    endless = Remembered(ByVectors(lambda of: np.full((len(of), 2), np.inf)))
    with pytest.raises(SeqmelodyError, match="vectors: no finite vector for 60 of 60"):
        endless.vectors(melodies)


def test_vectors_are_no_score(melodies):
    only = Remembered(ByVectors(lambda of: np.ones((len(of), 2))))
    assert not only.has_scores
    assert only.vectors(melodies).shape == (60, 2)
    with pytest.raises(SeqmelodyError, match="vectors to learn from, but no score"):
        only.scores(melodies)


def test_a_checkpoint_compares_as_the_scorer_does(checkpoint_folder, essen_corpus, melodies):
    found = method(checkpoint_folder)
    said = Scorer.load(checkpoint_folder).embed(essen_corpus)[:60]
    np.testing.assert_allclose(found.embeddings(melodies), said, atol=1e-5)
    turned = Whitening(np.full(8, 0.1, np.float32), 2 * np.eye(8, dtype=np.float32)[::-1])
    white = CheckpointMethod(dataclasses.replace(found.checkpoint, whitening=turned))
    np.testing.assert_allclose(white.embeddings(melodies), turned(said), atol=1e-5)
    rows = np.array([3, 1])
    [alike] = Remembered(white).similarities(melodies, rows)
    np.testing.assert_allclose(alike, turned(said)[rows] @ turned(said).T, atol=1e-5)


def test_the_untrained_network_is_the_same_each_time(essen_corpus, melodies):
    one, two = (method("untrained", essen_corpus) for _ in range(2))
    assert one.name == "untrained"
    np.testing.assert_array_equal(one.embeddings(melodies), two.embeddings(melodies))
    # Whitened: as they are, all are alike.
    assert abs(np.median(one.embeddings(melodies) @ one.embeddings(melodies).T)) < 0.3
    assert np.median(one.vectors(melodies)[:, :-1] @ one.vectors(melodies)[:, :-1].T) > 0.7
    assert kinds_trained_on(one) == ()
    with pytest.raises(CorpusError, match="untrained: no corpus to learn from"):
        method("untrained")


def test_features_are_compared_on_scales_of_their_own(melodies):
    random = np.random.default_rng(0)
    table = random.normal(size=(60, 3))
    wide = Remembered(ByVectors(lambda of: [5, 0, 9] + table * [1, 100, 0]))
    [found] = wide.similarities(melodies, np.arange(60))
    near = (table - table.mean(0)) / table.std(0) * [1, 1, 0]
    near /= np.linalg.norm(near, axis=1, keepdims=True)
    np.testing.assert_allclose(found, near @ near.T, atol=1e-5)
    assert wide.compares


def test_pairs_come_in_blocks(essen_corpus):
    melodies = essen_corpus.token_batch(np.arange(280))
    remembered = Remembered(method("histogram", essen_corpus))
    rows = np.arange(279, -1, -1)
    blocks = list(remembered.similarities(melodies, rows))
    assert len(blocks) > 1
    vectors = remembered.vectors(melodies)
    np.testing.assert_allclose(np.concatenate(blocks), vectors[rows] @ vectors.T, atol=1e-6)


def test_what_only_compares_has_no_score_and_no_vectors(essen_corpus, melodies):
    pytest.importorskip("rapidfuzz")
    found = method("levenshtein-interval", essen_corpus)
    assert isinstance(found, SimilarityMethod)
    assert not isinstance(found, VectorMethod)
    only = Remembered(found)
    assert (only.has_scores, only.has_vectors, only.compares) == (False, False, True)
    assert not Remembered(By(mean_pitch)).compares
    with pytest.raises(SeqmelodyError, match="has similarities, but no score"):
        only.vectors(melodies)


def test_a_method_says_what_it_was_trained_on(checkpoint_folder, essen_corpus):
    checkpoint = load_checkpoint(checkpoint_folder)
    plain = CheckpointMethod(checkpoint)
    assert trained_on(plain) is None
    assert kinds_trained_on(plain) == TRAINED_KINDS
    told = CheckpointMethod(
        dataclasses.replace(
            checkpoint,
            metrics={"training": {"corpus": essen_corpus.digest}},
            config={"contrast": {"kinds": {"markov_1": 2.0, "shuffle_notes": 1, "markov_2": 0}}},
        )
    )
    assert trained_on(Remembered(told)) == essen_corpus.digest
    assert kinds_trained_on(Remembered(told)) == ("shuffle_notes", "markov_1")
    assert families_learnt(told) is None
    learnt = dataclasses.replace(checkpoint, metrics={"training": {"family_corpus": "0123"}})
    assert families_learnt(Remembered(CheckpointMethod(learnt))) == "0123"
    assert families_learnt(By(mean_pitch)) is None
    assert trained_on(By(mean_pitch)) is None
    assert kinds_trained_on(By(mean_pitch)) == ()


def test_a_corpus_of_another_tokenizer_is_refused(checkpoint_folder, essen_corpus):
    checkpoint = load_checkpoint(checkpoint_folder)
    check_tokenizer(CheckpointMethod(checkpoint), essen_corpus)
    check_tokenizer(By(mean_pitch), essen_corpus)
    other = Tokenizer(max_rest_steps=10)
    reads_other = CheckpointMethod(dataclasses.replace(checkpoint, tokenizer=other))
    with pytest.raises(CorpusError, match=other.fingerprint):
        check_tokenizer(Remembered(reads_other), essen_corpus)
