from __future__ import annotations

import dataclasses
import io
import json
import math
import os
import pickle
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import batches, seeds, tokenizers, train_configs
from tunes import TUNES

from seqmelody import checkpoint as module
from seqmelody.batching import collate
from seqmelody.checkpoint import (
    FORMAT_KEY,
    FORMAT_VERSION,
    LIGHTNING_KEY,
    MODEL_FILE,
    POSTERIOR_FILE,
    Checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from seqmelody.config import TrainConfig
from seqmelody.errors import CheckpointError
from seqmelody.listeners import Listener, Listeners, RatingModel
from seqmelody.model import MelodyNetwork
from seqmelody.tokens import Tokenizer
from seqmelody.whitening import Whitening

FILES = ["config.yaml", "metrics.json", "model.safetensors", "scores.json", "tokenizer.json"]


def checkpoint_of(config: TrainConfig, tokenizer: Tokenizer, seed: int = 0) -> Checkpoint:
    torch.manual_seed(seed)
    return Checkpoint(
        name="made",
        model=MelodyNetwork(config.model, tokenizer).eval(),
        tokenizer=tokenizer,
        config=config.to_dict(),
        score_quantiles=np.linspace(-2, 3, 11, dtype=np.float32),
        metrics={"validation": {"mean": 0.5}},
    )


def lightning_state(checkpoint: Checkpoint) -> dict:
    """What a training run puts into a ``.ckpt``, as far as it is read."""
    weights = checkpoint.model.state_dict()
    return {
        "state_dict": {f"model.{name}": tensor for name, tensor in weights.items()},
        LIGHTNING_KEY: {
            "config": dict(checkpoint.config),
            "tokenizer": checkpoint.tokenizer.to_dict(),
            "metrics": dict(checkpoint.metrics),
        },
    }


@pytest.fixture
def folder(checkpoint_folder, tmp_path) -> Path:
    """A checkpoint to spoil."""
    return Path(shutil.copytree(checkpoint_folder, tmp_path / "spoilt"))


@pytest.fixture
def ckpt(checkpoint_folder, tmp_path) -> Path:
    path = tmp_path / "step=1.ckpt"
    torch.save(lightning_state(load_checkpoint(checkpoint_folder)), path)
    return path


def refused(path: Path, *, names: Path | None = None) -> str:
    """The one line that says why a checkpoint cannot be read."""
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    message = str(caught.value)
    assert message.startswith(str(names or path))
    assert "\n" not in message
    assert len(message) < 600
    return message


def loaded_or_refused(path: Path) -> Checkpoint | None:
    """The checkpoint, or nothing where one line says why it cannot be read."""
    try:
        return load_checkpoint(path)
    except CheckpointError:
        refused(path)
        return None


def rewrite(path: Path, **changes) -> None:
    load = json.loads if path.suffix == ".json" else yaml.safe_load
    values = {**load(path.read_text()), **changes}
    end = "" if path.suffix == ".json" else "\n...\n"
    path.write_text(json.dumps(values) + end)


def test_a_folder_describes_itself(checkpoint_folder):
    assert sorted(path.name for path in checkpoint_folder.iterdir()) == sorted(
        [*FILES, "README.md"]
    )
    assert (checkpoint_folder / "README.md").read_text() == "# Untrained"
    loaded = load_checkpoint(checkpoint_folder)
    assert loaded.name == "untrained"
    assert not loaded.model.training
    assert not any(weight.requires_grad for weight in loaded.model.parameters())


@settings(max_examples=25)
@given(config=train_configs, tokenizer=tokenizers, seed=seeds, data=st.data())
def test_every_setting_survives_and_the_scores_are_the_same(
    tmp_path_factory, config, tokenizer, seed, data
):
    base = tmp_path_factory.getbasetemp() / "any-config"
    made = checkpoint_of(config, tokenizer, seed)
    path = base.with_suffix(".ckpt")
    torch.save(lightning_state(made), path)
    batch = data.draw(batches(tokenizer=tokenizer))
    with torch.no_grad():
        expected = made.model(batch)
    for loaded in (load_checkpoint(save_checkpoint(base, made, "# Card")), load_checkpoint(path)):
        weights = loaded.model.state_dict()
        assert weights.keys() == made.model.state_dict().keys()
        for name, weight in made.model.state_dict().items():
            assert torch.equal(weight, weights[name])
        assert loaded.config == made.config
        assert loaded.model.config == config.model
        assert loaded.tokenizer == tokenizer
        with torch.no_grad():
            output = loaded.model(batch)
        for name in ("score_B", "embedding_BE", "weight_BL", "value_BL"):
            # Where a tensor lies in memory can change the last bit of a sum.
            assert torch.allclose(getattr(output, name), getattr(expected, name), atol=1e-6)
        assert output.sd_B is None
        assert loaded.metrics == made.metrics
    quantiles = load_checkpoint(base).score_quantiles
    assert np.allclose(quantiles, made.score_quantiles, atol=1e-5)
    assert load_checkpoint(path).score_quantiles.size == 0


def test_a_percentile_lies_between_the_quantiles(checkpoint_folder):
    made = dataclasses.replace(
        load_checkpoint(checkpoint_folder), score_quantiles=np.array([0, 1, 5], dtype=np.float32)
    )
    found = [made.percentile(score) for score in (-9.0, 0.0, 0.5, 1.0, 3.0, 5.0, 9.0)]
    assert found == [0, 0, 25, 50, 75, 100, 100]
    assert made.percentile(np.array([0.5, 3.0])).tolist() == [25, 75]
    unknown = dataclasses.replace(made, score_quantiles=np.zeros(0, dtype=np.float32))
    assert unknown.percentile(0.0) is None


def test_a_checkpoint_that_is_not_there_or_is_something_else_is_named(tmp_path):
    assert "no such checkpoint folder" in refused(tmp_path / "nowhere")
    assert "it has no config.yaml" in refused(tmp_path)
    for name, content in (("empty.ckpt", b""), ("song.mid", b"MThd\0\0\0\6"), ("a.txt", b"hello")):
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_missing_or_a_folder_is_named(folder, name):
    (folder / name).unlink()
    assert name in refused(folder, names=folder)
    (folder / name).mkdir()
    assert name in refused(folder, names=folder)


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_short_is_named(folder, name):
    whole = (folder / name).read_bytes().rstrip()
    for share in (0.0, 0.01, 0.3, 0.6, 0.9, 0.99):
        (folder / name).write_bytes(whole[: int(share * len(whole))])
        refused(folder, names=folder / name)
    (folder / name).write_bytes(whole[:-1])
    refused(folder, names=folder / name)


@settings(max_examples=60)
@given(name=st.sampled_from(FILES), data=st.data())
def test_damaged_bytes_never_end_in_anything_but_a_refusal(
    tmp_path_factory, checkpoint_folder, name, data
):
    folder = tmp_path_factory.getbasetemp() / "damaged"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(checkpoint_folder, folder)
    content = bytearray((folder / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        # The text of the weights' header matters more than one of many weights.
        place = data.draw(st.integers(0, max(0, min(len(content), 4000) - 1)))
        content[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    (folder / name).write_bytes(content)
    loaded_or_refused(folder)


def test_another_format_version_is_named(folder):
    weights = safetensors.torch.load_file(folder / MODEL_FILE)
    for metadata in ({FORMAT_KEY: "1"}, {}, None):
        safetensors.torch.save_file(weights, folder / MODEL_FILE, metadata=metadata)
        assert "checkpoint format" in refused(folder, names=folder / MODEL_FILE)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda weights: weights.update(extra=torch.zeros(1)), "extra"),
        (lambda weights: weights.pop("head.value.bias"), "head.value.bias"),
        (lambda weights: weights.update({"head.value.bias": torch.zeros(2)}), "head.value.bias"),
        (lambda weights: weights["norm.weight"].fill_(torch.nan), "not a finite number"),
        (lambda weights: weights["norm.weight"][0].fill_(-torch.inf), "not a finite number"),
    ],
    ids=["extra", "missing", "mis-shaped", "NaN", "infinite"],
)
def test_weights_that_do_not_fit_are_refused(folder, ckpt, spoil, reason):
    weights = safetensors.torch.load_file(folder / MODEL_FILE)
    spoil(weights)
    safetensors.torch.save_file(weights, folder / MODEL_FILE, metadata={FORMAT_KEY: FORMAT_VERSION})
    assert reason in refused(folder)
    stored = torch.load(ckpt, weights_only=True)
    stored["state_dict"] = {f"model.{name}": tensor for name, tensor in weights.items()}
    torch.save(stored, ckpt)
    assert reason in refused(ckpt)


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden_size": 17},
        {"hidden_size": "wide"},
        {"kernel_size": 4},
        {"dilations": 3},
        {"channels": 10**9},
        {"colour": "red"},
        {"dropout": None},
    ],
)
def test_settings_of_another_model_are_refused(folder, changes):
    config = yaml.safe_load((folder / "config.yaml").read_text())
    rewrite(folder / "config.yaml", model={**config["model"], **changes})
    assert "do not fit together" in refused(folder)


