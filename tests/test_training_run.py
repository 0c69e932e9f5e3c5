from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import lightning as L
import numpy as np
import pytest
import torch
import yaml
from runs import EVERY, STEPS, same_weights, small_run, weights_of
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from seqmelody.batching import corpus_batch
from seqmelody.checkpoint import load_checkpoint
from seqmelody.config import TRAINED_KINDS
from seqmelody.corpus.build import prepare
from seqmelody.errors import CheckpointError, CorpusError, UsageError
from seqmelody.melody import Melody
from seqmelody.midi import write_midi
from seqmelody.training.data import ComparisonBatches
from seqmelody.training.run import train


@pytest.fixture(scope="module")
def finished(essen_corpus, tmp_path_factory) -> Path:
    """The folder of a run that was never stopped."""
    out = tmp_path_factory.mktemp("finished") / "run"
    assert train(small_run(essen_corpus, out), progress=False) == out / "checkpoint"
    return out


@pytest.fixture(autouse=True)
def _without_pictures(finished, monkeypatch):
    """Runs but the finished one draw nothing, which takes longer than twelve steps of theirs."""
    monkeypatch.setattr("seqmelody.training.run.PianoRolls", lambda corpus: L.Callback())


@pytest.fixture
def interrupting(monkeypatch):
    """Sends this process a signal when a run asks for the batch of a step."""
    batches_of = ComparisonBatches.__iter__

    def put(at: int, number: signal.Signals = signal.SIGINT) -> None:
        before = ComparisonBatches.__iter__

        def iterate(self):
            for step, batch in enumerate(before(self), start=self.batches.first_step):
                if step == at:
                    signal.raise_signal(number)
                yield batch

        monkeypatch.setattr(ComparisonBatches, "__iter__", iterate)

    def stop() -> None:
        monkeypatch.setattr(ComparisonBatches, "__iter__", batches_of)

    put.stop = stop
    return put


def states(out: Path) -> list[str]:
    return sorted(path.name for path in (out / "resumable").iterdir())


# What a run leaves behind


def test_a_run_ends_with_a_checkpoint_that_can_be_loaded(finished, essen_corpus):
    config = small_run(essen_corpus, finished)
    loaded = load_checkpoint(finished / "checkpoint")
    assert loaded.config == config.to_dict()
    assert loaded.model.config == config.model
    assert loaded.tokenizer == essen_corpus.tokenizer
    assert yaml.safe_load((finished / "config.yaml").read_text()) == config.to_dict()
    measured = loaded.metrics["validation"]
    assert set(measured["kinds"]) == set(TRAINED_KINDS)
    assert measured["mean"] == pytest.approx(np.mean(list(measured["kinds"].values())), abs=1e-3)
    assert loaded.metrics["training"]["corpus"] == essen_corpus.digest


def test_the_percentiles_are_those_of_the_training_melodies(finished, essen_corpus):
    loaded = load_checkpoint(finished / "checkpoint")
    with torch.no_grad():
        batch = corpus_batch(essen_corpus, essen_corpus.split("train"))
        scores = loaded.model(batch).score_B.numpy()
    for share in (10, 50, 90):
        score = float(np.quantile(scores, share / 100))
        assert loaded.percentile(score) == pytest.approx(share, abs=0.2)


def test_the_released_model_knows_how_sure_it_is(finished, essen_corpus):
    batch = corpus_batch(essen_corpus, essen_corpus.split("test"))
    with torch.no_grad():
        released = load_checkpoint(finished / "checkpoint").model(batch)
        state = load_checkpoint(finished / "resumable" / f"step={2 * EVERY}.ckpt").model(batch)
    assert released.sd_B is not None
    assert (released.sd_B > 0).all()
    assert state.sd_B is None


def test_the_last_resumable_state_can_be_loaded_as_well(finished):
    assert states(finished) == [f"step={2 * EVERY}.ckpt"]
    state = load_checkpoint(finished / "resumable" / f"step={2 * EVERY}.ckpt")
    released = load_checkpoint(finished / "checkpoint")
    assert state.config == released.config
    assert not same_weights(state.model.state_dict(), released.model.state_dict())


