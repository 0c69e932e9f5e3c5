"""Variation of rhythm: tempo, metre, dotting, rests, notes of one pitch joined and divided.

Shapes: B melodies, L notes, W notes after.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from seqmelody.batching import Batch
from seqmelody.variation.draws import Manner
from seqmelody.variation.editing import (
    after,
    before,
    expand,
    gap_ratio,
    merge,
    off_beat,
    onsets,
    without_last_rest,
)

_PHRASE_END = 1.5
"""Times the mean: a longer note may end a phrase."""

_SPLIT_SHARE = 0.3
_BEATS = (12, 24, 48)


def change_tempo(batch: Batch, manner: Manner) -> Batch:
    """All twice as long or half as long.

    Never rounded and never cut at a cap: a melody with an odd duration or rest is not halved, and
    one with a long note not doubled, but the other way round, or left alone if neither can be.
    """
    tokenizer = manner.tokenizer
    even_B1 = ((batch.duration_BL | batch.rest_BL) % 2 == 0).all(1, keepdim=True)
    low_B1 = (batch.duration_BL.amax(1, keepdim=True) * 2 <= tokenizer.max_duration_steps) & (
        batch.rest_BL.amax(1, keepdim=True) * 2 <= tokenizer.max_rest_steps
    )
    slower_B1 = low_B1 & (~even_B1 | (manner.draws.below(2) == 0))
    faster_B1 = even_B1 & ~slower_B1

    def changed(stream_BL: Tensor) -> Tensor:
        shorter_BL = torch.where(faster_B1, stream_BL // 2, stream_BL)
        return torch.where(slower_B1, stream_BL * 2, shorter_BL)

    return replace(batch, duration_BL=changed(batch.duration_BL), rest_BL=changed(batch.rest_BL))


def change_metre(batch: Batch, manner: Manner) -> Batch:
    """Two beats made three, the first of each two lasting twice as long, or three made two.

    As between two quarters and six eighths, at one of three levels of the metre. Nothing is rounded
    or cut at a cap: where it would have to be, the melody stays.
    """
    tokenizer = manner.tokenizer
    weight_BR = torch.cat([_evidence(batch, beats) for beats in (2, 3)], 1)
    rule_B1, found_B1 = manner.draws.pick(weight_BR)
    beat_B1 = torch.tensor(_BEATS)[rule_B1 % len(_BEATS)]
    slower_B1 = rule_B1 < len(_BEATS)
    onset_BL = onsets(batch)
    # Counted from a place of the metre, so that nothing lies before the first beat.
    period_B1 = torch.where(slower_B1, 2, 3) * beat_B1
    onset_BL = onset_BL + off_beat(batch, period_B1)[:, :1]
    end_BL = onset_BL + batch.duration_BL
    exact_BL = torch.ones_like(batch.mask_BL)
    moved = []
    for time_BL in (onset_BL, end_BL):
        bar_BL, place_BL = time_BL // period_B1, time_BL % period_B1
        longer_BL = bar_BL * 3 * beat_B1 + place_BL + torch.minimum(place_BL, beat_B1)
        halved_BL = torch.minimum(place_BL, 2 * beat_B1)
        shorter_BL = bar_BL * 2 * beat_B1 + place_BL - halved_BL // 2
        exact_BL &= slower_B1 | (halved_BL % 2 == 0) | ~batch.mask_BL
        moved.append(torch.where(slower_B1, longer_BL, shorter_BL))
    duration_BL = (moved[1] - moved[0]) * batch.mask_BL
    rest_BL = (after(moved[0]) - moved[1]) * after(batch.mask_BL)
    exact_BL &= (duration_BL <= tokenizer.max_duration_steps) & (
        rest_BL <= tokenizer.max_rest_steps
    )
    kept_B1 = found_B1 & exact_BL.all(1, keepdim=True)
    return replace(
        batch,
        duration_BL=torch.where(kept_B1, duration_BL, batch.duration_BL),
        rest_BL=torch.where(kept_B1, rest_BL, batch.rest_BL),
    )


def _evidence(batch: Batch, beats: int) -> Tensor:
    """How much more time begins on the first beat of each so many than on the last, ``(B, 3)``.

    For each of three lengths of a beat; 0 where it is less, since that is no such metre.
    """
    weights = []
    for beat in _BEATS:
        place_BL = off_beat(batch, beats * beat)
        first_B = (batch.duration_BL * (place_BL == 0)).sum(1)
        last_B = (batch.duration_BL * (place_BL == (beats - 1) * beat)).sum(1)
        weights.append(((first_B - last_B) * (last_B > 0)).clamp(min=0))
    return torch.stack(weights, 1).double()


def dot_pairs(batch: Batch, manner: Manner) -> Batch:
    """Pairs of notes dotted, swung, evened out or exchanged; the time of a pair stays.

    A melody undergoes one of these, at many of its strong places or few.
    """
    first_BL, second_BL, pair_BL = _pairs(batch)
    both_BL = first_BL + second_BL
    equal_BL = first_BL == second_BL
    dotted_BL = (first_BL == 3 * second_BL) | (3 * first_BL == second_BL)
    swung_BL = (first_BL == 2 * second_BL) | (2 * first_BL == second_BL)
    new_first_RBL = torch.stack(
        [both_BL * 3 // 4, both_BL // 4, both_BL * 2 // 3, both_BL // 2, second_BL]
    )
    possible_RBL = torch.stack(
        [
            equal_BL & (both_BL % 4 == 0),
            equal_BL & (both_BL % 4 == 0),
            equal_BL & (both_BL % 3 == 0),
            dotted_BL & (both_BL % 2 == 0),
            dotted_BL | swung_BL,
        ]
    )
    longest_RBL = torch.maximum(new_first_RBL, both_BL - new_first_RBL)
    possible_RBL &= pair_BL & (longest_RBL <= manner.tokenizer.max_duration_steps)
    rule_B1, _ = manner.draws.pick(possible_RBL.sum(2).T.double())
    rule_1BL = rule_B1[None].expand(1, *both_BL.shape)
    chosen_BL = possible_RBL.gather(0, rule_1BL)[0] & manner.places(both_BL.shape[1], 1.0)
    chosen_BL = _apart(chosen_BL)
    first_BL = new_first_RBL.gather(0, rule_1BL)[0]
    duration_BL = torch.where(chosen_BL, first_BL, batch.duration_BL)
    second_BL = before((both_BL - first_BL) * chosen_BL)
    return replace(batch, duration_BL=torch.where(before(chosen_BL), second_BL, duration_BL))


def _pairs(batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Duration of each note and of the next, and which two are a pair on a strong place."""
    first_BL, second_BL = batch.duration_BL, after(batch.duration_BL)
    strong_BL = off_beat(batch, (first_BL + second_BL).clamp(min=1)) == 0
    return first_BL, second_BL, strong_BL & (second_BL > 0) & (batch.rest_BL == 0)


