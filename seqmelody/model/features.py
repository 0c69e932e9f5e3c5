"""Token streams to one vector per note.

The streams are absolute; what a listener hears is relative. So each note is described by its
interval from the note before, its height above the centre and above the last note of its melody,
its duration, the rest after it, its place in the metre, and what it repeats. No feature holds the
key: a transposed melody gets the very same features, and hence the same score.

Shapes: B melodies, L notes, F features of a note, D channels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqmelody.batching import Batch
from seqmelody.melody import STEPS_PER_QUARTER
from seqmelody.model.repetition import RUNS, repetition

LARGEST_INTERVAL = 24
LARGEST_HEIGHT = 36
# The least common multiple of the bars of 4/4 and 2/4, and that of 3/4 and 6/8, in steps.
METRES = (4 * STEPS_PER_QUARTER, 3 * STEPS_PER_QUARTER)
# Bins per doubling of a duration: enough to tell a dotted note from its neighbours.
BINS_PER_OCTAVE = 4
# A run that was heard longer ago, in quarters, counts as heard so long ago.
LONGEST_AGO = 126


class NoteFeatures(nn.Module):
    """Sums a learned vector for each feature of a note.

    The features are: interval from the note before (semitones, cut at two octaves, a value of its
    own for the first note); height above the rounded mean pitch, and above the last note, which in
    folk song is mostly the tonic (both cut at three octaves); duration and rest after, exact;
    duration in bins of a quarter octave, which lets a duration that training never saw borrow from
    its neighbours; onset within a bar of four and of three quarters, counted from the first note
    and back from the last one; how long a run of intervals ends here that was heard before, and how
    long a run begins here that comes again, and both for runs of intervals and times between onsets;
    how many quarters ago a run of four of the latter was last heard. Counting from both ends spares
    the model from being told the metre or the upbeat: the last note of a tune mostly falls on a
    strong beat.

    Args:
        max_duration_steps: Cap of the duration stream.
        max_rest_steps: Cap of the rest stream.
        channels: D.
        dropout: Share of the features left out in training, each note's drawn on its own. It keeps
            the network from knowing a melody of the training corpus by a few of its notes.
    """

    def __init__(
        self, max_duration_steps: int, max_rest_steps: int, channels: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.dropout = dropout
        bins = round(BINS_PER_OCTAVE * torch.tensor(max_duration_steps).log2().item()) + 1
        sizes = [
            2 * LARGEST_INTERVAL + 2,
            2 * LARGEST_HEIGHT + 1,
            2 * LARGEST_HEIGHT + 1,
            max_duration_steps + 1,
            max_rest_steps + 1,
            bins,
            *METRES,
            *METRES,
            *([len(RUNS) + 1] * 4),
            LONGEST_AGO + 2,
        ]
        starts = torch.tensor([0, *sizes]).cumsum(0)
        self.register_buffer("offset_F", starts[:-1], persistent=False)
        # One table for all features: one fused look-up.
        self.table = nn.EmbeddingBag(int(starts[-1]), channels, mode="sum")
        nn.init.normal_(self.table.weight, std=len(sizes) ** -0.5)
        with torch.no_grad():
            # Exact durations and rests that training never meets must add nothing.
            self.table.weight[starts[3] : starts[5]] = 0.0

    def forward(self, batch: Batch) -> Tensor:
        """The vectors of the notes, ``(L, B, D)``; what stands on padding means nothing."""
        index_LBF = (describe(batch) + self.get_buffer("offset_F")).transpose(0, 1)
        L, B, F = index_LBF.shape
        kept_NF = None
        if self.training and self.dropout > 0:
            shape = self.table.weight.new_ones((L * B, F))
            kept_NF = nn.functional.dropout(shape, self.dropout)
        vector_ND: Tensor = self.table(index_LBF.reshape(L * B, F), per_sample_weights=kept_NF)
        return vector_ND.view(L, B, -1)


def describe(batch: Batch) -> Tensor:
    """The features of each note as whole numbers from 0, ``(B, L, F)``."""
    mask_BL = batch.mask_BL
    pitch_BL = batch.pitch_BL
    interval_BL = torch.diff(pitch_BL, dim=1).clamp(-LARGEST_INTERVAL, LARGEST_INTERVAL)
    interval_BL = nn.functional.pad(interval_BL + LARGEST_INTERVAL + 1, (1, 0))

    sum_B1 = (pitch_BL * mask_BL).sum(1, keepdim=True)
    length_B1 = batch.length_B[:, None]
    # Rounded half up in whole numbers: exact, so that transposition moves it exactly along.
    centre_B1 = (2 * sum_B1 + length_B1) // (2 * length_B1)
    final_B1 = pitch_BL.gather(1, length_B1 - 1)
    heights = [
        (pitch_BL - base_B1).clamp(-LARGEST_HEIGHT, LARGEST_HEIGHT) + LARGEST_HEIGHT
        for base_B1 in (centre_B1, final_B1)
    ]

    step_BL = (batch.duration_BL + batch.rest_BL) * mask_BL
    onset_BL = step_BL.cumsum(1) - step_BL
    last_B1 = onset_BL.gather(1, length_B1 - 1)
    bin_BL = (BINS_PER_OCTAVE * batch.duration_BL.clamp(min=1).log2()).round().long()
    features = [interval_BL, *heights, batch.duration_BL, batch.rest_BL, bin_BL]
    features += [onset_BL % metre for metre in METRES]
    features += [(last_B1 - onset_BL) % metre for metre in METRES]
    # The first note has no interval, so runs begin with the second.
    known_BL = mask_BL.clone()
    known_BL[:, 0] = False
    melodic = repetition(interval_BL, known_BL)
    full = repetition(interval_BL * (int(step_BL.max()) + 1) + step_BL, known_BL)
    features += [melodic.ending_BL, melodic.beginning_BL, full.ending_BL, full.beginning_BL]
    earlier_BL = onset_BL.gather(1, full.earlier_BL.clamp(min=0))
    ago_BL = (onset_BL // STEPS_PER_QUARTER - earlier_BL // STEPS_PER_QUARTER).clamp(
        max=LONGEST_AGO
    )
    features.append((1 + ago_BL) * (full.earlier_BL >= 0))
    # Padding reads as feature 0: it is masked later, and must only stay inside the table.
    return torch.stack(features, dim=2) * mask_BL[:, :, None]
