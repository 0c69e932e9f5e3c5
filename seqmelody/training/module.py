"""The training step, as Lightning asks for it.

Shapes: B melodies, N comparisons, K kinds of corruption.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
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
from seqmelody.config import FamilyConfig, TrainConfig, usable_cores
from seqmelody.corpus import Corpus
from seqmelody.errors import SeqmelodyError, UsageError
from seqmelody.model import build_model
from seqmelody.objectives import Contrast
from seqmelody.objectives.contrast import Comparison, compare
from seqmelody.training.data import Step, seed_of
from seqmelody.training.families import Families, FamilyBatch
from seqmelody.training.judged import Judged
from seqmelody.training.sharing import Scores, shared_scores


def made_from(
    corpus_digest: str, judged: Sequence[Judged], family: FamilyConfig | None = None
) -> dict[str, Any]:
    """Tells the data of a run from others: what it may be resumed with."""
    found: dict[str, Any] = {"corpus": corpus_digest}
    if family is not None:
        found["family_corpus"] = corpus_digest
    if not judged:
        return found
    return {
        **found,
        "judgements": {entry.name: entry.digest for entry in judged},
        "judged_corpora": {entry.name: entry.corpus.digest for entry in judged},
    }


class MelodyTraining(L.LightningModule):
    """Trains a model to tell melodies from spoiled copies of them.

    Args:
        config: Of the run.
        corpus: For its tokenizer and digest.
        contrast: The objective that needs no people.
        judged: Those that learn from people.
        families: The melodies by tune family, where that is learnt.
    """

    def __init__(
        self,
        config: TrainConfig,
        corpus: Corpus,
        contrast: Contrast,
        judged: Sequence[Judged] = (),
        families: Families | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.tokenizer = corpus.tokenizer
        self.corpus_digest = corpus.digest
        self.contrast = contrast
        self.judged = tuple(judged)
        self.families = families
        self.objectives = torch.nn.ModuleDict({entry.name: entry.objective for entry in judged})
        self.model = build_model(config.model, corpus.tokenizer)
        # Wins and comparisons by kind since the last entry in the logs.
        kinds = len(contrast.kinds)
        self.register_buffer("_won_K", torch.zeros(kinds), persistent=False)
        self.register_buffer("_count_K", torch.zeros(kinds), persistent=False)
        self._validation_won: dict[str, list[Tensor]] = {}
        self._validation_scores: dict[str, list[Tensor]] = {}

    def setup(self, stage: str) -> None:
        """Sets the threads once more, since Lightning sets its own number as it starts processes."""
        self.set_threads(self.trainer.num_devices)
        if self.config.compile:
            if self.trainer.strategy.root_device.type == "cpu":
                raise UsageError("compile is for GPUs: on a CPU the layers are written out by hand")
            # In place, so that the names of the weights stay as they are.
            self.model.compile(dynamic=True)

    def set_threads(self, devices: int) -> None:
        """Has this process compute with the threads of the configuration.

        Args:
            devices: That share the cores, where the configuration does not say how many threads.
        """
        torch.set_num_threads(self.config.threads or max(1, usable_cores() // devices))

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

    def training_step(self, batch: Step, batch_idx: int) -> Tensor:
        """Loss of one batch; logs it with the accuracy by kind every ``log_every`` steps."""
        melodies, comparison, related, *drawn = batch
        logs = (self.global_step + 1) % self.config.log_every == 0
        losses = []
        if melodies is not None:
            losses.append(self.config.contrast.weight * self._contrast(melodies, comparison, logs))
        if self.families is not None:
            losses.append(self.families.weight * self._family(self.families, related, logs))
        for entry, seen in zip(self.judged, drawn, strict=True):
            objective = entry.objective
            found = shared_scores(self.model, seen.melodies, embeddings=objective.needs_embedding)
            own = objective(found.score_B, found.embedding_BE, seen.judgements)
            if logs:
                self.log(f"train/{entry.name}_loss", own.detach())
            losses.append(entry.weight * own)
        loss: Tensor = sum(losses[1:], losses[0])
        if logs:
            self._refuse_divergence(loss)
            self.log("train/loss", loss.detach(), prog_bar=True)
        return loss

    def _contrast(self, melodies: Batch, comparison: Comparison, logs: bool) -> Tensor:
        result = self.contrast(self._score, melodies, comparison)
        won_K, count_K = self.get_buffer("_won_K"), self.get_buffer("_count_K")
        won_K.index_add_(0, result.kind_N, result.won_N)
        count_K.index_add_(0, result.kind_N, torch.ones_like(result.won_N))
        if logs:
            self.log("train/accuracy", won_K.sum() / count_K.sum(), prog_bar=True)
            accuracies = (won_K / count_K).tolist()
            for kind, accuracy in zip(self.contrast.kinds, accuracies, strict=True):
                if not math.isnan(accuracy):
                    self.log(f"train_accuracy/{kind}", accuracy)
            won_K.zero_()
            count_K.zero_()
        return result.loss

    def _family(self, families: Families, seen: FamilyBatch, logs: bool) -> Tensor:
        found = [shared_scores(self.model, piece, embeddings=True) for piece in seen.pieces]
        vectors = [piece.embedding_BE for piece in found if piece.embedding_BE is not None]
        loss = families.objective(torch.cat(vectors), seen.family_B, seen.aligned_BB)
        if logs:
            self.log("train/family_loss", loss.detach())
        return loss

    def _score(self, batch: Batch) -> Scores:
        return shared_scores(self.model, batch)

    def scores_and_embeddings(self, batch: Batch) -> Scores:
        """Those of a batch on the CPU."""
        found = shared_scores(self.model, batch.to(self.device), embeddings=True)
        assert found.embedding_BE is not None
        self._refuse_divergence(found.embedding_BE)
        return found

    def _refuse_divergence(self, values: Tensor) -> None:
        if not values.isfinite().all():
            raise SeqmelodyError(
                f"no finite loss, score or embedding any more at step {self.global_step}: training diverged; "
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
        groups: list[dict[str, Any]] = [{"params": list(self.model.parameters())}]
        if self.judged:
            # What a rating is made of has priors of its own, where it needs any.
            groups.append({"params": list(self.objectives.parameters()), "weight_decay": 0.0})
        optimizer = torch.optim.AdamW(
            groups,
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
        """Each melody against one copy of each kind, the same copies every time.

        Nothing is compared where no objective says what a score should be.
        """
        if not self.config.trains_scores:
            return
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
        """Logs accuracy by kind and the two histograms of scores, and how relatives are found."""
        if self.families is not None:
            for name, value in self.families.measure(self.scores_and_embeddings).items():
                self.log(f"validation/family_{name}", value, prog_bar=True)
        if self.config.trains_scores:
            self._log_comparisons()

    def _log_comparisons(self) -> None:
        self._refuse_divergence(torch.cat(self._validation_scores["original"]))
        by_kind = {}
        for kind, won in self._validation_won.items():
            by_kind[kind] = torch.cat(won).nanmean()
            self.log(f"validation_accuracy/{kind}", by_kind[kind])
        mean = torch.stack(list(by_kind.values())).mean()
        self.log("validation/accuracy", mean, prog_bar=True)
        for entry in self.judged:
            for name, value in entry.measure(self.scores_and_embeddings).items():
                if not math.isnan(value):
                    self.log(f"validation/{entry.name}_{name}", value)
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
            "metrics": {"training": made_from(self.corpus_digest, self.judged, self.config.family)},
        }
