from __future__ import annotations

import dataclasses
import math
import types

import pytest
import torch
from runs import small_run

from seqmelody.checkpoint import LIGHTNING_KEY
from seqmelody.config import OptimizerConfig, TrainConfig
from seqmelody.errors import UsageError
from seqmelody.objectives import Contrast
from seqmelody.training.module import MelodyTraining


@pytest.fixture(scope="module")
def training(essen_corpus, tmp_path_factory):
    """Makes the module of a run with some settings."""

    def make(**changes) -> MelodyTraining:
        config = small_run(essen_corpus, tmp_path_factory.mktemp("run"), **changes)
        return MelodyTraining(config, essen_corpus, Contrast(config.contrast, essen_corpus))

    return make


def learning_rates(module: MelodyTraining, steps: int) -> list[float]:
    found = module.configure_optimizers()
    optimizer, schedule = found["optimizer"], found["lr_scheduler"]["scheduler"]
    assert found["lr_scheduler"]["interval"] == "step"
    rates = []
    for _ in range(steps + 1):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return rates


@pytest.mark.parametrize("warmup", [0, 1, 10])
def test_the_learning_rate_rises_evenly_and_falls_to_nothing_like_a_cosine(training, warmup):
    optimizer = OptimizerConfig(learning_rate=0.1, warmup_steps=warmup)
    rates = learning_rates(training(steps=50, optimizer=optimizer), 50)
    for step in range(warmup):
        assert rates[step] == pytest.approx(0.1 * (step + 1) / (warmup + 1))
    assert rates[warmup] == pytest.approx(0.1)
    for step in range(warmup, 51):
        share = (step - warmup) / (50 - warmup)
        assert rates[step] == pytest.approx(0.05 * (1 + math.cos(math.pi * share)))
    assert rates[50] == pytest.approx(0)


def test_a_warm_up_longer_than_the_run_only_rises(training):
    optimizer = OptimizerConfig(learning_rate=0.1, warmup_steps=100)
    rates = learning_rates(training(steps=5, optimizer=optimizer), 5)
    assert rates == sorted(rates)
    assert 0 < rates[0] < rates[-1] < 0.1


def test_the_optimizer_holds_every_weight_once_with_the_settings(training):
    settings = OptimizerConfig(learning_rate=0.1, weight_decay=0.3)
    module = training(optimizer=settings)
    optimizer = module.configure_optimizers()["optimizer"]
    held = [weight for group in optimizer.param_groups for weight in group["params"]]
    assert sorted(map(id, held)) == sorted(map(id, module.model.parameters()))
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.3}


def test_gradients_are_clipped_by_their_norm(training, monkeypatch):
    module = training(optimizer=OptimizerConfig(largest_gradient_norm=0.5))
    monkeypatch.setattr(module, "log", lambda *args, **options: None)
    for size, expected in ((100.0, 0.5), (1e-6, None)):
        for weight in module.model.parameters():
            weight.grad = torch.full_like(weight, size)
        module.configure_gradient_clipping(module.configure_optimizers()["optimizer"])
        norm = torch.cat([weight.grad.flatten() for weight in module.model.parameters()]).norm()
        if expected is None:
            assert all((weight.grad == size).all() for weight in module.model.parameters())
        else:
            assert norm.item() == pytest.approx(expected, rel=1e-4)


def test_a_step_seeds_dropout_by_itself(training, monkeypatch):
    module = training()
    monkeypatch.setattr(MelodyTraining, "global_step", 3)
    drawn = []
    for rank in (0, 0, 1):
        monkeypatch.setattr(MelodyTraining, "global_rank", rank)
        torch.rand(5)
        module.on_train_batch_start(None, 0)
        drawn.append(torch.rand(5).tolist())
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize(("threads", "expected"), [(3, 3), (0, 4)])
def test_processes_of_one_machine_share_its_cores(training, monkeypatch, threads, expected):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(9)), raising=False)
    chosen = []
    monkeypatch.setattr(torch, "set_num_threads", chosen.append)
    module = training(threads=threads)
    module.trainer = types.SimpleNamespace(num_devices=2)
    module.setup("fit")
    assert chosen == [expected]


def test_compiling_is_refused_on_a_processor(training):
    module = training(compile=True, threads=1)
    root = types.SimpleNamespace(root_device=torch.device("cpu"))
    module.trainer = types.SimpleNamespace(num_devices=1, strategy=root)
    with pytest.raises(UsageError, match="compile is for GPUs"):
        module.setup("fit")


def test_a_resumable_state_says_what_made_it(training, essen_corpus):
    module = training()
    state = {}
    module.on_save_checkpoint(state)
    about = state[LIGHTNING_KEY]
    assert about["config"] == module.config.to_dict()
    assert set(about["config"]) == {field.name for field in dataclasses.fields(TrainConfig)}
    assert about["tokenizer"] == essen_corpus.tokenizer.to_dict()
    assert about["metrics"]["training"]["corpus"] == essen_corpus.digest
    # Counters of the log are no weights.
    assert all(name.startswith("model.") for name in module.state_dict())
