"""Task: does a melody outscore a spoiled copy of itself?"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from seqmelody.batching import OrderedBatches
from seqmelody.config import HELD_OUT_KINDS, TRAINED_KINDS
from seqmelody.corpus import Corpus
from seqmelody.corruption import Corruptor, changed
from seqmelody.errors import CorpusError
from seqmelody.evaluation.intervals import Estimate, bootstrap, bootstrap_mean
from seqmelody.evaluation.protocols import Method
from seqmelody.evaluation.streams import of_batch

CALIBRATION_BINS = 10
KINDS = (*TRAINED_KINDS, *HELD_OUT_KINDS)
"""All kinds of spoiling."""


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
        """The kind of those that training may use that the method does worst on."""
        return min(_trained(self.by_kind), key=lambda kind: self.by_kind[kind].value)


@dataclass(frozen=True)
class CalibratedCorruption:
    """What the corruption task found, and how far win probabilities are off.

    Attributes:
        corruption: The figures of the task.
        calibration_error: Of a method whose score difference is a log-odds; None for another.
    """

    corruption: CorruptionResult
    calibration_error: Estimate | None

    @property
    def headlines(self) -> tuple[str, ...]:
        """Names of the figures to show first."""
        held_out = [kind for kind in HELD_OUT_KINDS if kind in self.corruption.by_kind]
        return ("mean of trained kinds", "worst trained kind", *held_out)

    def figures(self) -> dict[str, Estimate]:
        """All figures by name."""
        found = self.corruption
        figures = {
            "mean of trained kinds": found.trained_mean,
            "worst trained kind": found.by_kind[found.worst],
            **found.by_kind,
        }
        if self.calibration_error is not None:
            figures["calibration error"] = self.calibration_error
        return figures


@dataclass(frozen=True, eq=False)
class CorruptionScores:
    """Scores of melodies and of their spoiled copies.

    Attributes:
        original: ``(melodies,)``.
        copies: For each kind ``(melodies, copies)``; NaN where a copy came out like its original.
        groups: Near-duplicates share one, ``(melodies,)``.
    """

    original: NDArray[np.float64]
    copies: dict[str, NDArray[np.float64]]
    groups: NDArray[np.int64]

    def differences(self) -> NDArray[np.float64]:
        """How far each original is above its copies of the trained kinds, ``(melodies, copies)``."""
        copies = np.concatenate([self.copies[kind] for kind in _trained(self.copies)], axis=1)
        difference: NDArray[np.float64] = self.original[:, None] - copies
        return difference

    def calibration_error(self) -> Estimate:
        """Expected calibration error of the logistic function of the difference (Naeini, 2015).

        Whichever of the two is said to be more melodic, it is said with a confidence between a half
        and 1, which should be the share of such cases that are right. Trained kinds only.
        """
        difference = self.differences()
        bins, confidence, right = calibration_cases(difference)
        melody = np.nonzero(~np.isnan(difference))[0]
        # Of each melody and bin the sum of confidence less outcome.
        gap = np.zeros((len(self.groups), CALIBRATION_BINS))
        np.add.at(gap, (melody, bins), confidence - right)
        count = np.bincount(melody, minlength=len(self.groups))

        def statistic(weight_DN: NDArray[np.float64]) -> NDArray[np.float64]:
            error_D: NDArray[np.float64] = np.abs(weight_DN @ gap).sum(1)
            return error_D / np.maximum(weight_DN @ count, 1)

        return bootstrap(statistic, self.groups)


def calibration_cases(
    difference: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """What a reliability diagram is drawn from.

    Args:
        difference: Score of each original less that of a copy; NaN where there is none.

    Returns:
        For each that is known: the bin of the confidence, the confidence of the more likely side,
        and whether that side is the original (a half for a tie).
    """
    known = difference[~np.isnan(difference)]
    confidence = 1 / (1 + np.exp(-np.abs(known)))
    bins = np.minimum(((confidence - 0.5) * 2 * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    return bins, confidence, (np.sign(known) + 1) / 2


def corruption_task(
    method: Method,
    corpus: Corpus,
    rows: NDArray[np.int64],
    *,
    strength: float = 1.0,
    copies: int = 3,
    seed: int = 0,
    progress: bool = False,
) -> CorruptionResult:
    """Compares each melody with several copies of each kind.

    Copies that came out like their originals do not count. Markov chains are those of the corpus'
    training split.

    Args:
        method: Scores them.
        corpus: Where the melodies are.
        rows: Which of them.
        strength: How strongly to spoil, above 0 and up to 1.
        copies: Of each kind, for each melody.
        seed: Of the spoiling.
        progress: Show a progress bar.

    Raises:
        CorpusError: A kind left every melody as it was.
    """
    return corruption_result(
        corruption_scores(
            method,
            corpus,
            rows,
            strength=strength,
            copies=copies,
            seed=seed,
            progress=progress,
        )
    )


def corruption_scores(
    method: Method,
    corpus: Corpus,
    rows: NDArray[np.int64],
    *,
    kinds: tuple[str, ...] = KINDS,
    strength: float = 1.0,
    copies: int = 3,
    seed: int = 0,
    progress: bool = False,
) -> CorruptionScores:
    """The scores that ``corruption_task`` compares; takes what it takes.

    Args:
        method: As there.
        corpus: As there.
        rows: As there.
        kinds: Of spoiling; one of those that training may use at least.
        strength: As there.
        copies: As there.
        seed: As there.
        progress: As there.

    Raises:
        CorpusError: A kind left every melody as it was.
    """
    corruptor = Corruptor(corpus, kinds)
    batches = OrderedBatches(corpus, rows)
    generator = torch.Generator().manual_seed(seed)
    original = np.full(len(corpus), np.nan)
    found = {kind: np.full((len(corpus), copies), np.nan) for kind in kinds}
    with tqdm(
        total=len(rows), desc="corruption", unit="melody", leave=False, disable=not progress
    ) as bar:
        for members, batch in zip(batches.batches, batches, strict=True):
            original[members] = method.scores(of_batch(batch))
            for kind in kinds:
                for copy in range(copies):
                    spoiled = corruptor.corrupt(batch, kind, generator, strength=strength)
                    different = changed(batch, spoiled).numpy()
                    score = method.scores(of_batch(spoiled))
                    found[kind][members, copy] = np.where(different, score, np.nan)
            bar.update(len(batch))
    for kind, scores in found.items():
        if np.isnan(scores[rows]).all():
            raise CorpusError(
                f"{corpus.folder}: none of its melodies comes out changed by {kind}, so there is "
                "nothing to compare; take a larger corpus"
            )
    return CorruptionScores(
        original[rows],
        {kind: scores[rows] for kind, scores in found.items()},
        np.asarray(corpus.column("group"))[rows].astype(np.int64),
    )


def corruption_result(scores: CorruptionScores) -> CorruptionResult:
    """The figures of some comparisons."""
    won = {
        kind: (np.sign(scores.original[:, None] - copies) + 1) / 2
        for kind, copies in scores.copies.items()
    }
    by_melody = {kind: _mean_of_known(values) for kind, values in won.items()}
    trained = _mean_of_known(np.stack([by_melody[kind] for kind in _trained(by_melody)], axis=1))
    return CorruptionResult(
        by_kind={kind: bootstrap_mean(values, scores.groups) for kind, values in by_melody.items()},
        comparisons={kind: int((~np.isnan(values)).sum()) for kind, values in won.items()},
        trained_mean=bootstrap_mean(trained, scores.groups),
    )


def _trained(kinds: Collection[str]) -> list[str]:
    """Those that training may use."""
    return [kind for kind in TRAINED_KINDS if kind in kinds]


def _mean_of_known(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the last axis without NaN; NaN where there is nothing else."""
    known = ~np.isnan(values)
    count = known.sum(-1)
    total = np.where(known, values, 0.0).sum(-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
