from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import seeds

from seqmelody.model.heads import AdditiveHead
from seqmelody.model.posterior import INTERVAL, INTERVAL_SDS, ReadoutPosterior


@given(seed=seeds, size=st.integers(1, 6), spread=st.floats(0, 3))
def test_the_variance_is_that_of_the_readout_and_what_all_have_in_common(seed, size, spread):
    generator = torch.Generator().manual_seed(seed)
    mean_E = torch.randn(size, generator=generator)
    root_EE = torch.randn(size, size, generator=generator)
    vector_BE = torch.randn(5, size, generator=generator)
    sd_B = ReadoutPosterior(mean_E, root_EE, torch.tensor(spread))(vector_BE)
    for vector_E, sd in zip(vector_BE, sd_B, strict=True):
        away_E = vector_E - mean_E
        variance = away_E @ root_EE @ root_EE.T @ away_E + spread**2
        assert float(sd) == pytest.approx(float(variance) ** 0.5, rel=1e-3, abs=1e-4)


def test_a_gaussian_lies_in_the_interval_as_often_as_it_says():
    within = torch.distributions.Normal(0.0, 1.0).cdf(torch.tensor(INTERVAL_SDS)) * 2 - 1
    assert float(within) == pytest.approx(INTERVAL, abs=1e-4)


def test_a_head_knows_how_sure_it_is_when_told_and_its_weights_stay_the_same():
    head = AdditiveHead(4, 3)
    names = list(head.state_dict())
    hidden_LBD, mask_LB = torch.randn(5, 2, 4), torch.ones(5, 2, dtype=torch.bool)
    before = head(hidden_LBD, mask_LB)
    assert before.sd_B is None
    head.posterior = ReadoutPosterior(torch.zeros(3), torch.eye(3), torch.tensor(0.5))
    after = head(hidden_LBD, mask_LB)
    expected_B = (head.vectors(hidden_LBD, mask_LB).square().sum(1) + 0.25).sqrt()
    assert torch.allclose(after.sd_B, expected_B, atol=1e-5)
    assert torch.equal(after.score_B, before.score_B)
    assert list(head.state_dict()) == names
