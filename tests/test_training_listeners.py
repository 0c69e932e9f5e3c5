from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from judged import answers_of, lengths, pairs_of, write_csv

from seqmelody.config import CatchyConfig, PreferenceConfig, RatingConfig, TrainConfig
from seqmelody.objectives.judged import Judgements
from seqmelody.objectives.logistic import fit_logistic
from seqmelody.objectives.metrics import expected_calibration_error
from seqmelody.training.judged import read_judged
from seqmelody.training.listeners import learnt_listeners
from seqmelody.whitening import Whitening

WHITENING = Whitening(np.zeros(2, np.float32), np.array([[0, 3], [0.5, 0]], np.float32))


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
    found, figures = learnt_listeners(config, judged, hears, WHITENING)
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


def test_spreads_are_those_on_melodies_that_were_not_trained_on(essen_corpus, hears, tmp_path):
    """The score follows the ratings of the train split far better than those of the others."""
    random = np.random.default_rng(0)
    trained = np.isin(np.arange(len(essen_corpus)), essen_corpus.split("train"))
    rows = [
        (id_, agreed + number + random.normal(scale=0.1 if known else 0.6), f"rater-{number}")
        for id_, agreed, known in zip(
            essen_corpus.column("id"), lengths(essen_corpus), trained, strict=True
        )
        for number in range(8)
    ]
    ratings = write_csv(tmp_path / "r.csv", "id,score,rater", rows)
    config = RatingConfig(str(essen_corpus.folder), str(ratings), raters=True)
    [entry], found, _ = learnt(essen_corpus, hears, rating=config)
    assert found.rating.residual_sd == pytest.approx(0.6, rel=0.15)
    assert found.listeners["rater-0"].ratings == len(entry.ratings) / 8
    # Where the others have ratings of too few raters, or too few melodies, all must serve.
    heard = entry.ratings
    fresh = np.isin(heard.row, entry.validation.item_NM)
    melodies = np.unique(entry.validation.item_NM)
    kept = ~fresh | (heard.rater == 0)
    few_raters = dataclasses.replace(
        heard, row=heard.row[kept], value=heard.value[kept], rater=heard.rater[kept]
    )
    for less in (
        dataclasses.replace(entry, ratings=few_raters),
        dataclasses.replace(
            entry,
            validation=entry.validation[np.isin(entry.validation.item_NM[:, 0], melodies[:9])],
        ),
    ):
        run = TrainConfig("c", "o", rating=config)
        pooled, _ = learnt_listeners(run, [less], hears, WHITENING)
        assert 0.1 < pooled.rating.residual_sd < 0.4


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
    assert found.rating.consensus(np.zeros(1))[0] == pytest.approx(4, abs=0.1)
    # Of one rating, not of the mean of four.
    assert found.rating.residual_sd == pytest.approx(0.4, rel=0.15)
    np.testing.assert_allclose(found.rating.directions, WHITENING.axes_EE.T)


def test_catchy_is_calibrated_on_what_was_not_trained_on(essen_corpus, hears, tmp_path):
    answers = answers_of(essen_corpus, tmp_path / "c.csv")
    config = CatchyConfig(str(essen_corpus.folder), str(answers))
    [entry], found, figures = learnt(essen_corpus, hears, catchy=config)
    assert found.catchy != pytest.approx(entry.objective.offset_and_scale)
    assert 0 <= figures["catchy_ece"] < 0.2
    # Where there is too little of that, what was trained stays.
    few = dataclasses.replace(entry, validation=entry.validation[np.arange(3)])
    run = TrainConfig("c", "o", catchy=config)
    found, figures = learnt_listeners(run, [few], hears, WHITENING)
    assert found.catchy == entry.objective.offset_and_scale
    assert figures == {}


class Regrouped:
    """A corpus with other groups of near-duplicates."""

    def __init__(self, corpus, group: np.ndarray) -> None:
        self._corpus = corpus
        self._group = group

    def __getattr__(self, name: str):
        return getattr(self._corpus, name)

    def column(self, name: str):
        return self._group if name == "group" else self._corpus.column(name)


def test_near_duplicates_do_not_judge_each_others_calibration(essen_corpus, hears, tmp_path):
    answers = answers_of(essen_corpus, tmp_path / "c.csv")
    config = CatchyConfig(str(essen_corpus.folder), str(answers))
    [entry], _, _ = learnt(essen_corpus, hears, catchy=config)
    run, said = TrainConfig("c", "o", catchy=config), entry.validation
    # Two groups, a third of the melodies and the others: then these are the halves.
    group = (np.arange(len(essen_corpus)) % 3 > 0).astype(np.int64)
    other = dataclasses.replace(entry, corpus=Regrouped(essen_corpus, group))
    _, figures = learnt_listeners(run, [other], hears, WHITENING)
    score_N, half_N = lengths(essen_corpus)[said.item_NM[:, 0]], group[said.item_NM[:, 0]]
    assert 0 < half_N.mean() < 1
    chance_N = np.zeros(len(said))
    for half in (0, 1):
        fitted = half_N != half
        offset, scale = fit_logistic(score_N[fitted], said.value_N[fitted])
        chance_N[~fitted] = 1 / (1 + np.exp(-(offset + scale * score_N[~fitted])))
    expected = expected_calibration_error(chance_N, said.value_N > 0.5)
    assert figures["catchy_ece"] == pytest.approx(expected, rel=1e-4)
    # All of one tune: nothing is left to judge it by.
    alike = Regrouped(essen_corpus, np.zeros_like(group))
    one = dataclasses.replace(entry, corpus=alike)
    found, figures = learnt_listeners(run, [one], hears, WHITENING)
    assert found.catchy == entry.objective.offset_and_scale
    assert figures == {}


