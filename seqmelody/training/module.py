"""The training step, as Lightning asks for it.

Shapes: B melodies, N comparisons, K kinds of corruption.
"""

from __future__ import annotations

import math
from typing import Any

import lightning as L
import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor
from torch.optim import Optimizer

from seqmelody.batching import Batch
from seqmelody.checkpoint import LIGHTNING_KEY
from seqmelody.config import TrainConfig, usable_cores
from seqmelody.corpus import Corpus
from seqmelody.errors import SeqmelodyError, UsageError
from seqmelody.model import ConvGRU
from seqmelody.objectives import Contrast
from seqmelody.objectives.contrast import Comparison, compare
from seqmelody.training.data import seed_of
from seqmelody.training.sharing import Scores, shared_scores


class MelodyTraining(L.LightningModule):
    """Trains a model to tell melodies from spoiled copies of them.

    Args:
        config: Of the run.
        corpus: For its tokenizer and digest.
        contrast: The objective.
    """

    def __init__(self, config: TrainConfig, corpus: Corpus, contrast: Contrast) -> None:
        super().__init__()
        self.config = config
        self.tokenizer = corpus.tokenizer
        self.corpus_digest = corpus.digest
        self.contrast = contrast
        self.model = ConvGRU(config.model, corpus.tokenizer)
        # Wins and comparisons by kind since the last entry in the logs.
        kinds = len(contrast.kinds)
        self.register_buffer("_won_K", torch.zeros(kinds), persistent=False)
        self.register_buffer("_count_K", torch.zeros(kinds), persistent=False)
        self._validation_won: dict[str, list[Tensor]] = {}
        self._validation_scores: dict[str, list[Tensor]] = {}

    def setup(self, stage: str) -> None:
        """Sets the threads: only now, since Lightning sets its own number as it starts processes."""
        torch.set_num_threads(
            self.config.threads or max(1, usable_cores() // self.trainer.num_devices)
        )
        if self.config.compile:
            if self.trainer.strategy.root_device.type == "cpu":
                raise UsageError("compile is for GPUs: on a CPU the layers are written out by hand")
            # In place, so that the names of the weights stay as they are.
            self.model.compile(dynamic=True)

    # Training

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Seeds dropout, on the device that draws it.

        ``torch.manual_seed`` seeds all kinds of devices, and for each that has not been used it
        stores a traceback: half a millisecond a step.
        """
        seed = seed_of(self.config.seed, self.global_step, self.global_rank, 1)
        torch.default_generator.manual_seed(seed)
        if self.device.type != "cpu":
            torch.get_device_module(self.device).manual_seed(seed)

    def training_step(self, batch: tuple[Batch, Comparison], batch_idx: int) -> Tensor:
        """Loss of one batch; logs it with the accuracy by kind every ``log_every`` steps."""
        melodies, comparison = batch
        result = self.contrast(self._score, melodies, comparison)
        won_K, count_K = self.get_buffer("_won_K"), self.get_buffer("_count_K")
        won_K.index_add_(0, result.kind_N, result.won_N)
        count_K.index_add_(0, result.kind_N, torch.ones_like(result.won_N))
        if (self.global_step + 1) % self.config.log_every == 0:
            self._refuse_divergence(result.loss)
            self.log("train/loss", result.loss.detach(), prog_bar=True)
            self.log("train/accuracy", won_K.sum() / count_K.sum(), prog_bar=True)
            accuracies = (won_K / count_K).tolist()
            for kind, accuracy in zip(self.contrast.kinds, accuracies, strict=True):
                if not math.isnan(accuracy):
                    self.log(f"train_accuracy/{kind}", accuracy)
            won_K.zero_()
            count_K.zero_()
        return result.loss

    def _score(self, batch: Batch) -> Scores:
        return shared_scores(self.model, batch)

    def _refuse_divergence(self, values: Tensor) -> None:
        if not values.isfinite().all():
            raise SeqmelodyError(
                f"no finite loss or score any more at step {self.global_step}: training diverged; "
                "lower optimizer.learning_rate"
            )

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer | LightningOptimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clips by norm, and logs the norm before."""
        norm = torch.nn.utils.clip_grad_norm_(
            self.model.parameters(), self.config.optimizer.largest_gradient_norm
        )
        if (self.global_step + 1) % self.config.log_every == 0:
            self.log("train/gradient_norm", norm)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """AdamW; linear warm-up, cosine decay to zero at the last step."""
        settings = self.config.optimizer
        optimizer = torch.optim.AdamW(
            self.model.parameters(),
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            # One pass over all weights. With float16, gradients would be clipped before the fused
            # step takes their scale off.
            fused=self.config.precision != "16-mixed",
        )

        def factor(step: int) -> float:
            if step < settings.warmup_steps:
                return (step + 1) / (settings.warmup_steps + 1)
            left = max(1, self.config.steps - settings.warmup_steps)
            return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - settings.warmup_steps) / left)))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    # Validation

    def on_validation_epoch_start(self) -> None:
        """Forgets the last validation."""
        self._validation_won = {kind: [] for kind in self.contrast.kinds}
        self._validation_scores = {"original": [], "copy": []}

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Each melody against one copy of each kind, the same copies every time."""
        score_B = self._score(batch.to(self.device)).score_B
        self._validation_scores["original"].append(score_B)
        for number, kind in enumerate(self.contrast.kinds):
            generator = torch.Generator().manual_seed(seed_of(number, batch_idx))
            won_B, copy_score_B = compare(
                self._score, self.contrast.corruptor, batch, score_B, kind, generator
            )
            self._validation_won[kind].append(won_B)
            self._validation_scores["copy"].append(copy_score_B)

    def on_validation_epoch_end(self) -> None:
        """Logs accuracy by kind and the two histograms of scores."""
        self._refuse_divergence(torch.cat(self._validation_scores["original"]))
        by_kind = {}
        for kind, won in self._validation_won.items():
            by_kind[kind] = torch.cat(won).nanmean()
            self.log(f"validation_accuracy/{kind}", by_kind[kind])
        mean = torch.stack(list(by_kind.values())).mean()
        self.log("validation/accuracy", mean, prog_bar=True)
        if isinstance(self.logger, TensorBoardLogger):
            for name, scores in self._validation_scores.items():
                self.logger.experiment.add_histogram(
                    f"scores/{name}", torch.cat(scores), self.global_step
                )

    # Checkpoints

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds what ``seqmelody.checkpoint`` needs to read a ``.ckpt`` on its own."""
        checkpoint[LIGHTNING_KEY] = {
            "config": self.config.to_dict(),
            "tokenizer": self.tokenizer.to_dict(),
            "metrics": {"training": {"corpus": self.corpus_digest}},
        }
