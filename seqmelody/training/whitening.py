"""How the embeddings of a trained model are spread, over melodies good and bad.

The melodies of a generator are not those of the training split. Seen from the training melodies
alone, all samples of a Markov chain lay in one direction: two in three had another at a cosine of
0.8 or more, and so seemed alike. With a spoiled copy of each melody beside it, one in three hundred.
"""

from __future__ import annotations

import torch
from torch import Tensor

from seqmelody.batching import OrderedBatches
from seqmelody.corpus import Corpus
from seqmelody.model import MelodyModel
from seqmelody.objectives import Contrast
from seqmelody.training.data import seed_of
from seqmelody.whitening import Whitening

MELODIES = 5_000
"""Most training melodies that are looked at."""


def fit_whitening(
    model: MelodyModel, corpus: Corpus, contrast: Contrast, seed: int = 0
) -> Whitening:
    """The whitening of the embeddings of training melodies and of spoiled copies, half and half.

    Args:
        model: In evaluation mode, on the CPU.
        corpus: Where the training melodies are.
        contrast: Draws the copies, as in training.
        seed: Of the copies.
    """
    rows = corpus.split("train")
    rows = rows[:: -(-rows.size // MELODIES)]
    generator = torch.Generator().manual_seed(seed_of(seed, 0, 0, 3))
    melodies, copies = _Moments(), _Moments()
    with torch.inference_mode():
        for batch in OrderedBatches(corpus, rows):
            melodies.add(model(batch).embedding_BE)
            drawn = contrast.draw(batch, generator).copies
            if len(drawn):
                copies.add(model(drawn).embedding_BE)
    parts = [part for part in (melodies, copies) if part.count]
    mean_E = torch.stack([part.sum_E / part.count for part in parts]).mean(0)
    products_EE = torch.stack([part.products_EE / part.count for part in parts]).mean(0)
    return Whitening.from_moments(mean_E.numpy(), products_EE.numpy())


class _Moments:
    """Sums of embeddings and of their products: memory does not grow with the corpus."""

    def __init__(self) -> None:
        self.count = 0
        self.sum_E = self.products_EE = torch.zeros(())

    def add(self, vector_BE: Tensor) -> None:
        """Counts some more."""
        vector_BE = vector_BE.double()
        self.count += len(vector_BE)
        self.sum_E = self.sum_E + vector_BE.sum(0)
        self.products_EE = self.products_EE + vector_BE.T @ vector_BE
