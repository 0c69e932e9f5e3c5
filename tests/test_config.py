from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from strategies import train_configs

from seqmelody.cli.train import parse
from seqmelody.config import (
    HELD_OUT_KINDS,
    TRAINED_KINDS,
    CardConfig,
    ContrastConfig,
    ModelConfig,
    OptimizerConfig,
    TrainConfig,
    to_yaml,
)

CONFIGS = Path(__file__).resolve().parents[1] / "configs"


@settings(max_examples=30)
@given(config=train_configs)
def test_a_configuration_survives_yaml(tmp_path_factory, config):
    path = tmp_path_factory.getbasetemp() / "config.yaml"
    path.write_text(to_yaml(config.to_dict()), encoding="utf-8")
    read, resume = parse(["--config", str(path)])
    assert read == config
    assert not resume
    assert read.to_dict() == yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("text", ["1e100", "1.5", "12", "-3", "yes", "null", "a: b", "inf", "0x1"])
def test_text_that_looks_like_something_else_survives_yaml(tmp_path, text):
    path = tmp_path / "config.yaml"
    config = TrainConfig(corpus="c", out="o", card=CardConfig(data=text))
    path.write_text(to_yaml(config.to_dict()), encoding="utf-8")
    assert parse(["--config", str(path)])[0] == config


def test_every_setting_is_written():
    plain = TrainConfig(corpus="c", out="o").to_dict()
    assert list(plain) == [field.name for field in dataclasses.fields(TrainConfig)]
    assert list(plain["model"]) == [field.name for field in dataclasses.fields(ModelConfig)]
    assert plain["model"]["dilations"] == [1, 2, 4, 8]


def test_every_kind_to_train_on_is_drawn_unless_said_otherwise():
    assert set(ContrastConfig().kinds) == set(TRAINED_KINDS)
    assert not set(ContrastConfig().kinds) & set(HELD_OUT_KINDS)


