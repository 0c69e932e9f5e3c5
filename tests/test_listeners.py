from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqmelody.listeners import PRIOR_NOISE, PRIOR_TASTE, Listener, Listeners, RatingModel

E, K = 6, 2


def model(**changes) -> RatingModel:
    random = np.random.default_rng(0)
    made = RatingModel(
        offset=3.0,
        scale=0.5,
        residual_sd=0.6,
        score_mean=1.0,
        embedding_mean=random.normal(size=E),
        directions=random.normal(size=(K, E)),
        offset_sd=0.5,
        slope_sd=0.4,
        taste_sd=np.full(K, 0.3),
    )
    return dataclasses.replace(made, **changes)


def melodies(count: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.normal(1, 2, size=count), random.normal(size=(count, E))


ANN = Listener(offset=0.8, slope=-0.5, taste=np.array([0.4, -0.2]))


def test_a_listener_without_ratings_is_the_consensus():
    score, embedding = melodies(9)
    nobody = model().fit(score[:0], embedding[:0], score[:0])
    assert nobody.ratings == nobody.offset == nobody.slope == 0
    predicted = model().predict(nobody, score, embedding)
    np.testing.assert_allclose(predicted, 3 + 0.5 * score)


def test_many_ratings_bring_a_listener_out():
    score, embedding = melodies(20_000)
    said = model().predict(ANN, score, embedding)
    said += np.random.default_rng(2).normal(scale=0.6, size=len(said))
    found = model().fit(score, embedding, said)
    assert found.offset == pytest.approx(ANN.offset, abs=0.03)
    assert found.slope == pytest.approx(ANN.slope, abs=0.03)
    np.testing.assert_allclose(found.taste, ANN.taste, atol=0.03)
    assert found.ratings == 20_000


def test_the_fit_is_the_mean_of_the_normal_posterior():
    """The textbook's formula, in the form whose inverse is as large as there are effects."""
    score, embedding = melodies(7)
    said = model().predict(ANN, score, embedding) + 0.3
    made = model()
    design = np.column_stack(
        [
            np.ones(7),
            made.scale * (score - made.score_mean),
            (embedding - made.embedding_mean) @ made.directions.T,
        ]
    )
    prior = np.diag([0.5, 0.4, 0.3, 0.3]) ** 2
    precision = np.linalg.inv(prior) + design.T @ design / 0.6**2
    expected = np.linalg.solve(precision, design.T @ (said - made.consensus(score)) / 0.6**2)
    found = made.fit(score, embedding, said)
    np.testing.assert_allclose([found.offset, found.slope, *found.taste], expected)


@settings(max_examples=40)
@given(st.integers(1, 30), st.floats(1, 7))
def test_fewer_ratings_stay_nearer_to_the_consensus(count, value):
    """A constant rater is as far from the consensus as the ratings are many, never beyond."""
    score, embedding = np.full(count, 1.0), np.tile(model().embedding_mean, (count, 1))
    found = model().fit(score, embedding, np.full(count, value))
    away = value - model().consensus(score[:1])[0]
    assert found.offset == pytest.approx(away * 0.25 / (0.25 + 0.36 / count))
    assert found.slope == 0
    assert (found.taste == 0).all()


def test_a_constant_rater_comes_out_nearly_constant_and_stays_finite():
    score, embedding = melodies(5)
    found = model().fit(score, embedding, np.full(5, 4.0))
    predicted = model().predict(found, score, embedding)
    consensus = model().consensus(score)
    assert np.isfinite(predicted).all()
    assert np.abs(predicted - 4).max() < np.abs(consensus - 4).max()
    # Not all of the consensus is given up.
    assert np.ptp(predicted) > 0.05 * np.ptp(consensus)


def crowd(raters: int, each: int, true: RatingModel, seed: int = 0):
    random = np.random.default_rng(seed)
    score, embedding = melodies(raters * each, seed)
    rater = np.repeat(np.arange(raters), each)
    said = np.empty(len(rater))
    for number in range(raters):
        own = rater == number
        listener = Listener(
            random.normal(scale=true.offset_sd),
            random.normal(scale=true.slope_sd),
            random.normal(scale=true.taste_sd),
        )
        said[own] = true.predict(listener, score[own], embedding[own])
    said += random.normal(scale=true.residual_sd, size=len(said))
    return score, embedding, said, rater


def test_the_spread_of_listeners_is_learnt_from_them():
    true = model(offset_sd=0.9, slope_sd=0.2, taste_sd=np.array([0.6, 0.05]), residual_sd=0.4)
    found = model().with_spread_of(*crowd(150, 20, true))
    assert found.offset_sd == pytest.approx(0.9, rel=0.15)
    assert found.slope_sd == pytest.approx(0.2, rel=0.15)
    np.testing.assert_allclose(found.taste_sd, [0.6, 0.05], atol=0.05)
    assert found.residual_sd == pytest.approx(0.4, rel=0.05)


def test_the_directions_of_taste_are_found_among_all():
    direction = np.zeros((1, E))
    direction[0, 2] = 1.0
    true = model(directions=direction, taste_sd=np.array([0.8]))
    start = model(directions=np.eye(E), taste_sd=np.full(E, 0.2))
    found = start.with_spread_of(*crowd(80, 20, true), rank=1)
    assert found.directions.shape == (1, E)
    length = np.linalg.norm(found.directions)
    assert abs(found.directions[0, 2]) / length > 0.95
    assert found.taste_sd[0] * length == pytest.approx(0.8, rel=0.2)


def test_new_directions_are_those_that_tell_most_of_ratings_not_the_longest():
    """A direction in which embeddings hardly vary needs a large coefficient to tell anything."""
    direction = np.zeros((1, E))
    direction[0, 2] = 1.0
    true = model(directions=direction, taste_sd=np.array([0.8]))
    long = np.diag([1.0] * 5 + [30.0])
    score, embedding, said, rater = crowd(80, 20, true)
    embedding[:, 5] /= 30
    start = model(
        embedding_mean=model().embedding_mean * [1, 1, 1, 1, 1, 1 / 30],
        directions=long,
        taste_sd=np.full(E, 0.2),
    )
    found = start.with_spread_of(score, embedding, said, rater, rank=1)
    seen = (embedding - found.embedding_mean) @ found.directions[0]
    assert abs(np.corrcoef(seen, embedding[:, 2])[0, 1]) > 0.95


def test_nobody_named_leaves_the_prior_as_it_was():
    score, embedding = melodies(4)
    made = model()
    assert made.with_spread_of(score, embedding, score, np.full(4, -1)) is made


def test_a_single_rater_hardly_moves_the_prior():
    score, embedding, said, rater = crowd(1, 1, model())
    found = model().with_spread_of(score, embedding, said, rater)
    assert found.offset_sd == pytest.approx(0.5, rel=0.4)


def test_what_is_assumed_without_any_knowledge_fits_the_ratings_at_hand():
    score, embedding = melodies(50)
    said = np.tile([2.0, 6.0], 25)
    made = RatingModel.assumed(1.0, 2.0, said, embedding)
    assert made.consensus(np.array([1.0]))[0] == pytest.approx(4.0)
    assert made.consensus(np.array([3.0]))[0] == pytest.approx(4.8)
    assert made.directions.shape == (E, E)
    # What a taste adds is as large in any directions, and along each of them.
    axes = np.random.default_rng(0).normal(size=(3, E)) * [[1.0], [10.0], [0.1]]
    for directions in (None, axes):
        made = RatingModel.assumed(1.0, 2.0, said, embedding, directions=directions)
        assert np.ptp(made.taste_sd) == 0
        added = (embedding - made.embedding_mean) @ made.directions.T * made.taste_sd
        assert (added**2).sum(1).mean() == pytest.approx((PRIOR_TASTE * 2) ** 2)
    np.testing.assert_array_equal(made.directions, axes)
    one = RatingModel.assumed(1.0, 2.0, [5.0], embedding[:1])
    # Equal numbers have no spread, whatever rounding makes of them.
    same = np.full((7, E), 0.1)
    for rating in (3.3, 0.1):
        for count in (3, 7):
            alike = RatingModel.assumed(1.0, 2.0, [rating] * count, same[:count])
            assert alike.residual_sd == PRIOR_NOISE
            np.testing.assert_allclose(alike.taste_sd, PRIOR_TASTE / np.sqrt(E))
    listener = one.fit(score[:1], embedding[:1], np.array([5.0]))
    assert np.isfinite(one.predict(listener, score, embedding)).all()


@given(
    st.sampled_from([model(), model(directions=np.eye(E), taste_sd=np.ones(E), low=1.0, high=7.0)])
)
def test_plain_values_keep_what_predicts(made):
    ann = dataclasses.replace(ANN, taste=np.linspace(-1, 1, len(made.taste_sd)), ratings=3)
    stored = Listeners(
        rating=made,
        listeners={"ann": ann},
        catchy={"offset": 0.5, "scale": 2.0},
        preference={"scale": 1.5, "tie": 0.1},
    )
    plain = json.loads(json.dumps(stored.to_dict()))
    read = Listeners.from_dict(plain, E)
    assert read.to_dict() == stored.to_dict()
    score, embedding = melodies(5)
    assert read.rating is not None
    np.testing.assert_allclose(
        read.rating.predict(read.listeners["ann"], score, embedding),
        made.predict(ann, score, embedding),
        rtol=1e-4,
    )
    assert read.listeners["ann"].ratings == 3
    nothing = Listeners.from_dict(Listeners().to_dict(), E)
    assert nothing.rating is None
    assert nothing.listeners == {}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"rating": None}, "listener 'ann' does not fit"),
        ({"catchy": {"offset": 1.0}}, "catchy must have offset and scale"),
        ({"preference": {"scale": float("nan"), "tie": 0.0}}, "preference must have scale and tie"),
        ({"preference": {"scale": 1.0, "tie": -0.1}}, "the tie of preference is negative"),
    ],
)
def test_plain_values_that_do_not_fit_are_refused(change, reason):
    plain = Listeners(rating=model(), listeners={"ann": ANN}).to_dict() | change
    with pytest.raises(ValueError, match=reason):
        Listeners.from_dict(plain, E)


def test_a_rating_model_that_does_not_fit_is_refused():
    plain = Listeners(rating=model()).to_dict()
    with pytest.raises(ValueError, match="the model's have 7"):
        Listeners.from_dict(plain, E + 1)
    for name, value in (("residual_sd", 0.0), ("offset_sd", -1.0), ("scale", float("inf"))):
        with pytest.raises(ValueError, match="rating model"):
            Listeners.from_dict({**plain, "rating": plain["rating"] | {name: value}}, E)
    with pytest.raises((TypeError, ValueError)):
        Listeners.from_dict({**plain, "rating": plain["rating"] | {"colour": 1}}, E)
