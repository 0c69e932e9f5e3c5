"""Variation of form: a passage alone, a section repeated or not, upbeats.

Shapes: B melodies, L notes, N = L + 1 places between notes and at the ends.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from seqmelody.batching import Batch
from seqmelody.variation.draws import Manner
from seqmelody.variation.editing import Scale, before, expand, phrase_starts, take

_SHORTEST_REPEAT = 6
_LONGEST_PICKUP = 24
_SAME_SHARE = 0.8


def keep_passage(batch: Batch, manner: Manner) -> Batch:
    """The beginning, the end or both dropped, mostly by phrases: half of the notes at most."""
    length_B1 = batch.length_B[:, None]
    most_B1 = (0.5 * manner.strength * length_B1).long()
    where_B1 = manner.draws.below(5)
    # Two in five lose their beginning, two their end, and one half as much of both.
    head_B1 = torch.where(where_B1 < 2, most_B1, torch.where(where_B1 < 4, 0, most_B1 // 2))
    tail_B1 = torch.where(where_B1 < 2, 0, torch.where(where_B1 < 4, most_B1, most_B1 // 2))
    weight_BN = phrase_starts(batch)
    place_N = torch.arange(weight_BN.shape[1])
    in_head_BN = (place_N > 0) & (place_N <= head_B1)
    in_tail_BN = (place_N < length_B1) & (place_N >= length_B1 - tail_B1)
    start_B1, has_start_B1 = manner.draws.pick(weight_BN * in_head_BN)
    end_B1, has_end_B1 = manner.draws.pick(weight_BN * in_tail_BN)
    start_B1 = torch.where(has_start_B1, start_B1, 0)
    end_B1 = torch.where(has_end_B1, end_B1, length_B1)
    return take(batch, place_N + start_B1, (end_B1 - start_B1)[:, 0])


def repeat_section(batch: Batch, manner: Manner) -> Batch:
    """A section twice, mostly whole phrases: an eighth to a half of the melody."""
    length_B1 = batch.length_B[:, None]
    least_B1 = (length_B1 // 8).clamp(min=1)
    most_B1 = torch.maximum(least_B1, (0.5 * manner.strength * length_B1).long())
    weight_BN = phrase_starts(batch)
    place_N = torch.arange(weight_BN.shape[1])
    start_B1, _ = manner.draws.pick(weight_BN * (place_N <= length_B1 - least_B1))
    reachable_BN = (place_N >= start_B1 + least_B1) & (place_N <= start_B1 + most_B1)
    end_B1, _ = manner.draws.pick(weight_BN * reachable_BN)
    section_B1 = end_B1 - start_B1
    place_W = torch.arange(int((length_B1 + section_B1).max()))
    source_BW = torch.where(place_W < end_B1, place_W, place_W - section_B1)
    return take(batch, source_BW, (length_B1 + section_B1)[:, 0])


def cut_repeat(batch: Batch, manner: Manner) -> Batch:
    """One of two sections that follow each other and are alike, left out."""
    length_B1 = batch.length_B[:, None]
    lag_BL = _lags(batch)
    place_L = torch.arange(lag_BL.shape[1])
    fits_BL = (lag_BL >= _SHORTEST_REPEAT) & (place_L + 2 * lag_BL <= length_B1)
    # Where it begins to be the same, lest a section be cut that is shifted by a note.
    fits_BL &= lag_BL != before(lag_BL)
    start_B1, found_B1 = manner.draws.pick(phrase_starts(batch)[:, :-1] * fits_BL)
    lag_B1 = lag_BL.gather(1, start_B1)
    # Runs recur for many reasons. A repeat is where most of the section is as the next.
    within_BL = (place_L >= start_B1) & (place_L < start_B1 + lag_B1)
    later_BL = (place_L + lag_B1).clamp(max=lag_BL.shape[1] - 1)
    same_BL = (batch.pitch_BL == batch.pitch_BL.gather(1, later_BL)) & (
        batch.duration_BL == batch.duration_BL.gather(1, later_BL)
    )
    alike_B1 = (same_BL & within_BL).sum(1, keepdim=True) >= _SAME_SHARE * lag_B1
    lag_B1 = torch.where(found_B1 & alike_B1, lag_B1, 0)
    first_B1 = start_B1 + torch.where(manner.draws.below(2) == 0, 0, lag_B1)
    source_BL = torch.where(place_L < first_B1, place_L, place_L + lag_B1)
    return take(batch, source_BL, (length_B1 - lag_B1)[:, 0])


def _lags(batch: Batch) -> Tensor:
    """How far on the next run of the same pitches begins, ``(B, L)``; 0 where none does."""
    width = batch.pitch_BL.shape[1]
    place_L = torch.arange(width)
    run_BL = torch.zeros_like(batch.pitch_BL)
    for offset in range(_SHORTEST_REPEAT):
        shifted_BL = torch.nn.functional.pad(batch.pitch_BL, (0, offset))[:, offset:]
        run_BL = run_BL * 128 + shifted_BL
    # A run that would go on behind the end is like no other.
    whole_BL = place_L <= batch.length_B[:, None] - _SHORTEST_REPEAT
    run_BL = torch.where(whole_BL, run_BL, -1 - place_L)
    run_BL, order_BL = run_BL.sort(dim=1, stable=True)
    lag_BL = torch.where(run_BL[:, 1:] == run_BL[:, :-1], order_BL.diff(dim=1), 0)
    lag_BL = torch.nn.functional.pad(lag_BL, (0, 1))
    return torch.zeros_like(lag_BL).scatter(1, order_BL, lag_BL)


def add_pickup(batch: Batch, manner: Manner) -> Batch:
    """One or two short notes before the first: on its pitch, a step from it or a fourth below."""
    draws = manner.draws
    added_B1 = 1 + draws.below(2)
    first_B1 = batch.duration_BL[:, :1]
    duration_B1 = torch.where(draws.below(2) == 0, first_B1, first_B1 // 2)
    duration_B1 = duration_B1.clamp(max=_LONGEST_PICKUP) // added_B1
    scale, pitch_B1 = Scale(batch), batch.pitch_BL[:, :1]
    fourth_B1 = (pitch_B1 - 5).clamp(min=0)
    below_B1, above_B1 = (
        scale.step(pitch_B1, torch.full_like(pitch_B1, up, dtype=torch.bool))
        for up in (False, True)
    )
    fourth_B1 = torch.where(scale.holds(fourth_B1), fourth_B1, below_B1)
    choice_B4 = torch.cat([pitch_B1, below_B1, above_B1, fourth_B1], 1)
    near_B1 = choice_B4.gather(1, draws.below(4))
    far_B1 = scale.step(near_B1, torch.zeros_like(near_B1, dtype=torch.bool))
    far_B1 = torch.where(draws.below(2) == 0, near_B1, far_B1)
    notes, _, _ = expand(
        batch, batch.mask_BL + torch.nn.functional.pad(added_B1, (0, batch.pitch_BL.shape[1] - 1))
    )
    place_W = torch.arange(notes.pitch_BL.shape[1])
    new_BW = place_W < added_B1
    pitch_BW = torch.where(place_W == added_B1 - 1, near_B1, far_B1)
    return replace(
        notes,
        pitch_BL=torch.where(new_BW, pitch_BW, notes.pitch_BL),
        duration_BL=torch.where(new_BW, duration_B1.clamp(min=1), notes.duration_BL),
    )


def drop_pickup(batch: Batch, manner: Manner) -> Batch:
    """One to three notes at the beginning left out, mostly those before a longer one."""
    place_L = torch.arange(batch.pitch_BL.shape[1])
    longer_BL = batch.duration_BL / batch.duration_BL.roll(1, 1).clamp(min=1)
    dropped_BL = (place_L >= 1) & (place_L <= 3) & batch.mask_BL
    start_B1, found_B1 = manner.draws.pick(longer_BL**2 * dropped_BL)
    start_B1 = torch.where(found_B1, start_B1, 0)
    return take(batch, place_L + start_B1, batch.length_B - start_B1[:, 0])