@pytest.fixture
def sure(sure_checkpoint_folder, tmp_path) -> Path:
    """A checkpoint that knows how sure it is, to spoil."""
    return Path(shutil.copytree(sure_checkpoint_folder, tmp_path / "sure"))


def test_how_sure_scores_are_survives_and_is_not_known_of_others(sure, checkpoint_folder, tmp_path):
    loaded = load_checkpoint(sure)
    again = load_checkpoint(save_checkpoint(tmp_path / "again", loaded, "# Again"))
    batch = collate([loaded.tokenizer.encode(melody) for melody in TUNES.values()])
    with torch.no_grad():
        outputs = [checkpoint.model(batch) for checkpoint in (loaded, again)]
        without = load_checkpoint(checkpoint_folder).model(batch)
    assert (outputs[0].sd_B > 0.5).all()
    assert torch.equal(outputs[0].sd_B, outputs[1].sd_B)
    assert torch.equal(outputs[0].score_B, without.score_B)
    assert without.sd_B is None


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda stored: stored.pop("spread"), "not for vectors of size 8"),
        (lambda stored: stored.update(mean_E=torch.zeros(7)), "not for vectors of size 8"),
        (lambda stored: stored.update(spread=torch.tensor(torch.nan)), "not finite"),
    ],
)
def test_a_posterior_that_does_not_fit_is_refused(sure, spoil, reason):
    path = sure / POSTERIOR_FILE
    stored = safetensors.torch.load_file(path)
    spoil(stored)
    safetensors.torch.save_file(stored, path)
    assert reason in refused(sure, names=path)
    path.write_bytes(path.read_bytes()[:-9])
    refused(sure, names=path)


