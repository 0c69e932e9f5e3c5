"""Melodies as flat streams, from where a task finds them, and changed as a task needs them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from seqmelody.batching import Batch
from seqmelody.tokens import TokenBatch, Tokenizer


def of_batch(batch: Batch) -> TokenBatch:
    """The rows of a padded batch on the CPU."""
    mask_BL = batch.mask_BL
    return _table(
        batch.pitch_BL[mask_BL].numpy().astype(np.uint8),
        batch.duration_BL[mask_BL].numpy().astype(np.uint16),
        batch.rest_BL[mask_BL].numpy().astype(np.uint16),
        np.concatenate([[0], np.cumsum(batch.length_B.numpy())]).astype(np.int64),
    )


def select(melodies: TokenBatch, rows: NDArray[np.int64]) -> TokenBatch:
    """Some of the melodies, in that order."""
    start = melodies.offsets[rows]
    index, ends = _spans(start, melodies.offsets[rows + 1] - start)
    return _table(melodies.pitch[index], melodies.duration[index], melodies.rest[index], ends)


def transposed(melodies: TokenBatch, semitones: int) -> TokenBatch:
    """All melodies moved; they must have room (see ``room_for``)."""
    return replace(melodies, pitch=(melodies.pitch.astype(np.int16) + semitones).astype(np.uint8))


def room_for(melodies: TokenBatch, semitones: tuple[int, ...]) -> NDArray[np.bool_]:
    """Which melodies stay in the MIDI range when moved by each of these, ``(melodies,)``."""
    starts = melodies.offsets[:-1]
    low = np.minimum.reduceat(melodies.pitch, starts).astype(int)
    high = np.maximum.reduceat(melodies.pitch, starts).astype(int)
    return np.asarray((low + min(semitones) >= 0) & (high + max(semitones) <= 127))


def slower(melodies: TokenBatch) -> TokenBatch:
    """All durations and rests doubled; see ``can_be_slower``."""
    return replace(melodies, duration=melodies.duration * 2, rest=melodies.rest * 2)


def can_be_slower(melodies: TokenBatch, tokenizer: Tokenizer) -> NDArray[np.bool_]:
    """Which melodies stay below the tokenizer's caps when slowed down, ``(melodies,)``."""
    above = (melodies.duration * 2 > tokenizer.max_duration_steps) | (
        melodies.rest * 2 > tokenizer.max_rest_steps
    )
    return ~np.logical_or.reduceat(above, melodies.offsets[:-1])


def faster(melodies: TokenBatch) -> TokenBatch:
    """All durations and rests halved; see ``can_be_faster``."""
    return replace(melodies, duration=melodies.duration // 2, rest=melodies.rest // 2)


def can_be_faster(melodies: TokenBatch) -> NDArray[np.bool_]:
    """Which melodies have whole grid steps only when sped up, ``(melodies,)``."""
    odd = (melodies.duration % 2 == 1) | (melodies.rest % 2 == 1)
    return ~np.logical_or.reduceat(odd, melodies.offsets[:-1])


def beginnings(melodies: TokenBatch, share: float) -> TokenBatch:
    """The first notes of each melody: this share of them, rounded up."""
    length = np.ceil(np.diff(melodies.offsets) * share).astype(np.int64)
    index, ends = _spans(melodies.offsets[:-1], length)
    rest = melodies.rest[index]
    rest[ends[1:] - 1] = 0
    return _table(melodies.pitch[index], melodies.duration[index], rest, ends)


def _spans(
    start: NDArray[np.int64], length: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of the notes of some spans, and where each span begins and ends among them."""
    ends = np.concatenate([[0], np.cumsum(length)]).astype(np.int64)
    return np.arange(ends[-1]) + np.repeat(start - ends[:-1], length), ends


def _table(
    pitch: NDArray[np.uint8],
    duration: NDArray[np.uint16],
    rest: NDArray[np.uint16],
    offsets: NDArray[np.int64],
) -> TokenBatch:
    nothing = np.zeros(offsets.size - 1, dtype=np.int64)
    return TokenBatch(pitch, duration, rest, offsets, nothing, nothing)
