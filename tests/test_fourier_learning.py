from __future__ import annotations

import math

import pytest
import torch

from seqmelody.errors import UsageError
from seqmelody.fourier import (
    ButterflyTransform,
    Schedule,
    is_bit_reversal,
    learn_fourier,
    matrix_error,
    measure_cost,
)


def test_bit_reversal_built_in_at_8_reaches_the_goal():
    told = []
    learned = learn_fourier(8, on_step=told.append)
    assert matrix_error(learned.transform) < 1e-6
    assert learned.held_out < 1e-11
    assert learned.restarts == 0
    assert [each.step for each in told] == list(range(1, learned.steps + 1))
    assert {each.steps for each in told} == {learned.steps}
    assert [each.loss for each in told] == learned.losses
    assert told[-1].loss < 1e-6 * told[0].loss


def test_the_permutation_is_learned_too():
    learned = learn_fourier(8, permutation="learned", seed=1)
    assert learned.transform.is_hard
    assert is_bit_reversal(learned.transform.permutation())
    assert matrix_error(learned.transform) < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize(("n", "permutation"), [(128, "bit-reversal"), (64, "learned")])
def test_larger(n, permutation):
    learned = learn_fourier(n, permutation=permutation)
    assert matrix_error(learned.transform) < 1e-6
    assert is_bit_reversal(learned.transform.permutation())


def test_the_seed_decides_all():
    schedule = Schedule(batch=4, steps=5, soft_steps=3, trial_steps=2, attempts=1)
    first, again, other = (
        learn_fourier(8, permutation="learned", seed=seed, schedule=schedule) for seed in (1, 1, 2)
    )
    assert torch.equal(first.transform.matrix(), again.transform.matrix())
    assert first.losses == again.losses
    assert first.losses != other.losses


def test_an_attempt_that_is_not_fit_is_given_up_and_counted():
    # Too short for any to be fit: two are given up after the trial, the last is trained to its end.
    schedule = Schedule(batch=4, steps=7, soft_steps=2, trial_steps=1, attempts=3)
    told = []
    learned = learn_fourier(16, permutation="learned", schedule=schedule, on_step=told.append)
    assert learned.restarts == 2
    assert learned.steps == len(told) == 3 + 3 + 10
    assert len(learned.losses) == 10
    assert [each.attempt for each in told] == [1] * 3 + [2] * 3 + [3] * 10
    assert learned.held_out > 0.1


def test_the_error_is_that_of_the_entries():
    transform = ButterflyTransform(512, start="exact", dtype=torch.float64)
    assert matrix_error(transform) < 1e-15
    with torch.no_grad():
        transform.blocks *= 1.01 ** (1 / 9)
    assert matrix_error(transform) == pytest.approx(0.01 / math.sqrt(512))
    other = ButterflyTransform(8, dtype=torch.float64)
    dft = torch.fft.fft(torch.eye(8, dtype=torch.complex128), norm="ortho")
    wanted = (other.matrix() - dft).abs().square().mean().sqrt().item()
    assert matrix_error(other) == pytest.approx(wanted)


def test_the_cost_is_measured_without_touching_the_transform():
    transform = ButterflyTransform(16, permutation="learned", start="exact", dtype=torch.float64)
    before = transform.matrix()
    cost = measure_cost(transform, vectors=8, rounds=1)
    assert cost.vectors == 8
    assert min(cost.butterfly, cost.dense, cost.library) > 0
    assert torch.equal(transform.matrix(), before)


def test_a_size_that_is_no_power_of_two_is_refused():
    with pytest.raises(UsageError, match="power of two"):
        learn_fourier(12)
