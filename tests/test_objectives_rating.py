from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from judged import minimise

from seqmelody.judgements import Ratings
from seqmelody.listeners import PRIOR_RATINGS, PRIOR_SLOPE, RatingModel
from seqmelody.objectives import Rating
from seqmelody.objectives.listeners import Raters
from seqmelody.objectives.rating import variance_components, weighed


def ratings(rows, values, raters=None) -> Ratings:
    names = tuple(f"r{number}" for number in range(max(raters, default=-1) + 1)) if raters else ()
    who = np.full(len(rows), -1) if raters is None else np.array(raters)
    return Ratings(np.array(rows), np.array(values, dtype=float), who, names)


def simulated(melodies: int, each, within: float, between: float, seed: int = 0):
    random = np.random.default_rng(seed)
    row = np.repeat(np.arange(melodies), each)
    truth = random.normal(scale=between**0.5, size=melodies)
    return row, truth[row] + random.normal(scale=within**0.5, size=len(row))


@pytest.mark.parametrize("each", [4, "unequal"])
def test_variance_components_are_found(each):
    counts = np.random.default_rng(3).integers(1, 9, 4000) if each == "unequal" else each
    row, value = simulated(4000, counts, within=2.0, between=0.5)
    within, between = variance_components(value, row)
    assert within == pytest.approx(2.0, rel=0.05)
    assert between == pytest.approx(0.5, rel=0.1)


def test_the_example_of_a_balanced_table():
    """Mean squares by hand: 3 melodies of 2 ratings; MSW 1, MSB 8, so (8 - 1) / 2 between."""
    value = np.array([1.0, 3, 3, 3, 5, 7]) - np.array([0, 0, 0, 0, 0, 0])
    row = np.array([0, 0, 1, 1, 2, 2])
    within = (1 + 1 + 0 + 0 + 1 + 1) / 3
    between = 2 * ((2 - 11 / 3) ** 2 + (3 - 11 / 3) ** 2 + (6 - 11 / 3) ** 2) / 2
    assert variance_components(value, row) == pytest.approx((within, (between - within) / 2))


def test_components_that_cannot_be_told_apart():
    assert variance_components(np.array([1.0, 3.0]), np.array([0, 1])) == (0.0, 2.0)
    assert variance_components(np.array([1.0, 3.0]), np.array([0, 0])) == (2.0, 0.0)
    assert variance_components(np.array([1.0]), np.array([0])) == (0.0, 0.0)


def test_thirty_raters_count_more_than_three_but_not_ten_times_as_much():
    row, value = simulated(200, 30, within=2.0, between=0.5)
    few = (row % 2 == 0) & (np.arange(len(row)) % 30 >= 3)
    said = weighed(ratings(row[~few], value[~few]), by_rater=False)
    assert len(said) == 200
    few_weight, many_weight = said.weight_N[0], said.weight_N[1]
    assert many_weight / few_weight == pytest.approx((0.5 + 2 / 3) / (0.5 + 2 / 30), rel=0.2)
    np.testing.assert_allclose(said.value_N[1], value[row == 1].mean())


@given(st.integers(0, 1000))
def test_ratings_one_by_one_count_together_as_the_mean_does(seed):
    """Nobody is named, so that both ways know the same; raters who are add only their effects."""
    random = np.random.default_rng(seed)
    row = np.repeat(np.arange(6), [1, 1, 2, 3, 4, 5])
    value = random.normal(size=len(row)) + random.normal(size=6)[row]
    score_B = torch.randn(6, generator=torch.Generator().manual_seed(seed), requires_grad=True)
    gradients = []
    for by_rater in (False, True):
        said = weighed(ratings(row, value), by_rater=by_rater)
        assert len(said) == (len(row) if by_rater else 6)
        objective = Rating(said)
        # In units of the ratings, whose spread is not that of the means.
        objective.mean, objective.sd = 0.0, 1.0
        loss = objective(score_B, None, said.of(said.item_NM))
        gradients.append(torch.autograd.grad(loss, score_B)[0])
    torch.testing.assert_close(*gradients)


