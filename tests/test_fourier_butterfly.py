from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqmelody.errors import UsageError
from seqmelody.fourier import ButterflyTransform

SIZES = st.integers(1, 6).map(lambda level: 2**level)


def vectors(n: int, seed: int, *shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, n, dtype=torch.complex128, generator=generator)


def butterfly(n: int, seed: int = 0, **options) -> ButterflyTransform:
    generator = torch.Generator().manual_seed(seed)
    return ButterflyTransform(n, generator=generator, dtype=torch.float64, **options)


@pytest.mark.parametrize("permutation", ["bit-reversal", "learned"])
@pytest.mark.parametrize("n", [2, 4, 8, 64, 1024])
def test_the_exact_start_is_the_unitary_fft(n, permutation):
    transform = butterfly(n, start="exact", permutation=permutation)
    x = vectors(n, 0, 3)
    assert torch.allclose(transform(x), torch.fft.fft(x, norm="ortho"), atol=1e-12)
    single = ButterflyTransform(n, start="exact")(x.to(torch.complex64))
    assert single.dtype == torch.complex64
    assert torch.allclose(single, torch.fft.fft(x, norm="ortho").to(torch.complex64), atol=1e-5)


@pytest.mark.parametrize("shape", [(), (0,), (5,), (2, 3, 4)])
@pytest.mark.parametrize("permutation", ["bit-reversal", "learned"])
def test_any_leading_axes_and_real_inputs(shape, permutation):
    transform = butterfly(16, permutation=permutation)
    x = vectors(16, 1, *shape)
    assert transform(x).shape == x.shape
    assert torch.allclose(transform(x), x @ transform.matrix().T)
    real = x.real.to(torch.float32)
    assert transform(real).dtype == torch.complex128
    assert torch.allclose(transform(real), transform(real.to(torch.complex128)))


@given(SIZES, st.integers(0, 99), st.sampled_from(["bit-reversal", "learned"]))
@settings(deadline=None, max_examples=25)
def test_linear(n, seed, permutation):
    transform = butterfly(n, seed, permutation=permutation)
    x, y = vectors(n, seed, 2)
    assert torch.allclose(
        transform((2 - 3j) * x + 0.5j * y), (2 - 3j) * transform(x) + 0.5j * transform(y)
    )


@given(SIZES, st.integers(0, 99), st.sampled_from(["exact", "random"]))
@settings(deadline=None, max_examples=25)
def test_both_starts_keep_the_power(n, seed, start):
    x = vectors(n, seed, 3)
    kept = butterfly(n, seed, start=start)(x).norm(dim=-1)
    assert torch.allclose(kept, x.norm(dim=-1))


@pytest.mark.parametrize("level", range(4))
def test_a_factor_joins_pairs_of_places_alone(level):
    transform = butterfly(16)
    with torch.no_grad():
        factors = torch.view_as_complex(transform.blocks)
        factors.copy_(torch.eye(2)[..., None])
        factors[level] = torch.tensor([[1, 2], [3, 4]])[..., None]
    factor = transform.matrix()[:, transform.permutation().argsort()].real
    place = torch.arange(16)
    wanted = torch.zeros(16, 16, dtype=torch.float64)
    upper = place[(place & 2**level) == 0]
    lower = upper + 2**level
    wanted[upper, upper], wanted[upper, lower] = 1.0, 2.0
    wanted[lower, upper], wanted[lower, lower] = 3.0, 4.0
    assert torch.equal(factor, wanted)


@pytest.mark.parametrize("permutation", ["bit-reversal", "learned"])
def test_gradients_are_those_of_finite_differences(permutation):
    transform = butterfly(8, permutation=permutation)
    x = vectors(8, 2, 3).requires_grad_()
    weights = [each for each in transform.parameters() if each.requires_grad]
    assert len(weights) == 1 + (permutation == "learned")
    names = [name for name, each in transform.named_parameters() if each.requires_grad]

    def run(x, *values):
        return torch.func.functional_call(transform, dict(zip(names, values, strict=True)), (x,))

    assert torch.autograd.gradcheck(run, (x, *weights))


def test_trains_within_a_larger_model():
    torch.manual_seed(0)
    front = ButterflyTransform(16, start="exact")
    back = torch.nn.Linear(16, 1)
    x = torch.randn(64, 16)
    wanted = x.roll(1, -1).mul(x).sum(-1, keepdim=True)
    optimizer = torch.optim.AdamW([*front.parameters(), *back.parameters()], lr=0.01)
    losses = []
    for _ in range(60):
        loss = (back(front(x).abs().square()) - wanted).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2
    assert not torch.equal(front.blocks, ButterflyTransform(16, start="exact").blocks)


@pytest.mark.parametrize("hard", [False, True])
def test_saved_and_loaded_with_its_permutation(hard, tmp_path):
    from safetensors.torch import load_file, save_file

    transform = butterfly(16, permutation="learned")
    with torch.no_grad():
        transform.stages.angle_S.copy_(torch.tensor([1.2, 0.3, 0.9]))
    if hard:
        transform.harden()
    save_file(transform.state_dict(), tmp_path / "a.safetensors")
    again = butterfly(16, seed=1, permutation="learned")
    again.load_state_dict(load_file(tmp_path / "a.safetensors"))
    assert again.is_hard is hard
    assert torch.equal(again.matrix(), transform.matrix())


def test_the_seed_decides_the_start():
    assert torch.equal(butterfly(8, 3).blocks, butterfly(8, 3).blocks)
    assert not torch.equal(butterfly(8, 3).blocks, butterfly(8, 4).blocks)


@pytest.mark.parametrize("n", [-4, 0, 1, 3, 12, 1000])
def test_a_size_that_is_no_power_of_two_is_refused(n):
    with pytest.raises(UsageError, match=f"power of two from 2 on, not {n}"):
        ButterflyTransform(n)


def test_wrong_words_and_shapes_are_refused():
    with pytest.raises(UsageError, match="bit-reversal or learned, not 'none'"):
        ButterflyTransform(8, permutation="none")
    with pytest.raises(UsageError, match="random or exact, not 'zero'"):
        ButterflyTransform(8, start="zero")
    with pytest.raises(UsageError, match=r"last axis must have 8 places, not shape \(8, 4\)"):
        ButterflyTransform(8)(torch.zeros(8, 4))
