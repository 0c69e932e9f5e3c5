"""Catchy or not: the score should tell the melodies to which people say yes.

The log-odds of a yes are ``offset + scale * score``, learnt along with the model. In the end both
are fitted anew on melodies that were not trained on, where there are enough, so that the
probabilities are true ones (Platt, 1999), which the expected calibration error tells.

Shapes: B melodies of a batch, R of all that were judged, N judgements.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from seqmelody.judgements import Ratings
from seqmelody.objectives.judged import JudgedObjective, Judgements
from seqmelody.objectives.listeners import Raters
from seqmelody.objectives.logistic import fit_logistic
from seqmelody.objectives.metrics import area_under_curve, expected_calibration_error

OFFSET_SD = TASTE_SD = 1.0
"""Prior spread, in log-odds, of how readily raters say yes, and of what taste adds."""


def answered(ratings: Ratings, *, by_rater: bool) -> Judgements:
    """Answers as judgements, all counting alike.

    Args:
        ratings: At least one; 1 for a yes, 0 for a no.
        by_rater: Keep who answered.
    """
    return Judgements.alike(
        ratings.row[:, None], ratings.value, ratings.rater if by_rater else None
    )


class Catchy(JudgedObjective):
    """The objective.

    Args:
        said: The judgements to train on.
        raters: Whom to tell apart; by default nobody.
    """

    def __init__(self, said: Judgements, raters: Raters | None = None) -> None:
        super().__init__(raters, offset_sd=OFFSET_SD, taste_sd=TASTE_SD, units=len(said))

    def suits(self, score_R: NDArray[np.float64], said: Judgements) -> tuple[float, float]:
        """See ``JudgedObjective.suits``; by logistic regression."""
        return fit_logistic(score_R[said.item_NM[:, 0]], said.value_N)

    def forward(self, score_B: Tensor, embedding_BE: Tensor | None, said: Judgements) -> Tensor:
        """Negative log-likelihood of an answer, in the mean."""
        log_odds_N = self._expected(score_B, embedding_BE, said)
        return binary_cross_entropy_with_logits(log_odds_N, said.value_N) + self._prior_loss()

    @torch.no_grad()
    def measure(
        self, score_B: Tensor, embedding_BE: Tensor | None, said: Judgements
    ) -> dict[str, float]:
        """``auc``, and ``ece``, the expected calibration error; with raters, their effects count."""
        log_odds_N = self._expected(score_B, embedding_BE, said).double()
        yes_N = said.value_N.cpu().numpy() > 0.5
        return {
            "auc": area_under_curve(log_odds_N.cpu().numpy(), yes_N),
            "ece": expected_calibration_error(log_odds_N.sigmoid().cpu().numpy(), yes_N),
        }

    @property
    def offset_and_scale(self) -> dict[str, float]:
        """The numbers of the consensus."""
        assert self.offset is not None
        return {
            "offset": float(self.offset.detach()),
            "scale": math.exp(float(self.log_scale.detach())),
        }
