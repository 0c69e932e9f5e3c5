"""Tune family: variants of one tune should have embeddings that lie close together.

Supervised contrastive learning (Khosla et al., 2020, "Supervised contrastive learning"): of all
melodies of a batch, those of a melody's own family should be the most similar to it.

A second target, where it is given, is how alike alignment finds the melodies: what embeddings say of
a melody's nearest should be what it says (as students learn from teachers; Hinton, Vinyals & Dean,
2015, "Distilling the knowledge in a neural network"). It tells strangers apart by more than that
they are strangers, and melodies that have no family teach as well.

Shapes: B melodies, E embedding size.
"""

from __future__ import annotations

import torch
from torch import Tensor


class Family:
    """The objective.

    Args:
        temperature: What cosines are divided by.
        alignment: Weight of the second target.
        alignment_temperature: What the similarities of alignment are divided by.
    """

    def __init__(
        self, temperature: float, alignment: float = 0.0, alignment_temperature: float = 0.05
    ) -> None:
        self.temperature = temperature
        self.alignment = alignment
        self.alignment_temperature = alignment_temperature

    def __call__(
        self, embedding_BE: Tensor, family_B: Tensor, aligned_BB: Tensor | None = None
    ) -> Tensor:
        """The loss, a scalar: how surprising a melody's relatives are as its nearest.

        For each melody that has relatives in the batch, the mean over them of ``-log p``, where
        ``p`` is a softmax of the cosines with all other melodies; and the mean over those melodies.
        With alignment, its weight times the Kullback-Leibler divergence of ``p`` from a softmax of
        the similarities, the mean over all melodies, is added.

        Args:
            embedding_BE: Unit vectors.
            family_B: Number of each melody's family.
            aligned_BB: How alike alignment finds each two, 0 to 1.
        """
        itself_BB = torch.eye(len(family_B), dtype=torch.bool, device=family_B.device)
        related_BB = (family_B[:, None] == family_B) & ~itself_BB
        logit_BB = embedding_BE @ embedding_BE.T / self.temperature
        log_p_BB = logit_BB.masked_fill(itself_BB, float("-inf")).log_softmax(1)
        log_p_BB = log_p_BB.masked_fill(itself_BB, 0.0)
        relatives_B = related_BB.sum(1)
        surprise_B = -(log_p_BB * related_BB).sum(1) / relatives_B.clamp(min=1)
        loss: Tensor = surprise_B.sum() / (relatives_B > 0).sum().clamp(min=1)
        if aligned_BB is None:
            return loss
        wanted_BB = aligned_BB / self.alignment_temperature
        wanted_BB = wanted_BB.masked_fill(itself_BB, float("-inf")).softmax(1)
        divergence = torch.nn.functional.kl_div(log_p_BB, wanted_BB, reduction="batchmean")
        return loss + self.alignment * divergence
