from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import seeds

from seqmelody.model.convolution import ConvBlock


@st.composite
def inputs(draw):
    """A block without dropout, hidden states, and a mask; taps may reach beyond both ends."""
    channels, reach = draw(st.integers(1, 8)), draw(st.integers(0, 3))
    torch.manual_seed(draw(seeds))
    block = ConvBlock(channels, 2 * reach + 1, draw(st.integers(1, 9)), dropout=0.0).double()
    lengths = torch.tensor(draw(st.lists(st.integers(1, 14), min_size=1, max_size=5)))
    hidden_LBD = torch.randn(int(lengths.max()), len(lengths), channels, dtype=torch.float64)
    return block, hidden_LBD, (torch.arange(len(hidden_LBD))[:, None] < lengths)[:, :, None]


@settings(max_examples=60)
@given(inputs())
def test_the_change_and_its_gradients_are_those_of_torch(drawn):
    block, hidden_LBD, mask_LB1 = drawn
    weight_LBD = torch.randn_like(hidden_LBD)

    def by_torch(hidden_LBD):
        return hidden_LBD + block.by_torch(block.norm(hidden_LBD) * mask_LB1)

    results = []
    for forward in (lambda hidden_LBD: block(hidden_LBD, mask_LB1), by_torch):
        block.zero_grad()
        asked_LBD = hidden_LBD.clone().requires_grad_()
        out_LBD = forward(asked_LBD)
        (out_LBD * weight_LBD).sum().backward()
        gradients = [weight.grad.clone() for weight in block.parameters()]
        results.append([out_LBD, asked_LBD.grad, *gradients])
    for one, other in zip(*results, strict=True):
        assert torch.allclose(one, other, rtol=1e-9, atol=1e-9)


@given(inputs())
def test_padding_is_read_as_zeros(drawn):
    block, hidden_LBD, mask_LB1 = drawn
    with torch.inference_mode():
        together_LBD = block(hidden_LBD, mask_LB1)
        for row, length in enumerate(mask_LB1[:, :, 0].sum(0).tolist()):
            own = slice(0, length), slice(row, row + 1)
            alone_LBD = block(hidden_LBD[own], mask_LB1[own])
            assert torch.allclose(together_LBD[own], alone_LBD, rtol=1e-9, atol=1e-9)


def test_dropout_takes_whole_channels_of_a_melody():
    torch.manual_seed(0)
    block = ConvBlock(64, 3, 1, dropout=0.5)
    hidden_LBD = torch.randn(12, 5, 64)
    mask_LB1 = torch.ones(12, 5, 1)
    full_LBD = block.eval()(hidden_LBD, mask_LB1) - hidden_LBD
    left_LBD = block.train()(hidden_LBD, mask_LB1) - hidden_LBD
    kept_BD = (left_LBD != 0).any(0)
    assert 0.3 < kept_BD.float().mean() < 0.7
    # What is kept is scaled up, so that the mean stays.
    assert torch.allclose(left_LBD, 2 * full_LBD * kept_BD, atol=1e-5)


def test_mixed_precision_goes_by_torch():
    block = ConvBlock(6, 5, 2, dropout=0.0)
    hidden_LBD, mask_LB1 = torch.randn(9, 2, 6), torch.ones(9, 2, 1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed_LBD = block(hidden_LBD, mask_LB1)
    assert torch.allclose(mixed_LBD.float(), block(hidden_LBD, mask_LB1), atol=0.05)
