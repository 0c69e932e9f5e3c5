"""What a butterfly costs beside a dense matrix product and the library's FFT."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from seqmelody.fourier.butterfly import ButterflyTransform


@dataclass(frozen=True)
class Cost:
    """Of the same vectors transformed in three ways, seconds of processor time (all threads).

    Attributes:
        vectors: How many there were.
        butterfly: By the butterfly.
        dense: By a product with its matrix.
        library: By ``torch.fft.fft``.
    """

    vectors: int
    butterfly: float
    dense: float
    library: float


@torch.no_grad()
def measure_cost(transform: ButterflyTransform, vectors: int = 256, rounds: int = 7) -> Cost:
    """Times the three in turns, so that what else the machine does falls on all alike.

    All compute in single precision on the CPU, and each figure is the median over the rounds.

    Args:
        transform: With a hard permutation.
        vectors: Complex vectors in a batch.
        rounds: Of each; one more goes before, unmeasured.
    """
    n = transform.n
    single = ButterflyTransform(n)
    single.load_state_dict(
        {name: value for name, value in transform.state_dict().items() if "stages" not in name}
    )
    x = torch.randn(vectors, n, dtype=torch.complex64)
    transposed = single.matrix().T.contiguous()
    ways: list[Callable[[], torch.Tensor]] = [
        lambda: single(x),
        lambda: x @ transposed,
        lambda: torch.fft.fft(x, norm="ortho"),
    ]
    seconds: list[list[float]] = [[], [], []]
    for _ in range(rounds + 1):
        for way, taken in zip(ways, seconds, strict=True):
            # Often enough that the clock's grain does not count.
            repeats = 0
            started = time.process_time()
            while (elapsed := time.process_time() - started) < 0.01 or not repeats:
                way()
                repeats += 1
            taken.append(elapsed / repeats)
    butterfly, dense, library = (statistics.median(taken[1:]) for taken in seconds)
    return Cost(vectors, butterfly, dense, library)
