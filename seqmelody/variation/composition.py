"""``Variation``: a few kinds of variation at a time, other ones for each melody."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from seqmelody.batching import Batch
from seqmelody.tokens import Tokenizer
from seqmelody.variation import form, pitches, rhythm
from seqmelody.variation.draws import Draws, Manner

KINDS: Mapping[str, Callable[[Batch, Manner], Batch]] = {
    "cut_repeat": form.cut_repeat,
    "repeat_section": form.repeat_section,
    "keep_passage": form.keep_passage,
    "drop_pickup": form.drop_pickup,
    "add_pickup": form.add_pickup,
    "drop_ornaments": pitches.drop_ornaments,
    "add_ornaments": pitches.add_ornaments,
    "merge_repeats": rhythm.merge_repeats,
    "split_notes": rhythm.split_notes,
    "move_pitches": pitches.move_pitches,
    "move_passage": pitches.move_passage,
    "change_final": pitches.change_final,
    "change_metre": rhythm.change_metre,
    "dot_pairs": rhythm.dot_pairs,
    "change_rests": rhythm.change_rests,
    "hold_ends": rhythm.hold_ends,
    "change_tempo": rhythm.change_tempo,
    "transpose": pitches.transpose,
}
"""The ways to vary, in the order in which they are done: what drops notes before what adds them."""

MOST_KINDS = 6
"""That one variant undergoes, at full strength."""

FEWEST_NOTES = 8
"""Of a variant, unless its original has fewer: what would leave fewer is not done."""


class Variation:
    """Varies melodies as singers and players of folk tunes do.

    What a melody becomes hinges on the generator and its row alone, not on the melodies beside it.

    Args:
        kinds: How likely each of ``KINDS`` is, beside the others. By default all are alike, but
            ``transpose``, which changes nothing for a model that does not hear absolute pitch.
        tokenizer: Variants keep within its caps.
        max_notes: What would make a melody longer than that, and longer than it was, is not done.

    Raises:
        ValueError: An unknown kind, a weight that is negative or not finite, or no weight above 0.
    """

    def __init__(
        self,
        kinds: Mapping[str, float] | None = None,
        *,
        tokenizer: Tokenizer = Tokenizer(),
        max_notes: int = 512,
    ) -> None:
        if kinds is None:
            kinds = {kind: 1.0 for kind in KINDS if kind != "transpose"}
        for kind, weight in kinds.items():
            _require(kind)
            if not 0 <= weight < math.inf:
                raise ValueError(f"the weight of {kind} must be 0 or more, not {weight}")
        # In the order of KINDS, whatever the order they are given in.
        self.kinds = {kind: float(kinds[kind]) for kind in KINDS if kinds.get(kind, 0) > 0}
        if not self.kinds:
            raise ValueError("at least one kind of variation needs a weight above 0")
        self.tokenizer = tokenizer
        self.max_notes = max_notes

    def vary(self, batch: Batch, generator: torch.Generator, *, strength: float = 1.0) -> Batch:
        """A variant of every melody.

        Each undergoes one to ``MOST_KINDS`` kinds. Now and then one equals its original, where
        there is nothing to do what was drawn with.

        Args:
            batch: Melodies on the CPU.
            generator: Source of all the randomness, on the CPU.
            strength: Above 0, at most 1: times the largest number of kinds, and times how much each
                of them does at most.

        Returns:
            As many melodies, of other lengths, padded to the longest.

        Raises:
            ValueError: The strength is out of range.
        """
        _check(strength)
        draws = Draws.of(len(batch), generator)
        number_B1 = 1 + draws.below(max(1, round(MOST_KINDS * strength)))
        # The kinds in a random order, likely ones early (Efraimidis & Spirakis, 2006).
        weight_K = torch.tensor(list(self.kinds.values()), dtype=torch.float64)
        late_BK = -draws.uniform(len(self.kinds)).clamp(min=1e-300).log() / weight_K
        undergoes_BK = late_BK.argsort(1).argsort(1) < number_B1
        for column, kind in enumerate(self.kinds):
            rows_R = undergoes_BK[:, column].nonzero()[:, 0]
            batch = self._vary_rows(batch, rows_R, kind, draws, strength)
        return batch.trimmed()

    def apply(
        self, batch: Batch, kind: str, generator: torch.Generator, *, strength: float = 1.0
    ) -> Batch:
        """A variant of every melody by one kind.

        Args:
            batch: Melodies on the CPU.
            kind: One of ``KINDS``.
            generator: Source of all the randomness, on the CPU.
            strength: How much at most, above 0 and at most 1.

        Returns:
            As many melodies, of other lengths, padded to the longest.

        Raises:
            ValueError: An unknown kind, or the strength is out of range.
        """
        _require(kind)
        _check(strength)
        draws = Draws.of(len(batch), generator)
        every_B = torch.arange(len(batch))
        return self._vary_rows(batch, every_B, kind, draws, strength).trimmed()

    def _vary_rows(
        self, batch: Batch, rows_R: Tensor, kind: str, draws: Draws, strength: float
    ) -> Batch:
        """The batch with some of its rows varied, and padded for them."""
        if len(rows_R) == 0:
            return batch
        some = batch[rows_R].trimmed()
        number = list(KINDS).index(kind)
        varied = KINDS[kind](some, Manner(draws.of_rows(rows_R, number), strength, self.tokenizer))
        few_R = varied.length_B < some.length_B.clamp(max=FEWEST_NOTES)
        many_R = varied.length_B > some.length_B.clamp(min=self.max_notes)
        kept_R = ~(few_R | many_R)
        return _put(batch, rows_R[kept_R], varied[kept_R].trimmed())


def _require(kind: str) -> None:
    if kind not in KINDS:
        raise ValueError(f"no variation is called {kind!r}; there are {', '.join(KINDS)}")


def _check(strength: float) -> None:
    if not 0 < strength <= 1:
        raise ValueError(f"the strength of a variation lies in (0, 1], not {strength}")


def _put(batch: Batch, rows_R: Tensor, rows: Batch) -> Batch:
    """Some rows in place of those of a batch; one as wide as the wider of both."""
    if len(rows_R) == 0:
        return batch
    width = max(batch.pitch_BL.shape[1], rows.pitch_BL.shape[1])

    def put(stream_BL: Tensor, stream_RL: Tensor) -> Tensor:
        wide_BL = torch.nn.functional.pad(stream_BL, (0, width - stream_BL.shape[1]))
        wide_RL = torch.nn.functional.pad(stream_RL, (0, width - stream_RL.shape[1]))
        return wide_BL.index_copy(0, rows_R, wide_RL)

    return Batch(
        put(batch.pitch_BL, rows.pitch_BL),
        put(batch.duration_BL, rows.duration_BL),
        put(batch.rest_BL, rows.rest_BL),
        batch.length_B.index_copy(0, rows_R, rows.length_B),
    )
