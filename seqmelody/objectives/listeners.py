"""Raters differ: each has an offset, a slope and a taste beside the consensus.

The effects are those of ``seqmelody.listeners``, learnt along with the model, so that what one
rater likes is not taken for what all like. Gaussian priors draw a rater of few judgements to the
consensus: the loss has, beside the judgements' own, the negative logarithm of the priors.

Shapes: N judgements, R raters, K directions of taste, E embedding size.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

DIRECTION_SD = 1.0
"""Prior spread of the entries of a direction: of embeddings of unit spread, a direction then makes
something of unit spread."""


@dataclass(frozen=True)
class Raters:
    """Whom an objective tells apart.

    Attributes:
        count: R.
        taste_rank: K, directions of taste.
        embedding_size: E, of the model; only where there are tastes.
    """

    count: int
    taste_rank: int = 0
    embedding_size: int = 0


class RaterEffects(nn.Module):
    """What each rater adds to the consensus.

    Args:
        raters: How many, and of how many tastes.
        offset_sd: Prior spread of offsets; 0 if there are none.
        slope_sd: Of slopes.
        taste_sd: Of coefficients of taste.
        units: How many of what the objective's loss is the mean of there are in all: judgements, or
            melodies.
    """

    def __init__(
        self, raters: Raters, *, offset_sd: float, slope_sd: float, taste_sd: float, units: int
    ) -> None:
        super().__init__()
        self.taste_rank = raters.taste_rank
        self.units = units
        self.offset_sd = offset_sd
        self.slope_sd = slope_sd
        self.taste_sd = taste_sd
        self.slope_R = nn.Parameter(torch.zeros(raters.count))
        self.offset_R = nn.Parameter(torch.zeros(raters.count)) if offset_sd > 0 else None
        if self.taste_rank:
            # Small and different: were one side zero as well, neither would ever move.
            start_RK = 0.1 * taste_sd * torch.randn(raters.count, self.taste_rank)
            self.taste_RK = nn.Parameter(start_RK)
            self.direction_KE = nn.Parameter(torch.randn(self.taste_rank, raters.embedding_size))
            # Embeddings lie close to each other: seen from their middle, and in units of their
            # spread, they are told apart.
            self.register_buffer("middle_E", torch.zeros(raters.embedding_size))
            self.register_buffer("unit", torch.ones(()))

    def begin(self, vector_NE: Tensor) -> None:
        """Learns where embeddings lie, from those of the model that training begins with."""
        if self.taste_rank:
            middle_E = vector_NE.mean(0)
            spread = (vector_NE - middle_E).square().sum(1).mean().sqrt().clamp(min=1e-6)
            self.get_buffer("middle_E").copy_(middle_E)
            self.get_buffer("unit").copy_(spread)

    @property
    def raw_direction_KE(self) -> Tensor:
        """The directions of taste for embeddings as the model gives them."""
        return self.direction_KE.detach() / self.get_buffer("unit")

    def forward(self, consensus_N: Tensor, vector_NE: Tensor | None, rater_N: Tensor) -> Tensor:
        """The consensus with what the raters add, ``(N,)``.

        Args:
            consensus_N: What a rater of whom nothing is known would say, 0 being the middle.
            vector_NE: Embeddings less ``middle_E``, or differences of two; only read where there
                are tastes.
            rater_N: -1 adds nothing.
        """
        said_N = consensus_N + _of(self.slope_R, rater_N) * consensus_N
        if self.offset_R is not None:
            said_N = said_N + _of(self.offset_R, rater_N)
        if self.taste_rank:
            assert vector_NE is not None
            taste_NK = _of(self.taste_RK, rater_N)
            away_NE = vector_NE / self.get_buffer("unit")
            said_N = said_N + (taste_NK * (away_NE @ self.direction_KE.T)).sum(1)
        return said_N

    def prior_loss(self) -> Tensor:
        """Negative logarithm of the priors, for each unit of the loss."""
        total = (self.slope_R / self.slope_sd).square().sum()
        if self.offset_R is not None:
            total = total + (self.offset_R / self.offset_sd).square().sum()
        if self.taste_rank:
            total = total + (self.taste_RK / self.taste_sd).square().sum()
            total = total + (self.direction_KE / DIRECTION_SD).square().sum()
        return 0.5 * total / self.units


def _of(effect_R: Tensor, rater_N: Tensor) -> Tensor:
    """Each rater's effect; zero for nobody."""
    padded = torch.cat([effect_R, effect_R.new_zeros(1, *effect_R.shape[1:])])
    return padded[rater_N]
