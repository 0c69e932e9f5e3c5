"""The batches of a run, as Lightning asks for them."""

from __future__ import annotations

from collections.abc import Iterator

import lightning as L
import numpy as np
import torch

from seqmelody.batching import Batch, OrderedBatches, TrainingBatches
from seqmelody.config import TrainConfig
from seqmelody.corpus import Corpus
from seqmelody.objectives import Contrast
from seqmelody.objectives.contrast import Comparison


def seed_of(*parts: int) -> int:
    """One seed from several numbers (the run's seed, the step, the process, what it is for).

    All randomness of a run comes from seeds of its steps, so that no step depends on what was
    drawn in those before it, and a resumed run draws what it would have drawn.
    """
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> 1)


class ComparisonBatches:
    """Training batches with the spoiled copies of their melodies."""

    def __init__(self, batches: TrainingBatches, contrast: Contrast) -> None:
        self.batches = batches
        self.contrast = contrast

    def __len__(self) -> int:
        """Batches of the whole run, wherever it starts."""
        return self.batches.steps

    def __iter__(self) -> Iterator[tuple[Batch, Comparison]]:
        source = self.batches
        for step, batch in enumerate(source, start=source.first_step):
            generator = torch.Generator().manual_seed(seed_of(source.seed, step, 0, 0))
            yield batch, self.contrast.draw(batch, generator)

    def state_dict(self) -> dict[str, int]:
        """Empty: Lightning asks resumable loaders for their state, and here the step says it all."""
        return {}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Nothing to restore, see ``state_dict``."""


class CorpusData(L.LightningDataModule):
    """Training and validation batches of a corpus.

    Args:
        config: Of the run.
        corpus: What ``config.corpus`` names.
        contrast: Spoils the melodies.
    """

    def __init__(self, config: TrainConfig, corpus: Corpus, contrast: Contrast) -> None:
        super().__init__()
        self.config = config
        self.corpus = corpus
        self.contrast = contrast

    def train_dataloader(self) -> ComparisonBatches:
        """From the step on that the trainer stands at."""
        trainer = self.trainer
        assert trainer is not None
        batches = TrainingBatches(
            self.corpus,
            self.corpus.split("train"),
            self.config.tokens_per_batch,
            steps=self.config.steps,
            first_step=trainer.global_step,
            seed=self.config.seed,
        )
        return ComparisonBatches(batches, self.contrast)

    def val_dataloader(self) -> OrderedBatches:
        """The same melodies of the validation split in each validation."""
        rows = self.corpus.split("validation")
        most = self.config.validation_melodies
        if len(rows) > most:
            rows = np.sort(np.random.default_rng(0).choice(rows, most, replace=False))
        return OrderedBatches(self.corpus, rows)

    def transfer_batch_to_device(
        self, batch: Batch | tuple[Batch, Comparison], device: torch.device, dataloader_idx: int
    ) -> Batch | tuple[Batch, Comparison]:
        """Validation melodies stay where they are, since copies of them are made on the CPU."""
        if isinstance(batch, Batch):
            return batch
        melodies, comparison = batch
        copies, original_N, kind_N = comparison.copies, comparison.original_N, comparison.kind_N
        if device.type == "cuda":
            melodies, copies = melodies.pin_memory(), copies.pin_memory()
            original_N, kind_N = original_N.pin_memory(), kind_N.pin_memory()
        return melodies.to(device), Comparison(
            original_N=original_N.to(device, non_blocking=True),
            kind_N=kind_N.to(device, non_blocking=True),
            copies=copies.to(device),
        )