def test_the_scale_of_preferences_is_that_of_melodies_that_were_not_trained_on(
    essen_corpus, hears, tmp_path
):
    pairs = pairs_of(essen_corpus, tmp_path / "p.csv", ties=True)
    config = PreferenceConfig(str(essen_corpus.folder), str(pairs))
    [entry], found, _ = learnt(essen_corpus, hears, preference=config)
    learnt_one, truth = entry.objective.scale_and_tie, lengths(essen_corpus)
    # There, every third choice goes against the score; what was trained on always follows it.
    rows = essen_corpus.split("validation")
    pairs_NM = np.stack([rows[:-1], rows[1:]], axis=1)
    shorter_N = truth[pairs_NM[:, 0]] < truth[pairs_NM[:, 1]]
    turned = np.where(
        (shorter_N ^ (np.arange(len(rows) - 1) % 3 == 0))[:, None], pairs_NM[:, ::-1], pairs_NM
    )
    said = Judgements.alike(turned, (np.arange(len(turned)) % 5 == 0).astype(float), None)
    unsure = dataclasses.replace(entry, validation=said)
    run = TrainConfig("c", "o", preference=config)
    found, _ = learnt_listeners(run, [unsure], hears, WHITENING)
    assert found.rating is None
    assert found.preference["tie"] == learnt_one["tie"] > 0
    assert found.preference["scale"] < 0.3 * learnt_one["scale"]
    chosen = turned[said.value_N == 0]
    ahead = truth[chosen[:, 0]] - truth[chosen[:, 1]]
    both, yes = np.concatenate([ahead, -ahead]), np.repeat([1.0, 0.0], len(ahead))
    expected = fit_logistic(both, yes, offset=False)[1]
    assert found.preference["scale"] == pytest.approx(expected, rel=1e-4)
    # Where there is too little of that, what was trained stays.
    few = dataclasses.replace(unsure, validation=unsure.validation[np.arange(4)])
    found, _ = learnt_listeners(run, [few], hears, WHITENING)
    assert found.preference == learnt_one


@pytest.mark.parametrize("raters", [0, 4])
def test_the_consensus_is_that_of_melodies_that_were_not_trained_on(
    essen_corpus, hears, tmp_path, raters
):
    """There the ratings follow the score half as much, and are higher."""
    random = np.random.default_rng(0)
    trained = np.isin(np.arange(len(essen_corpus)), essen_corpus.split("train"))
    rows = [
        (id_, (agreed if known else 3 + 0.5 * agreed) + random.normal(scale=0.1), f"rater-{number}")
        for id_, agreed, known in zip(
            essen_corpus.column("id"), lengths(essen_corpus), trained, strict=True
        )
        for number in range(raters or 1)
    ]
    header = "id,score,rater" if raters else "id,score"
    ratings = write_csv(tmp_path / "r.csv", header, [row[: 3 if raters else 2] for row in rows])
    config = RatingConfig(str(essen_corpus.folder), str(ratings), raters=raters > 0)
    [entry], found, _ = learnt(essen_corpus, hears, rating=config)
    assert entry.objective.line == pytest.approx((0, 1), abs=0.05)
    assert (found.rating.offset, found.rating.scale) == pytest.approx((3, 0.5), abs=0.1)
    # Where there is too little of that, what was trained stays.
    melodies = np.unique(entry.validation.item_NM)
    nine = entry.validation[np.isin(entry.validation.item_NM[:, 0], melodies[:9])]
    few = dataclasses.replace(entry, validation=nine)
    found, _ = learnt_listeners(TrainConfig("c", "o", rating=config), [few], hears, WHITENING)
    assert (found.rating.offset, found.rating.scale) == pytest.approx(entry.objective.line)


def test_scores_far_beyond_those_that_a_scale_was_fitted_to_do_not_overflow(
    essen_corpus, hears, tmp_path
):
    """Melodies of even length are one half, close together; the others score far apart."""
    answers = answers_of(essen_corpus, tmp_path / "c.csv")
    config = CatchyConfig(str(essen_corpus.folder), str(answers))
    [entry], _, _ = learnt(essen_corpus, hears, catchy=config)
    halves = dataclasses.replace(entry, corpus=Regrouped(essen_corpus, essen_corpus.notes % 2))

    def far(batch):
        found = hears(batch)
        unit_B = torch.where(batch.length_B % 2 == 0, 1e-3, 100.0)
        return SimpleNamespace(score_B=unit_B * found.score_B, embedding_BE=found.embedding_BE)

    run = TrainConfig("c", "o", catchy=config)
    with np.errstate(over="raise"):
        _, figures = learnt_listeners(run, [halves], far, WHITENING)
    assert 0 <= figures["catchy_ece"] <= 1


def test_a_run_that_heard_nobody_has_no_listeners(hears):
    assert learnt_listeners(TrainConfig("c", "o"), [], hears, WHITENING) == (None, {})
