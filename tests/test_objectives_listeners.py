from __future__ import annotations

import numpy as np
import pytest
import torch

from seqmelody.objectives.listeners import RaterEffects, Raters


def effects(raters: int = 3, rank: int = 2, units: int = 10, **changes) -> RaterEffects:
    torch.manual_seed(0)
    settings = {"offset_sd": 0.5, "slope_sd": 0.4, "taste_sd": 0.3, "units": units}
    return RaterEffects(Raters(raters, rank, 5), **{**settings, **changes})


def test_each_rater_adds_what_is_their_own_and_nobody_nothing():
    made = effects()
    with torch.no_grad():
        made.offset_R.copy_(torch.tensor([1.0, 2.0, 3.0]))
        made.slope_R.copy_(torch.tensor([0.0, 1.0, -1.0]))
    vector_NE = torch.randn(4, 5)
    consensus_N = torch.tensor([2.0, 2.0, 2.0, 2.0])
    said_N = made(consensus_N, vector_NE, torch.tensor([0, 1, 2, -1]))
    taste_N = (made.taste_RK * (vector_NE[:3] @ made.direction_KE.T)).sum(1)
    expected = torch.tensor([3.0, 6.0, 3.0]) + taste_N
    torch.testing.assert_close(said_N, torch.cat([expected, torch.tensor([2.0])]))


def test_the_prior_is_that_of_normal_effects_shared_by_all_judgements():
    made = effects()
    expected = sum(
        (values / sd).square().sum().item()
        for values, sd in (
            (made.offset_R, 0.5),
            (made.slope_R, 0.4),
            (made.taste_RK, 0.3),
            (made.direction_KE, 1.0),
        )
    )
    assert made.prior_loss().item() == pytest.approx(0.5 * expected / 10, rel=1e-5)


def test_a_rater_of_few_judgements_stays_nearer_to_the_consensus():
    """One gives two judgements and the other fifty, all a unit above the consensus."""
    made = effects(raters=2, rank=0, units=52)
    rater_N = torch.tensor([0] * 2 + [1] * 50)
    optimizer = torch.optim.LBFGS(made.parameters(), max_iter=100)

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        # Noise of variance 1: half the squares, in the mean.
        said_N = made(torch.zeros(52), None, rater_N)
        total = 0.5 * (1 - said_N).square().mean() + made.prior_loss()
        total.backward()
        return total

    optimizer.step(loss)
    expected = [0.25 / (0.25 + 1 / count) for count in (2, 50)]
    np.testing.assert_allclose(made.offset_R.detach(), expected, rtol=1e-3)


def test_embeddings_count_from_their_middle_in_units_of_their_spread():
    made = effects()
    vector_NE = 3.0 + 0.01 * torch.randn(200, 5)
    made.begin(vector_NE)
    away_NE = vector_NE - made.get_buffer("middle_E")
    added_N = made(torch.zeros(200), away_NE, torch.zeros(200, dtype=torch.long))
    assert 0.001 < added_N.std().item() < 1.0
    torch.testing.assert_close(
        away_NE @ made.raw_direction_KE.T,
        (away_NE / made.get_buffer("unit")) @ made.direction_KE.detach().T,
    )


def test_without_offsets_and_tastes_there_are_none():
    made = effects(rank=0, offset_sd=0.0)
    assert [name for name, _ in made.named_parameters()] == ["slope_R"]
