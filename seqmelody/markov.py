"""Markov chains over notes, sampled for many melodies at once.

Shapes: B melodies, L notes, P notes of the corpus one after the other.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

LARGEST_CORPUS = 500_000
"""Notes that a chain is built from at most: some ten thousand melodies, which is enough for any order
used, and bounds memory and the time to the first step."""


class MarkovChain:
    """An order-k chain whose states are the last k notes of real melodies.

    A symbol is a whole note: its pitch relative to the melody's last note (the final, which in
    most folk song is the tonic), its duration and the rest after it. A chain is sampled by walking
    through the corpus: from a place in it, jump to a random place that has the same k notes
    before it, and take the note that stands there. That draws each successor as often as it
    followed in the corpus, start of the melody included, without storing a transition table.

    Args:
        order: k, at least 1.
        pitch: Pitches of all melodies, one after the other, ``(P,)``.
        duration: Durations in grid steps, ``(P,)``.
        rest: Rests in grid steps, ``(P,)``.
        offsets: Where each melody starts, and P at the end, ``(melodies + 1,)``.

    Raises:
        ValueError: There are no melodies, or the order is below 1.
    """

    def __init__(
        self,
        order: int,
        pitch: NDArray[np.uint8],
        duration: NDArray[np.uint16],
        rest: NDArray[np.uint16],
        offsets: NDArray[np.int64],
    ) -> None:
        if order < 1:
            raise ValueError(f"the order of a chain must be at least 1, not {order}")
        if len(offsets) < 2:
            raise ValueError("a Markov chain needs at least one melody")
        self.order = order
        lengths = np.diff(offsets)
        final = np.repeat(pitch[offsets[1:] - 1].astype(np.int64), lengths)
        height = pitch.astype(np.int64) - final
        code = ((height + 128) << 32) | (duration.astype(np.int64) << 16) | rest.astype(np.int64)
        symbol = np.unique(code, return_inverse=True)[1]
        in_melody = np.arange(len(pitch)) - np.repeat(offsets[:-1], lengths)

        # context[p] numbers the k notes before place p; 0 stands where the melody has not begun.
        context = np.zeros(len(pitch), dtype=np.int64)
        for back in range(1, order + 1):
            before = np.zeros(len(pitch), dtype=np.int64)
            reaches = in_melody >= back
            before[reaches] = symbol[np.flatnonzero(reaches) - back] + 1
            pair = context * (len(symbol) + 1) + before
            context = np.unique(pair, return_inverse=True)[1]

        # Places sorted by what is before them: those with the same k notes before stand together,
        # and a jump is to one of them. All that a walk reads is kept in that order, in the
        # narrowest types, since a chain of a large corpus has millions of places.
        place = np.argsort(context, kind="stable")
        count = np.bincount(context).astype(np.int32)
        first = (np.cumsum(count) - count).astype(np.int32)
        # Context of the note after each place. Where a melody ends it is that of the next one's
        # first note, which is the same for all melodies: a new one begins.
        following = np.roll(context, -1)[place]
        self._next_first = first[following]
        self._next_count = count[following]
        self._start_first = first[context[0]]
        self._start_count = count[context[0]]
        self._height = height[place].astype(np.int16)
        self._duration = duration[place]
        self._rest = rest[place]

    def sample(
        self, melodies: int, notes: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Draws melodies; a walk that reaches the end of a melody begins another.

        Args:
            melodies: B.
            notes: L.
            generator: Source of the randomness, on the CPU.

        Returns:
            Pitch relative to the final, duration and rest, each ``(B, L)`` int64.
        """
        uniform_LB = torch.rand(notes, melodies, generator=generator, dtype=torch.float64).numpy()
        walk_LB = np.empty((notes, melodies), dtype=np.int64)
        first_B = np.full(melodies, self._start_first)
        count_B = np.full(melodies, self._start_count)
        # The one loop over notes there is: in NumPy, since a call costs a third of what torch's do.
        for uniform_B, walk_B in zip(uniform_LB, walk_LB, strict=True):
            np.add(first_B, (uniform_B * count_B).astype(np.int64), out=walk_B)
            first_B = self._next_first[walk_B]
            count_B = self._next_count[walk_B]
        walk_BL = np.ascontiguousarray(walk_LB.T)
        height_BL, duration_BL, rest_BL = (
            torch.from_numpy(stream[walk_BL].astype(np.int64))
            for stream in (self._height, self._duration, self._rest)
        )
        return height_BL, duration_BL, rest_BL
