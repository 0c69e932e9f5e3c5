from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from judged import answers_of, lengths, pairs_of, write_csv

from seqmelody.config import CatchyConfig, PreferenceConfig, RatingConfig, TrainConfig
from seqmelody.training.judged import read_judged
from seqmelody.training.listeners import learnt_listeners


@pytest.fixture
def hears(essen_corpus):
    """A finished model whose score is the length, and whose embedding has the mean pitch."""
    notes = np.log(essen_corpus.notes)

    def score(batch):
        score_B = (batch.length_B.double().log() - notes.mean()) / notes.std()
        mean_B = batch.pitch_BL.sum(1) / batch.length_B
        vector_BE = torch.stack([(mean_B - 70) / 5, torch.ones_like(mean_B)], dim=1)
        return SimpleNamespace(score_B=score_B, embedding_BE=vector_BE)

    return score


def pitches(corpus) -> np.ndarray:
    """The mean pitch of each melody, as the embedding has it."""
    return np.array([(corpus.tokens(row).pitch.mean() - 70) / 5 for row in range(len(corpus))])


def learnt(corpus, hears, **settings):
    config = TrainConfig(
        corpus=str(corpus.folder),
        out="o",
        model=dataclasses.replace(TrainConfig("c", "o").model, embedding_size=2),
        **settings,
    )
    torch.manual_seed(0)
    judged = read_judged(config, corpus)
    for entry in judged:
        entry.begin(hears)
    found, figures = learnt_listeners(config, judged, hears)
    return judged, found, figures


def test_raters_become_listeners_with_their_offset_slope_and_taste(essen_corpus, hears, tmp_path):
    random = np.random.default_rng(0)
    pitch, truth = pitches(essen_corpus), lengths(essen_corpus)
    people = {"ann": (1.0, 0.0, 0.8), "bob": (-1.0, 0.0, -0.8), "cid": (0.0, -0.9, 0.0)}
    people |= {f"other{number}": (0.0, 0.3, 0.0) for number in range(3)}
    rows = [
        (id_, 4 + offset + (1 + slope) * agreed + taste * high + random.normal(scale=0.3), name)
        for id_, agreed, high in zip(essen_corpus.column("id"), truth, pitch, strict=True)
        for name, (offset, slope, taste) in people.items()
    ]
    ratings = write_csv(tmp_path / "r.csv", "id,score,rater", rows)
    config = RatingConfig(
        str(essen_corpus.folder), str(ratings), scale=(-20, 20), raters=True, taste_rank=1
    )
    _, found, _ = learnt(essen_corpus, hears, rating=config)
    assert found.listeners.keys() == people.keys()
    assert found.rating.residual_sd == pytest.approx(0.3, rel=0.1)
    assert (found.rating.low, found.rating.high) == (-20, 20)
    # Whatever direction was drawn, it is of use as far as it points to the pitch.
    scores, vectors = truth, np.stack([pitch, np.ones_like(pitch)], axis=1)
    for name, (offset, slope, taste) in people.items():
        rated = found.rating.predict(found.listeners[name], scores, vectors)
        expected = 4 + offset + (1 + slope) * truth + taste * pitch
        assert np.corrcoef(rated, expected)[0, 1] > 0.98, name
        assert np.abs(rated - expected).mean() < 0.15, name


def test_without_names_the_consensus_is_kept_and_tastes_may_lie_anywhere(
    essen_corpus, hears, tmp_path
):
    random = np.random.default_rng(0)
    rows = [
        (id_, 4 + 0.5 * value + random.normal(scale=0.4))
        for id_, value in zip(essen_corpus.column("id"), lengths(essen_corpus), strict=True)
        for _ in range(4)
    ]
    ratings = write_csv(tmp_path / "r.csv", "id,score", rows)
    config = RatingConfig(str(essen_corpus.folder), str(ratings))
    _, found, figures = learnt(essen_corpus, hears, rating=config)
    assert found.listeners == figures == {}
    assert found.rating.scale == pytest.approx(0.5, abs=0.05)
    assert found.rating.consensus(np.zeros(1))[0] == pytest.approx(4, abs=0.05)
    # Of one rating, not of the mean of four.
    assert found.rating.residual_sd == pytest.approx(0.4, rel=0.15)
    assert found.rating.directions.shape == (2, 2)


def test_catchy_is_calibrated_on_what_was_not_trained_on(essen_corpus, hears, tmp_path):
    answers = answers_of(essen_corpus, tmp_path / "c.csv")
    config = CatchyConfig(str(essen_corpus.folder), str(answers))
    [entry], found, figures = learnt(essen_corpus, hears, catchy=config)
    assert found.catchy != pytest.approx(entry.objective.offset_and_scale)
    assert 0 <= figures["catchy_ece"] < 0.2
    # Where there is too little of that, what was trained stays.
    few = dataclasses.replace(entry, validation=entry.validation[np.arange(3)])
    found, figures = learnt_listeners(TrainConfig("c", "o", catchy=config), [few], hears)
    assert found.catchy == entry.objective.offset_and_scale
    assert figures == {}


def test_preference_keeps_its_scale_and_ties(essen_corpus, hears, tmp_path):
    pairs = pairs_of(essen_corpus, tmp_path / "p.csv", ties=True)
    config = PreferenceConfig(str(essen_corpus.folder), str(pairs))
    [entry], found, _ = learnt(essen_corpus, hears, preference=config)
    assert found.preference == entry.objective.scale_and_tie
    assert found.rating is None


def test_a_run_that_heard_nobody_has_no_listeners(hears):
    assert learnt_listeners(TrainConfig("c", "o"), [], hears) == (None, {})
