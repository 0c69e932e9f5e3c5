"""Contrast: a melody that people kept should outscore a spoiled copy of itself.

No labels are needed. The probability that a melody beats a copy is modelled as in Bradley & Terry
(1952), by the logistic function of the difference of their scores.

Shapes: B melodies, D draws of a melody and a kind, S strengths, N copies (D of each strength), P
pairs of copies, L notes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from seqmelody.batching import Batch
from seqmelody.config import ContrastConfig
from seqmelody.corpus import Corpus
from seqmelody.corruption import Corruptor, changed


class Scored(Protocol):
    """What is read of a model's output."""

    @property
    def score_B(self) -> Tensor:
        """The score of each melody."""
        ...


class Scoring(Protocol):
    """Scores a batch: a ``MelodyModel``, or several that share the work."""

    def __call__(self, batch: Batch) -> Scored:
        """Scores a batch."""
        ...


@dataclass(frozen=True)
class Comparison:
    """Melodies against spoiled copies of themselves.

    Attributes:
        original_N: Index of the original's row in the batch.
        kind_N: Index of the copy's kind in the objective's ``kinds``.
        copies: The copies, N rows.
        milder_P: Index of a copy, where another copy of the same melody is more spoiled.
        stronger_P: Index of that other copy.
    """

    original_N: Tensor
    kind_N: Tensor
    copies: Batch
    milder_P: Tensor
    stronger_P: Tensor

    def to(self, device: torch.device | str) -> Comparison:
        """The same comparisons on another device."""
        return self._each(lambda part: part.to(device, non_blocking=True), self.copies.to(device))

    def pin_memory(self) -> Comparison:
        """The same comparisons in page-locked memory; see ``Batch.pin_memory``."""
        return self._each(Tensor.pin_memory, self.copies.pin_memory())

    def _each(self, change: Callable[[Tensor], Tensor], copies: Batch) -> Comparison:
        return Comparison(
            change(self.original_N),
            change(self.kind_N),
            copies,
            change(self.milder_P),
            change(self.stronger_P),
        )

    def without_unchanged(self, originals: Batch) -> Comparison:
        """The comparisons whose copy differs from its original.

        Args:
            originals: The originals, N rows.
        """
        kept_N = changed(originals, self.copies)
        if kept_N.all():
            return self
        both_P = kept_N[self.milder_P] & kept_N[self.stronger_P]
        place_N = kept_N.cumsum(0) - 1
        return Comparison(
            self.original_N[kept_N],
            self.kind_N[kept_N],
            self.copies[kept_N],
            place_N[self.milder_P[both_P]],
            place_N[self.stronger_P[both_P]],
        )


@dataclass(frozen=True)
class ContrastResult:
    """What one batch gave.

    Attributes:
        loss: Scalar.
        won_N: 1 where the original outscored the copy, 0.5 for a tie, 0 otherwise.
        kind_N: Index of each copy's kind in the objective's ``kinds``.
    """

    loss: Tensor
    won_N: Tensor
    kind_N: Tensor


class Contrast:
    """The objective.

    Args:
        config: See ``ContrastConfig``.
        corpus: Its training split is what Markov chains are built from.

    Attributes:
        kinds: The kinds of corruption that are drawn.
        corruptor: Makes them.
    """

    def __init__(self, config: ContrastConfig, corpus: Corpus) -> None:
        self.config = config
        weights = {kind: weight for kind, weight in config.kinds.items() if weight > 0}
        self.kinds = tuple(weights)
        self._probability_K = torch.tensor(list(weights.values()), dtype=torch.float64)
        self.corruptor = Corruptor(corpus, self.kinds)

    def draw(self, batch: Batch, generator: torch.Generator) -> Comparison:
        """Spoils each melody ``copies`` times, each time in a way drawn at random.

        Copies that came out like their originals are left out.
        """
        drawn_D = torch.arange(len(batch)).repeat(self.config.copies)
        kind_D = torch.multinomial(
            self._probability_K, len(drawn_D), replacement=True, generator=generator
        )
        # All copies of a kind stand together, so that each kind takes a slice.
        kind_D, order_D = kind_D.sort(stable=True)
        drawn_D = drawn_D[order_D]
        strengths = self.config.strengths
        ends = torch.bincount(kind_D, minlength=len(self.kinds)).cumsum(0).tolist()
        draws, copies = [], []
        for kind, start, end in zip(self.kinds, [0, *ends], ends, strict=False):
            if start == end:
                continue
            originals = batch[drawn_D[start:end]]
            for strength in strengths:
                draws.append(torch.arange(start, end))
                copies.append(self.corruptor.corrupt(originals, kind, generator, strength=strength))
        draw_N = torch.cat(draws)
        original_N = drawn_D[draw_N]
        # The copies of a draw, from the mildest on, as a row of indices.
        copy_DS = draw_N.argsort(stable=True).reshape(len(drawn_D), len(strengths))
        pair_2Q = torch.combinations(torch.arange(len(strengths))).T
        comparison = Comparison(
            original_N=original_N,
            kind_N=kind_D[draw_N],
            copies=Batch.concatenate(copies),
            milder_P=copy_DS[:, pair_2Q[0]].flatten(),
            stronger_P=copy_DS[:, pair_2Q[1]].flatten(),
        )
        return comparison.without_unchanged(batch[original_N])

    def __call__(self, model: Scoring, batch: Batch, comparison: Comparison) -> ContrastResult:
        """Scores the melodies and their copies in one pass of the model."""
        score = model(Batch.concatenate([batch, comparison.copies])).score_B
        original_score_B, copy_score_N = score[: len(batch)], score[len(batch) :]
        own_N = original_score_B[comparison.original_N] - copy_score_N
        graded_P = copy_score_N[comparison.milder_P] - copy_score_N[comparison.stronger_P]
        ranked = torch.cat([own_N, graded_P])
        across_BN = original_score_B[:, None] - copy_score_N
        loss = -(
            (1 - self.config.across) * logsigmoid(ranked).sum() / max(1, len(ranked))
            + self.config.across * logsigmoid(across_BN).sum() / max(1, across_BN.numel())
        )
        return ContrastResult(
            loss=loss,
            won_N=(own_N.detach().sign() + 1) / 2,
            kind_N=comparison.kind_N,
        )


def compare(
    model: Scoring,
    corruptor: Corruptor,
    batch: Batch,
    original_score_B: Tensor,
    kind: str,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """One spoiled copy of each melody against its original.

    Args:
        model: Scores the copies.
        corruptor: Makes them.
        batch: The originals, on the CPU.
        original_score_B: Their scores.
        kind: How to spoil them.
        generator: Source of the randomness, on the CPU.

    Returns:
        Who won, ``(B,)`` float32: 1 the original, 0.5 a tie, 0 the copy, NaN where the copy came
        out like the original; and the scores of the copies, ``(B,)``.
    """
    copies = corruptor.corrupt(batch, kind, generator)
    copy_score_B = model(copies.to(original_score_B.device)).score_B
    won_B = ((original_score_B - copy_score_B).sign() + 1) / 2
    different_B = changed(batch, copies).to(won_B.device)
    return won_B.masked_fill(~different_B, torch.nan), copy_score_B
