"""From the notes of lines to one voice each on the time grid, with counts of what it cost.

Times are exact: a tick is rounded to the nearest grid step, half up, in integers. Of notes that
begin on the same step the highest stays. Then one of two rules makes the rest monophonic:

- *cut*: every note ends at the latest where the next begins. Right for a line whose notes sound
  on a little, in legato or under a pedal.
- *skyline*: first, a note goes that begins beneath a higher one which still sounds, or so shortly
  before a higher one that the two are a chord; then *cut*. Right for chords and accompaniment,
  wrong for a line played with much pedal. The name and the idea are those of Uitdenbogerd & Zobel
  1998, *Manipulation of music for melody matching*. Where nobody asked for the highest notes as
  they are, a note goes too that lies more than an octave below what comes shortly before and
  after it: the accompaniment, which is heard while the melody rests.

Many lines are worked on at once: they are laid one after the other on one time axis, so far apart
that no rule reaches from one into the next. So each rule is written as if there were one line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqmelody.melody import STEPS_PER_QUARTER, Melodies

CHORD_SPREAD_STEPS = 2
"""Notes that begin this close together (40 ms at 120 quarters a minute) and overlap are a chord."""

OVERLAP_TOLERANCE_STEPS = 3
"""A note may begin this long (a thirty-second) before a higher one ends, and stay in a skyline."""

CHORDAL_SHARE = 0.1
"""Where more than this share of the notes belongs to chords, a track is not one line."""

VALLEY_SEMITONES = 12
"""A note of a chordal track that lies deeper than this below both its sides is no melody."""

VALLEY_STEPS = 4 * STEPS_PER_QUARTER
"""How far the sides of a valley reach, in silence or in other notes."""

MAX_QUARTERS = int(np.iinfo(np.int32).max) // STEPS_PER_QUARTER - 1
"""Up to here, grid steps fit into the columns of a ``Melody``."""

# Between two lines on the time axis, in ticks and in steps: more than any rule looks ahead.
_PAUSE = VALLEY_STEPS + 1

_Ints = NDArray[np.int64]


class Lines(NamedTuple):
    """Notes of several lines, end to end.

    Attributes:
        onset: Ticks, ``(notes,)``; within a line in any order.
        end: Ticks, not before the onset, nor beyond ``MAX_QUARTERS``, ``(notes,)``.
        pitch: 0 to 127, ``(notes,)``.
        velocity: 1 to 127, ``(notes,)``.
        lengths: Notes of each line, ``(lines,)``, at least 1.
        ticks: Numerators of the ticks per quarter note, ``(lines,)``.
        ticks_per: Their denominators, ``(lines,)``.
    """

    onset: _Ints
    end: _Ints
    pitch: _Ints
    velocity: _Ints
    lengths: _Ints
    ticks: _Ints
    ticks_per: _Ints


@dataclass(frozen=True)
class MonophonicLines:
    """Lines of one voice, and what each took; the counts are those of ``MidiMelody``."""

    melodies: Melodies
    skyline: NDArray[np.bool_]
    lead_in_steps: _Ints
    simultaneous_dropped: _Ints
    collided: _Ints
    beneath_dropped: _Ints
    overlaps_cut: _Ints
    gaps_closed: _Ints


class _Axis(NamedTuple):
    """Notes of all lines on one time axis; ``line`` says whose each is, ``(notes,)``."""

    line: _Ints
    onset: _Ints
    end: _Ints
    onset_steps: _Ints
    end_steps: _Ints
    pitch: _Ints
    velocity: _Ints

    def take(self, notes: _Ints) -> _Axis:
        return _Axis(*(column[notes] for column in self))


def make_monophonic(lines: Lines, *, skyline: bool) -> MonophonicLines:
    """One voice on the grid out of each line.

    Args:
        lines: The notes.
        skyline: Take the skyline of all lines, as it is; where false, it is taken of the lines that
            are chordal, without the notes in its valleys.
    """
    lengths, ticks, ticks_per = lines.lengths, lines.ticks, lines.ticks_per
    starts = _starts(lengths)
    last_end = np.maximum.reduceat(lines.end, starts)
    tick_origin = _starts(last_end + _PAUSE)
    step_origin = _starts(_to_grid(last_end, ticks, ticks_per) + _PAUSE)
    at_tick, at_step = np.repeat(tick_origin, lengths), np.repeat(step_origin, lengths)
    if (ticks == ticks[:1]).all() and (ticks_per == ticks_per[:1]).all():
        per_note = ticks[:1], ticks_per[:1]  # divided by one number: several times as fast
    else:
        per_note = np.repeat(ticks, lengths), np.repeat(ticks_per, lengths)
    notes = _Axis(
        line=np.repeat(np.arange(lengths.size), lengths),
        onset=lines.onset + at_tick,
        end=lines.end + at_tick,
        onset_steps=_to_grid(lines.onset, *per_note) + at_step,
        end_steps=_to_grid(lines.end, *per_note) + at_step,
        pitch=lines.pitch,
        velocity=lines.velocity,
    )
    count = _Counter(lengths.size)
    notes, dropped = _untangle(notes, lengths, count, skyline=skyline)
    line, onset_steps, end_steps = notes.line, notes.onset_steps, notes.end_steps
    if line.size < lines.onset.size:
        lengths = count(line)
        starts = _starts(lengths)
    np.maximum(end_steps, onset_steps + 1, out=end_steps)
    gap = notes.onset[1:] - notes.end[:-1]
    # Where a tick is longer than a grid step, a gap of one tick is a rest.
    short = (gap == 1) & (ticks >= STEPS_PER_QUARTER * ticks_per)[line[1:]]
    # Some programs end every note one tick early: the time from onset to onset is the duration
    # that was meant.
    np.copyto(end_steps[:-1], onset_steps[1:], where=short)
    closed = count(line[1:][short])
    # Where most notes end early, so does the last, which none follows.
    early = np.flatnonzero(2 * closed > lengths - 1)
    if early.size:
        last = starts[early] + lengths[early] - 1
        late_end = notes.end[last] - tick_origin[early] + 1
        late_steps = _to_grid(late_end, ticks[early], ticks_per[early]) + step_origin[early]
        end_steps[last] = np.maximum(end_steps[last], late_steps)
    np.minimum(end_steps[:-1], onset_steps[1:], out=end_steps[:-1])
    first = onset_steps[starts]
    melodies = Melodies(
        onset=(onset_steps - first[line]).astype(np.int32),
        duration=(end_steps - onset_steps).astype(np.int32),
        pitch=notes.pitch.astype(np.int16),
        velocity=notes.velocity.astype(np.int16),
        offsets=np.append(starts, line.size),
    )
    return MonophonicLines(
        melodies=melodies,
        skyline=dropped.skyline,
        lead_in_steps=first - step_origin,
        simultaneous_dropped=dropped.simultaneous,
        collided=dropped.collided,
        beneath_dropped=dropped.beneath,
        overlaps_cut=count(line[1:][gap < 0]),
        gaps_closed=closed,
    )


class _Dropped(NamedTuple):
    """Which lines are skylines, and how many notes of each line were dropped for what."""

    skyline: NDArray[np.bool_]
    simultaneous: _Ints
    collided: _Ints
    beneath: _Ints


class _Counter:
    """Counts notes by their line."""

    def __init__(self, lines: int) -> None:
        self.nothing = np.zeros(lines, dtype=np.int64)

    def __call__(self, line: _Ints) -> _Ints:
        return np.bincount(line, minlength=self.nothing.size) if line.size else self.nothing


def _untangle(
    notes: _Axis, lengths: _Ints, count: _Counter, *, skyline: bool
) -> tuple[_Axis, _Dropped]:
    """The notes that stay, by rising onset; where they overlap they are still to be cut."""
    is_skyline = np.full(lengths.size, skyline)
    # A line that is monophonic as it stands has nothing to be sorted or dropped.
    rises = (notes.onset_steps[1:] > notes.onset_steps[:-1]) & (notes.onset[1:] >= notes.end[:-1])
    if rises.all():
        return notes, _Dropped(is_skyline, count.nothing, count.nothing, count.nothing)
    line = notes.line
    tangled = np.zeros(lengths.size, dtype=bool)
    tangled[line[1:][~rises]] = True
    found = np.flatnonzero(tangled[line])
    of = notes.take(found)
    order = np.lexsort((of.velocity, of.end, of.pitch, of.onset_steps))
    found, of = found[order], of.take(order)
    is_skyline |= count(of.line[1:][_together(of)]) / lengths > CHORDAL_SHARE
    highest = np.ones(found.size, dtype=bool)
    highest[:-1] = of.onset_steps[1:] != of.onset_steps[:-1]
    on_kept_tick = of.onset == of.onset[highest][np.cumsum(highest) - highest]
    simultaneous = count(of.line[on_kept_tick & ~highest])
    collided = count(of.line[~on_kept_tick])
    kept = found[highest]
    beneath = count.nothing
    ruled = is_skyline[line[kept]]
    if ruled.any():
        sky = kept[ruled]
        in_chord = _below_in_chord(notes.take(sky))
        simultaneous = simultaneous + count(line[sky[in_chord]])
        sky = sky[~in_chord]
        covered = _beneath(notes.take(sky))
        beneath = count(line[sky[covered]])
        sky = sky[~covered]
        if not skyline:
            low = _in_valley(notes.take(sky))
            beneath = beneath + count(line[sky[low]])
            sky = sky[~low]
        kept = np.concatenate([kept[~ruled], sky])
    kept = np.concatenate([np.flatnonzero(~tangled[line]), kept])
    kept = kept[np.argsort(notes.onset_steps[kept])]
    return notes.take(kept), _Dropped(is_skyline, simultaneous, collided, beneath)


def _starts(lengths: _Ints) -> _Ints:
    """Where each part begins, if the parts lie one behind the other."""
    starts: _Ints = lengths.cumsum()
    starts -= lengths
    return starts


def _to_grid(ticks: _Ints, per_quarter: _Ints, denominator: _Ints) -> _Ints:
    """Ticks to the nearest grid step, half up."""
    steps: _Ints = ticks * (2 * STEPS_PER_QUARTER * denominator)
    steps += per_quarter
    steps //= 2 * per_quarter
    return steps


def _together(notes: _Axis) -> NDArray[np.bool_]:
    """Which notes but the first, all sorted by onset, begin almost with the one before."""
    near = notes.onset_steps[1:] - notes.onset_steps[:-1] <= CHORD_SPREAD_STEPS
    together: NDArray[np.bool_] = near & (notes.end_steps[:-1] > notes.onset_steps[1:])
    return together


def _below_in_chord(notes: _Axis) -> NDArray[np.bool_]:
    """Which notes (onsets strictly rising) are followed within a chord's spread by a higher one."""
    onset, end, pitch = notes.onset_steps, notes.end_steps, notes.pitch
    below = np.zeros(onset.size, dtype=bool)
    for ahead in range(1, CHORD_SPREAD_STEPS + 1):
        near = onset[ahead:] - onset[:-ahead] <= CHORD_SPREAD_STEPS
        overlap = end[:-ahead] > onset[ahead:]
        below[:-ahead] |= near & overlap & (pitch[ahead:] > pitch[:-ahead])
    return below


