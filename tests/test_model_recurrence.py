from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import seeds

from seqmelody.model.recurrence import BidirectionalGRU


@st.composite
def inputs(draw):
    """A GRU, hidden states of several melodies of different lengths, and their mask."""
    channels, hidden_size = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    lengths = torch.tensor(draw(st.lists(st.integers(1, 14), min_size=1, max_size=5)))
    wide = int(lengths.max()) + draw(st.integers(0, 2))
    torch.manual_seed(draw(seeds))
    gru = BidirectionalGRU(channels, hidden_size).double()
    hidden_LBD = torch.randn(wide, len(lengths), channels, dtype=torch.float64)
    return gru, hidden_LBD, torch.arange(wide)[:, None] < lengths


def results(gru, forward, hidden_LBD, mask_LB, weight_LBH):
    """What one way to compute it gives, and all its gradients."""
    gru.zero_grad()
    hidden_LBD = hidden_LBD.clone().requires_grad_()
    out_LBH = forward(hidden_LBD, mask_LB) * mask_LB[:, :, None]
    (out_LBH * weight_LBH).sum().backward()
    return [out_LBH, hidden_LBD.grad, *(weight.grad for weight in gru.parameters())]


@settings(max_examples=60)
@given(inputs())
def test_states_and_gradients_are_those_of_torch(drawn):
    gru, hidden_LBD, mask_LB = drawn
    weight_LBH = torch.randn(*mask_LB.shape, 2 * gru.forwards.hidden_size, dtype=torch.float64)
    ours = results(gru, gru, hidden_LBD, mask_LB, weight_LBH)
    theirs = results(gru, gru.by_torch, hidden_LBD, mask_LB, weight_LBH)
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other, rtol=1e-9, atol=1e-9)


def test_at_full_size_in_single_precision_too():
    torch.manual_seed(0)
    gru = BidirectionalGRU(96, 96)
    mask_LB = torch.arange(200)[:, None] < torch.tensor([200, 150, 3, 1])
    hidden_LBD = torch.randn(200, 4, 96)
    weight_LBH = torch.randn(200, 4, 192)
    ours = results(gru, gru, hidden_LBD, mask_LB, weight_LBH)
    theirs = results(gru, gru.by_torch, hidden_LBD, mask_LB, weight_LBH)
    for one, other in zip(ours, theirs, strict=True):
        assert (one - other).abs().max() < 1e-5 * other.abs().max()


@given(inputs())
def test_what_stands_on_padding_changes_nothing(drawn):
    gru, hidden_LBD, mask_LB = drawn
    other_LBD = torch.where(mask_LB[:, :, None], hidden_LBD, 1e3)
    with torch.inference_mode():
        one, other = gru(hidden_LBD, mask_LB), gru(other_LBD, mask_LB)
    assert torch.equal(one[mask_LB], other[mask_LB])


@given(inputs(), st.integers(1, 30))
def test_long_melodies_go_in_pieces_where_no_gradient_is_needed(drawn, notes_at_once):
    gru, hidden_LBD, mask_LB = drawn
    with pytest.MonkeyPatch.context() as patch, torch.inference_mode():
        patch.setattr("seqmelody.model.recurrence.NOTES_AT_ONCE", notes_at_once)
        pieces = gru(hidden_LBD, mask_LB)
    whole = gru.by_torch(hidden_LBD, mask_LB)
    assert torch.allclose(pieces[mask_LB], whole[mask_LB], rtol=1e-9, atol=1e-9)


def test_mixed_precision_goes_by_torch():
    gru = BidirectionalGRU(6, 5)
    hidden_LBD, mask_LB = torch.randn(9, 2, 6), torch.ones(9, 2, dtype=torch.bool)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = gru(hidden_LBD, mask_LB)
    assert torch.allclose(mixed.float(), gru(hidden_LBD, mask_LB), atol=0.05)
