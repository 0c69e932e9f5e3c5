"""From the notes of one or more tracks to one line on the time grid, with counts of what it cost.

Times are exact: a tick is rounded to the nearest grid step, half up, in integers. Of notes that
begin on the same step the highest stays. Then one of two rules makes the rest monophonic:

- *cut*: every note ends at the latest where the next begins. Right for a line whose notes sound
  on a little, in legato or under a pedal.
- *skyline*: first, a note goes that begins beneath a higher one which still sounds, or so shortly
  before a higher one that the two are a chord; then *cut*. Right for chords and accompaniment,
  wrong for a line played with much pedal. The name and the idea are those of Uitdenbogerd & Zobel
  1998, *Manipulation of music for melody matching*.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqmelody.melody import STEPS_PER_QUARTER, Melody

CHORD_SPREAD_STEPS = 2
"""Notes that begin this close together (40 ms at 120 quarters a minute) and overlap are a chord."""

OVERLAP_TOLERANCE_STEPS = 3
"""A note may begin this long (a thirty-second) before a higher one ends, and stay in a skyline."""

CHORDAL_SHARE = 0.1
"""Where more than this share of the notes belongs to chords, a track is not one line."""

MAX_QUARTERS = int(np.iinfo(np.int32).max) // STEPS_PER_QUARTER - 1
"""Up to here, grid steps fit into the columns of a ``Melody``."""

_Ticks = NDArray[np.int64]


@dataclass(frozen=True)
class MonophonicLine:
    """A line and what it took; the counts are those of ``MidiMelody``."""

    melody: Melody
    skyline: bool
    lead_in_steps: int
    simultaneous_dropped: int
    collided: int
    beneath_dropped: int
    overlaps_cut: int
    gaps_closed: int


def make_monophonic(
    onset: _Ticks,
    end: _Ticks,
    pitch: _Ticks,
    velocity: _Ticks,
    *,
    ticks_per_quarter: tuple[int, int],
    skyline: bool,
) -> MonophonicLine:
    """One line on the grid out of any notes.

    Args:
        onset: Ticks, ``(notes,)``, at least one note; any order.
        end: Ticks, ``(notes,)``, not before the onset, nor beyond ``MAX_QUARTERS``.
        pitch: 0 to 127, ``(notes,)``.
        velocity: 1 to 127, ``(notes,)``.
        ticks_per_quarter: As a fraction ``(numerator, denominator)``.
        skyline: Take the skyline; where false, it is taken if the notes are chordal.
    """
    onset_steps = _to_grid(onset, ticks_per_quarter)
    end_steps = _to_grid(end, ticks_per_quarter)
    simultaneous = collided = beneath = 0
    # A line that is monophonic as it stands has nothing to be sorted or dropped.
    if not ((onset_steps[1:] > onset_steps[:-1]) & (onset[1:] >= end[:-1])).all():
        order = np.lexsort((velocity, end, pitch, onset_steps))
        onset, end, pitch, velocity = onset[order], end[order], pitch[order], velocity[order]
        onset_steps, end_steps = onset_steps[order], end_steps[order]
        skyline = skyline or _chordal_share(onset_steps, end_steps) > CHORDAL_SHARE
        keep = np.ones(onset.size, dtype=bool)
        keep[:-1] = onset_steps[1:] != onset_steps[:-1]
        on_kept_tick = int((onset == onset[keep][np.cumsum(keep) - keep]).sum())
        simultaneous = on_kept_tick - int(keep.sum())
        collided = onset.size - on_kept_tick
        if skyline:
            kept = np.flatnonzero(keep)
            covers = _below_in_chord(onset_steps[kept], end_steps[kept], pitch[kept])
            simultaneous += int(covers.sum())
            kept = kept[~covers]
            covered = _beneath(onset_steps[kept], end_steps[kept], pitch[kept])
            beneath = int(covered.sum())
            keep = kept[~covered]
        onset, end, pitch, velocity = onset[keep], end[keep], pitch[keep], velocity[keep]
        onset_steps, end_steps = onset_steps[keep], end_steps[keep]

    np.maximum(end_steps, onset_steps + 1, out=end_steps)
    gap = onset[1:] - end[:-1]
    closed = _close_gaps(gap, end[-1:], onset_steps, end_steps, ticks_per_quarter)
    np.minimum(end_steps[:-1], onset_steps[1:], out=end_steps[:-1])
    lead_in = int(onset_steps[0])
    return MonophonicLine(
        melody=Melody(onset_steps - lead_in, end_steps - onset_steps, pitch, velocity),
        skyline=skyline,
        lead_in_steps=lead_in,
        simultaneous_dropped=simultaneous,
        collided=collided,
        beneath_dropped=beneath,
        overlaps_cut=int(np.count_nonzero(gap < 0)),
        gaps_closed=closed,
    )


def _to_grid(ticks: _Ticks, ticks_per_quarter: tuple[int, int]) -> _Ticks:
    """Ticks to the nearest grid step, half up."""
    numerator, denominator = ticks_per_quarter
    steps: _Ticks = ticks * (2 * STEPS_PER_QUARTER * denominator)
    steps += numerator
    steps //= 2 * numerator
    return steps


def _close_gaps(
    gap: _Ticks,
    last_end: _Ticks,
    onset_steps: _Ticks,
    end_steps: _Ticks,
    ticks_per_quarter: tuple[int, int],
) -> int:
    """Joins notes across gaps of one tick, in place, and counts them.

    Some programs end every note one tick early: the time from onset to onset is the duration that
    was meant. Where a tick is longer than a grid step, a gap of one tick is a rest.
    """
    numerator, denominator = ticks_per_quarter
    if numerator < STEPS_PER_QUARTER * denominator:
        return 0
    short = gap == 1
    closed = int(np.count_nonzero(short))
    if closed:
        np.copyto(end_steps[:-1], onset_steps[1:], where=short)
        if 2 * closed > gap.size:  # most notes end early: so does the last, which none follows
            end_steps[-1:] = np.maximum(end_steps[-1:], _to_grid(last_end + 1, ticks_per_quarter))
    return closed


def _chordal_share(onset: _Ticks, end: _Ticks) -> float:
    """Share of the notes, sorted by onset, that begin almost with the one before."""
    together = (onset[1:] - onset[:-1] <= CHORD_SPREAD_STEPS) & (end[:-1] > onset[1:])
    return float(np.count_nonzero(together)) / onset.size


def _below_in_chord(onset: _Ticks, end: _Ticks, pitch: _Ticks) -> NDArray[np.bool_]:
    """Which notes (onsets strictly rising) are followed within a chord's spread by a higher one."""
    below = np.zeros(onset.size, dtype=bool)
    for ahead in range(1, CHORD_SPREAD_STEPS + 1):
        near = onset[ahead:] - onset[:-ahead] <= CHORD_SPREAD_STEPS
        overlap = end[:-ahead] > onset[ahead:]
        below[:-ahead] |= near & overlap & (pitch[ahead:] > pitch[:-ahead])
    return below


def _beneath(onset: _Ticks, end: _Ticks, pitch: _Ticks) -> NDArray[np.bool_]:
    """Which notes (onsets strictly rising) begin while a higher note that stays still sounds.

    Whether a note stays hangs only on higher notes. So pitches are taken from the highest down,
    and one running maximum over the ends of those that stay decides all notes of a pitch at once.
    """
    dropped = np.zeros(onset.size, dtype=bool)
    # Until when a higher note that began before this one and stays sounds.
    sounds_until = np.zeros(onset.size, dtype=np.int64)
    for height in np.unique(pitch)[::-1]:
        at_height = np.flatnonzero(pitch == height)
        covered = sounds_until[at_height] > onset[at_height] + OVERLAP_TOLERANCE_STEPS
        dropped[at_height] = covered
        ends = np.zeros(onset.size, dtype=np.int64)
        stays = at_height[~covered]
        ends[stays] = end[stays]
        np.maximum.accumulate(ends, out=ends)
        np.maximum(sounds_until[1:], ends[:-1], out=sounds_until[1:])
    return dropped