def _apart(first_BL: Tensor) -> Tensor:
    """Which first notes of pairs are left if no pair may overlap with one before."""
    return first_BL & ~before(first_BL)


def change_rests(batch: Batch, manner: Manner) -> Batch:
    """Breath taken from the ends of phrases, or notes held through rests; the time stays."""
    duration_BL, rest_BL, tokenizer = batch.duration_BL, batch.rest_BL, manner.tokenizer
    held_BL = (rest_BL > 0) & (duration_BL + rest_BL <= tokenizer.max_duration_steps)
    # A quarter or half of the note.
    part_B1 = 2 + 2 * manner.draws.below(2)
    breath_BL = duration_BL // part_B1
    breathed_BL = (
        (gap_ratio(batch) >= _PHRASE_END)
        & (duration_BL % part_B1 == 0)
        & (rest_BL + breath_BL <= tokenizer.max_rest_steps)
    )
    is_last_BL = ~after(batch.mask_BL)
    adds_B1 = (manner.draws.below(2) == 0) | ~held_BL.any(1, keepdim=True)
    moved_BL = torch.where(
        adds_B1, breath_BL * (breathed_BL & ~is_last_BL), -rest_BL * held_BL
    ) * manner.places(rest_BL.shape[1], 1.0)
    return replace(batch, duration_BL=duration_BL - moved_BL, rest_BL=rest_BL + moved_BL)


def hold_ends(batch: Batch, manner: Manner) -> Batch:
    """Notes that may end a phrase held longer or less long: doubled, half as long again, or halved.

    Their rests stay; what comes after is earlier or later.
    """
    duration_BL, width = batch.duration_BL, batch.duration_BL.shape[1]
    is_last_BL = batch.mask_BL & ~after(batch.mask_BL)
    end_BL = (gap_ratio(batch) >= _PHRASE_END) | is_last_BL
    halves_BL = torch.tensor([1, 3, 4])[manner.draws.below(3, width)]
    held_BL = duration_BL * halves_BL // 2
    possible_BL = (
        end_BL
        & ((duration_BL * halves_BL) % 2 == 0)
        & (held_BL <= manner.tokenizer.max_duration_steps)
    )
    held_here_BL = possible_BL & manner.places(width, 1.0)
    return replace(batch, duration_BL=torch.where(held_here_BL, held_BL, duration_BL))


def merge_repeats(batch: Batch, manner: Manner) -> Batch:
    """Notes on the pitch of the note before, and without a rest between, made one with it."""
    again_BL = (batch.pitch_BL == before(batch.pitch_BL)) & (before(batch.rest_BL) == 0)
    again_BL &= batch.mask_BL & before(batch.mask_BL)
    merged_BL = again_BL & manner.places(again_BL.shape[1], 1.0)
    return merge(batch, merged_BL, manner.tokenizer.max_duration_steps)


def split_notes(batch: Batch, manner: Manner) -> Batch:
    """Notes of a quarter or more divided into two of the same pitch, as more syllables would."""
    width = batch.duration_BL.shape[1]
    dotted_BL = (manner.draws.below(3, width) == 0) & (batch.duration_BL % 4 == 0)
    split_BL = (batch.duration_BL >= 24) & (batch.duration_BL % 2 == 0)
    split_BL &= manner.places(width, _SPLIT_SHARE)
    notes, source_BW, part_BW = expand(batch, batch.mask_BL.long() + split_BL)
    whole_BW = notes.duration_BL
    first_BW = torch.where(dotted_BL.gather(1, source_BW), whole_BW * 3 // 4, whole_BW // 2)
    halved_BW = torch.where(part_BW == 0, first_BW, whole_BW - first_BW)
    duration_BW = torch.where(split_BL.gather(1, source_BW), halved_BW, whole_BW)
    return replace(
        notes,
        duration_BL=duration_BW * notes.mask_BL,
        rest_BL=without_last_rest(notes.rest_BL, notes.length_B),
    )