def test_a_configuration_that_lacks_a_setting_is_refused(folder):
    config = yaml.safe_load((folder / "config.yaml").read_text())
    del config["model"]["channels"]
    rewrite(folder / "config.yaml", model=config["model"])
    assert "unknown or missing: channels" in refused(folder)


@pytest.mark.parametrize("model", [None, [], "MelodyNetwork", {}])
def test_a_configuration_without_a_model_is_refused(folder, model):
    rewrite(folder / "config.yaml", model=model)
    assert "do not fit together" in refused(folder)


def test_another_tokenizer_is_refused(folder):
    tokenizer = Tokenizer(max_duration_steps=96)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer.to_dict()))
    assert "do not fit together" in refused(folder)
    rewrite(folder / "tokenizer.json", max_duration_steps=192)
    assert "fingerprint" in refused(folder)
    rewrite(folder / "tokenizer.json", velocities=True)
    assert "velocities" in refused(folder)


@pytest.mark.parametrize(
    "quantiles", [None, "many", [0, 2, 1], [0, None], [[0, 1]], [0, float("nan")], {"a": 1}]
)
def test_quantiles_that_do_not_rise_are_refused(folder, quantiles):
    rewrite(folder / "scores.json", quantiles=quantiles)
    assert "no score quantiles" in refused(folder, names=folder / "scores.json")


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", ["torch", "pickle"])
def test_a_pickle_in_a_ckpt_is_not_executed(tmp_path, checkpoint_folder, protocol):
    path, burst = tmp_path / "bomb.ckpt", tmp_path / "burst"
    stored = {**lightning_state(load_checkpoint(checkpoint_folder)), "bomb": Bomb(burst)}
    if protocol == "torch":
        torch.save(stored, path)
    else:
        path.write_bytes(pickle.dumps(stored))
    refused(path)
    assert not burst.exists()


def test_a_ckpt_of_something_else_is_refused(tmp_path, ckpt):
    weights = torch.load(ckpt, weights_only=True)["state_dict"]
    for stored in (weights, torch.zeros(3), [1, 2], {LIGHTNING_KEY: 3, "state_dict": weights}, 7):
        torch.save(stored, tmp_path / "other.ckpt")
        assert "not a checkpoint of a seqmelody run" in refused(tmp_path / "other.ckpt")


def test_a_ckpt_cut_short_is_refused(ckpt):
    whole = ckpt.read_bytes()
    for share in (0.001, 0.1, 0.5, 0.9, 0.999):
        ckpt.write_bytes(whole[: int(share * len(whole))])
        assert "cut short" in refused(ckpt)


