"""Residual convolutions along a melody, as matrix products.

With the notes as the first axis, what a convolution's tap sees is the whole batch moved by some
rows: a slice of one matrix, with nothing to copy, to pad or to lay out anew. So each tap is one
matrix product, and taps beyond the ends of a short melody cost nothing.

Shapes: L notes, B melodies, D channels; N is ``L * B``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class ConvBlock(nn.Module):
    """``x + dropout(relu(conv(norm(x))))``, with padding held at zero.

    Dropout takes whole channels of a melody, as Gal & Ghahramani (2016) do for recurrent networks:
    a note's neighbours cannot stand in for it, and there are fewer random numbers to draw.

    Args:
        channels: D.
        kernel_size: Notes seen at once; odd.
        dilation: Step between them.
        dropout: Share of the channels dropped in training.
    """

    def __init__(self, channels: int, kernel_size: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.conv = nn.Conv1d(
            channels,
            channels,
            kernel_size,
            dilation=dilation,
            padding=dilation * (kernel_size // 2),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden_LBD: Tensor, mask_LB1: Tensor) -> Tensor:
        """One residual step, ``(L, B, D)`` to ``(L, B, D)``.

        Args:
            hidden_LBD: What to read.
            mask_LB1: 1 on notes, 0 on padding.
        """
        # Without the mask a convolution would read the norm's bias beyond the end of a melody.
        normed_LBD = self.norm(hidden_LBD) * mask_LB1
        if hidden_LBD.device.type == "cpu" and not torch.is_autocast_enabled("cpu"):
            change_LBD: Tensor = _RectifiedConvolution.apply(  # type: ignore[no-untyped-call]
                normed_LBD, self.conv.weight, self.conv.bias, self.conv.dilation[0]
            )
        else:
            change_LBD = self.by_torch(normed_LBD)
        if self.training and self.dropout.p > 0:
            kept_BD = self.dropout(torch.ones_like(hidden_LBD[0]))
            return torch.addcmul(hidden_LBD, change_LBD, kept_BD)
        out: Tensor = hidden_LBD + change_LBD
        return out

    def by_torch(self, normed_LBD: Tensor) -> Tensor:
        """``relu(conv(x))`` by ``torch.nn.Conv1d``: the faster way on a GPU."""
        change_BDL: Tensor = self.conv(normed_LBD.permute(1, 2, 0)).relu()
        return change_BDL.permute(2, 0, 1)


class _RectifiedConvolution(torch.autograd.Function):
    """``relu(conv(x))`` over the first axis, with zeros beyond the ends."""

    @staticmethod
    def forward(ctx: Any, input_LBD: Tensor, weight: Tensor, bias: Tensor, dilation: int) -> Tensor:
        L, B, D = input_LBD.shape
        input_ND = input_LBD.reshape(L * B, D)
        taps = weight.permute(2, 1, 0).contiguous()
        out_ND = bias.repeat(L * B, 1)
        for tap, reads, writes in _slices(len(taps), L, B, dilation):
            out_ND[writes].addmm_(input_ND[reads], taps[tap])
        out_ND.relu_()
        ctx.save_for_backward(input_ND, weight, out_ND)
        ctx.dilation = dilation
        return out_ND.view(L, B, -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_LBD: Tensor) -> tuple[Tensor | None, ...]:
        input_ND, weight, out_ND = ctx.saved_tensors
        L, B, D = grad_LBD.shape
        grad_ND = torch.ops.aten.threshold_backward(grad_LBD.reshape(L * B, D), out_ND, 0)
        taps = weight.permute(2, 0, 1).contiguous()
        grad_input_ND = torch.zeros_like(input_ND)
        grad_taps = torch.zeros_like(taps)
        for tap, reads, writes in _slices(len(taps), L, B, ctx.dilation):
            grad_input_ND[reads].addmm_(grad_ND[writes], taps[tap])
            torch.mm(grad_ND[writes].T, input_ND[reads], out=grad_taps[tap])
        return (
            grad_input_ND.view(L, B, -1),
            grad_taps.permute(1, 2, 0),
            grad_ND.sum(0),
            None,
        )


def _slices(taps: int, L: int, B: int, dilation: int) -> Iterator[tuple[int, slice, slice]]:
    """For each tap that reaches a note: which rows it reads, and for which rows."""
    for tap in range(taps):
        shift = (tap - taps // 2) * dilation
        if abs(shift) < L:
            first, last = max(0, -shift) * B, (L - max(0, shift)) * B
            yield tap, slice(first + shift * B, last + shift * B), slice(first, last)
