"""A bidirectional GRU that trains fast on a CPU, equal to two of PyTorch's.

``torch.nn.GRU`` on a CPU records some twenty operations for each step of a melody, and adds up the
gradients of the weights step by step. Here both directions advance in one loop, with no record;
the gradients follow by hand (back-propagation through time, Werbos, 1990), and those of the weights
are one large matrix product at the end. The parameters are those of ``torch.nn.GRU``.

Shapes: L notes, B melodies, D channels, H hidden units of one direction; 2 is the directions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

NOTES_AT_ONCE = 8192
"""Notes of a batch that are worked on at once where no gradients are needed: bounded memory."""

_sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
_tanh_backward = torch.ops.aten.tanh_backward.grad_input


class BidirectionalGRU(nn.Module):
    """A GRU (Cho et al., 2014) in each direction, the backward one from each melody's last note on.

    Args:
        channels: D.
        hidden_size: H.
    """

    def __init__(self, channels: int, hidden_size: int) -> None:
        super().__init__()
        self.forwards = nn.GRU(channels, hidden_size)
        self.backwards = nn.GRU(channels, hidden_size)

    def forward(self, hidden_LBD: Tensor, mask_LB: Tensor) -> Tensor:
        """Both directions beside each other, ``(L, B, 2 H)``; padding means nothing.

        Args:
            hidden_LBD: What to read.
            mask_LB: True on notes; padding stands at the end.
        """
        if hidden_LBD.device.type == "cpu" and not torch.is_autocast_enabled("cpu"):
            pairs = zip(self.forwards.parameters(), self.backwards.parameters(), strict=True)
            out: Tensor = _BothDirections.apply(  # type: ignore[no-untyped-call]
                hidden_LBD, mask_LB, *(torch.stack(pair) for pair in pairs)
            )
            return out
        return self.by_torch(hidden_LBD, mask_LB)

    def by_torch(self, hidden_LBD: Tensor, mask_LB: Tensor) -> Tensor:
        """The same by ``torch.nn.GRU``: the faster way on a GPU, whose library fuses the steps."""
        position_L1 = torch.arange(len(hidden_LBD), device=hidden_LBD.device)[:, None]
        reverse_LB = mask_LB.sum(0) - 1 - position_L1
        # Notes in reverse order, padding where it was.
        reverse_LB = torch.where(reverse_LB < 0, position_L1, reverse_LB)
        ahead_LBH, _ = self.forwards(hidden_LBD)
        back_LBH, _ = self.backwards(_take(hidden_LBD, reverse_LB))
        return torch.cat([ahead_LBH, _take(back_LBH, reverse_LB)], dim=2)


def _take(hidden_LBD: Tensor, index_LB: Tensor) -> Tensor:
    return hidden_LBD.gather(0, index_LB[:, :, None].expand(-1, -1, hidden_LBD.shape[2]))


class _BothDirections(torch.autograd.Function):
    """Steps run over the notes, forwards for the first direction, backwards for the second.

    The state of the second is held at zero until its melody's last note. With ``x`` the input and
    ``h`` the state before, as ``torch.nn.GRU`` has it:

        r, z = sigmoid(W_r x + U_r h), sigmoid(W_z x + U_z h)
        n = tanh(W_n x + r * (U_n h + b_n))
        state = n + z * (h - n)
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden_LBD: Tensor,
        mask_LB: Tensor,
        input_weight: Tensor,
        state_weight: Tensor,
        input_bias: Tensor,
        state_bias: Tensor,
    ) -> Tensor:
        L, B, _ = hidden_LBD.shape
        H = state_weight.shape[2]
        bias = input_bias.clone()
        bias[:, : 2 * H] += state_bias[:, : 2 * H]
        held = _held(mask_LB)
        out_LBH = hidden_LBD.new_empty(L, B, 2 * H)
        state_2BH = hidden_LBD.new_zeros(2, B, H)
        # Without gradients nothing but the states outlives a piece of a long melody.
        learns = any(ctx.needs_input_grad)
        piece = L if learns else max(1, NOTES_AT_ONCE // B)
        for first in range(0, L, piece):
            end = min(L, first + piece)
            input_2LBD = torch.stack(
                [hidden_LBD[first:end], hidden_LBD[L - end : L - first].flip(0)]
            )
            gates_2LBH, recalled_2LBH, state_2LBH = _advance(
                input_2LBD,
                state_2BH,
                held[first:end],
                (input_weight, state_weight, bias, state_bias),
            )
            out_LBH[first:end, :, :H] = state_2LBH[0, 1:]
            out_LBH[L - end : L - first, :, H:] = state_2LBH[1, 1:].flip(0)
            state_2BH = state_2LBH[:, -1]
        if learns:
            ctx.save_for_backward(
                *(input_2LBD, gates_2LBH, recalled_2LBH, state_2LBH),
                *(mask_LB, input_weight, state_weight),
            )
        return out_LBH

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_LBH: Tensor) -> tuple[Tensor | None, ...]:
        (input_2LBD, gates_2LBH, recalled_2LBH, state_2LBH, mask_LB, input_weight, state_weight) = (
            ctx.saved_tensors
        )
        _, L, B, D = input_2LBD.shape
        H = state_weight.shape[2]
        ahead_LBH, back_LBH = grad_LBH.chunk(2, dim=2)
        grad_2LBH = torch.stack([ahead_LBH, back_LBH.flip(0)])
        # Of what the state puts into the gates, and of n before the tanh.
        grad_gates_2LBH = torch.empty_like(gates_2LBH)
        grad_n_2LBH = torch.empty_like(recalled_2LBH)
        scratch_2BH = grad_LBH.new_empty(2, B, 2 * H)
        r_scratch_2BH, z_scratch_2BH = scratch_2BH.chunk(2, dim=2)
        held = _held(mask_LB)

        carry_2BH = grad_LBH.new_zeros(2, B, H)
        saved = zip(
            *_by_step(gates_2LBH),
            recalled_2LBH.unbind(1),
            state_2LBH[:, :-1].unbind(1),
            strict=True,
        )
        grads = zip(
            grad_2LBH.unbind(1),
            grad_gates_2LBH.unbind(1),
            *(part.unbind(1) for part in grad_gates_2LBH.split_with_sizes([2 * H, H], dim=3)),
            grad_n_2LBH.unbind(1),
            strict=True,
        )
        for step, (was, wanted) in reversed(list(enumerate(zip(saved, grads, strict=True)))):
            rz_2BH, r_2BH, z_2BH, n_2BH, recalled_2BH, before_2BH = was
            own_2BH, grad_2BH, grad_rz_2BH, grad_recalled_2BH, grad_n_2BH = wanted
            carry_2BH += own_2BH
            if step < len(held):
                carry_2BH[1] *= held[step]
            torch.sub(before_2BH, n_2BH, out=z_scratch_2BH).mul_(carry_2BH)
            torch.addcmul(carry_2BH, carry_2BH, z_2BH, value=-1, out=r_scratch_2BH)
            _tanh_backward(r_scratch_2BH, n_2BH, grad_input=grad_n_2BH)
            torch.mul(grad_n_2BH, recalled_2BH, out=r_scratch_2BH)
            _sigmoid_backward(scratch_2BH, rz_2BH, grad_input=grad_rz_2BH)
            torch.mul(grad_n_2BH, r_2BH, out=grad_recalled_2BH)
            carry_2BH.mul_(z_2BH).baddbmm_(grad_2BH, state_weight)

        gates_2NH = grad_gates_2LBH.view(2, L * B, 3 * H)
        state_2NH = state_2LBH[:, :-1].reshape(2, L * B, H)
        grad_state_weight = gates_2NH.mT @ state_2NH
        grad_state_bias = gates_2NH.sum(1)
        # The gates' input differs from what the state puts in by the factor r at n.
        grad_gates_2LBH[..., 2 * H :] = grad_n_2LBH
        input_2ND = input_2LBD.view(2, L * B, D)
        grad_input_weight = gates_2NH.mT @ input_2ND
        grad_input_bias = gates_2NH.sum(1)
        grad_input_2LBD = (gates_2NH @ input_weight).view(2, L, B, D)
        return (
            grad_input_2LBD[0] + grad_input_2LBD[1].flip(0),
            None,
            grad_input_weight,
            grad_state_weight,
            grad_input_bias,
            grad_state_bias,
        )


