"""Tune family: variants of one tune should have embeddings that lie close together.

Supervised contrastive learning (Khosla et al., 2020, "Supervised contrastive learning"): of all
melodies of a batch, those of a melody's own family should be the most similar to it.

Shapes: B melodies, E embedding size.
"""

from __future__ import annotations

import torch
from torch import Tensor


class Family:
    """The objective.

    Args:
        temperature: What cosines are divided by.
    """

    def __init__(self, temperature: float) -> None:
        self.temperature = temperature

    def __call__(self, embedding_BE: Tensor, family_B: Tensor) -> Tensor:
        """The loss, a scalar: how surprising a melody's relatives are as its nearest.

        For each melody that has relatives in the batch, the mean over them of ``-log p``, where
        ``p`` is a softmax of the cosines with all other melodies; and the mean over those melodies.

        Args:
            embedding_BE: Unit vectors.
            family_B: Number of each melody's family.
        """
        itself_BB = torch.eye(len(family_B), dtype=torch.bool, device=family_B.device)
        related_BB = (family_B[:, None] == family_B) & ~itself_BB
        logit_BB = embedding_BE @ embedding_BE.T / self.temperature
        logit_BB = logit_BB.masked_fill(itself_BB, float("-inf"))
        log_p_BB = logit_BB.log_softmax(1).masked_fill(~related_BB, 0.0)
        relatives_B = related_BB.sum(1)
        surprise_B = -log_p_BB.sum(1) / relatives_B.clamp(min=1)
        return surprise_B.sum() / (relatives_B > 0).sum().clamp(min=1)
