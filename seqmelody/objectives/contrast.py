"""Contrast: a melody that people kept should outscore a spoiled copy of itself.

No labels are needed. The probability that a melody beats a copy is modelled as in Bradley & Terry
(1952), by the logistic function of the difference of their scores.

Shapes: B melodies, N comparisons, L notes.
"""

from __future__ import annotations

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
    """

    original_N: Tensor
    kind_N: Tensor
    copies: Batch


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
        original_N = torch.arange(len(batch)).repeat(self.config.copies)
        kind_N = torch.multinomial(
            self._probability_K, len(original_N), replacement=True, generator=generator
        )
        # All copies of a kind stand together, so that each kind takes a slice.
        kind_N, order_N = kind_N.sort(stable=True)
        original_N = original_N[order_N]
        originals = batch[original_N]
        ends = torch.bincount(kind_N, minlength=len(self.kinds)).cumsum(0).tolist()
        copies = Batch.concatenate(
            [
                self.corruptor.corrupt(originals[start:end], kind, generator)
                for kind, start, end in zip(self.kinds, [0, *ends], ends, strict=False)
                if start < end
            ]
        )
        kept_N = changed(originals, copies)
        if kept_N.all():
            return Comparison(original_N, kind_N, copies)
        return Comparison(original_N[kept_N], kind_N[kept_N], copies[kept_N])

    def __call__(self, model: Scoring, batch: Batch, comparison: Comparison) -> ContrastResult:
        """Scores the melodies and their copies in one pass of the model."""
        score = model(Batch.concatenate([batch, comparison.copies])).score_B
        original_score_B, copy_score_N = score[: len(batch)], score[len(batch) :]
        own_N = original_score_B[comparison.original_N] - copy_score_N
        across_BN = original_score_B[:, None] - copy_score_N
        loss = -(
            (1 - self.config.across) * logsigmoid(own_N).sum() / max(1, len(own_N))
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
