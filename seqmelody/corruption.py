"""Ways to spoil a melody, on batches of tensors.

A corrupted copy has as many notes as its original. Nothing but music gives it away: the rest after
the last note stays 0, pitches stay in range without being cut at its edge, and the kinds that only
move notes leave the very same notes, durations and rests.

Shapes: B melodies, L notes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from seqmelody.batching import Batch
from seqmelody.corpus import Corpus
from seqmelody.markov import LARGEST_CORPUS, MarkovChain

LARGEST_JITTER = 2
LARGEST_SHIFT = 6
FEWEST_SPOILED = 6
"""Notes that a copy of any strength has spoiled: in fewer there is little to spoil."""


def shuffle_notes(batch: Batch, generator: torch.Generator) -> Batch:
    """Whole notes in random order."""
    return _reorder(batch, _random_order(batch, generator))


def shuffle_pitches(batch: Batch, generator: torch.Generator) -> Batch:
    """Pitches in random order, rhythm kept."""
    order_BL = _random_order(batch, generator)
    return _with(batch, pitch_BL=batch.pitch_BL.gather(1, order_BL))


def shuffle_durations(batch: Batch, generator: torch.Generator) -> Batch:
    """Durations in random order; pitches and rests kept."""
    order_BL = _random_order(batch, generator)
    return _with(batch, duration_BL=batch.duration_BL.gather(1, order_BL))


def uniform_pitches(batch: Batch, generator: torch.Generator) -> Batch:
    """Each pitch drawn anew between the lowest and the highest of the melody."""
    low_B1 = batch.pitch_BL.masked_fill(~batch.mask_BL, 127).amin(1, keepdim=True)
    high_B1 = batch.pitch_BL.amax(1, keepdim=True)
    drawn_BL = low_B1 + (_uniform(batch, generator) * (high_B1 - low_B1 + 1)).long()
    return _with(batch, pitch_BL=drawn_BL)


def jitter_pitches(batch: Batch, generator: torch.Generator) -> Batch:
    """Some pitches moved by one or two semitones: between a tenth and a half of them."""
    share_B1 = 0.1 + 0.4 * _uniform(batch, generator)[:, :1]
    moved_BL = _uniform(batch, generator) < share_B1
    by_BL = 1 + (_uniform(batch, generator) * LARGEST_JITTER).long()
    up_BL = _uniform(batch, generator) < 0.5
    by_BL = torch.where(up_BL, by_BL, -by_BL)
    return _with(batch, pitch_BL=_shift(batch.pitch_BL, by_BL * moved_BL))


def swap_segments(batch: Batch, generator: torch.Generator) -> Batch:
    """Two neighbouring segments exchanged, each at least an eighth of the melody."""
    length_B1 = batch.length_B[:, None]
    least_B1 = (length_B1 // 8).clamp(min=1)
    slack_B1 = (length_B1 - 2 * least_B1).clamp(min=0)
    # Three cuts that leave room for two segments: drawn in what is left over, then spread.
    cut_B3 = torch.rand(len(batch), 3, generator=generator).sort(1).values
    cut_B3 = (cut_B3 * (slack_B1 + 1)).long()
    a_B1, b_B1, c_B1 = (cut_B3[:, i : i + 1] + i * least_B1 for i in range(3))
    c_B1 = torch.minimum(c_B1, length_B1)
    position_L = torch.arange(batch.pitch_BL.shape[1])
    middle_B1 = a_B1 + c_B1 - b_B1
    source_BL = torch.where(
        position_L < middle_B1, position_L + b_B1 - a_B1, position_L + b_B1 - c_B1
    )
    inside_BL = (position_L >= a_B1) & (position_L < c_B1)
    order_BL = torch.where(inside_BL, source_BL, position_L)
    return _reorder(batch, order_BL)


def transpose_tail(batch: Batch, generator: torch.Generator) -> Batch:
    """All notes from a place in the middle half on moved by one to six semitones."""
    draw_B3 = torch.rand(len(batch), 3, generator=generator)
    cut_B1 = ((0.25 + 0.5 * draw_B3[:, :1]) * batch.length_B[:, None]).long().clamp(min=1)
    by_B1 = 1 + (draw_B3[:, 1:2] * LARGEST_SHIFT).long()
    by_B1 = torch.where(draw_B3[:, 2:] < 0.5, by_B1, -by_B1)
    tail_BL = (torch.arange(batch.pitch_BL.shape[1]) >= cut_B1) & batch.mask_BL
    # The tail moves as one, so its direction turns as a whole where it would leave the range. One
    # that has room neither way stays.
    for turned_B1 in (-by_B1, torch.zeros_like(by_B1)):
        moved_BL = batch.pitch_BL + by_B1
        outside_B1 = (tail_BL & ((moved_BL < 0) | (moved_BL > 127))).any(1, keepdim=True)
        by_B1 = torch.where(outside_B1, turned_B1, by_B1)
    return _with(batch, pitch_BL=batch.pitch_BL + by_B1 * tail_BL)


def level_pitches(batch: Batch, generator: torch.Generator) -> Batch:
    """A quarter of the notes or more, one after the other, on the pitch of the first of them."""
    draw_B2 = torch.rand(len(batch), 2, generator=generator)
    count_B1 = ((0.25 + 0.75 * draw_B2[:, :1]) * batch.length_B[:, None]).ceil().long()
    first_B1 = (draw_B2[:, 1:] * (batch.length_B[:, None] - count_B1 + 1)).long()
    position_L = torch.arange(batch.pitch_BL.shape[1])
    level_BL = (position_L >= first_B1) & (position_L < first_B1 + count_B1)
    pitch_BL = torch.where(level_BL, batch.pitch_BL.gather(1, first_B1), batch.pitch_BL)
    return _with(batch, pitch_BL=pitch_BL)


def retrograde(batch: Batch, generator: torch.Generator) -> Batch:  # noqa: ARG001 - nothing random
    """The melody backwards, silences where they were between the same notes."""
    last_B1 = batch.length_B[:, None] - 1
    position_L = torch.arange(batch.pitch_BL.shape[1])
    order_BL = torch.where(batch.mask_BL, last_B1 - position_L, position_L)
    # The rest after a note now is the one that stood before it.
    before_BL = (order_BL - 1).clamp(min=0)
    rest_BL = batch.rest_BL.gather(1, before_BL).scatter(1, last_B1, 0) * batch.mask_BL
    return Batch(
        batch.pitch_BL.gather(1, order_BL),
        batch.duration_BL.gather(1, order_BL),
        rest_BL,
        batch.length_B,
    )


_Corruption = Callable[[Batch, torch.Generator], Batch]

_PLAIN: dict[str, _Corruption] = {
    "shuffle_notes": shuffle_notes,
    "shuffle_pitches": shuffle_pitches,
    "shuffle_durations": shuffle_durations,
    "uniform_pitches": uniform_pitches,
    "jitter_pitches": jitter_pitches,
    "swap_segments": swap_segments,
    "transpose_tail": transpose_tail,
    "level_pitches": level_pitches,
    "retrograde": retrograde,
}
_ORDERS = {"markov_1": 1, "markov_2": 2, "markov_3": 3}


class Corruptor:
    """Spoils batches; knows the Markov chains of a corpus.

    Args:
        corpus: Its training split is what the chains are built from.
        kinds: Which kinds will be asked for; only their chains are built.

    Raises:
        ValueError: An unknown kind.
    """

    def __init__(self, corpus: Corpus, kinds: tuple[str, ...]) -> None:
        for kind in kinds:
            if kind not in _PLAIN and kind not in _ORDERS:
                known = ", ".join([*_PLAIN, *_ORDERS])
                raise ValueError(f"no corruption is called {kind!r}; there are {known}")
        self.kinds = kinds
        self._chains = {}
        orders = {_ORDERS[kind] for kind in kinds if kind in _ORDERS}
        if orders:
            sample = corpus.training_sample(LARGEST_CORPUS)
            streams = sample.pitch, sample.duration, sample.rest, sample.offsets
            self._chains = {order: MarkovChain(order, *streams) for order in sorted(orders)}

    def corrupt(
        self, batch: Batch, kind: str, generator: torch.Generator, *, strength: float = 1.0
    ) -> Batch:
        """A spoiled copy of every melody.

        Now and then a copy equals its original (all pitches alike, say): see ``changed``.

        Args:
            batch: Melodies on the CPU.
            kind: One of ``kinds``.
            generator: Source of all the randomness, on the CPU.
            strength: Share of a melody's notes to spoil, above 0 and at most 1. Below 1 a passage
                of so many notes is taken out at a random place, spoiled as if it were a melody, and
                put back; it has ``FEWEST_SPOILED`` notes at least, or all that there are.

        Raises:
            ValueError: The strength is out of range.
        """
        if not 0 < strength <= 1:
            raise ValueError(f"the strength of a corruption lies in (0, 1], not {strength}")
        if strength < 1:
            passage = _Passage.draw(batch, strength, generator)
            return passage.put_back(self.corrupt(passage.notes, kind, generator))
        if kind in _PLAIN:
            return _PLAIN[kind](batch, generator)
        return self._sample_chain(batch, self._chains[_ORDERS[kind]], generator)

    @staticmethod
    def _sample_chain(batch: Batch, chain: MarkovChain, generator: torch.Generator) -> Batch:
        mask_BL = batch.mask_BL
        height_BL, duration_BL, rest_BL = chain.sample(
            len(batch), batch.pitch_BL.shape[1], generator
        )
        # Put at the original's height, and moved as a whole where that leaves the MIDI range.
        length_B1 = batch.length_B[:, None]
        centre_B1 = ((batch.pitch_BL - height_BL) * mask_BL).sum(1, keepdim=True) // length_B1
        low_B1 = height_BL.masked_fill(~mask_BL, 128).amin(1, keepdim=True)
        high_B1 = height_BL.masked_fill(~mask_BL, -128).amax(1, keepdim=True)
        centre_B1 = torch.minimum(torch.maximum(centre_B1, -low_B1), 127 - high_B1)
        rest_BL = (rest_BL * mask_BL).scatter(1, length_B1 - 1, 0)
        pitch_BL = ((height_BL + centre_B1) * mask_BL).clamp(0, 127)
        return Batch(pitch_BL, duration_BL * mask_BL, rest_BL, batch.length_B)


@dataclass(frozen=True)
class _Passage:
    """A passage of each melody.

    Attributes:
        whole: The melodies, ``(B, L)``.
        place_BW: Where the passage's notes stand in the melody; L on padding.
        notes: The passages, ``(B, W)``; without the rest after the last note, as in any melody.
    """

    whole: Batch
    place_BW: Tensor
    notes: Batch

    @classmethod
    def draw(cls, batch: Batch, share: float, generator: torch.Generator) -> _Passage:
        """A passage of some share of each melody's notes, at a random place."""
        enough_B = (share * batch.length_B).ceil().long().clamp(min=FEWEST_SPOILED)
        count_B = torch.minimum(enough_B, batch.length_B)
        drawn_B = torch.rand(len(batch), generator=generator)
        first_B = (drawn_B * (batch.length_B - count_B + 1)).long()
        position_W = torch.arange(int(count_B.max()))
        mask_BW = position_W < count_B[:, None]
        width = batch.pitch_BL.shape[1]
        place_BW = torch.where(mask_BW, first_B[:, None] + position_W, width)
        index_BW = place_BW.clamp(max=width - 1)
        rest_BW = batch.rest_BL.gather(1, index_BW) * mask_BW
        notes = Batch(
            batch.pitch_BL.gather(1, index_BW) * mask_BW,
            batch.duration_BL.gather(1, index_BW) * mask_BW,
            rest_BW.scatter(1, count_B[:, None] - 1, 0),
            count_B,
        )
        return cls(batch, place_BW, notes)

    def put_back(self, spoiled: Batch) -> Batch:
        """The melodies with other notes in the passage's place."""
        whole, last_B1 = self.whole, self.notes.length_B[:, None] - 1
        # The rest that follows the passage is the melody's and stays.
        after_B1 = whole.rest_BL.gather(1, self.place_BW.gather(1, last_B1))

        def put(stream_BL: Tensor, passage_BW: Tensor) -> Tensor:
            # One column more takes what the padding would write.
            room_BL = torch.nn.functional.pad(stream_BL, (0, 1))
            return room_BL.scatter(1, self.place_BW, passage_BW)[:, :-1]

        return Batch(
            put(whole.pitch_BL, spoiled.pitch_BL),
            put(whole.duration_BL, spoiled.duration_BL),
            put(whole.rest_BL, spoiled.rest_BL.scatter(1, last_B1, after_B1)),
            whole.length_B,
        )