def test_the_same_configuration_gives_the_same_weights_and_another_seed_others(
    finished, essen_corpus, tmp_path
):
    again = train(small_run(essen_corpus, tmp_path / "again"), progress=False)
    assert same_weights(weights_of(again), weights_of(finished / "checkpoint"))
    other = train(small_run(essen_corpus, tmp_path / "other", seed=1), progress=False)
    assert not same_weights(weights_of(other), weights_of(finished / "checkpoint"))


def test_the_logs_hold_what_they_should(finished, essen_corpus):
    log = EventAccumulator(str(finished / "logs"), size_guidance={"scalars": 0})
    log.Reload()
    tags = log.Tags()
    scalars = set(tags["scalars"])
    assert {
        "train/loss",
        "train/accuracy",
        "train/gradient_norm",
        "train/tokens_per_second",
        "lr-AdamW",
        "validation/accuracy",
        *(f"validation_accuracy/{kind}" for kind in TRAINED_KINDS),
    } <= scalars
    assert {tag for tag in scalars if tag.startswith("train_accuracy/")} <= {
        f"train_accuracy/{kind}" for kind in TRAINED_KINDS
    }
    assert sum(tag.startswith("train_accuracy/") for tag in scalars) > 5
    assert set(tags["histograms"]) == {"scores/original", "scores/copy"}
    assert set(tags["images"]) == {f"notes/{number}" for number in range(4)}

    def series(tag: str) -> list[tuple[int, float]]:
        return [(event.step, event.value) for event in log.Scalars(tag)]

    # Every second of twelve steps, counted from 0.
    for tag in ("train/loss", "train/gradient_norm", "train/tokens_per_second"):
        assert [step for step, _ in series(tag)] == [1, 3, 5, 7, 9, 11]
        assert all(np.isfinite(value) and value > 0 for _, value in series(tag))
    for tag in scalars:
        if "accuracy" in tag:
            assert all(0 <= value <= 1 for _, value in series(tag))
    rates = dict(series("lr-AdamW"))
    # Five steps of warm-up to the highest rate, then half a cosine to zero at the last.
    expected = {1: 2e-3, 3: 4e-3}
    expected |= {step: 5e-3 * 0.5 * (1 + np.cos(np.pi * (step - 4) / 8)) for step in (5, 7, 9, 11)}
    assert rates == pytest.approx(expected)
    # One after five steps, one after ten, and one of the weights that are released.
    assert len(series("validation/accuracy")) == 3
    released = load_checkpoint(finished / "checkpoint").metrics["validation"]
    assert series("validation/accuracy")[-1][1] == pytest.approx(released["mean"], abs=1e-3)
    melodies = min(12, len(essen_corpus.split("validation")))
    originals = log.Histograms("scores/original")[0].histogram_value
    copies = log.Histograms("scores/copy")[0].histogram_value
    assert originals.num == melodies
    assert copies.num == melodies * len(TRAINED_KINDS)
    image = log.Images("notes/0")[0]
    assert image.encoded_image_string.startswith(b"\x89PNG")


def test_the_card_tells_of_the_run(finished, essen_corpus):
    card = (finished / "checkpoint" / "README.md").read_text()
    train_melodies = len(essen_corpus.split("train"))
    assert f"Melodies: {train_melodies:,} to train" in card
    assert "12 steps" in card
    assert essen_corpus.tokenizer.fingerprint in card


def test_training_learns(essen_corpus, tmp_path):
    config = small_run(
        essen_corpus, tmp_path / "run", steps=40, validate_every=40, validation_melodies=60
    )
    easy = dataclasses.replace(config.contrast, kinds={"uniform_pitches": 1.0, "markov_1": 1.0})
    hot = dataclasses.replace(config.optimizer, learning_rate=2e-2)
    released = train(dataclasses.replace(config, contrast=easy, optimizer=hot), progress=False)
    log = EventAccumulator(str(tmp_path / "run" / "logs"), size_guidance={"scalars": 0})
    log.Reload()
    loss = [event.value for event in log.Scalars("train/loss")]
    # It starts at a coin's ln 2.
    assert loss[0] > 0.5
    assert np.mean(loss[-5:]) < 0.6 * loss[0]
    assert load_checkpoint(released).metrics["validation"]["mean"] > 0.8


# Stopping and going on


