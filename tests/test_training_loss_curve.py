"""Whole runs are compared by their losses, step by step: with stored ones, and with each other."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import lightning as L
import numpy as np
import pytest
import yaml
from corpora import run_seqmelody
from runs import small_run
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from seqmelody.config import (
    TRAINED_KINDS,
    ContrastConfig,
    ModelConfig,
    OptimizerConfig,
    TrainConfig,
)
from seqmelody.corpus import Corpus
from seqmelody.training.run import train

GOLDEN = Path(__file__).parent / "golden" / "loss_curve.json"


@pytest.fixture(autouse=True)
def _without_pictures(monkeypatch):
    monkeypatch.setattr("seqmelody.training.run.PianoRolls", lambda corpus: L.Callback())


def quiet(config: TrainConfig) -> TrainConfig:
    """Without dropout, whose random numbers hinge on the processor and the number of processes."""
    model = dataclasses.replace(config.model, dropout=0.0, feature_dropout=0.0)
    return dataclasses.replace(config, model=model)


def curve(out: str | Path, tag: str = "train/loss") -> list[float]:
    log = EventAccumulator(f"{out}/logs", size_guidance={"scalars": 0})
    log.Reload()
    return [event.value for event in log.Scalars(tag)]


def golden_run(corpus: Corpus, out: Path) -> TrainConfig:
    """Thirty steps in which every part of the arithmetic shows, weight decay and clipping too.

    About half of the gradients are clipped: if all were, Adam would not tell by how much.
    """
    config = small_run(
        corpus,
        out,
        steps=30,
        validate_every=30,
        tokens_per_batch=150,
        log_every=1,
        contrast=ContrastConfig(
            copies=2, kinds={kind: 1.0 for kind in TRAINED_KINDS if kind != "level_pitches"}
        ),
        model=ModelConfig(channels=16, dilations=(1, 2), hidden_size=16, embedding_size=16),
        optimizer=OptimizerConfig(
            learning_rate=2e-3, weight_decay=2.0, warmup_steps=4, largest_gradient_norm=0.8
        ),
    )
    return quiet(config)


def test_the_losses_are_those_that_they_were(tune_corpus, tmp_path):
    """Rounding differs between processors by a millionth; a changed formula changes more.

    A change that is meant to change what is learnt or drawn needs a new file, which holds what
    ``curve`` gives of ``golden_run``.
    """
    config = golden_run(tune_corpus, tmp_path / "run")
    train(config, progress=False)
    stored = json.loads(GOLDEN.read_text())
    for tag, expected in stored.items():
        assert curve(config.out, tag) == pytest.approx(expected, rel=1e-4), tag


def from_command_line(config: TrainConfig, devices: int) -> str:
    """Trains in processes of its own."""
    out = f"{config.out}-{devices}"
    path = Path(f"{out}.yaml")
    path.write_text(yaml.safe_dump(dataclasses.replace(config, out=out, devices=devices).to_dict()))
    done = run_seqmelody("train", "--config", path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"checkpoint: {out}/checkpoint\n"
    # One process tells how it goes, of several.
    assert done.stderr.count("step 10 of 30") == 1
    assert not [line for line in done.stderr.splitlines() if not line.startswith("step ")]
    return out


@pytest.mark.slow
def test_two_processes_learn_what_one_does(essen_corpus, tmp_path):
    config = small_run(essen_corpus, tmp_path / "run", steps=30, validate_every=10, log_every=1)
    one, two = (from_command_line(quiet(config), devices) for devices in (1, 2))
    for tag in ("train/loss", "train/gradient_norm", "train/accuracy", "validation/accuracy"):
        assert curve(two, tag) == pytest.approx(curve(one, tag), rel=1e-4), tag


@pytest.mark.slow
def test_two_processes_learn_as_well_as_one_with_dropout(essen_corpus, tmp_path):
    """Each process draws its own dropout: single steps differ, what is learnt does not."""
    config = small_run(
        essen_corpus,
        tmp_path / "run",
        steps=30,
        validate_every=10,
        validation_melodies=100,
        log_every=1,
        tokens_per_batch=1024,
    )
    one, two = (from_command_line(config, devices) for devices in (1, 2))
    assert np.mean(curve(two)[-10:]) == pytest.approx(np.mean(curve(one)[-10:]), rel=0.1)
    accuracy = [curve(run, "validation/accuracy")[-1] for run in (one, two)]
    assert accuracy[1] == pytest.approx(accuracy[0], abs=0.05)


@pytest.mark.gpu
@pytest.mark.parametrize(("precision", "tolerance"), [("32-true", 1e-3), ("bf16-mixed", 0.1)])
def test_a_gpu_learns_what_a_processor_does(tune_corpus, tmp_path, precision, tolerance):
    config = golden_run(tune_corpus, tmp_path / "run")
    train(dataclasses.replace(config, accelerator="gpu", precision=precision), progress=False)
    expected = json.loads(GOLDEN.read_text())["train/loss"]
    assert curve(config.out)[:15] == pytest.approx(expected[:15], rel=tolerance)