def changed(original: Batch, copy: Batch) -> Tensor:
    """Which rows of a copy differ from their original, ``(B,)`` bool; transposition is no change."""
    mask_BL = original.mask_BL
    by_BL = (copy.pitch_BL - original.pitch_BL) * mask_BL
    first_B1 = by_BL[:, :1]
    different_BL = (
        (by_BL != first_B1)
        | (copy.duration_BL != original.duration_BL)
        | (copy.rest_BL != original.rest_BL)
    )
    return (different_BL & mask_BL).any(1)


def _uniform(batch: Batch, generator: torch.Generator) -> Tensor:
    return torch.rand(batch.pitch_BL.shape, generator=generator)


def _random_order(batch: Batch, generator: torch.Generator) -> Tensor:
    """A random permutation of each melody's notes, padding where it was, ``(B, L)``."""
    key_BL = _uniform(batch, generator)
    position_L = torch.arange(key_BL.shape[1], dtype=key_BL.dtype)
    return torch.where(batch.mask_BL, key_BL, 1 + position_L).argsort(1)


def _reorder(batch: Batch, order_BL: Tensor) -> Batch:
    """Whole notes in another order, each with the rest after it."""
    rest_BL = batch.rest_BL.gather(1, order_BL)
    # The original's last note had no rest, whereas the note now last may have one that nothing
    # follows: it moves to where the original's last note went, so that no rest is lost.
    last_B1 = batch.length_B[:, None] - 1
    was_last_B1 = (order_BL == last_B1).long().argmax(1, keepdim=True)
    rest_BL = rest_BL.scatter(1, was_last_B1, rest_BL.gather(1, last_B1))
    return Batch(
        batch.pitch_BL.gather(1, order_BL),
        batch.duration_BL.gather(1, order_BL),
        rest_BL.scatter(1, last_B1, 0),
        batch.length_B,
    )


def _shift(pitch_BL: Tensor, by_BL: Tensor) -> Tensor:
    """Pitches moved, the other way where the MIDI range ends: nothing piles up at its edge."""
    moved_BL = pitch_BL + by_BL
    return torch.where((moved_BL < 0) | (moved_BL > 127), pitch_BL - by_BL, moved_BL)


def _with(batch: Batch, pitch_BL: Tensor | None = None, duration_BL: Tensor | None = None) -> Batch:
    mask_BL = batch.mask_BL
    return Batch(
        batch.pitch_BL if pitch_BL is None else pitch_BL * mask_BL,
        batch.duration_BL if duration_BL is None else duration_BL * mask_BL,
        batch.rest_BL,
        batch.length_B,
    )
