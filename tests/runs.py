"""Training runs small enough for tests."""

from __future__ import annotations

from pathlib import Path

import safetensors.torch
import torch

from seqmelody.config import ContrastConfig, ModelConfig, OptimizerConfig, TrainConfig
from seqmelody.corpus import Corpus

STEPS = 12
EVERY = 5


def small_run(corpus: Corpus, out: Path, **changes) -> TrainConfig:
    """Twelve steps of a tiny model, validated and resumable every five."""
    settings = {
        "corpus": str(corpus.folder),
        "out": str(out),
        "steps": STEPS,
        "tokens_per_batch": 400,
        "validate_every": EVERY,
        "validation_melodies": 12,
        "log_every": 2,
        "model": ModelConfig(channels=8, dilations=(1, 2), hidden_size=8, embedding_size=8),
        "contrast": ContrastConfig(copies=2),
        "optimizer": OptimizerConfig(learning_rate=5e-3, warmup_steps=4),
        "accelerator": "cpu",
        "threads": 1,
    }
    return TrainConfig(**{**settings, **changes})


def weights_of(checkpoint: Path) -> dict[str, torch.Tensor]:
    """The weights in a released checkpoint."""
    return safetensors.torch.load_file(checkpoint / "model.safetensors")


def same_weights(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Whether they are the same to the last bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
