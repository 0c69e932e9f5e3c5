"""Training a ``ButterflyTransform`` to be the DFT, from input-output pairs alone.

The learner gets random complex vectors and their unitary DFT, new ones in each step, and follows the
gradient of the squared error in the butterfly's own parameters. It never sees a matrix. What it comes
to is measured afterwards, against the DFT matrix, by ``matrix_error``.

Shapes: B vectors in a batch, n places.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from seqmelody.fourier.butterfly import ButterflyTransform, Permutation

_HELD_OUT = 64
"""Pairs that an attempt is judged by; no gradient is taken from them."""
_SOLVED = 0.1
"""Share of their power that only a butterfly with a permutation fit for the DFT gets below, and does
so soon. The others stay near one half at best."""
_SLICE = 256
"""Columns of a matrix at a time."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to learn; ``Schedule.of`` has what was found to do.

    Attributes:
        batch: Pairs in a step.
        steps: With the permutation hard.
        rate: Of Adam for the blocks, at the start; it falls to 0 along a cosine.
        soft_steps: Before that, with the permutation relaxed.
        angle_rate: Of Adam for the permutation, likewise.
        trial_steps: After the permutation is made hard, to see whether it is fit.
        attempts: Random starts to try at most, when a permutation is learned.
    """

    batch: int
    steps: int
    rate: float = 0.03
    soft_steps: int = 0
    angle_rate: float = 0.02
    trial_steps: int = 50
    attempts: int = 30

    @classmethod
    def of(cls, n: int, permutation: Permutation) -> Schedule:
        """For a size."""
        levels = n.bit_length() - 1
        soft_steps = 100 + 50 * levels if permutation == "learned" else 0
        return cls(max(16, n // 16), 400 + 20 * levels, soft_steps=soft_steps)


@dataclass(frozen=True)
class Progress:
    """Where a training is.

    Attributes:
        attempt: Random start, counted from 1.
        step: Steps done of this attempt.
        steps: Of an attempt that is not given up.
        loss: Squared error, as a share of the power of the batch.
    """

    attempt: int
    step: int
    steps: int
    loss: float


@dataclass(frozen=True)
class Learned:
    """What a training came to.

    Attributes:
        transform: With its permutation hard.
        restarts: Attempts given up before this one.
        steps: Gradient steps of all attempts together.
        losses: By step, of the attempt that is returned: squared error as a share of the power.
        held_out: The same on pairs that were not trained on.
        seconds: On the clock.
        cpu_seconds: Of the processor, all threads together.
    """

    transform: ButterflyTransform
    restarts: int
    steps: int
    losses: list[float]
    held_out: float
    seconds: float
    cpu_seconds: float


def learn_fourier(
    n: int,
    *,
    permutation: Permutation = "bit-reversal",
    seed: int = 0,
    schedule: Schedule | None = None,
    on_step: Callable[[Progress], None] | None = None,
) -> Learned:
    """Learns the unitary DFT from random pairs, in double precision.

    The blocks start as random unitary matrices and are trained with Adam (Kingma & Ba, 2015), its rate
    falling along a cosine. Batches are new in each step and free of noise, so that at the solution the
    gradient of every batch is zero, and the error falls on and on, as the rate does.

    A learned permutation is trained along with the blocks while it is relaxed, and then made hard. If
    after ``trial_steps`` more the error on held-out pairs is above a tenth of their power, the attempt
    is given up, and counted, and the next begins with other random numbers.

    Args:
        n: Places; a power of two from 2 on.
        permutation: Built in, or learned too.
        seed: Of the random start and the pairs.
        schedule: ``Schedule.of(n, permutation)`` if not given.
        on_step: Told after each step.

    Returns:
        The first attempt that was not given up, or the last.

    Raises:
        UsageError: n is no power of two, or there is no such permutation.
    """
    started, cpu_started = time.perf_counter(), time.process_time()
    generator = torch.Generator().manual_seed(seed)
    plan = schedule or Schedule.of(n, permutation)
    held_out = _pairs(_HELD_OUT, n, generator)
    steps = 0
    for number in range(1, plan.attempts + 1):
        transform = ButterflyTransform(
            n, permutation=permutation, generator=generator, dtype=torch.float64
        )
        attempt = _Attempt(transform, plan, generator, number, on_step)
        if transform.stages is not None:
            attempt.descend(plan.soft_steps)
            transform.harden()
            attempt.descend(plan.trial_steps)
        fit = transform.stages is None or _error(transform, held_out) < _SOLVED
        if fit or number == plan.attempts:
            attempt.descend(plan.steps)
        steps += len(attempt.losses)
        if fit:
            break
    return Learned(
        transform,
        number - 1,
        steps,
        attempt.losses,
        _error(transform, held_out),
        time.perf_counter() - started,
        time.process_time() - cpu_started,
    )


def matrix_error(transform: ButterflyTransform) -> float:
    """Root mean square difference between the entries of a butterfly's matrix and the unitary DFT's.

    The entries of the unitary DFT have modulus 1/sqrt(n). For those of ``torch.fft.fft`` as it is by
    default, of modulus 1, multiply by sqrt(n).
    """
    n, total = transform.n, 0.0
    with torch.no_grad():
        # In slices, so that no n-by-n matrix is needed.
        for first in range(0, n, _SLICE):
            unit = torch.zeros(min(_SLICE, n), n, dtype=torch.complex128)
            unit.diagonal(first).fill_(1)
            total += _power(transform(unit) - torch.fft.fft(unit, norm="ortho"))
    return math.sqrt(total) / n


class _Attempt:
    """One random start, and how it goes."""

    def __init__(
        self,
        transform: ButterflyTransform,
        plan: Schedule,
        generator: torch.Generator,
        number: int,
        on_step: Callable[[Progress], None] | None,
    ) -> None:
        self.losses: list[float] = []
        self._transform = transform
        self._plan = plan
        self._generator = generator
        self._number = number
        self._on_step = on_step
        self._steps = plan.steps
        if transform.stages is not None:
            self._steps += plan.soft_steps + plan.trial_steps

    def descend(self, steps: int) -> None:
        """Follows the gradient for so many steps, slower and slower."""
        rates = {self._transform.blocks: self._plan.rate}
        if self._transform.stages is not None and not self._transform.is_hard:
            rates[self._transform.stages.angle_S] = self._plan.angle_rate
        optimizer = torch.optim.Adam([{"params": [each], "lr": rates[each]} for each in rates])
        cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for _ in range(steps):
            x_Bn, y_Bn = _pairs(self._plan.batch, self._transform.n, self._generator)
            loss = (self._transform(x_Bn) - y_Bn).abs().square().mean() / y_Bn.abs().square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            cosine.step()
            self.losses.append(loss.item())
            if self._on_step is not None:
                done = len(self.losses)
                self._on_step(Progress(self._number, done, self._steps, self.losses[-1]))


def _pairs(count: int, n: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Gaussian vectors and their unitary DFT, ``(B, n)`` each."""
    x_Bn = torch.randn(count, n, dtype=torch.complex128, generator=generator)
    return x_Bn, torch.fft.fft(x_Bn, norm="ortho")


def _error(transform: ButterflyTransform, pairs: tuple[torch.Tensor, torch.Tensor]) -> float:
    """Squared error, as a share of the power."""
    x_Bn, y_Bn = pairs
    with torch.no_grad():
        return _power(transform(x_Bn) - y_Bn) / _power(y_Bn)


def _power(x: torch.Tensor) -> float:
    return float(x.abs().square().sum())
