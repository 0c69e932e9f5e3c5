from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqmelody.fourier import (
    ButterflyTransform,
    LearnedPermutation,
    bit_reversal,
    is_bit_reversal,
)


def stages(*done: bool) -> LearnedPermutation:
    learned = LearnedPermutation(2 ** (len(done) + 1))
    with torch.no_grad():
        learned.angle_S.copy_(torch.tensor(done) * math.pi / 2)
    return learned


def fits_the_dft(order: torch.Tensor) -> bool:
    """Whether a butterfly after this permutation can be the DFT at all.

    For each k, the rows with the same last k bits and the columns in the same run of 2^k places must
    make a block of rank one, for one number is all that passes from the one to the other.
    """
    n = len(order)
    matrix = torch.fft.fft(torch.eye(n, dtype=torch.complex128))[:, order]
    for k in range(1, n.bit_length() - 1):
        for first, run in itertools.product(range(2**k), range(0, n, 2**k)):
            block = matrix[first :: 2**k, run : run + 2**k]
            if torch.linalg.matrix_rank(block, rtol=1e-9) > 1:
                return False
    return True


def test_bit_reversal():
    assert bit_reversal(8).tolist() == [0, 4, 2, 6, 1, 5, 3, 7]
    assert [int(f"{place:05b}"[::-1], 2) for place in range(32)] == bit_reversal(32).tolist()


def test_the_definition_holds_for_exactly_what_can_be_the_dft():
    every = [torch.tensor(order) for order in itertools.permutations(range(4))]
    assert [is_bit_reversal(order) for order in every] == [fits_the_dft(order) for order in every]
    assert sum(map(is_bit_reversal, every)) == 2 ** (4 - 1)


@given(st.permutations(range(8)))
def test_the_definition_holds_for_any_permutation_of_8(places):
    order = torch.tensor(places)
    assert is_bit_reversal(order) == fits_the_dft(order)


@given(st.integers(2, 6), st.data())
def test_swaps_of_halves_are_symmetries(levels, data):
    n = 2**levels
    order = bit_reversal(n)
    for _ in range(data.draw(st.integers(1, 6))):
        size = 2 ** data.draw(st.integers(1, levels))
        at = size * data.draw(st.integers(0, n // size - 1))
        order[at : at + size] = order[at : at + size].roll(size // 2)
    assert is_bit_reversal(order)
    assert n > 16 or fits_the_dft(order)
    # Other than by such swaps: the places of two runs of half the size mixed.
    order[[0, n // 2]] = order[[n // 2, 0]]
    assert not is_bit_reversal(order)


@pytest.mark.parametrize("levels", [2, 3, 4])
def test_of_all_stages_only_even_odd_throughout_is_bit_reversal(levels):
    seen = set()
    for done in itertools.product([False, True], repeat=levels - 1):
        order = stages(*done).decided()
        assert sorted(order.tolist()) == list(range(2**levels))
        assert is_bit_reversal(order) == all(done) == fits_the_dft(order)
        # No two alike up to symmetry: the runs hold other sets of places.
        seen.add(
            frozenset(
                frozenset(run.tolist())
                for size in range(1, levels)
                for run in order.reshape(-1, 2**size)
            )
        )
    assert torch.equal(stages(*[True] * (levels - 1)).decided(), bit_reversal(2**levels))
    assert len(seen) == 2 ** (levels - 1)


@given(st.lists(st.booleans(), min_size=1, max_size=6))
def test_relaxed_stages_that_are_certain_permute(done):
    learned = stages(*done)
    x = torch.randn(learned.n, 3, dtype=torch.complex64)
    assert torch.allclose(learned(x), x[learned.decided()], atol=1e-5)


@given(st.lists(st.floats(-4, 4), min_size=1, max_size=7))
def test_hardened_is_a_permutation_and_stays(angles):
    n = 2 ** (len(angles) + 1)
    transform = ButterflyTransform(n, permutation="learned")
    assert not transform.is_hard
    with torch.no_grad():
        transform.stages.angle_S.copy_(torch.tensor(angles))
    order = transform.permutation()
    transform.harden()
    assert transform.is_hard
    assert torch.equal(transform.permutation(), order)
    assert sorted(order.tolist()) == list(range(n))
    assert not transform.stages.angle_S.requires_grad
    with torch.no_grad():
        transform.stages.angle_S.zero_()
    assert torch.equal(transform.permutation(), order)
    unpermuted = transform.matrix()[:, order]
    exact = ButterflyTransform(n)
    with torch.no_grad():
        exact.blocks.copy_(transform.blocks)
    assert torch.allclose(unpermuted, exact.matrix()[:, bit_reversal(n)])


def test_half_way_is_the_mean():
    x = torch.arange(4.0).to(torch.complex64)
    wanted = torch.tensor([0, 1.5, 1.5, 3], dtype=torch.complex64)
    assert torch.allclose(LearnedPermutation(4)(x), wanted)


@pytest.mark.parametrize("n", [2, 4])
def test_the_smallest(n):
    assert LearnedPermutation(n).angle_S.shape == (n // 4,)
    assert is_bit_reversal(LearnedPermutation(2).decided())
