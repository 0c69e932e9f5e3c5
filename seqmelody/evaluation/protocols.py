"""What a method can do: score melodies, describe them by numbers, say how alike they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from seqmelody.tokens import TokenBatch

UNTRAINED = "untrained"
"""Name of the method that is the default network with random weights."""


@runtime_checkable
class Method(Protocol):
    """Gives melodies a score."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    def scores(self, melodies: TokenBatch) -> NDArray[np.float64]:
        """The score of each melody, higher for more melodic, ``(melodies,)``."""
        ...


@runtime_checkable
class VectorMethod(Protocol):
    """Describes melodies by numbers to learn from; it may or may not give them a score."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    def vectors(self, melodies: TokenBatch) -> NDArray[np.float32]:
        """A vector for each melody, ``(melodies, D)``."""
        ...


@runtime_checkable
class EmbeddingMethod(Protocol):
    """Describes melodies by vectors that can be compared as they are."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    def embeddings(self, melodies: TokenBatch) -> NDArray[np.float32]:
        """Unit vectors, whose dot products say how alike melodies are, ``(melodies, D)``."""
        ...


@runtime_checkable
class SimilarityMethod(Protocol):
    """Says how alike melodies are."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    def similarities(
        self, melodies: TokenBatch, rows: NDArray[np.int64]
    ) -> Iterator[NDArray[np.float32]]:
        """How alike some of the melodies and all of them are, higher for more alike.

        Block by block, so that memory does not grow with the square of the melodies: for the next
        rows, ``(rows, melodies)``.
        """
        ...


PlainMethod: TypeAlias = Method | VectorMethod | SimilarityMethod