@settings(max_examples=60)
@given(head=st.sampled_from([b"", b"PK\3\4", b"\x80\2", b"\x80\2}q\0"]), rest=st.binary())
def test_any_bytes_in_a_ckpt_are_refused(tmp_path_factory, head, rest):
    path = tmp_path_factory.getbasetemp() / "bytes.ckpt"
    path.write_bytes(head + rest)
    refused(path)


def test_a_checkpoint_is_replaced_when_the_new_one_is_whole(folder):
    made = load_checkpoint(folder)
    other = dataclasses.replace(made, metrics={"better": True})
    save_checkpoint(folder, other, "# Other")
    assert load_checkpoint(folder).metrics == {"better": True}
    assert (folder / "README.md").read_text() == "# Other"
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


@pytest.mark.parametrize("broken", ["_write_text", "move"])
def test_the_older_checkpoint_stays_when_saving_fails(folder, monkeypatch, broken):
    made = load_checkpoint(folder)
    if broken == "move":
        replace = os.replace

        def fail_on_the_new_one(source, target):
            if Path(target) == folder and not str(source).endswith("-old"):
                raise OSError("disk full")
            replace(source, target)

        monkeypatch.setattr(module.os, "replace", fail_on_the_new_one)
    else:
        unwritable = {"metric": io.BytesIO()}
        made = dataclasses.replace(made, metrics=unwritable)
    with pytest.raises((OSError, TypeError)):
        save_checkpoint(folder, made, "# Other")
    assert (folder / "README.md").read_text() == "# Untrained"
    load_checkpoint(folder)
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_what_training_melodies_are_like_survives(checkpoint_folder, tmp_path):
    loaded = load_checkpoint(checkpoint_folder)
    # Folders written before there were any have neither.
    assert loaded.statistic_ranges == {}
    assert loaded.whitening is None
    size = loaded.model.config.embedding_size
    random = np.random.default_rng(0)
    whitening = Whitening(
        random.normal(size=size).astype(np.float32),
        random.normal(size=(size, size)).astype(np.float32),
    )
    ranges = {"mean_interval": (0.5, 5.25), "on_grid": (1.0, 1.0)}
    made = dataclasses.replace(loaded, statistic_ranges=ranges, whitening=whitening)
    again = load_checkpoint(save_checkpoint(tmp_path / "made", made, "# Made"))
    assert again.statistic_ranges == ranges
    assert np.array_equal(again.whitening.mean_E, whitening.mean_E)
    assert np.array_equal(again.whitening.axes_EE, whitening.axes_EE)


def whitened(checkpoint: Checkpoint, shift: float = 0.0) -> Checkpoint:
    size = checkpoint.model.config.embedding_size
    mean_E = np.full(size, shift, dtype=np.float32)
    return dataclasses.replace(checkpoint, whitening=Whitening(mean_E, np.eye(size, dtype="f4")))


def test_the_fingerprint_is_that_of_the_content_wherever_it_lies(checkpoint_folder, tmp_path):
    loaded = load_checkpoint(checkpoint_folder)
    assert re.fullmatch("[0-9a-f]{16}", loaded.fingerprint)
    copy = shutil.copytree(checkpoint_folder, tmp_path / "other")
    again = load_checkpoint(save_checkpoint(tmp_path / "again", loaded, "# Another card"))
    torch.save(lightning_state(loaded), tmp_path / "step=1.ckpt")
    same = [load_checkpoint(copy), again, load_checkpoint(tmp_path / "step=1.ckpt")]
    # What says something of scores or people alone changes no embedding.
    same.append(dataclasses.replace(loaded, score_quantiles=np.zeros(0), metrics={"a": 1}))
    same.append(with_listeners(checkpoint_folder))
    assert {other.fingerprint for other in same} == {loaded.fingerprint}
    white = load_checkpoint(save_checkpoint(tmp_path / "white", whitened(loaded), "# White"))
    assert white.fingerprint == whitened(loaded).fingerprint


