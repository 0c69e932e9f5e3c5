from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import seeds

from seqmelody.model import attention
from seqmelody.model.attention import EncoderBlock


def block_of(channels=8, heads=2, seed=0, **options) -> EncoderBlock:
    torch.manual_seed(seed)
    return EncoderBlock(channels, heads, 5, 0.0, **options).eval()


def by_hand(block: EncoderBlock, hidden_LD: torch.Tensor) -> torch.Tensor:
    """One melody, one pair of notes at a time."""
    L, D = hidden_LD.shape
    size = D // block.heads
    half = size // 2
    speed = 10_000.0 ** (-torch.arange(half) * 2 / size)
    parts_L3HE = block.attention_input(block.attention_norm(hidden_LD)).view(L, 3, block.heads, -1)
    out_LHE = torch.zeros(L, block.heads, size)
    for head in range(block.heads):
        query_LE, key_LE, value_LE = parts_L3HE[:, :, head].unbind(1)
        for note in range(L):
            near = [other for other in range(L) if abs(other - note) <= block.reach]
            logits = []
            for other in near:
                # A turn by the distance, in each plane of two channels.
                angle = (other - note) * speed
                one, two = key_LE[other, :half], key_LE[other, half:]
                turned_E = torch.cat(
                    [one * angle.cos() - two * angle.sin(), one * angle.sin() + two * angle.cos()]
                )
                logits.append(query_LE[note] @ turned_E / size**0.5)
            weight = torch.stack(logits).softmax(0)
            out_LHE[note, head] = weight @ value_LE[near]
    hidden_LD = hidden_LD + block.attention_output(out_LHE.flatten(1))
    return hidden_LD + block.feed_forward(block.norm(hidden_LD))


@settings(max_examples=40)
@given(
    lengths=st.lists(st.integers(1, 20), min_size=1, max_size=3),
    wider=st.integers(0, 9),
    reach=st.integers(1, 25),
    piece=st.integers(1, 25),
    seed=seeds,
)
def test_each_melody_is_attended_to_as_by_hand(lengths, wider, reach, piece, seed):
    block = block_of(seed=seed, reach=reach)
    L = max(lengths) + wider
    hidden_LBD = torch.randn(L, len(lengths), 8)
    mask_LB = torch.arange(L)[:, None] < torch.tensor(lengths)
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr(attention, "PIECE", piece)
        out_LBD = block(hidden_LBD, mask_LB)
        assert out_LBD.isfinite().all()
        for row, notes in enumerate(lengths):
            expected_LD = by_hand(block, hidden_LBD[:notes, row])
            assert torch.allclose(out_LBD[:notes, row], expected_LD, atol=1e-5)


def test_a_melody_twice_as_long_takes_no_more_than_twice_the_memory():
    block = block_of(reach=16)

    def largest(L: int) -> int:
        """Numbers in the largest tensor that is made on the way."""
        made = []

        class Record(torch.utils._python_dispatch.TorchDispatchMode):
            def __torch_dispatch__(self, function, types, args=(), kwargs=None):
                out = function(*args, **(kwargs or {}))
                made.extend(
                    tensor.numel()
                    for tensor in (out if isinstance(out, (tuple, list)) else [out])
                    if isinstance(tensor, torch.Tensor) and tensor.untyped_storage().size()
                )
                return out

        with pytest.MonkeyPatch.context() as patch, torch.no_grad(), Record():
            patch.setattr(attention, "PIECE", 32)
            block(torch.randn(L, 1, 8), torch.ones(L, 1, dtype=torch.bool))
        return max(made)

    assert largest(4000) <= 2 * largest(2000) + 8


def test_dropout_takes_the_same_channels_in_all_pieces_of_a_melody(monkeypatch):
    block = EncoderBlock(8, 2, 5, dropout=0.5, reach=4).train()
    monkeypatch.setattr(attention, "PIECE", 3)
    torch.nn.init.zeros_(block.feed_forward[2].weight)
    torch.nn.init.zeros_(block.feed_forward[2].bias)
    hidden_LBD = torch.randn(40, 2, 8)
    change_LBD = block(hidden_LBD, torch.ones(40, 2, dtype=torch.bool)) - hidden_LBD
    dropped_LBD = change_LBD == 0
    assert torch.equal(dropped_LBD, dropped_LBD[:1].expand_as(dropped_LBD))
    assert 0 < dropped_LBD.float().mean() < 1
