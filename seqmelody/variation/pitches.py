"""Variation of pitches and ornaments.

Shapes: B melodies, L notes, W notes after.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from seqmelody.batching import Batch
from seqmelody.variation.draws import Manner
from seqmelody.variation.editing import Scale, after, before, expand, merge, off_beat, phrase_starts

LARGEST_TRANSPOSITION = 6
"""Semitones: with both directions, every key is reached."""

_MOVED_SHARE = 0.35
_MOVED_PASSAGE_SHARE = 0.25
_ORNAMENTED_SHARE = 0.25
_DROPPED_SHARE = 0.8
_LARGEST_FINAL_MOVE = 4
_SHORTEST_ORNAMENTED = 12
_LONGEST_ORNAMENT = 12
_SMALLEST_LEAP = 3


def transpose(batch: Batch, manner: Manner) -> Batch:
    """All notes one to six semitones higher or lower, the other way where the MIDI range ends."""
    by_B1 = 1 + manner.draws.below(LARGEST_TRANSPOSITION)
    by_B1 = torch.where(manner.draws.below(2) == 0, by_B1, -by_B1)
    # A melody that has room neither way stays.
    for turned_B1 in (-by_B1, torch.zeros_like(by_B1)):
        moved_BL = batch.pitch_BL + by_B1
        outside_BL = batch.mask_BL & ((moved_BL < 0) | (moved_BL > 127))
        by_B1 = torch.where(outside_BL.any(1, keepdim=True), turned_B1, by_B1)
    return replace(batch, pitch_BL=(batch.pitch_BL + by_B1) * batch.mask_BL)


def move_pitches(batch: Batch, manner: Manner) -> Batch:
    """Some notes a step of the melody's scale higher or lower, now and then two; not the last."""
    scale, width = Scale(batch), batch.pitch_BL.shape[1]
    up_BL = manner.draws.below(2, width) == 0
    step_BL = scale.step(batch.pitch_BL, up_BL)
    step_BL = torch.where(manner.draws.below(5, width) == 0, scale.step(step_BL, up_BL), step_BL)
    moved_BL = manner.places(width, _MOVED_SHARE) & after(batch.mask_BL)
    return replace(batch, pitch_BL=torch.where(moved_BL, step_BL, batch.pitch_BL))


def move_passage(batch: Batch, manner: Manner) -> Batch:
    """Some notes in a row, a quarter of the melody at most, one or two steps of its scale moved.

    Mostly the beginning of a phrase.
    """
    draws, scale, length_B1 = manner.draws, Scale(batch), batch.length_B[:, None]
    start_B1, _ = draws.pick(phrase_starts(batch)[:, :-1] * batch.mask_BL)
    count_B1 = 1 + draws.below((_MOVED_PASSAGE_SHARE * manner.strength * length_B1).long())
    up_B1, twice_B1 = draws.below(2) == 0, draws.below(2) == 0
    up_BL = up_B1.expand_as(batch.pitch_BL)
    step_BL = scale.step(batch.pitch_BL, up_BL)
    step_BL = torch.where(twice_B1, scale.step(step_BL, up_BL), step_BL)
    place_L = torch.arange(step_BL.shape[1])
    moved_BL = (place_L >= start_B1) & (place_L < start_B1 + count_B1) & batch.mask_BL
    return replace(batch, pitch_BL=torch.where(moved_BL, step_BL, batch.pitch_BL))


def change_final(batch: Batch, manner: Manner) -> Batch:
    """The last note one to four steps of the melody's scale higher or lower."""
    scale, last_B1 = Scale(batch), batch.length_B[:, None] - 1
    up_B1 = manner.draws.below(2) == 0
    steps_B1 = 1 + manner.draws.below(max(1, round(_LARGEST_FINAL_MOVE * manner.strength)))
    pitch_B1 = batch.pitch_BL.gather(1, last_B1)
    for step in range(_LARGEST_FINAL_MOVE):
        pitch_B1 = torch.where(step < steps_B1, scale.step(pitch_B1, up_B1), pitch_B1)
    return replace(batch, pitch_BL=batch.pitch_BL.scatter(1, last_B1, pitch_B1))


def add_ornaments(batch: Batch, manner: Manner) -> Batch:
    """Notes of an eighth or more that give time to others.

    One of three things: the note, its neighbour and the note again; a neighbour before it; or,
    where a third or more follows, a passing note after it. Neighbours are steps of the melody's
    scale.
    """
    draws, duration_BL = manner.draws, batch.duration_BL
    width = duration_BL.shape[1]
    leap_BL = (after(batch.pitch_BL) - batch.pitch_BL) * after(batch.mask_BL)
    passes_BL = (leap_BL.abs() >= _SMALLEST_LEAP) & (batch.rest_BL == 0)
    # 0 turn, 1 neighbour before, 2 passing note after: this where it can be, mostly.
    kind_BL = torch.where(passes_BL & (draws.uniform(width) < 0.7), 2, draws.below(2, width))
    ornamented_BL = (duration_BL >= _SHORTEST_ORNAMENTED) & manner.places(width, _ORNAMENTED_SHARE)
    up_BL = torch.where(kind_BL == 2, leap_BL > 0, draws.below(2, width) == 0)
    ornament_BL = Scale(batch).step(batch.pitch_BL, up_BL)
    # What the ornament takes: a quarter of the note, or half.
    short_BL = duration_BL // torch.where(draws.below(2, width) == 0, 4, 2)
    short_BL = torch.where(kind_BL == 0, duration_BL // 4, short_BL)
    early_BL = draws.below(2, width) == 0

    count_BL = batch.mask_BL.long() + ornamented_BL * torch.where(kind_BL == 0, 2, 1)
    notes, source_BW, part_BW = expand(batch, count_BL)
    kind_BW, short_BW = kind_BL.gather(1, source_BW), short_BL.gather(1, source_BW)
    here_BW = ornamented_BL.gather(1, source_BW) & notes.mask_BL
    # In a turn the two short notes come early, with the long one last, or late.
    long_part_BW = torch.where(early_BL.gather(1, source_BW), 2, 0)
    long_part_BW = torch.where(kind_BW == 0, long_part_BW, torch.where(kind_BW == 1, 1, 0))
    is_ornament_BW = here_BW & (part_BW == torch.where(kind_BW == 1, 0, 1))
    shorts_BW = short_BW * torch.where(kind_BW == 0, 2, 1)
    divided_BW = torch.where(part_BW == long_part_BW, notes.duration_BL - shorts_BW, short_BW)
    return replace(
        notes,
        pitch_BL=torch.where(is_ornament_BW, ornament_BL.gather(1, source_BW), notes.pitch_BL),
        duration_BL=torch.where(here_BW, divided_BW, notes.duration_BL),
    )


def drop_ornaments(batch: Batch, manner: Manner) -> Batch:
    """Short notes on weak places left out; the note before takes their time.

    Short is an eighth at most, and no longer than the note before; weak is off the quarters.
    """
    before_BL = before(batch.duration_BL)
    short_BL = (batch.duration_BL <= _LONGEST_ORNAMENT) & (batch.duration_BL <= before_BL)
    weak_BL = off_beat(batch, 24) != 0
    inside_BL = before(batch.mask_BL) & after(batch.mask_BL)
    dropped_BL: Tensor = short_BL & weak_BL & inside_BL & (before(batch.rest_BL) == 0)
    dropped_BL &= manner.places(short_BL.shape[1], _DROPPED_SHARE)
    return merge(batch, dropped_BL, manner.tokenizer.max_duration_steps)