@pytest.mark.parametrize("at", [0, 3, EVERY])
def test_a_stopped_and_resumed_run_ends_with_the_same_weights(
    finished, essen_corpus, tmp_path, interrupting, capfd, at
):
    config = small_run(essen_corpus, tmp_path / "run")
    interrupting(at)
    assert train(config, progress=False) is None
    assert "stopping after this step" in capfd.readouterr().err
    assert not (tmp_path / "run" / "checkpoint").exists()
    interrupting.stop()
    released = train(config, resume=True, progress=False)
    assert same_weights(weights_of(released), weights_of(finished / "checkpoint"))
    quantiles = [(run / "scores.json").read_text() for run in (released, finished / "checkpoint")]
    assert quantiles[0] == quantiles[1]


def test_a_run_may_be_stopped_again_and_again_by_an_interrupt_or_a_termination(
    finished, essen_corpus, tmp_path, interrupting
):
    config = small_run(essen_corpus, tmp_path / "run")
    before = signal.getsignal(signal.SIGTERM)
    for number, at in enumerate((2, 6, 9)):
        interrupting(at, signal.SIGTERM if number == 1 else signal.SIGINT)
        assert train(config, resume=number > 0, progress=False) is None
        interrupting.stop()
    assert signal.getsignal(signal.SIGTERM) is before
    released = train(config, resume=True, progress=False)
    assert same_weights(weights_of(released), weights_of(finished / "checkpoint"))


def test_an_interrupt_in_the_last_step_lets_the_run_end(
    finished, essen_corpus, tmp_path, interrupting
):
    interrupting(STEPS - 1)
    released = train(small_run(essen_corpus, tmp_path / "run"), progress=False)
    assert same_weights(weights_of(released), weights_of(finished / "checkpoint"))


def test_two_interrupts_end_a_run_at_once(essen_corpus, tmp_path, interrupting):
    interrupting(7)
    interrupting(7)  # the one above, once more
    with pytest.raises(KeyboardInterrupt):
        train(small_run(essen_corpus, tmp_path / "run"), progress=False)
    assert states(tmp_path / "run") == [f"step={EVERY}.ckpt"]


def test_a_run_that_broke_off_goes_on_from_its_last_state(
    finished, essen_corpus, tmp_path, monkeypatch
):
    config = small_run(essen_corpus, tmp_path / "run")
    batches_of = ComparisonBatches.__iter__

    def iterate(self):
        for step, batch in enumerate(batches_of(self)):
            if step == 8:
                raise MemoryError
            yield batch

    with monkeypatch.context() as patch:
        patch.setattr(ComparisonBatches, "__iter__", iterate)
        with pytest.raises(MemoryError):
            train(config, progress=False)
    assert states(tmp_path / "run") == [f"step={EVERY}.ckpt"]
    released = train(config, resume=True, progress=False)
    assert same_weights(weights_of(released), weights_of(finished / "checkpoint"))


