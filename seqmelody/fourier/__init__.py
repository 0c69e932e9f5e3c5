"""A network that learns the fast Fourier transform.

``ButterflyTransform`` is a layer for any model: complex, batched, O(n log n). ``learn_fourier`` trains
one to be the DFT, from pairs of an input and its transform alone; ``matrix_error`` tells how near
it came.
"""

from __future__ import annotations

from seqmelody.fourier.butterfly import ButterflyTransform
from seqmelody.fourier.learning import Learned, Progress, Schedule, learn_fourier, matrix_error
from seqmelody.fourier.permutation import LearnedPermutation, bit_reversal, is_bit_reversal
from seqmelody.fourier.timing import Cost, measure_cost

__all__ = [
    "ButterflyTransform",
    "Cost",
    "Learned",
    "LearnedPermutation",
    "Progress",
    "Schedule",
    "bit_reversal",
    "is_bit_reversal",
    "learn_fourier",
    "matrix_error",
    "measure_cost",
]
