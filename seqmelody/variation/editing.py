"""What the kinds of variation share: notes taken out and put in, metre, phrases, scales.

Shapes: B melodies, L notes before, W notes after, N = L + 1 places between notes and at the ends.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from seqmelody.batching import Batch

_USED_SHARE = 1 / 32
"""Of a melody's notes: a pitch class below that is a passing one, and no step of its scale."""

_WIDEST_STEP = 4
_WHOLE_TONE = 2


def take(batch: Batch, source_BW: Tensor, length_B: Tensor) -> Batch:
    """Some notes, each with the rest after it.

    Args:
        batch: The melodies.
        source_BW: Which note comes at each place; anything beyond the length.
        length_B: How many notes.
    """
    width = int(length_B.max())
    mask_BW = torch.arange(width) < length_B[:, None]
    source_BW = source_BW[:, :width].clamp(0, batch.pitch_BL.shape[1] - 1)
    return Batch(
        batch.pitch_BL.gather(1, source_BW) * mask_BW,
        batch.duration_BL.gather(1, source_BW) * mask_BW,
        without_last_rest(batch.rest_BL.gather(1, source_BW) * mask_BW, length_B),
        length_B,
    )


def without_last_rest(rest_BL: Tensor, length_B: Tensor) -> Tensor:
    """Rests, 0 after the last note."""
    return rest_BL.scatter(1, length_B[:, None] - 1, 0)


def expand(batch: Batch, count_BL: Tensor) -> tuple[Batch, Tensor, Tensor]:
    """Each note some times, or not at all.

    Args:
        batch: The melodies.
        count_BL: How often each note comes; 0 on padding. Of no melody are all notes taken out.

    Returns:
        The notes, each as it was, with a rest only after the last of its kind; which note each was,
        ``(B, W)``; and the how manieth of it, from 0, ``(B, W)``.
    """
    end_BL = count_BL.cumsum(1)
    length_B = end_BL[:, -1]
    position_BW = torch.arange(int(length_B.max())).expand(len(batch), -1).contiguous()
    source_BW = torch.searchsorted(end_BL, position_BW, right=True)
    source_BW = source_BW.clamp(max=count_BL.shape[1] - 1)
    before_BW = end_BL.gather(1, source_BW) - position_BW - 1
    notes = take(batch, source_BW, length_B)
    part_BW = (count_BL.gather(1, source_BW) - before_BW - 1) * notes.mask_BL
    return replace(notes, rest_BL=notes.rest_BL * (before_BW == 0)), source_BW, part_BW


def merge(batch: Batch, merged_BL: Tensor, longest: int) -> Batch:
    """Some notes made one with the note before, which gains their time.

    Args:
        batch: The melodies.
        merged_BL: Which notes; without a rest before, and not the first.
        longest: What would be longer stays apart.
    """
    for _ in range(2):
        target_BL = ((~merged_BL & batch.mask_BL).cumsum(1) - 1).clamp(min=0)
        duration_BL = torch.zeros_like(batch.duration_BL)
        duration_BL = duration_BL.scatter_add(1, target_BL, batch.duration_BL)
        # The second time, nothing is too long any more.
        merged_BL = merged_BL & (duration_BL <= longest).gather(1, target_BL)
    rest_BL = torch.zeros_like(batch.rest_BL).scatter_add(1, target_BL, batch.rest_BL)
    notes, _, _ = expand(batch, (~merged_BL & batch.mask_BL).long())
    width = notes.pitch_BL.shape[1]
    return replace(notes, duration_BL=duration_BL[:, :width], rest_BL=rest_BL[:, :width])


def before(values_BL: Tensor) -> Tensor:
    """What stands one place to the left; 0 or ``False`` at the first."""
    return torch.nn.functional.pad(values_BL[:, :-1], (1, 0))


def after(values_BL: Tensor) -> Tensor:
    """What stands one place to the right; 0 or ``False`` at the last."""
    return torch.nn.functional.pad(values_BL[:, 1:], (0, 1))


def onsets(batch: Batch) -> Tensor:
    """Grid steps from the first note, ``(B, L)``."""
    return before((batch.duration_BL + batch.rest_BL).cumsum(1)) * batch.mask_BL


def off_beat(batch: Batch, period_BL: Tensor | int) -> Tensor:
    """Grid steps from each onset back to the last place of a metre, ``(B, L)``.

    The metre is counted from the longest note, the last of these: it stands on a strong place, upbeat
    or not, mostly, so that no time signature is needed.

    Args:
        batch: The melodies.
        period_BL: Grid steps from one such place to the next.
    """
    onset_BL = onsets(batch)
    place_L = torch.arange(onset_BL.shape[1])
    longest_B1 = (batch.duration_BL * onset_BL.shape[1] + place_L).argmax(1, keepdim=True)
    return (onset_BL - onset_BL.gather(1, longest_B1)) % period_BL


def gap_ratio(batch: Batch) -> Tensor:
    """Time from each onset to the next, by its mean, ``(B, L)`` float64; 0 on padding.

    What is long, or followed by a rest, is likely to end a phrase (as in the local boundary
    detection model of Cambouropoulos, 2001).
    """
    gap_BL = (batch.duration_BL + batch.rest_BL).double()
    return gap_BL * batch.length_B[:, None] / gap_BL.sum(1, keepdim=True)


def phrase_starts(batch: Batch) -> Tensor:
    """How likely a phrase starts at each place, or the melody is over, ``(B, N)``; 0 on padding."""
    position_N = torch.arange(batch.pitch_BL.shape[1] + 1)
    length_B1 = batch.length_B[:, None]
    weight_BN = torch.nn.functional.pad(gap_ratio(batch) ** 3, (1, 0))
    at_end_BN = (position_N == 0) | (position_N == length_B1)
    return weight_BN.masked_fill(at_end_BN, 8.0).masked_fill(position_N > length_B1, 0.0)


class Scale:
    """The pitch classes that a melody dwells on, and the steps between them.

    Args:
        batch: The melodies.
    """

    def __init__(self, batch: Batch) -> None:
        count_BC = torch.zeros(len(batch), 12, dtype=torch.int64)
        count_BC = count_BC.scatter_add(1, batch.pitch_BL % 12, batch.mask_BL.long())
        self.used_BC = count_BC >= _USED_SHARE * batch.length_B[:, None]
        # Where no step is near, as in a melody of one pitch, a whole tone has to do.
        up_BC = torch.full_like(count_BC, _WHOLE_TONE)
        down_BC = torch.full_like(count_BC, _WHOLE_TONE)
        for step in range(_WIDEST_STEP, 0, -1):
            up_BC = torch.where(self.used_BC.roll(-step, 1), step, up_BC)
            down_BC = torch.where(self.used_BC.roll(step, 1), step, down_BC)
        self._up_BC, self._down_BC = up_BC, down_BC

    def step(self, pitch_BW: Tensor, up_BW: Tensor) -> Tensor:
        """The next pitch of the scale, up or down; down or up, where the MIDI range ends.

        Args:
            pitch_BW: MIDI keys.
            up_BW: Which of them go up.
        """
        class_BW = pitch_BW % 12
        upper_BW = pitch_BW + self._up_BC.gather(1, class_BW)
        lower_BW = pitch_BW - self._down_BC.gather(1, class_BW)
        up_BW = (up_BW & (upper_BW <= 127)) | (lower_BW < 0)
        return torch.where(up_BW, upper_BW, lower_BW)

    def holds(self, pitch_BW: Tensor) -> Tensor:
        """Which pitches belong to the scale, ``(B, W)`` bool."""
        return self.used_BC.gather(1, pitch_BW % 12)
