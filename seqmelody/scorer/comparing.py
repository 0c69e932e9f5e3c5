"""Embeddings that can be compared: unit vectors whose dot products say how alike melodies are.

Those of a model that was trained to score lie close together; ``Whitening`` tells them apart, where
the checkpoint has one. They are whitened here and nowhere else: what a listener's rating follows from
is the model's own embedding.

Shapes: B melodies, L notes, E embedding size.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqmelody.whitening import Whitening


def comparable(
    embedding_BE: NDArray[np.float32], whitening: Whitening | None
) -> NDArray[np.float32]:
    """What is given to users as embeddings, ``(B, E)``.

    Args:
        embedding_BE: As the model gives them.
        whitening: That of the checkpoint.
    """
    return embedding_BE if whitening is None else whitening(embedding_BE)


def comparable_notes(
    embedding_BE: NDArray[np.float32],
    weight_BL: NDArray[np.float32],
    vector_BLE: NDArray[np.float32],
    whitening: Whitening | None,
) -> NDArray[np.float32]:
    """Vectors of notes whose weighted sums are the comparable embeddings, ``(B, L, E)``.

    The weights of a melody sum to 1, so that shifting and stretching its vector is shifting and
    stretching that of each note. A note that has no vector, but zeros, has zeros here as well.

    Args:
        embedding_BE: As the model gives them.
        weight_BL: How much each note counts.
        vector_BLE: As the model gives them.
        whitening: That of the checkpoint.
    """
    pooled_BE = (weight_BL[:, None] @ vector_BLE)[:, 0]
    note_BLE: NDArray[np.float32] = vector_BLE / _length(pooled_BE)
    if whitening is None:
        return note_BLE
    note_BLE -= whitening.mean_E
    note_BLE = note_BLE @ whitening.axes_EE
    note_BLE /= _length((embedding_BE - whitening.mean_E) @ whitening.axes_EE)
    note_BLE[~vector_BLE.any(2)] = 0.0
    return note_BLE


def _length(vector_BE: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Lengths, ``(B, 1, 1)``, none of them 0."""
    length_B11 = np.linalg.norm(vector_BE, axis=1)[:, None, None]
    return np.asarray(np.maximum(length_B11, 1e-12), dtype=np.float32)
