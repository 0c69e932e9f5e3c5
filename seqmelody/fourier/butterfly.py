"""``ButterflyTransform``: a linear map with the sparsity of the fast Fourier transform.

Shapes: n places, B vectors, L = log2(n) factors, last axis 2 of parameters the real and imaginary part.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import nn

from seqmelody.errors import UsageError
from seqmelody.fourier.permutation import LearnedPermutation, bit_reversal, levels_of

Permutation = Literal["bit-reversal", "learned"]
Start = Literal["random", "exact"]


class ButterflyTransform(nn.Module):
    """A complex linear map of n places: a permutation, then log2(n) sparse butterfly factors.

    The fast Fourier transform (Cooley & Tukey, 1965, "An Algorithm for the Machine Calculation of
    Complex Fourier Series") is such a map, for one permutation (bit reversal) and one setting of the
    factors. Here both can be learned, after Dao, Gu, Eichhorn, Rudra and Ré (2019), "Learning Fast
    Algorithms for Linear Transforms Using Butterfly Factorizations".

    **Built in** is the pattern: factor number k joins the places i and i + 2^(k-1) of each aligned
    run of 2^k places, and nothing else. So the map costs O(n log n) time and parameters, and most
    matrices are out of its reach; the DFT is not.

    **Learned** are the n/2 complex 2-by-2 blocks of each factor. All are free: none is shared between
    runs, none is kept unitary, and there are no twiddle factors. With ``permutation="learned"`` the
    order in which the places enter is learned as well, in stages that are relaxed, so that gradient
    flows, until ``harden`` is called: see ``LearnedPermutation``.

    Args:
        n: Places; a power of two from 2 on.
        permutation: ``"bit-reversal"``: built in. ``"learned"``: in stages.
        start: ``"random"``: each block a random unitary matrix, so that the whole is unitary and
            neither signal nor gradient grows or shrinks, and each stage of the permutation is open.
            ``"exact"``: the unitary DFT, ``torch.fft.fft(x, norm="ortho")``, the permutation hard.
        generator: Of the random start.
        dtype: Of the parameters, ``torch.float32`` or ``torch.float64``.

    Attributes:
        blocks: The blocks, real, ``(L, 2, 2, n/2, 2)``.
        stages: The permutation while it is learned, or ``None``.
        order: The hard permutation, ``(n,)`` int64.

    Raises:
        UsageError: n is no power of two, or a word is none of those above.
    """

    def __init__(
        self,
        n: int,
        *,
        permutation: Permutation = "bit-reversal",
        start: Start = "random",
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        if permutation not in ("bit-reversal", "learned"):
            raise UsageError(f"permutation must be bit-reversal or learned, not {permutation!r}")
        if start not in ("random", "exact"):
            raise UsageError(f"start must be random or exact, not {start!r}")
        self.n = n
        self.levels = levels_of(n)
        blocks = _exact_blocks(n) if start == "exact" else _unitary_blocks(n, generator)
        # Pairs of real numbers, since not every optimizer and file format takes complex ones.
        self.blocks = nn.Parameter(torch.view_as_real(blocks).to(dtype).contiguous())
        self.stages = LearnedPermutation(n).to(dtype) if permutation == "learned" else None
        self.order: torch.Tensor
        self.register_buffer("order", bit_reversal(n))
        # Kept in Python too: to read it off a GPU in every forward pass would stall the pass.
        self._hard = self.stages is None or start == "exact"
        self.hard: torch.Tensor
        self.register_buffer("hard", torch.tensor(self._hard))
        self.register_load_state_dict_post_hook(_read_hard)  # type: ignore[no-untyped-call]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Transforms the last axis.

        Args:
            x: ``(..., n)``, real or complex.

        Returns:
            ``(..., n)``, complex, of the precision of the parameters.

        Raises:
            UsageError: The last axis has another size.
        """
        if x.shape[-1:] != (self.n,):
            raise UsageError(f"the last axis must have {self.n} places, not shape {tuple(x.shape)}")
        factors = self.factors()
        # Places first, so that a step through memory is long, whichever places a factor joins.
        z_nB = x.to(factors.dtype).reshape(math.prod(x.shape[:-1]), self.n).T
        z_nB = z_nB[self.order] if self._hard or self.stages is None else self.stages(z_nB)
        for level in range(self.levels):
            z_nB = _apply(factors[level], z_nB, level)
        return z_nB.T.reshape(x.shape)

    def factors(self) -> torch.Tensor:
        """The blocks as complex numbers, ``(L, 2, 2, n/2)``: row and column in the block, which one.

        The blocks of a factor are in the order of their upper place.
        """
        return torch.view_as_complex(self.blocks)

    def matrix(self) -> torch.Tensor:
        """The dense matrix M with ``self(x) == M @ x``, ``(n, n)`` complex."""
        eye = torch.eye(self.n, dtype=self.blocks.dtype, device=self.blocks.device)
        matrix: torch.Tensor = self(eye)
        return matrix.T

    def permutation(self) -> torch.Tensor:
        """The permutation, each stage decided for its larger share, ``(n,)`` int64.

        Place i of what the factors get is ``x[..., permutation[i]]``.
        """
        if self._hard or self.stages is None:
            return self.order.clone()
        return self.stages.decided()

    @property
    def is_hard(self) -> bool:
        """Whether the permutation is one, and no mean of several."""
        return self._hard

    def harden(self) -> None:
        """Decides each stage of the permutation for its larger share, from now on."""
        if self._hard or self.stages is None:
            return
        self.order.copy_(self.stages.decided())
        self.stages.requires_grad_(False)
        self.hard.fill_(True)
        self._hard = True

    def extra_repr(self) -> str:
        """For ``print``."""
        return f"{self.n}, hard={self._hard}"


def _apply(factor: torch.Tensor, z_nB: torch.Tensor, level: int) -> torch.Tensor:
    """One butterfly factor, ``(2, 2, n/2)``, that joins places 2^level apart."""
    half = 2**level
    # By column, with the rows of a block where the places that they give will be.
    left, right = factor.reshape(2, 2, -1, half, 1).permute(1, 2, 0, 3, 4)
    runs = z_nB.reshape(z_nB.shape[0] // (2 * half), 2, half, z_nB.shape[1])
    return torch.addcmul(runs[:, :1] * left, runs[:, 1:], right).reshape(z_nB.shape)


def _read_hard(module: nn.Module, _: Any) -> None:
    """After loading: a hard permutation stays hard."""
    assert isinstance(module, ButterflyTransform)
    module._hard = bool(module.hard)  # noqa: SLF001 - a method but for what the hook is given


def _exact_blocks(n: int) -> torch.Tensor:
    """Those of the unitary DFT after bit reversal, ``(L, 2, 2, n/2)``."""
    factors = []
    for level in range(levels_of(n)):
        half = 2**level
        angle = -math.pi * torch.arange(half, dtype=torch.float64) / half
        turn = torch.polar(torch.ones_like(angle), angle).repeat(n // 2 // half)
        one = torch.ones_like(turn)
        factors.append(torch.stack([one, turn, one, -turn]).reshape(2, 2, -1) / math.sqrt(2))
    return torch.stack(factors)


def _unitary_blocks(n: int, generator: torch.Generator | None) -> torch.Tensor:
    """Random unitary blocks, uniform over the group (Mezzadri, 2007), ``(L, 2, 2, n/2)``."""
    shape = (levels_of(n), n // 2, 2, 2)
    gauss = torch.randn(shape, generator=generator, dtype=torch.complex128)
    q, r = torch.linalg.qr(gauss)
    diagonal = torch.diagonal(r, dim1=-2, dim2=-1)
    unitary: torch.Tensor = q * (diagonal / diagonal.abs())[..., None, :]
    return unitary.permute(0, 2, 3, 1)