def _beneath(notes: _Axis) -> NDArray[np.bool_]:
    """Which notes (onsets strictly rising) begin while a higher note that stays still sounds.

    Whether a note stays hangs only on higher notes. So pitches are taken from the highest down,
    and one running maximum over the ends of those that stay decides all notes of a pitch at once.
    """
    onset, end, pitch = notes.onset_steps, notes.end_steps, notes.pitch
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


def _in_valley(notes: _Axis) -> NDArray[np.bool_]:
    """Which notes (onsets strictly rising) lie far below notes shortly before and shortly after.

    Shortly means that less than ``VALLEY_STEPS`` lie between the end of one, at the latest where
    the next note begins, and the onset of the other.
    """
    onset, pitch = notes.onset_steps, notes.pitch
    end = notes.end_steps.copy()
    np.minimum(end[:-1], onset[1:], out=end[:-1])
    before, after = np.full(onset.size, -1), np.full(onset.size, -1)
    for ahead in range(1, onset.size):
        near = onset[ahead:] - end[:-ahead] < VALLEY_STEPS
        if not near.any():  # nor are notes that lie further apart
            break
        np.maximum(before[ahead:], pitch[:-ahead], out=before[ahead:], where=near)
        np.maximum(after[:-ahead], pitch[ahead:], out=after[:-ahead], where=near)
    low: NDArray[np.bool_] = np.minimum(before, after) - pitch > VALLEY_SEMITONES
    return low
