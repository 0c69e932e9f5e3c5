"""Tune families, as a run takes them: which melodies a step sees, and what is measured.

Shapes: B melodies of a step, N melodies of a split, E embedding size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqmelody.baselines.alignment import Levenshtein
from seqmelody.batching import Batch, OrderedBatches, bucket, corpus_batch
from seqmelody.config import FamilyConfig
from seqmelody.corpus import Corpus
from seqmelody.corpus.families import entry_name
from seqmelody.errors import UsageError
from seqmelody.objectives import Family
from seqmelody.objectives.metrics import mean_average_precision
from seqmelody.training.sharing import Scores
from seqmelody.variation import Variation

NOTES_PER_PIECE = 4096
"""Of a step, padding counted: so little of it is padding."""
ALIGNMENT = "levenshtein-sampled"
"""What says how alike melodies are before anything is learnt: the best of alignments."""


@dataclass(frozen=True)
class FamilyBatch:
    """Varied melodies, and which belong together.

    Attributes:
        pieces: The melodies in batches of like length.
        family_B: Number of each one's family, in the order of the pieces.
        aligned_BB: How alike alignment finds each two before they are varied, where that is asked.
    """

    pieces: tuple[Batch, ...]
    family_B: Tensor
    aligned_BB: Tensor | None = None

    def to(self, device: torch.device) -> FamilyBatch:
        """The same on another device."""
        return FamilyBatch(
            tuple(piece.to(device) for piece in self.pieces),
            self.family_B.to(device, non_blocking=True),
            None if self.aligned_BB is None else self.aligned_BB.to(device, non_blocking=True),
        )


class Families:
    """The melodies of a corpus by family.

    Args:
        config: Of the objective.
        corpus: With the column of families.

    Attributes:
        weight: Of the objective in the sum of all.
        objective: What is to be learnt.

    Raises:
        UsageError: There is no such column, a split has too few families, a family is in two
            splits, or alignment is asked for and rapidfuzz not installed.
    """

    def __init__(self, config: FamilyConfig, corpus: Corpus) -> None:
        self.config = config
        self.corpus = corpus
        self.weight = config.weight
        self.objective = Family(config.temperature, config.alignment, config.alignment_temperature)
        self._alignment = None
        if config.alignment:
            try:
                self._alignment = Levenshtein(ALIGNMENT)
            except UsageError as error:
                raise UsageError(f"family.alignment: {error}") from error
        self._variation = Variation(tokenizer=corpus.tokenizer, max_notes=2 * config.max_notes)
        self._family_R = _families(config.column, corpus)
        _require_apart(config.column, corpus, self._family_R)
        rows = corpus.split("train")
        rows = rows[corpus.notes[rows] <= config.max_notes]
        members, self._singles = _by_family(rows, self._family_R)
        if len(members) < config.families:
            raise UsageError(
                f"family.families is {config.families}, but the train split of {corpus.folder} has "
                f"{len(members)} families with two melodies or more in its column "
                f"{config.column!r}"
            )
        self._members = members
        # Large families have more to teach, but not in proportion: a melody of one tells less new.
        weight_F = np.sqrt([min(len(rows), 3 * config.members) for rows in members])
        self._chance_F = weight_F / weight_F.sum()
        validation, _ = _by_family(corpus.split("validation"), self._family_R)
        self._validation = np.sort(np.concatenate([np.zeros(0, dtype=np.int64), *validation]))

    def draw(self, seed: int) -> FamilyBatch:
        """The melodies of a step.

        Args:
            seed: Of the draw; nothing else decides it.
        """
        random = np.random.default_rng(seed)
        config = self.config
        chosen = random.choice(len(self._members), config.families, replace=False, p=self._chance_F)
        drawn: list[NDArray[np.int64]] = []
        for family in chosen.tolist():
            rows = self._members[family]
            picked = random.choice(rows, min(config.members, len(rows)), replace=False)
            # Of a pair there is a second variant too: two voices alone say little.
            drawn.append(np.append(picked, picked[:1]) if len(picked) < 3 else picked)
        count = min(config.singles, len(self._singles))
        singles = random.choice(self._singles, count, replace=False)
        drawn += [np.repeat(row, 2) for row in singles]
        family_B = np.repeat(np.arange(len(drawn)), [len(rows) for rows in drawn])
        rows = np.concatenate(drawn)
        batch = corpus_batch(self.corpus, rows)
        if config.variation > 0:
            generator = torch.Generator().manual_seed(int(random.integers(2**63)))
            batch = self._variation.vary(batch, generator, strength=config.variation)
        pieces = bucket(batch.length_B.numpy(), NOTES_PER_PIECE, window=len(batch))
        order = np.concatenate(pieces)
        return FamilyBatch(
            tuple(batch[torch.from_numpy(piece)].trimmed() for piece in pieces),
            torch.from_numpy(family_B[order]),
            self._aligned(rows[order]),
        )

    def _aligned(self, rows: NDArray[np.int64]) -> Tensor | None:
        """How alike alignment finds each two, ``(B, B)``."""
        if self._alignment is None:
            return None
        own, place_B = np.unique(rows, return_inverse=True)
        found = self._alignment.among(self.corpus.token_batch(own))
        return torch.from_numpy(found[np.ix_(place_B, place_B)])

    def measure(self, embed: Callable[[Batch], Scores]) -> dict[str, float]:
        """How well each melody of the validation split finds its relatives there.

        All its melodies that have relatives are asked for, and are what is searched.

        Args:
            embed: Scores and embeds a batch on the CPU.

        Returns:
            ``map``, the mean average precision; nothing where there are no families.
        """
        if self._validation.size == 0:
            return {}
        batches = OrderedBatches(self.corpus, self._validation)
        vectors = []
        with torch.no_grad():
            for batch in batches:
                found = embed(batch).embedding_BE
                assert found is not None
                vectors.append(found.double().cpu().numpy())
        vector_NE = np.concatenate(vectors)
        family_N = self._family_R[np.concatenate(batches.batches)]
        return {"map": mean_average_precision(vector_NE @ vector_NE.T, family_N)}


def _families(column: str, corpus: Corpus) -> NDArray[np.int64]:
    """Number of each melody's family; -1 where it has none."""
    if column not in corpus.columns:
        raise UsageError(
            f"family.column {column!r}: {corpus.folder} has no such column, but "
            f"{', '.join(corpus.columns)}"
        )
    names = np.array([entry_name(entry) for entry in corpus.column(column)])
    _, number_R = np.unique(names, return_inverse=True)
    return np.where(names == "", -1, number_R)


def _require_apart(column: str, corpus: Corpus, family_R: NDArray[np.int64]) -> None:
    """Refuses families that are in two splits: what is measured would be what was trained on."""
    splits = [family_R[corpus.split(name)] for name in ("train", "validation", "test")]
    for number, here in enumerate(splits):
        for other in splits[number + 1 :]:
            both = np.intersect1d(here, other)
            if both[both >= 0].size:
                raise UsageError(
                    f"{corpus.folder}: families of {column!r} are in two splits; prepare it with "
                    f"'--together {column}'"
                )


def _by_family(
    rows: NDArray[np.int64], family_R: NDArray[np.int64]
) -> tuple[list[NDArray[np.int64]], NDArray[np.int64]]:
    """The rows of each family that has two at least, and the rows of melodies without relatives."""
    rows = rows[np.argsort(family_R[rows], kind="stable")]
    parts = np.split(rows, np.flatnonzero(np.diff(family_R[rows])) + 1)
    members = [part for part in parts if len(part) >= 2 and family_R[part[0]] >= 0]
    related = np.concatenate([np.zeros(0, dtype=np.int64), *members])
    return members, np.setdiff1d(rows, related)
