"""Where a melody says again what it said before.

For each note: how long a run of notes ends here that was heard before, how long a run begins here
that comes again, and when the run was last heard. Listeners name repetition first when they say what
makes a melody hang together, and a network that sees a few notes at a time can hardly compare two
phrases that are far apart.

Runs of 2, 4, 8 and 16 symbols are told apart by prefix doubling (Karp, Miller & Rosenberg, 1972): a
run of twice the length is a pair of runs, and a sort gives each distinct pair a number. The time
grows with L log L.

Shapes: B melodies, L notes; N is ``B * L``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

RUNS = (2, 4, 8, 16)
"""Lengths of the runs that are looked for."""
PLACED_RUN = 4
"""Of the runs of this length it is told when they were last heard."""


@dataclass(frozen=True)
class Repetition:
    """What repeats.

    Attributes:
        ending_BL: How many of the lengths in ``RUNS`` the longest run has that ends at a note and
            ended at an earlier one as well: 0 for none, 1 for 2 symbols, 4 for 16; int64.
        beginning_BL: Likewise for the run that begins at a note and begins at a later one again.
        earlier_BL: The note at which the run of ``PLACED_RUN`` symbols that ends at a note ended
            the last time, counted from the melody's first; -1 for none.
    """

    ending_BL: Tensor
    beginning_BL: Tensor
    earlier_BL: Tensor


def repetition(symbol_BL: Tensor, known_BL: Tensor) -> Repetition:
    """Finds the runs that a melody repeats.

    Args:
        symbol_BL: What is compared, whole numbers from 0.
        known_BL: Where there is a symbol, bool: one stretch in each row. Runs lie within it.
    """
    B, L = symbol_BL.shape
    place_N = torch.arange(B * L, device=symbol_BL.device)
    # The number of the run of one symbol; other rows have other numbers.
    numbers = int(symbol_BL.max()) + 1 if symbol_BL.numel() else 1
    run_N = (symbol_BL + numbers * torch.arange(B, device=symbol_BL.device)[:, None]).flatten()
    numbers *= B
    whole_BL = known_BL
    ending_N = torch.zeros_like(place_N)
    beginning_N = torch.zeros_like(place_N)
    earlier_N = torch.full_like(place_N, -1)
    for level, length in enumerate(RUNS, start=1):
        half = length // 2
        # The run of two halves ends here where a half ends here, and one before it.
        whole_BL = whole_BL & torch.nn.functional.pad(whole_BL, (half, 0))[:, :L]
        # What is no whole run gets a number that nothing else has.
        pair_N = torch.where(
            whole_BL.flatten(),
            run_N.roll(half) * numbers + run_N,
            numbers * numbers + place_N,
        )
        sorted_N, order_N = pair_N.sort(stable=True)
        same_N = sorted_N[1:] == sorted_N[:-1]
        now_N, before_N = order_N[1:][same_N], order_N[:-1][same_N]
        ending_N[now_N] = level
        beginning_N[before_N - (length - 1)] = level
        if length == PLACED_RUN:
            earlier_N[now_N] = before_N % L
        run_N = torch.empty_like(place_N).index_put_(
            (order_N,), torch.nn.functional.pad((~same_N).cumsum(0), (1, 0))
        )
        numbers = B * L
    return Repetition(ending_N.view(B, L), beginning_N.view(B, L), earlier_N.view(B, L))
