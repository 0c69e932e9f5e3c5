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
from seqmelody.listeners import PRIOR_TASTE
from seqmelody.objectives.judged import JudgedObjective, Judgements
from seqmelody.objectives.listeners import Raters
from seqmelody.objectives.logistic import fit_logistic


def paired(preferences: Preferences, *, by_rater: bool) -> Judgements:
    """Preferences as judgements, all counting alike.

    Args:
        preferences: At least one.
        by_rater: Keep who chose.
    """
    return Judgements.alike(
        np.stack([preferences.winner, preferences.loser], axis=1),
        preferences.tie.astype(np.float64),
        preferences.rater if by_rater else None,
    )


class Preference(JudgedObjective):
    """The objective.

    Args:
        said: The judgements to train on.
        raters: Whom to tell apart; by default nobody.
    """

    def __init__(self, said: Judgements, raters: Raters | None = None) -> None:
        # A choice has no offset: it is the same from either side.
        super().__init__(raters, offset_sd=0.0, taste_sd=PRIOR_TASTE, units=len(said))
        ties = float(said.value_N.mean())
        # What makes so many ties among equals. Where nobody is ever undecided, there is none.
        self.log_tie = (
            nn.Parameter(torch.tensor(math.log(2 * ties / max(1 - ties, 0.01)))) if ties else None
        )

    def suits(self, score_R: NDArray[np.float64], said: Judgements) -> tuple[float, float]:
        """See ``JudgedObjective.suits``; by logistic regression on the choices, without the ties."""
        chosen = said.item_NM[said.value_N == 0]
        ahead = score_R[chosen[:, 0]] - score_R[chosen[:, 1]]
        # Every pair both ways round: a choice has no side.
        both = np.concatenate([ahead, -ahead])
        answers = np.repeat([1.0, 0.0], len(ahead))
        return fit_logistic(both, answers, offset=False)

    def forward(self, score_B: Tensor, embedding_BE: Tensor | None, said: Judgements) -> Tensor:
        """Negative log-likelihood of a choice, in the mean."""
        half_N = 0.5 * self._expected(score_B, embedding_BE, said)
        options = [half_N, -half_N]
        if self.log_tie is not None:
            options.append(self.log_tie.expand_as(half_N))
        log_chance_NO = torch.stack(options, dim=1).log_softmax(1)
        made_N = torch.where(said.value_N > 0, len(options) - 1, 0)
        chosen_N = log_chance_NO.gather(1, made_N[:, None]).squeeze(1)
        loss: Tensor = -(said.weight_N * chosen_N).sum() / said.weight_N.sum().clamp(min=1e-6)
        return loss + self._prior_loss()

    @torch.no_grad()
    def measure(
        self, score_B: Tensor, embedding_BE: Tensor | None, said: Judgements
    ) -> dict[str, float]:
        """``accuracy``: how often the preferred melody scores higher; ties are left out.

        With raters, their effects count.
        """
        ahead_N = self._expected(score_B, embedding_BE, said)[said.value_N == 0]
        return {"accuracy": float(((ahead_N.sign() + 1) / 2).mean())}

    @property
    def scale_and_tie(self) -> dict[str, float]:
        """The numbers of the model."""
        tie = 0.0 if self.log_tie is None else math.exp(float(self.log_tie.detach()))
        return {"scale": math.exp(float(self.log_scale.detach())), "tie": tie}
