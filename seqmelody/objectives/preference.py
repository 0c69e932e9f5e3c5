"""Preference: of two melodies, the one that people preferred should score higher.

Bradley & Terry (1952) with ties after Davidson (1970): with ``d = scale * (score - other score)``
the chances of winning, losing and a tie are as ``exp(d / 2)``, ``exp(-d / 2)`` and ``tie``.

Shapes: B melodies of a batch, R of all that were judged, N judgements, the preferred one first.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seqmelody.judgements import Preferences
from seqmelody.listeners import PRIOR_SLOPE, PRIOR_TASTE
from seqmelody.objectives.judged import Judgements
from seqmelody.objectives.listeners import RaterEffects
from seqmelody.objectives.logistic import fit_logistic


def paired(preferences: Preferences, *, by_rater: bool) -> Judgements:
    """Preferences as judgements, all counting alike.

    Args:
        preferences: At least one.
        by_rater: Keep who chose.
    """
    nobody = np.full(len(preferences), -1, dtype=np.int64)
    return Judgements(
        np.stack([preferences.winner, preferences.loser], axis=1),
        preferences.tie.astype(np.float64),
        np.ones(len(preferences)),
        preferences.rater if by_rater else nobody,
    )


class Preference(nn.Module):
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
        self.log_scale = nn.Parameter(torch.zeros(()))
        ties = float(said.value_N.mean())
        # What makes so many ties among equals. Where nobody is ever undecided, there is none.
        self.log_tie = (
            nn.Parameter(torch.tensor(math.log(2 * ties / max(1 - ties, 0.01)))) if ties else None
        )
        self.effects = (
            RaterEffects(
                raters,
                taste_rank,
                embedding_size,
                offset_sd=0.0,
                slope_sd=PRIOR_SLOPE,
                taste_sd=PRIOR_TASTE,
                judgements=len(said),
            )
            if raters
            else None
        )

    def begin(
        self, score_R: NDArray[np.float64], embedding_RE: NDArray[np.float64], said: Judgements
    ) -> None:
        """The scale that suits the choices best; see ``JudgedObjective``."""
        if self.effects is not None:
            self.effects.begin(torch.from_numpy(embedding_RE).float())
        chosen = said.item_NM[said.value_N == 0]
        if len(chosen) == 0:
            return
        ahead = score_R[chosen[:, 0]] - score_R[chosen[:, 1]]
        # Every pair both ways round: a choice has no side.
        both = np.concatenate([ahead, -ahead])
        answers = np.repeat([1.0, 0.0], len(ahead))
        with torch.no_grad():
            self.log_scale.fill_(math.log(fit_logistic(both, answers, offset=False)[1]))

    def forward(self, score_B: Tensor, embedding_BE: Tensor | None, said: Judgements) -> Tensor:
        """Negative log-likelihood of a choice, in the mean."""
        half_N = 0.5 * self._ahead(score_B, embedding_BE, said)
        options = [half_N, -half_N]
        if self.log_tie is not None:
            options.append(self.log_tie.expand_as(half_N))
        log_chance_NO = torch.stack(options, dim=1).log_softmax(1)
        made_N = torch.where(said.value_N > 0, len(options) - 1, 0)
        chosen_N = log_chance_NO.gather(1, made_N[:, None]).squeeze(1)
        loss: Tensor = -(said.weight_N * chosen_N).sum() / said.weight_N.sum().clamp(min=1e-6)
        return loss if self.effects is None else loss + self.effects.prior_loss()

    def _ahead(self, score_B: Tensor, embedding_BE: Tensor | None, said: Judgements) -> Tensor:
        won_N, lost_N = said.item_NM.unbind(1)
        ahead_N = self.log_scale.exp() * (score_B[won_N] - score_B[lost_N])
        if self.effects is None:
            return ahead_N
        vector_NE = None if embedding_BE is None else embedding_BE[won_N] - embedding_BE[lost_N]
        chosen_N: Tensor = self.effects(ahead_N, vector_NE, said.rater_N)
        return chosen_N

    @torch.no_grad()
    def measure(
        self, score_B: Tensor, embedding_BE: Tensor | None, said: Judgements
    ) -> dict[str, float]:
        """``accuracy``: how often the preferred melody scores higher; ties are left out.

        With raters, their effects count.
        """
        ahead_N = self._ahead(score_B, embedding_BE, said)[said.value_N == 0]
        return {"accuracy": float(((ahead_N.sign() + 1) / 2).mean())}

    @property
    def scale_and_tie(self) -> dict[str, float]:
        """The numbers of the model."""
        tie = 0.0 if self.log_tie is None else math.exp(float(self.log_tie.detach()))
        return {"scale": math.exp(float(self.log_scale.detach())), "tie": tie}