@pytest.mark.parametrize(
    ("config", "wrong", "reason"),
    [
        (ModelConfig, {"channels": 0}, "channels must be at least 1, not 0"),
        (ModelConfig, {"hidden_size": -1}, "hidden_size must be at least 1, not -1"),
        (ModelConfig, {"embedding_size": 0}, "embedding_size must be at least 1"),
        (ModelConfig, {"kernel_size": 4}, "kernel_size must be odd, not 4"),
        (ModelConfig, {"kernel_size": 0}, "kernel_size must be at least 1"),
        (ModelConfig, {"dilations": (1, 0)}, r"dilations must be at least 1, not \[1, 0\]"),
        (ModelConfig, {"layers": 0}, "layers must be at least 1"),
        (ModelConfig, {"heads": 0}, "heads must be at least 1"),
        (ModelConfig, {"context": "lstm"}, "context must be one of gru, attention, none, not 'ls"),
        (
            ModelConfig,
            {"context": "attention", "channels": 12, "heads": 4},
            "channels must be a multiple of twice the heads, but 12 is none of 8",
        ),
        (
            ModelConfig,
            {"front_end": "ears"},
            "one of notes, mel, stft, filterbank, butterfly, not 'e",
        ),
        (ModelConfig, {"bands": 0}, "bands must be at least 1, not 0"),
        (ModelConfig, {"filters": 0}, "filters must be at least 1, not 0"),
        (ModelConfig, {"start": "warm"}, "start must be one of random, exact, not 'warm'"),
        (ModelConfig, {"dropout": 1.0}, r"dropout must lie in \[0, 1\), not 1.0"),
        (ModelConfig, {"feature_dropout": -0.1}, "feature_dropout must lie in"),
        (ModelConfig, {"dropout": float("nan")}, "dropout must lie in"),
        (ContrastConfig, {"kinds": {"melt": 1.0}}, "'melt' is no kind to train on"),
        (ContrastConfig, {"kinds": {"retrograde": 1.0}}, "'retrograde' is no kind to train on"),
        (ContrastConfig, {"kinds": {"markov_1": -1.0}}, "weight of markov_1 must not be negative"),
        (ContrastConfig, {"kinds": {"markov_1": 0.0}}, "at least one kind"),
        (ContrastConfig, {"kinds": {}}, "at least one kind"),
        (ContrastConfig, {"kinds": {"markov_1": float("nan")}}, "weight of markov_1"),
        (ContrastConfig, {"copies": 0}, "copies must be at least 1"),
        (ContrastConfig, {"across": 1.5}, r"across must lie in \[0, 1\]"),
        (OptimizerConfig, {"learning_rate": 0.0}, "learning_rate must be above 0"),
        (OptimizerConfig, {"learning_rate": float("nan")}, "learning_rate must be above 0"),
        (OptimizerConfig, {"largest_gradient_norm": 0.0}, "largest_gradient_norm must be above"),
        (OptimizerConfig, {"weight_decay": -1.0}, "weight_decay must not be negative"),
        (OptimizerConfig, {"warmup_steps": -1}, "warmup_steps must not be negative"),
        (TrainConfig, {"steps": 0}, "steps must be at least 1"),
        (TrainConfig, {"tokens_per_batch": 0}, "tokens_per_batch must be at least 1"),
        (TrainConfig, {"validate_every": 0}, "validate_every must be at least 1"),
        (TrainConfig, {"validation_melodies": 0}, "validation_melodies must be at least 1"),
        (TrainConfig, {"log_every": 0}, "log_every must be at least 1"),
        (TrainConfig, {"threads": -1}, "threads must be at least 0"),
        (TrainConfig, {"seed": -1}, "seed must be at least 0"),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(config, wrong, reason):
    needed = {"corpus": "c", "out": "o"} if config is TrainConfig else {}
    with pytest.raises(ValueError, match=reason):
        config(**needed, **wrong)


@pytest.mark.parametrize("name", ["gru", "cnn", "transformer", "bag"])
def test_the_rivals_differ_from_the_published_run_in_the_model_alone(name):
    from seqmelody.model import MelodyNetwork
    from seqmelody.tokens import Tokenizer

    def parsed(name: str) -> tuple[TrainConfig, int]:
        config, _ = parse(["--config", str(CONFIGS / f"essen-{name}.yaml")])
        model = MelodyNetwork(config.model, Tokenizer())
        return config, sum(weight.numel() for weight in model.parameters())

    default, parameters = parsed("contrast")
    rival, count = parsed(name)
    assert dataclasses.replace(rival, model=default.model, out=default.out) == default
    assert rival.out == f"runs/essen-{name}"
    stated = re.search(r"([\d,]+) parameters", (CONFIGS / f"essen-{name}.yaml").read_text())
    assert stated is not None
    assert stated[1] == f"{count:,}"
    assert name == "bag" or abs(count / parameters - 1) < 0.03


@pytest.mark.parametrize("name", ["spectrogram", "stft", "filterbank", "butterfly"])
def test_the_runs_that_hear_differ_in_the_model_and_the_size_of_a_step_alone(name):
    pytest.importorskip("midirenderer", reason="needs the extra [audio]")
    pytest.importorskip("pretty_midi", reason="needs the extra [audio]")
    from seqmelody.model import build_model
    from seqmelody.tokens import Tokenizer

    def parsed(name: str) -> tuple[TrainConfig, int, int]:
        config, _ = parse(["--config", str(CONFIGS / f"essen-{name}.yaml")])
        model = build_model(config.model, Tokenizer())
        learned = [
            weight.numel()
            for part, weight in model.named_parameters()
            if part.startswith("features.transform.")
        ]
        return config, sum(weight.numel() for weight in model.parameters()), sum(learned)

    default, parameters, _ = parsed("contrast")
    heard, count, transform = parsed(name)
    slower = dataclasses.replace(default.optimizer, learning_rate=heard.optimizer.learning_rate)
    assert heard.optimizer == slower
    same = {"model": default.model, "out": default.out, "optimizer": default.optimizer}
    assert dataclasses.replace(heard, **same, tokens_per_batch=default.tokens_per_batch) == default
    assert heard.out == f"runs/essen-{name}"
    text = (CONFIGS / f"essen-{name}.yaml").read_text()
    assert f"{count:,} parameters" in text
    assert not transform or f"{transform:,}" in text
    # What a learned transform has comes on top.
    assert abs((count - transform) / parameters - 1) < 0.01


def test_nothing_heavy_is_imported():
    program = "import sys, seqmelody.config; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "False\n"