@pytest.mark.slow
def test_a_killed_run_goes_on_from_its_last_state(finished, essen_corpus, tmp_path):
    config = small_run(essen_corpus, tmp_path / "run")
    program = f"""
        import os, signal, sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from runs import small_run
        from seqmelody.corpus import Corpus
        from seqmelody.training.data import ComparisonBatches
        from seqmelody.training.run import train

        batches_of = ComparisonBatches.__iter__

        def iterate(self):
            for step, batch in enumerate(batches_of(self)):
                if step == 8:
                    os.kill(os.getpid(), signal.SIGKILL)
                yield batch

        ComparisonBatches.__iter__ = iterate
        train(small_run(Corpus.open({config.corpus!r}), {config.out!r}), progress=False)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        check=False,
        timeout=120,
        capture_output=True,
    )
    assert done.returncode == -signal.SIGKILL
    assert states(tmp_path / "run") == [f"step={EVERY}.ckpt"]
    # A state that the kill cut short is passed over for the one before it.
    whole = (tmp_path / "run" / "resumable" / f"step={EVERY}.ckpt").read_bytes()
    (tmp_path / "run" / "resumable" / "step=7.ckpt").write_bytes(whole[: len(whole) // 2])
    released = train(config, resume=True, progress=False)
    assert same_weights(weights_of(released), weights_of(finished / "checkpoint"))


def test_a_finished_run_resumed_is_released_again(finished, essen_corpus, tmp_path):
    config = small_run(essen_corpus, tmp_path / "run", steps=2 * EVERY)
    first = weights_of(train(config, progress=False))
    assert same_weights(weights_of(train(config, resume=True, progress=False)), first)


# What cannot be run


def test_a_folder_that_holds_a_run_is_left_alone(finished, essen_corpus):
    before = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match="holds a run already; go on with --resume"):
        train(small_run(essen_corpus, finished), progress=False)
    assert {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"seed": 3}, "seed"),
        ({"steps": 20, "tokens_per_batch": 500}, "steps, tokens_per_batch"),
        ({"validate_every": 3}, "validate_every"),
    ],
)
def test_a_run_is_not_resumed_with_other_settings(finished, essen_corpus, changes, named):
    config = small_run(essen_corpus, finished, **changes)
    with pytest.raises(CheckpointError, match=rf"other settings \({named}\)"):
        train(config, resume=True, progress=False)


def test_a_model_of_another_size_is_not_resumed(finished, essen_corpus):
    config = small_run(essen_corpus, finished)
    model = dataclasses.replace(config.model, hidden_size=9)
    with pytest.raises(CheckpointError, match=r"other settings \(model\)"):
        train(dataclasses.replace(config, model=model), resume=True, progress=False)


def test_a_run_is_not_resumed_on_another_corpus(finished, essen_corpus, tune_corpus):
    config = dataclasses.replace(small_run(essen_corpus, finished), corpus=str(tune_corpus.folder))
    with pytest.raises(CheckpointError, match="another corpus"):
        train(config, resume=True, progress=False)


def test_there_is_nothing_to_resume_where_nothing_ran(essen_corpus, tmp_path):
    config = small_run(essen_corpus, tmp_path / "run")
    with pytest.raises(CheckpointError, match="no run to resume here; leave --resume out"):
        train(config, resume=True, progress=False)
    assert not (tmp_path / "run").exists()


def test_a_run_that_was_killed_before_its_first_state_can_be_begun_again(
    finished, essen_corpus, tmp_path
):
    config = small_run(essen_corpus, tmp_path / "run")
    (tmp_path / "run" / "resumable").mkdir(parents=True)
    (tmp_path / "run" / "logs").mkdir()
    with pytest.raises(CheckpointError, match="leave --resume out to begin one"):
        train(config, resume=True, progress=False)
    # So that is what one does. With states that were cut short, there is a third way out.
    state = tmp_path / "run" / "resumable" / "step=5.ckpt"
    state.write_bytes(b"PK")
    with pytest.raises(CheckpointError, match="no state in it can be read; remove the folder"):
        train(config, resume=True, progress=False)
    state.unlink()
    assert train(config, progress=False) is not None


def corpus_of(folder: Path, melodies: int) -> Path:
    for number in range(melodies):
        pitch = np.random.default_rng(number).integers(60, 72, size=20)
        write_midi(Melody(np.arange(20) * 24, np.full(20, 24), pitch), folder / f"{number}.mid")
    prepare(folder, folder / "corpus", progress=False)
    return folder / "corpus"


def test_a_corpus_with_an_empty_split_is_named(essen_corpus, tmp_path):
    corpus = corpus_of(tmp_path, melodies=1)
    config = dataclasses.replace(small_run(essen_corpus, tmp_path / "run"), corpus=str(corpus))
    with pytest.raises(CorpusError, match=r"corpus: no melodies in its validation split"):
        train(config, progress=False)
    assert not (tmp_path / "run").exists()


def test_a_corpus_that_is_not_there_is_named(essen_corpus, tmp_path):
    config = dataclasses.replace(small_run(essen_corpus, tmp_path / "run"), corpus="nowhere")
    with pytest.raises(CorpusError, match="nowhere: no such folder"):
        train(config, progress=False)
    assert not (tmp_path / "run").exists()


def test_a_corpus_of_a_few_tunes_is_enough(tune_corpus, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        released = train(small_run(tune_corpus, tmp_path / "run"), progress=False)
    metrics = json.loads((released / "metrics.json").read_text())
    assert 0 <= metrics["validation"]["mean"] <= 1