def normal_posterior(objective, said, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Offsets and slopes of the raters by the textbook, the covariance of all ratings written out."""
    offset, scale = objective.line
    consensus = offset + scale * score[said.item_NM[:, 0]]
    member = np.eye(said.rater_N.max() + 1)[said.rater_N]
    design = np.column_stack([member, member * (consensus - objective.mean)[:, None]])
    sigma2 = objective.disagreement
    melody, count = np.unique(said.item_NM[:, 0], return_counts=True)
    each = dict(zip(melody, count, strict=True))
    # The weight is 1 / (n tau2 + sigma2).
    tau2 = [
        (1 / weight - sigma2) / each[row]
        for weight, row in zip(said.weight_N, said.item_NM[:, 0], strict=True)
    ]
    np.testing.assert_allclose(tau2, tau2[0], atol=1e-9)
    same = said.item_NM == said.item_NM.T
    precision = np.linalg.inv(sigma2 * np.eye(len(said)) + tau2[0] * same)
    spread = np.repeat([PRIOR_RATINGS * objective.sd, PRIOR_SLOPE], member.shape[1])
    found = np.linalg.solve(
        np.diag(spread**-2.0) + design.T @ precision @ design,
        design.T @ precision @ (said.value_N - consensus),
    )
    return found[: member.shape[1]], found[member.shape[1] :]


def learnt_effects(said, score: np.ndarray, line: tuple[float, float]):
    """The effects of least loss, the consensus held where it is."""
    objective = Rating(said, Raters(int(said.rater_N.max()) + 1))
    with torch.no_grad():
        objective.offset.fill_((line[0] - objective.mean) / objective.sd)
        objective.log_scale.fill_(np.log(line[1] / objective.sd))
    objective.offset.requires_grad_(False)
    objective.log_scale.requires_grad_(False)
    minimise(objective, torch.from_numpy(score).float(), said.of(said.item_NM))
    effects = objective.effects
    offset = effects.offset_R.detach().numpy() * objective.sd
    return objective, offset, effects.slope_R.detach().numpy()


def rated_by(raters: int, melodies: int, each: int, *, between: float, seed: int = 0):
    """Each melody is rated by some of the raters; with the scores."""
    random = np.random.default_rng(seed)
    score = random.normal(size=melodies)
    row = np.repeat(np.arange(melodies), each)
    rater = np.concatenate([random.permutation(raters)[:each] for _ in range(melodies)])
    value = 4 + 0.8 * score[row] + random.normal(scale=between**0.5, size=melodies)[row]
    value += random.normal(scale=0.7, size=raters)[rater] + random.normal(size=len(row))
    return score, weighed(ratings(row, value, raters=rater.tolist()), by_rater=True)


@pytest.mark.parametrize("each", [1, 2, 6])
@pytest.mark.parametrize("between", [0.0, 2.0])
def test_the_least_loss_is_at_the_most_probable_effects_of_raters(each, between):
    score, said = rated_by(6, 60, each, between=between)
    objective, offset, slope = learnt_effects(said, score, (4.0, 0.8))
    expected_offset, expected_slope = normal_posterior(objective, said, score)
    np.testing.assert_allclose(offset, expected_offset, atol=2e-3)
    np.testing.assert_allclose(slope, expected_slope, atol=2e-3)
    assert np.abs(expected_offset).max() > 0.3


def test_raters_who_share_no_melody_are_fitted_as_listeners_are():
    """What training learns of a rater is what the closed form finds for them alone."""
    score, said = rated_by(8, 120, 1, between=0.5)
    objective, offset, slope = learnt_effects(said, score, (4.0, 0.8))
    nothing = np.zeros(0)
    model = RatingModel(
        offset=4.0,
        scale=0.8,
        residual_sd=float(said.weight_N[0]) ** -0.5,
        score_mean=(objective.mean - 4.0) / 0.8,
        embedding_mean=nothing,
        directions=np.zeros((0, 0)),
        offset_sd=PRIOR_RATINGS * objective.sd,
        slope_sd=PRIOR_SLOPE,
        taste_sd=nothing,
    )
    for number in range(8):
        own = said.rater_N == number
        heard = score[said.item_NM[own, 0]]
        found = model.fit(heard, np.zeros((len(heard), 0)), said.value_N[own])
        assert offset[number] == pytest.approx(found.offset, abs=2e-3)
        assert slope[number] == pytest.approx(found.slope, abs=2e-3)


def test_raters_who_always_agree_have_a_finite_loss():
    row, rater = np.divmod(np.arange(40), 4)
    said = weighed(ratings(row, row % 5, raters=rater.tolist()), by_rater=True)
    objective = Rating(said, Raters(4))
    assert objective.disagreement > 0
    assert torch.isfinite(objective(torch.zeros(10), None, said.of(said.item_NM)))


def test_the_loss_of_a_score_that_knows_nothing_is_about_a_half():
    row, value = simulated(500, 4, within=1.0, between=1.0)
    said = weighed(ratings(row, value), by_rater=False)
    objective = Rating(said)
    objective.begin(np.zeros(500), np.zeros((500, 2)), said)
    batch = said.of(said.item_NM)
    assert objective(torch.zeros(500), None, batch).item() == pytest.approx(0.5, rel=0.1)
    knows = torch.from_numpy(said.value_N).float()
    objective.begin(said.value_N, np.zeros((500, 2)), said)
    assert objective(knows, None, batch).item() < 1e-6
    assert objective.measure(knows, None, batch)["spearman"] == pytest.approx(1.0)
    assert objective.measure(knows, None, batch)["rmse"] == pytest.approx(0, abs=1e-3)


def test_it_begins_with_the_line_through_the_scores_and_units_do_not_matter():
    row, value = simulated(300, 3, within=0.2, between=1.0)
    score = np.random.default_rng(0).normal(5, 3, size=300)
    value = value * 0.1 + (40 + 2 * score)[row]
    said = weighed(ratings(row, value), by_rater=False)
    objective = Rating(said)
    objective.begin(score, np.zeros((300, 1)), said)
    offset, scale = objective.line
    assert scale == pytest.approx(2.0, rel=0.02)
    assert offset == pytest.approx(40, rel=0.02)


def test_a_score_against_the_ratings_begins_with_a_small_scale_above_nothing():
    row, value = simulated(50, 2, within=0.1, between=1.0)
    said = weighed(ratings(row, value), by_rater=False)
    objective = Rating(said)
    objective.begin(-said.value_N, np.zeros((50, 1)), said)
    assert 0 < objective.line[1] < 0.2
    for constant in (np.zeros(50), np.ones(50)):
        objective.begin(constant, np.zeros((50, 1)), said)
        assert np.isfinite(objective.line).all()


def test_equal_ratings_are_no_division_by_nothing():
    said = weighed(ratings([0, 0, 1], [4, 4, 4]), by_rater=False)
    objective = Rating(said)
    objective.begin(np.array([1.0, 2.0]), np.zeros((2, 1)), said)
    loss = objective(torch.tensor([1.0, 2.0]), None, said.of(said.item_NM))
    assert torch.isfinite(loss)


def test_raters_offsets_are_no_noise():
    """Raters who agree but for a constant each make a melody's ratings worth more."""
    random = np.random.default_rng(0)
    row, rater = np.divmod(np.arange(400), 8)
    truth = random.normal(size=50)
    value = truth[row] + 3.0 * rater + random.normal(scale=0.1, size=400)
    named = weighed(ratings(row, value, raters=rater.tolist()), by_rater=True)
    plain = weighed(ratings(row, value), by_rater=False)
    assert named.weight_N.sum() > plain.weight_N.sum() * 1.3


@pytest.mark.parametrize(("each", "raters"), [(2, 40), (2, 200), (4, 400), (30, 60)])
def test_what_a_rater_always_adds_is_no_noise_however_few_rate_a_melody(each, raters):
    """Few raters a melody, drawn from many, of whom some gave hardly four ratings."""
    random = np.random.default_rng(0)
    row = np.repeat(np.arange(400), each)
    rater = np.concatenate([random.permutation(raters)[:each] for _ in range(400)])
    value = random.normal(size=400)[row] + random.normal(size=raters)[rater]
    value += random.normal(scale=0.3, size=len(row))
    within, between = variance_components(value, row, rater)
    assert within == pytest.approx(0.09, rel=0.15)
    assert between == pytest.approx(1.0, rel=0.25)
    said = weighed(ratings(row, value, raters=rater.tolist()), by_rater=True)
    np.testing.assert_allclose(said.weight_N, 1 / (each * between + within))
    assert Rating(said).disagreement == within


def test_raters_who_share_no_melody_have_nothing_within():
    row, rater = np.arange(4000), np.arange(4000) % 40
    random = np.random.default_rng(0)
    value = random.normal(size=4000) + random.normal(size=40)[rater]
    within, between = variance_components(value, row, rater)
    assert within == 0
    assert between == pytest.approx(1.0, rel=0.1)


def test_raters_of_whom_too_little_is_known_are_noise():
    random = np.random.default_rng(0)
    value = random.normal(size=24)
    for row, rater in (
        # Each rater rated one melody, or each gave one rating, or hardly more.
        (np.repeat(np.arange(6), 4), np.repeat(np.arange(12), 2)),
        (np.repeat(np.arange(6), 4), np.arange(24)),
        (np.repeat(np.arange(12), 2), np.arange(24) % 10),
        (np.arange(24), np.arange(24)),
    ):
        assert variance_components(value, row, rater) == variance_components(value, row)


@pytest.mark.parametrize("rating", [3.3, 0.1])
@pytest.mark.parametrize("by_rater", [False, True])
def test_ratings_all_alike_count_alike_whatever_rounding_makes_of_them(rating, by_rater):
    row, rater = np.divmod(np.arange(9), 3)
    said = weighed(ratings(row, [rating] * 9, raters=rater.tolist()), by_rater=by_rater)
    assert said.weight_N.max() <= 1
    objective = Rating(said, Raters(3) if by_rater else None)
    assert objective.sd == 1
    # Nor does a score that is one number for all make a scale of rounding.
    objective.begin(np.full(3, rating), np.zeros((3, 1)), said)
    assert objective.line == pytest.approx((rating - rating, 1.0), abs=1e-6)


def test_raters_who_differ_by_a_constant_alone_have_finite_weights():
    row, rater = np.divmod(np.arange(60), 3)
    value = np.array([0.1, 3.3, 4.7])[rater]
    said = weighed(ratings(row, value, raters=rater.tolist()), by_rater=True)
    assert said.weight_N.max() < 1000
    assert Rating(said, Raters(3)).disagreement > 1e-3


def test_effects_of_raters_are_learnt_and_the_consensus_is_left_alone():
    random = np.random.default_rng(0)
    row, rater = np.divmod(np.arange(600), 6)
    score = random.normal(size=100)
    offset = np.array([-1.5, -0.5, 0, 0, 0.5, 1.5])
    value = 4 + score[row] + offset[rater] + random.normal(scale=0.2, size=600)
    said = weighed(ratings(row, value, raters=rater.tolist()), by_rater=True)
    torch.manual_seed(0)
    objective = Rating(said, Raters(6))
    assert not objective.needs_embedding
    objective.begin(score, np.zeros((100, 1)), said)
    batch, score_B = said.of(said.item_NM), torch.from_numpy(score).float()
    minimise(objective, score_B, batch)
    found = objective.effects.offset_R.detach().numpy() * objective.sd
    np.testing.assert_allclose(found - found.mean(), offset, atol=0.15)
    assert objective.line[1] == pytest.approx(1.0, abs=0.1)
    assert objective.measure(score_B, None, batch)["rmse"] < 0.4
