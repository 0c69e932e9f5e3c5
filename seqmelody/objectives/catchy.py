"""Catchy or not: the score should tell the melodies to which people say yes.

The log-odds of a yes are ``offset + scale * score``, learnt along with the model. In the end both
are fitted anew on melodies that were not trained on, so that the probabilities are true ones
(Platt, 1999), which the expected calibration error tells.

Shapes: B melodies of a batch, R of all that were judged, N judgements.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from seqmelody.judgements import Ratings
from seqmelody.listeners import PRIOR_SLOPE
from seqmelody.objectives.judged import Judgements
from seqmelody.objectives.listeners import RaterEffects
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
    nobody = np.full(len(ratings), -1, dtype=np.int64)
    return Judgements(
        ratings.row[:, None],
        ratings.value,
        np.ones(len(ratings)),
        ratings.rater if by_rater else nobody,
    )


class Catchy(nn.Module):
    """The objective.

    Args:
        said: The judgements to train on.
        raters: How many raters there are; 0 leaves them out.
        taste_rank: Directions of taste.
        embedding_size: Of the model.
    """

    def __init__(
        self, said: Judgements, *, raters: int = 0, taste_rank: int = 0, embedding_size: int = 0
    ) -> None:
        super().__init__()
        self.needs_embedding = taste_rank > 0
        self.offset = nn.Parameter(torch.zeros(()))
        self.log_scale = nn.Parameter(torch.zeros(()))
        self.effects = (
            RaterEffects(
                raters,
                taste_rank,
                embedding_size,
                offset_sd=OFFSET_SD,
                slope_sd=PRIOR_SLOPE,
                taste_sd=TASTE_SD,
                judgements=len(said),
            )
            if raters
            else None
        )

    def begin(
        self, score_R: NDArray[np.float64], embedding_RE: NDArray[np.float64], said: Judgements
    ) -> None:
        """The offset and scale that suit the answers best; see ``JudgedObjective``."""
        if self.effects is not None:
            self.effects.begin(torch.from_numpy(embedding_RE).float())
        offset, scale = fit_logistic(score_R[said.item_NM[:, 0]], said.value_N)
        with torch.no_grad():
            self.offset.fill_(offset)
            self.log_scale.fill_(math.log(scale))

    def forward(self, score_B: Tensor, embedding_BE: Tensor | None, said: Judgements) -> Tensor:
        """Negative log-likelihood of an answer, in the mean."""
        loss = binary_cross_entropy_with_logits(
            self._log_odds(score_B, embedding_BE, said), said.value_N
        )
        return loss if self.effects is None else loss + self.effects.prior_loss()

    def _log_odds(self, score_B: Tensor, embedding_BE: Tensor | None, said: Judgements) -> Tensor:
        item_N = said.item_NM[:, 0]
        consensus_N = self.offset + self.log_scale.exp() * score_B[item_N]
        if self.effects is None:
            return consensus_N
        vector_NE = None
        if embedding_BE is not None and self.effects.taste_rank:
            vector_NE = embedding_BE[item_N] - self.effects.get_buffer("middle_E")
        answer_N: Tensor = self.effects(consensus_N, vector_NE, said.rater_N)
        return answer_N

    @torch.no_grad()
    def measure(
        self, score_B: Tensor, embedding_BE: Tensor | None, said: Judgements
    ) -> dict[str, float]:
        """``auc``, and ``ece``, the expected calibration error; with raters, their effects count."""
        log_odds_N = self._log_odds(score_B, embedding_BE, said).double()
        yes_N = said.value_N.cpu().numpy() > 0.5
        return {
            "auc": area_under_curve(log_odds_N.cpu().numpy(), yes_N),
            "ece": expected_calibration_error(log_odds_N.sigmoid().cpu().numpy(), yes_N),
        }

    @property
    def offset_and_scale(self) -> dict[str, float]:
        """The numbers of the consensus."""
        return {
            "offset": float(self.offset.detach()),
            "scale": math.exp(float(self.log_scale.detach())),
        }