def _advance(
    input_2LBD: Tensor, start_2BH: Tensor, held: list[Tensor], weights: tuple[Tensor, ...]
) -> tuple[Tensor, Tensor, Tensor]:
    """Both directions from one state on.

    Args:
        input_2LBD: What each direction reads, in the order in which it reads.
        start_2BH: The states to begin with.
        held: Of the first steps, see ``_held``.
        weights: Of the input and of the state, then the biases; those of r and z stand in the first.

    Returns:
        The gates r, z, n; ``U_n h + b_n``; and the states, with that before the first step.
    """
    input_weight, state_weight, bias, state_bias = weights
    _, L, B, D = input_2LBD.shape
    H = state_weight.shape[2]
    gates_2LBH = torch.baddbmm(bias[:, None], input_2LBD.view(2, L * B, D), input_weight.mT).view(
        2, L, B, 3 * H
    )
    recalled_2LBH = input_2LBD.new_empty(2, L, B, H)
    state_2LBH = input_2LBD.new_empty(2, L + 1, B, H)
    state_2LBH[:, 0] = start_2BH
    rz_weight, n_weight = state_weight.mT.split_with_sizes([2 * H, H], dim=2)
    n_bias = state_bias[:, None, 2 * H :]

    state_2BH, *states = state_2LBH.unbind(1)
    steps = zip(*_by_step(gates_2LBH), recalled_2LBH.unbind(1), states, strict=True)
    for step, (rz_2BH, r_2BH, z_2BH, n_2BH, recalled_2BH, next_2BH) in enumerate(steps):
        rz_2BH.baddbmm_(state_2BH, rz_weight).sigmoid_()
        torch.baddbmm(n_bias, state_2BH, n_weight, out=recalled_2BH)
        n_2BH.addcmul_(r_2BH, recalled_2BH).tanh_()
        state_2BH = torch.lerp(n_2BH, state_2BH, z_2BH, out=next_2BH)
        if step < len(held):
            state_2BH[1] *= held[step]
    return gates_2LBH, recalled_2LBH, state_2LBH


def _by_step(gates_2LBH: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Views of each step's gates: r and z together, r, z, and n; made at once, which is quicker."""
    r, z, n = gates_2LBH.chunk(3, dim=3)
    rz = gates_2LBH[..., : 2 * r.shape[3]]
    return (part.unbind(1) for part in (rz, r, z, n))


def _held(mask_LB: Tensor) -> list[Tensor]:
    """For each of the backward direction's first steps: 0 where a melody has not begun, else 1.

    Only as many steps as there are until all melodies have begun.
    """
    late = len(mask_LB) - int(mask_LB.sum(0).min())
    return list(mask_LB.flip(0)[:late, :, None].unbind(0))
