"""The batches of a run, as Lightning asks for them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import lightning as L
import numpy as np
import torch

from seqmelody.batching import Batch, OrderedBatches, TrainingBatches
from seqmelody.config import TrainConfig
from seqmelody.corpus import Corpus
from seqmelody.objectives import Contrast
from seqmelody.objectives.contrast import Comparison
from seqmelody.training.families import Families
from seqmelody.training.judged import Judged


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


Step: TypeAlias = tuple[Any, ...]
"""What a step sees: melodies and comparison (``None`` both where contrast is switched off), a
``FamilyBatch`` (``None`` where families are not learnt), then a ``JudgedBatch`` for each objective
that learns from people."""


class Steps:
    """All that the steps of a run see, a batch for each objective.

    Args:
        comparisons: The melodies and their spoiled copies; ``None`` where contrast is switched off.
        families: Melodies by tune family, where that is learnt.
        judged: The objectives that learn from people.
        steps: Of the whole run.
        first_step: Where to begin.
        seed: Of the run.
    """

    def __init__(
        self,
        comparisons: ComparisonBatches | None,
        families: Families | None,
        judged: Sequence[Judged],
        *,
        steps: int,
        first_step: int,
        seed: int,
    ) -> None:
        self.comparisons = comparisons
        self.families = families
        self.judged = judged
        self.steps = steps
        self.first_step = first_step
        self.seed = seed

    def __len__(self) -> int:
        """Steps of the whole run, wherever it starts."""
        return self.steps

    def __iter__(self) -> Iterator[Step]:
        pairs: Iterable[tuple[Batch | None, Comparison | None]] = (
            itertools.repeat((None, None)) if self.comparisons is None else self.comparisons
        )
        for step, pair in zip(range(self.first_step, self.steps), pairs, strict=False):
            drawn = (
                entry.draw(seed_of(self.seed, step, 0, 2 + number))
                for number, entry in enumerate(self.judged)
            )
            related = None
            if self.families is not None:
                related = self.families.draw(seed_of(self.seed, step, 0, 0, 1))
            yield (*pair, related, *drawn)

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
        judged: The objectives that learn from people.
        families: Melodies by tune family, where that is learnt.
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
        self.corpus = corpus
        self.contrast = contrast
        self.judged = judged
        self.families = families

    def train_dataloader(self) -> Steps:
        """From the step on that the trainer stands at."""
        trainer = self.trainer
        assert trainer is not None
        return Steps(
            self._comparisons() if self.config.contrast.weight > 0 else None,
            self.families,
            self.judged,
            steps=self.config.steps,
            first_step=trainer.global_step,
            seed=self.config.seed,
        )

    def _comparisons(self) -> ComparisonBatches:
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
        self, batch: Batch | Step, device: torch.device, dataloader_idx: int
    ) -> Batch | Step:
        """Validation melodies stay where they are, since copies of them are made on the CPU."""
        if isinstance(batch, Batch):
            return batch
        melodies, comparison, *others = batch
        moved = [None if entry is None else entry.to(device) for entry in others]
        if melodies is None:
            return (None, None, *moved)
        if device.type == "cuda":
            melodies, comparison = melodies.pin_memory(), comparison.pin_memory()
        return (melodies.to(device), comparison.to(device), *moved)
