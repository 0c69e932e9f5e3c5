"""Permutations that a butterfly may begin with: bit reversal, and one that is learned.

A permutation is an index vector ``order``: what it gives at place ``i`` is ``x[order[i]]``.

Shapes: n places, S = log2(n) - 1 stages.
"""

from __future__ import annotations

import torch
from torch import nn

from seqmelody.errors import UsageError


def levels_of(n: int) -> int:
    """Base-2 logarithm of a size.

    Raises:
        UsageError: The size is no power of two, or less than 2.
    """
    if n < 2 or n & (n - 1):
        raise UsageError(f"the size of a butterfly must be a power of two from 2 on, not {n}")
    return n.bit_length() - 1


def bit_reversal(n: int) -> torch.Tensor:
    """The permutation of the decimation-in-time FFT (Cooley & Tukey, 1965), ``(n,)`` int64.

    Raises:
        UsageError: The size is no power of two.
    """
    order = torch.zeros(1, dtype=torch.int64)
    for _ in range(levels_of(n)):
        order = torch.cat([2 * order, 2 * order + 1])
    return order


def is_bit_reversal(order: torch.Tensor) -> bool:
    """Whether a permutation is bit reversal up to the symmetries of a butterfly.

    A butterfly whose blocks are free can undo any swap of the two halves of an aligned run of
    2, 4, 8, ... places: the blocks of the factors below trade places, and the factor that joins the
    halves has its columns swapped. So permutations that differ by such swaps (automorphisms of the
    binary tree over the places) give the same set of matrices, and cannot be told apart by training.
    There are 2^(n-1) of them.

    It follows that a permutation is bit reversal up to symmetry if and only if each aligned run of
    n / 2^k places holds one residue class modulo 2^k, for every k. These are also the only
    permutations with which a butterfly can be the DFT: its first log2(n) - k factors and the rest
    split the matrix into blocks that must have rank one, and for the DFT they have it only where the
    columns of a block are a residue class modulo 2^k.

    Args:
        order: ``(n,)``, n a power of two.
    """
    for k in range(1, levels_of(len(order))):
        residue = order.reshape(2**k, -1) % 2**k
        if not bool((residue == residue[:, :1]).all()):
            return False
    return True


class LearnedPermutation(nn.Module):
    """Stages that may separate even from odd places, relaxed while they are learned.

    The first stage works on all n places, the next on each half, and so on down to runs of 4; a run
    of 2 has nothing to choose. A stage either brings the even places of each run before the odd ones
    (a stride permutation) or leaves them. All stages left undone are the identity, all done bit
    reversal, and there are 2^(log2(n) - 1) permutations in all, no two of them the same up to the
    symmetries of a butterfly.

    **Relaxed**, a stage gives the mean of the two, ``(1-p) x + p separated(x)``, and p is learned with
    everything else (Dao et al., 2019). It is the squared sine of an angle, which unlike a logistic
    function can come to 0 and 1 exactly, and starts at one half: neither side is favoured.

    Dao et al. let a stage reverse the first and the second half of its runs as well. We do not.
    Reversal of an aligned run swaps the halves of all runs within it, and so it is a symmetry of the
    butterfly (see ``is_bit_reversal``), before and after later stages: it makes no matrix learnable
    that was not. But half done, it mixes each place with its mirror image, and training then settles
    on a wrong permutation more often (``docs/log.md``).

    Attributes:
        angle_S: Of the stages, ``(S,)``, the one on all n places first.
    """

    def __init__(self, n: int) -> None:
        super().__init__()
        self.n = n
        self.angle_S = nn.Parameter(torch.full((levels_of(n) - 1,), torch.pi / 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Permutes the first axis softly, ``(n, ...)``."""
        for stage, share in enumerate(self.share()):
            x = torch.lerp(x, _separate(x, self.n >> stage), share.to(x.dtype))
        return x

    def share(self) -> torch.Tensor:
        """Of the even-odd separation in each stage, from 0 to 1, ``(S,)``."""
        return torch.sin(self.angle_S) ** 2

    @torch.no_grad()
    def decided(self) -> torch.Tensor:
        """The permutation, each stage decided for its larger share, ``(n,)`` int64."""
        order = torch.arange(self.n, device=self.angle_S.device)
        for stage, share in enumerate(self.share().tolist()):
            if share > 0.5:
                order = _separate(order, self.n >> stage)
        return order


def _separate(x: torch.Tensor, size: int) -> torch.Tensor:
    """Even places before odd ones in each run of a size, on the first axis."""
    runs = x.reshape(x.shape[0] // size, size // 2, 2, *x.shape[1:])
    return runs.transpose(1, 2).reshape(x.shape)
