"""Models that score by a rule, where a test needs to know what wins."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

from seqmelody.batching import Batch
from seqmelody.model import ModelOutput


class ScoreBy(torch.nn.Module):
    """A model whose score is what a function says of a batch."""

    def __init__(self, score: Callable[[Batch], Tensor]) -> None:
        super().__init__()
        self.score = score

    def forward(self, batch: Batch) -> ModelOutput:
        nothing = torch.zeros_like(batch.pitch_BL, dtype=torch.float32)
        return ModelOutput(self.score(batch), nothing, nothing, nothing)


def knows(batch: Batch) -> ScoreBy:
    """A model that scores the melodies of this batch 1, and all others 0."""
    known = set(melodies_of(batch))
    return ScoreBy(
        lambda other: torch.tensor([float(melody in known) for melody in melodies_of(other)])
    )


def melodies_of(batch: Batch) -> list[tuple[tuple[int, ...], ...]]:
    """The pitches, durations and rests of each melody, without padding."""
    streams = [stream.tolist() for stream in dataclasses.astuple(batch)[:3]]
    lengths = batch.length_B.tolist()
    return [
        tuple(tuple(stream[row][:notes]) for stream in streams) for row, notes in enumerate(lengths)
    ]
