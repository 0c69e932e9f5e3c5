"""What a run shows while it goes on: speed, and the notes that earn the score."""

from __future__ import annotations

import sys
import time
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.trainer.states import TrainerFn
from matplotlib.figure import Figure
from torch import Tensor

from seqmelody.batching import collate
from seqmelody.corpus import Corpus
from seqmelody.piano_roll import draw_piano_roll


class Throughput(L.Callback):
    """Logs the notes that pass through the model in a second, copies counted, padding not.

    Those of all objectives are counted.
    """

    def __init__(self, log_every: int) -> None:
        self.log_every = log_every
        self._notes: list[Tensor] = []
        self._seconds = 0.0
        self._started = 0.0

    def on_train_batch_start(
        self, trainer: L.Trainer, module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Starts the clock, after validation and logging."""
        self._started = time.perf_counter()

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Stops it."""
        melodies, comparison, related, *judged = batch
        # Read only when logged, so that a GPU need not catch up in each step.
        if melodies is not None:
            self._notes += [melodies.length_B.sum(), comparison.copies.length_B.sum()]
        if related is not None:
            self._notes += [piece.length_B.sum() for piece in related.pieces]
        self._notes += [entry.melodies.length_B.sum() for entry in judged]
        logs = trainer.global_step % self.log_every == 0
        notes = int(torch.stack(self._notes).sum()) if logs else 0
        self._seconds += time.perf_counter() - self._started
        if logs:
            module.log("train/tokens_per_second", notes / self._seconds, prog_bar=True)
            self._notes, self._seconds = [], 0.0


class PianoRolls(L.Callback):
    """Draws a few melodies of the test split after each validation.

    They are looked at, never trained on or chosen by.

    Args:
        corpus: Where they are.
        melodies: How many.
    """

    def __init__(self, corpus: Corpus, melodies: int = 4) -> None:
        rows = corpus.split("test")
        chosen = np.random.default_rng(0).permutation(rows)[:melodies].tolist()
        ids = {row: id_ for row, id_ in enumerate(corpus.iter_column("id")) if row in chosen}
        self._ids = [ids[row] for row in chosen]
        self._tokens = [corpus.tokens(row) for row in chosen]
        self._melodies = [corpus.tokenizer.decode(tokens) for tokens in self._tokens]

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Adds one image to TensorBoard for each melody."""
        if not isinstance(trainer.logger, TensorBoardLogger) or not self._tokens:
            return
        if not trainer.is_global_zero:
            return
        with torch.inference_mode():
            output = module.model(collate(self._tokens).to(module.device))  # type: ignore[operator]
        share_BL = (output.weight_BL * output.value_BL).cpu().numpy()
        for row, (name, melody) in enumerate(zip(self._ids, self._melodies, strict=True)):
            figure = Figure(figsize=(10, 3), layout="constrained")
            axes = figure.add_subplot()
            draw_piano_roll(axes, melody, share_BL[row, : len(melody)])
            axes.set_title(f"{name}: score {float(output.score_B[row]):.2f}")
            trainer.logger.experiment.add_figure(f"notes/{row}", figure, trainer.global_step)


class ProgressLines(L.Callback):
    """One line on standard error after each validation, where a bar would only fill a log file."""

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Writes it."""
        if trainer.state.fn != TrainerFn.FITTING or not trainer.is_global_zero:
            return
        measured = {name: float(value) for name, value in trainer.callback_metrics.items()}
        figures = ", ".join(
            f"{name.removeprefix('validation/').replace('_', ' ')} {value:.4f}"
            for name, value in measured.items()
            if name.startswith("validation/")
        )
        told = [f"validation {figures}"]
        # Neither is known before the first entry in the logs.
        if "train/loss" in measured:
            told.insert(0, f"loss {measured['train/loss']:.3f}")
        if "train/tokens_per_second" in measured:
            told.append(f"{measured['train/tokens_per_second']:,.0f} notes/s")
        sys.stderr.write(f"step {trainer.global_step} of {trainer.max_steps}: {', '.join(told)}\n")
