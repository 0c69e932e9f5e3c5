"""``Whitening``: embeddings seen from the middle of many.

The embeddings of a model that was trained to score lie close together, along the direction that the
score is read off, so that the cosine of any two is near 1. Seen from their mean, and with all
directions stretched to the same spread, the cosine of unrelated melodies is near 0, and that of two
that differ in a note is near 1.

Shapes: N melodies, E embedding size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SHRINKAGE = 0.01
"""Added to the spread in each direction, as a share of the largest: what hardly varies at all
says nothing, and is not blown up."""


@dataclass(frozen=True, eq=False)
class Whitening:
    """A change of coordinates for embeddings.

    Attributes:
        mean_E: Mean embedding, float32.
        axes_EE: What stretches the deviation from it, float32.
    """

    mean_E: NDArray[np.float32]
    axes_EE: NDArray[np.float32]

    @classmethod
    def from_moments(
        cls, mean_E: NDArray[np.float64], products_EE: NDArray[np.float64]
    ) -> Whitening:
        """The whitening of embeddings of which only means were kept.

        Args:
            mean_E: Their mean.
            products_EE: The mean of their outer products.
        """
        variance_E, direction_EE = np.linalg.eigh(products_EE - np.outer(mean_E, mean_E))
        spread_E = np.sqrt(np.maximum(variance_E, 0.0))
        # A model whose embeddings are all the same has no direction to stretch.
        spread_E += max(_SHRINKAGE * float(spread_E.max()), 1e-6)
        return cls(mean_E.astype(np.float32), (direction_EE / spread_E).astype(np.float32))

    def __call__(self, vector_NE: NDArray[np.float32]) -> NDArray[np.float32]:
        """Unit vectors, ``(N, E)``: their dot products tell how alike melodies are."""
        white_NE = (vector_NE - self.mean_E) @ self.axes_EE
        length_N1 = np.linalg.norm(white_NE, axis=1, keepdims=True)
        return np.asarray(white_NE / np.maximum(length_N1, 1e-12), dtype=np.float32)
