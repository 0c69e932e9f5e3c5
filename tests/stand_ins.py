"""Models and methods that score by a rule, where a test needs to know what wins."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from seqmelody.batching import Batch
from seqmelody.checkpoint import Checkpoint
from seqmelody.evaluation.methods import CheckpointMethod
from seqmelody.model import ModelOutput
from seqmelody.tokens import TokenBatch, Tokenizer


class ScoreBy(torch.nn.Module):
    """A model whose score is what a function says of a batch."""

    def __init__(self, score: Callable[[Batch], Tensor]) -> None:
        super().__init__()
        self.score = score

    def forward(self, batch: Batch) -> ModelOutput:
        nothing = torch.zeros_like(batch.pitch_BL, dtype=torch.float32)
        return ModelOutput(self.score(batch), nothing, nothing, nothing)


def by_model(score: Callable[[Batch], Tensor]) -> CheckpointMethod:
    """The method of a model whose score is what a function says of a batch."""
    return CheckpointMethod(Checkpoint("rule", ScoreBy(score), Tokenizer(), {}))


class By:
    """A method whose score is what a function says of flat streams."""

    def __init__(self, score: Callable[[TokenBatch], np.ndarray], name: str = "rule") -> None:
        self.name = name
        self._score = score

    def scores(self, melodies: TokenBatch) -> np.ndarray:
        return np.asarray(self._score(melodies), dtype=np.float64)


class ByVectors:
    """A method that has vectors and no score."""

    def __init__(self, vectors: Callable[[TokenBatch], np.ndarray], name: str = "vectors") -> None:
        self.name = name
        self._vectors = vectors

    def vectors(self, melodies: TokenBatch) -> np.ndarray:
        return np.asarray(self._vectors(melodies), dtype=np.float32)


def mean_pitch(melodies: TokenBatch) -> np.ndarray:
    """The mean pitch of each melody."""
    total = np.add.reduceat(melodies.pitch.astype(float), melodies.offsets[:-1])
    return total / np.diff(melodies.offsets)


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
