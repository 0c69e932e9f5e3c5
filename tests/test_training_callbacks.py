from __future__ import annotations

import types

import lightning as L
import numpy as np
import pytest
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.trainer.states import TrainerFn
from runs import small_run

from seqmelody.batching import TrainingBatches
from seqmelody.objectives import Contrast
from seqmelody.training import callbacks
from seqmelody.training.callbacks import PianoRolls, ProgressLines, Throughput
from seqmelody.training.data import ComparisonBatches
from seqmelody.training.module import MelodyTraining


def test_throughput_counts_notes_and_copies_in_the_time_between_start_and_end(
    essen_corpus, tmp_path, monkeypatch
):
    config = small_run(essen_corpus, tmp_path)
    batches = list(
        ComparisonBatches(
            TrainingBatches(essen_corpus, essen_corpus.split("train"), 400, steps=4),
            Contrast(config.contrast, essen_corpus),
        )
    )
    now = 0.0
    monkeypatch.setattr(callbacks.time, "perf_counter", lambda: now)
    logged = []
    module = types.SimpleNamespace(log=lambda name, value, **_: logged.append((name, value)))
    throughput = Throughput(log_every=2)
    for step, batch in enumerate(batches, start=1):
        now += 100  # validation, say
        trainer = types.SimpleNamespace(global_step=step)
        seen = (*batch, None)
        throughput.on_train_batch_start(trainer, module, seen, step)
        now += 0.5
        throughput.on_train_batch_end(trainer, module, None, seen, step)
    notes = [int(own.length_B.sum() + drawn.copies.length_B.sum()) for own, drawn in batches]
    assert logged == [
        ("train/tokens_per_second", pytest.approx(sum(notes[:2]))),
        ("train/tokens_per_second", pytest.approx(sum(notes[2:]))),
    ]


class Recorder:
    """Takes TensorBoard's figures."""

    def __init__(self) -> None:
        self.figures = {}

    def add_figure(self, tag: str, figure, step: int) -> None:
        self.figures[tag] = (figure, step)


@pytest.fixture
def draw(essen_corpus, tmp_path, monkeypatch):
    """The figures that a callback adds after a validation at step 30."""
    config = small_run(essen_corpus, tmp_path)
    module = MelodyTraining(config, essen_corpus, Contrast(config.contrast, essen_corpus)).eval()
    recorder = Recorder()
    monkeypatch.setattr(TensorBoardLogger, "experiment", recorder)
    logger = TensorBoardLogger(tmp_path)

    def figures(callback: L.Callback):
        trainer = types.SimpleNamespace(logger=logger, global_step=30, is_global_zero=True)
        callback.on_validation_end(trainer, module)
        return recorder.figures

    return figures


def test_piano_rolls_show_the_same_test_melodies_each_time(essen_corpus, draw):
    drawn = draw(PianoRolls(essen_corpus, melodies=3))
    assert list(drawn) == ["notes/0", "notes/1", "notes/2"]
    ids = np.array(essen_corpus.column("id"))[essen_corpus.split("test")]
    titles = []
    for figure, step in drawn.values():
        assert step == 30
        [axes] = figure.axes
        name, score = axes.get_title().split(": score ")
        titles.append(axes.get_title())
        [row] = np.flatnonzero(ids == name)
        melody = essen_corpus.tokens(int(essen_corpus.split("test")[row]))
        assert len(axes.patches) == len(melody)
        assert np.isfinite(float(score))
    assert len(set(titles)) == 3
    again = draw(PianoRolls(essen_corpus, melodies=3))
    assert [figure.axes[0].get_title() for figure, _ in again.values()] == titles


def test_a_corpus_with_few_or_no_test_melodies_has_few_or_no_piano_rolls(tune_corpus, draw):
    assert list(draw(PianoRolls(tune_corpus))) == ["notes/0"]
    draw(PianoRolls(tune_corpus)).clear()
    nothing = types.SimpleNamespace(
        split=lambda name: np.zeros(0, dtype=np.int64), iter_column=lambda name: iter([])
    )
    assert draw(PianoRolls(nothing)) == {}


def test_a_line_after_each_validation_while_fitting(capsys):
    trainer = types.SimpleNamespace(
        state=types.SimpleNamespace(fn=TrainerFn.FITTING),
        callback_metrics={
            "validation/accuracy": 0.75,
            "train/loss": 0.5,
            "validation/rating_spearman": 0.25,
        },
        global_step=10,
        max_steps=20,
        is_global_zero=True,
    )
    ProgressLines().on_validation_end(trainer, None)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "step 10 of 20: loss 0.500, validation accuracy 0.7500, rating" in printed.err
    assert printed.err.endswith(", rating spearman 0.2500\n")
    trainer.is_global_zero = False
    ProgressLines().on_validation_end(trainer, None)
    trainer.is_global_zero, trainer.state.fn = True, TrainerFn.VALIDATING
    ProgressLines().on_validation_end(trainer, None)
    assert capsys.readouterr().err == ""
