from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import seeds

from seqmelody.model.heads import AdditiveHead


@st.composite
def heads(draw):
    """A head with hidden states to read, the first row as long as the tensor is wide."""
    channels, embedding_size = draw(st.integers(2, 9)), draw(st.integers(2, 9))
    length_B = torch.tensor(
        sorted(draw(st.lists(st.integers(1, 12), min_size=1, max_size=4)), reverse=True)
    )
    generator = torch.Generator().manual_seed(draw(seeds))
    hidden_LBD = torch.randn(int(length_B[0]), len(length_B), channels, generator=generator)
    mask_LB = torch.arange(int(length_B[0]))[:, None] < length_B
    torch.manual_seed(draw(seeds))
    return AdditiveHead(channels, embedding_size), hidden_LBD, mask_LB


@given(heads())
def test_the_score_is_the_sum_of_the_notes_shares(drawn):
    head, hidden_LBD, mask_LB = drawn
    output = head(hidden_LBD, mask_LB)
    mask_BL = mask_LB.T
    assert torch.allclose(output.weight_BL.sum(1), torch.ones(len(mask_BL)), atol=1e-6)
    assert (output.weight_BL[mask_BL] > 0).all()
    assert not output.weight_BL[~mask_BL].any()
    assert not output.value_BL[~mask_BL].any()
    share_BL = output.weight_BL * output.value_BL
    assert torch.allclose(output.score_B, share_BL.sum(1), atol=1e-6)


@given(heads())
def test_the_embedding_is_the_weighted_mean_of_the_notes_vectors_at_unit_length(drawn):
    head, hidden_LBD, mask_LB = drawn
    output = head(hidden_LBD, mask_LB)
    assert torch.allclose(output.embedding_BE.norm(dim=1), torch.ones(mask_LB.shape[1]), atol=1e-5)
    vector_LBE = head.vector(head.norm(hidden_LBD))
    pooled_BE = (output.weight_BL.T[:, :, None] * vector_LBE).sum(0)
    length_B1 = pooled_BE.norm(dim=1, keepdim=True)
    assert torch.allclose(output.embedding_BE * length_B1, pooled_BE, atol=1e-5)
    # The score is read off that same vector.
    assert torch.allclose(head.value(pooled_BE).squeeze(1), output.score_B, atol=1e-5)


@given(heads())
def test_no_gradient_reaches_padding(drawn):
    head, hidden_LBD, mask_LB = drawn
    hidden_LBD.requires_grad_()
    output = head(hidden_LBD, mask_LB)
    (output.score_B.sum() + output.embedding_BE[:, 0].sum()).backward()
    assert hidden_LBD.grad is not None
    assert hidden_LBD.grad.isfinite().all()
    assert not hidden_LBD.grad[~mask_LB].any()