def test_the_fingerprint_differs_where_an_embedding_may(checkpoint_folder):
    loaded = load_checkpoint(checkpoint_folder)
    found = [loaded.fingerprint, whitened(loaded).fingerprint, whitened(loaded, 1e-7).fingerprint]
    longer = Tokenizer(max_rest_steps=loaded.tokenizer.max_rest_steps + 1)
    found.append(dataclasses.replace(loaded, tokenizer=longer).fingerprint)
    # Other steps between the notes that convolutions see need no other weights.
    model = load_checkpoint(checkpoint_folder).model
    model.config = dataclasses.replace(model.config, dilations=(1, 2, 4, 9))
    found.append(dataclasses.replace(loaded, model=model).fingerprint)
    for name in loaded.model.state_dict():
        changed = load_checkpoint(checkpoint_folder)
        weight = changed.model.state_dict()[name].view(-1)
        weight[0] = np.nextafter(weight[0].item(), np.inf, dtype=np.float32).item()
        found.append(changed.fingerprint)
    assert len(set(found)) == len(found) > 20


@pytest.mark.parametrize(
    "ranges",
    [
        [],
        {"on_grid": 1},
        {"on_grid": [1]},
        {"on_grid": [2, 1]},
        {"on_grid": [0, math.nan]},
        {"on_grid": [-math.inf, 1]},
        {"on_grid": ["low", "high"]},
    ],
    ids=str,
)
def test_ranges_that_are_none_are_refused(folder, ranges):
    if ranges == []:
        ranges = "none"
    rewrite(folder / "scores.json", ranges=ranges)
    assert "ranges of statistics unusable" in refused(folder, names=folder / "scores.json")


@pytest.mark.parametrize(
    "stored",
    [
        {},
        {"mean": np.zeros(8, dtype=np.float32)},
        {"mean": np.zeros(9, dtype=np.float32), "axes": np.eye(9, dtype=np.float32)},
        {"mean": np.zeros(8, dtype=np.float32), "axes": np.full((8, 8), np.nan, dtype=np.float32)},
    ],
    ids=["empty", "half", "of another size", "NaN"],
)
def test_a_whitening_that_does_not_fit_is_refused(folder, stored):
    path = folder / "whitening.safetensors"
    safetensors.numpy.save_file(stored, path)
    assert "cannot be read" in refused(folder, names=path)
    path.write_bytes(path.read_bytes()[:-3])
    assert "cannot be read" in refused(folder, names=path)


# Listeners


def with_listeners(checkpoint_folder) -> Checkpoint:
    rating = RatingModel(
        offset=3.0,
        scale=0.5,
        residual_sd=1.0,
        score_mean=0.0,
        embedding_mean=np.zeros(8),
        directions=np.ones((1, 8)),
        offset_sd=0.5,
        slope_sd=0.5,
        taste_sd=np.ones(1),
    )
    listeners = Listeners(rating, {"ann": Listener(0.5, 0.0, np.array([2.0]), 4)})
    return dataclasses.replace(load_checkpoint(checkpoint_folder), listeners=listeners)


def test_listeners_are_kept_and_a_folder_without_them_has_none(checkpoint_folder, tmp_path):
    assert load_checkpoint(checkpoint_folder).listeners is None
    assert not (checkpoint_folder / "listeners.json").exists()
    made = with_listeners(checkpoint_folder)
    loaded = load_checkpoint(save_checkpoint(tmp_path / "heard", made, "# Heard"))
    assert loaded.listeners.to_dict() == made.listeners.to_dict()
    rated = loaded.rated_by("ann")(np.array([1.0, 2.0]), np.eye(8)[:2])
    np.testing.assert_allclose(rated, [3 + 0.5 + 0.5 + 2, 3 + 1 + 0.5 + 2])


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"rating": 3}', '{"rating": null, "listeners": {"ann": {}}}'],
)
def test_spoilt_listeners_are_refused_by_name(checkpoint_folder, tmp_path, text):
    made = with_listeners(checkpoint_folder)
    folder = save_checkpoint(tmp_path / "heard", made, "# Heard")
    (folder / "listeners.json").write_text(text)
    with pytest.raises(CheckpointError, match="listeners") as raised:
        load_checkpoint(folder)
    assert str(raised.value).startswith(str(folder / "listeners.json"))
    assert "\n" not in str(raised.value)


def test_the_weights_of_objectives_in_a_state_are_passed_over(checkpoint_folder, tmp_path):
    loaded = load_checkpoint(checkpoint_folder)
    state = lightning_state(loaded)
    state["state_dict"]["objectives.rating.offset"] = torch.zeros(())
    torch.save(state, tmp_path / "step=1.ckpt")
    found = load_checkpoint(tmp_path / "step=1.ckpt")
    assert found.model.state_dict().keys() == loaded.model.state_dict().keys()
