"""Task: does a melody outscore a spoiled copy of itself?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from seqmelody.batching import OrderedBatches
from seqmelody.config import HELD_OUT_KINDS, TRAINED_KINDS
from seqmelody.corpus import Corpus
from seqmelody.corruption import Corruptor
from seqmelody.errors import CorpusError
from seqmelody.evaluation.intervals import Estimate, bootstrap_mean
from seqmelody.model import MelodyModel
from seqmelody.objectives.contrast import compare


@dataclass(frozen=True)
class CorruptionResult:
    """Share of comparisons that the original won.

    Attributes:
        by_kind: For each kind of corruption.
        comparisons: How many there were of each kind.
        trained_mean: Mean over the kinds that training may use.
    """

    by_kind: dict[str, Estimate]
    comparisons: dict[str, int]
    trained_mean: Estimate

    @property
    def worst(self) -> str:
        """The kind of those that training may use that the model does worst on."""
        return min(TRAINED_KINDS, key=lambda kind: self.by_kind[kind].value)


def corruption_task(
    model: MelodyModel,
    corpus: Corpus,
    rows: NDArray[np.int64],
    *,
    copies: int = 3,
    seed: int = 0,
    progress: bool = False,
) -> CorruptionResult:
    """Compares each melody with several copies of each kind.

    Copies that came out like their originals do not count. Markov chains are those of the corpus'
    training split.

    Args:
        model: In evaluation mode, on the CPU.
        corpus: Where the melodies are.
        rows: Which of them.
        copies: Of each kind, for each melody.
        seed: Of the spoiling.
        progress: Show a progress bar.

    Raises:
        CorpusError: A kind left every melody as it was.
    """
    kinds = (*TRAINED_KINDS, *HELD_OUT_KINDS)
    corruptor = Corruptor(corpus, kinds)
    batches = OrderedBatches(corpus, rows)
    generator = torch.Generator().manual_seed(seed)
    won = {kind: np.full((len(corpus), copies), np.nan) for kind in kinds}
    bar = tqdm(total=len(rows), desc="corruption", unit="melody", disable=not progress)
    with torch.inference_mode(), bar:
        for members, batch in zip(batches.batches, batches, strict=True):
            score_B = model(batch).score_B
            for kind in kinds:
                for copy in range(copies):
                    won_B, _ = compare(model, corruptor, batch, score_B, kind, generator)
                    won[kind][members, copy] = won_B.numpy()
            bar.update(len(batch))
    groups = np.asarray(corpus.column("group"))[rows]
    by_melody = {kind: _mean_of_known(won[kind][rows]) for kind in kinds}
    for kind, values in by_melody.items():
        if np.isnan(values).all():
            raise CorpusError(
                f"{corpus.folder}: none of its melodies comes out changed by {kind}, so there is "
                "nothing to compare; take a larger corpus"
            )
    trained = _mean_of_known(np.stack([by_melody[kind] for kind in TRAINED_KINDS], axis=1))
    return CorruptionResult(
        by_kind={kind: bootstrap_mean(values, groups) for kind, values in by_melody.items()},
        comparisons={kind: int((~np.isnan(won[kind])).sum()) for kind in kinds},
        trained_mean=bootstrap_mean(trained, groups),
    )


def _mean_of_known(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the last axis without NaN; NaN where there is nothing else."""
    known = ~np.isnan(values)
    count = known.sum(-1)
    total = np.where(known, values, 0.0).sum(-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
