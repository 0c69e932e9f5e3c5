"""Nearest vectors by cosine: exact where there are few, by a graph (HNSW) where there are many.

The graph is that of ``usearch`` and not of ``faiss-cpu``, whose graph is built as quickly and answers
somewhat faster: ``usearch`` brings no OpenMP, of which a second copy beside that of PyTorch is known to
end the process on macOS, keeps a vector in a quarter of the space, and maps its file. Its vectors are
of int8; what it finds is compared once more, by the vectors themselves, which lie beside it.

A graph of many equal vectors is hard to walk (of 20,000 vectors with 5,000 equal ones among them, a
tenth of the other neighbours was missed), and a collection of tunes holds the same tune more than once.
So a vector is in the graph once, and its twins are kept in a table.

Y. A. Malkov and D. A. Yashunin, "Efficient and robust approximate nearest neighbor search using
hierarchical navigable small world graphs", IEEE TPAMI 42 (2020).

Shapes: N vectors, E their size, T twins.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from seqmelody.config import usable_cores
from seqmelody.errors import UsageError

if TYPE_CHECKING:
    from usearch.index import Index

EXACT_BELOW = 50_000
"""So many vectors need a graph: below, comparing all of them takes 3 ms at most."""
CONNECTIVITY, EXPANSION_ADD, EXPANSION_SEARCH = 16, 128, 256
"""Links of a vector; candidates that are looked at where it is added, and in a search."""
_BLOCK = 16_384
_SPARE = 16
"""Neighbours asked for beyond twice what is wanted, since int8 orders those near each other badly."""


class Neighbours:
    """Finds the vectors nearest to one.

    Args:
        vector_NE: Unit vectors, may be memory-mapped.
        graph: The graph of those that differ; by default all are compared.
        twin_T2: Pairs of a vector in the graph and one equal to it, by rising numbers.
    """

    def __init__(
        self,
        vector_NE: NDArray[np.float32],
        graph: Index | None = None,
        twin_T2: NDArray[np.int64] | None = None,
    ) -> None:
        self._vector_NE = vector_NE
        self._graph = graph
        self._twin_T2 = np.zeros((0, 2), dtype=np.int64) if twin_T2 is None else twin_T2

    @classmethod
    def open(cls, vector_NE: NDArray[np.float32], graph: Path, twins: Path) -> Neighbours:
        """What ``write_graph`` has written, memory-mapped.

        Args:
            vector_NE: Unit vectors.
            graph: File of the graph.
            twins: File of the twins.

        Raises:
            UsageError: ``usearch`` is not installed.
            ValueError: A file is damaged.
        """
        require_usearch()
        from usearch.index import Index

        # Nothing is looked up by its number; without the table for that, opening reads no node.
        try:
            mapped = Index.restore(
                graph, view=True, enable_key_lookups=False, expansion_search=EXPANSION_SEARCH
            )
        except RuntimeError as error:
            raise ValueError(str(error)) from error
        if mapped is None or mapped.ndim != vector_NE.shape[1] or len(mapped) > len(vector_NE):
            raise ValueError("the graph is not one of these vectors")
        return cls(vector_NE, mapped, np.load(twins))

    def nearest(
        self, query_E: NDArray[np.float32], top: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The nearest vectors and their cosines, the nearest first; of equal ones, the first.

        Args:
            query_E: A unit vector.
            top: How many; fewer if there are no more.
        """
        top = min(top, len(self._vector_NE))
        if self._graph is None or 2 * top > EXPANSION_SEARCH:
            similarity_N = self._vector_NE @ query_E
            # Of several as near as the last, argpartition would take any.
            least = np.partition(similarity_N, -top)[-top]
            row_R = np.flatnonzero(similarity_N >= least)
            similarity_R = similarity_N[row_R]
        else:
            found = self._graph.search(query_E, 2 * top + _SPARE, threads=1).keys
            row_R = self._with_twins(found.astype(np.int64), top)
            similarity_R = self._vector_NE[row_R] @ query_E
        order = np.lexsort((row_R, -similarity_R))[:top]
        return row_R[order], np.clip(similarity_R[order], -1.0, 1.0)

    def _with_twins(self, row_R: NDArray[np.int64], most: int) -> NDArray[np.int64]:
        """The rows, and of each so many twins at most."""
        first_T = self._twin_T2[:, 0]
        start_R, stop_R = (np.searchsorted(first_T, row_R, side) for side in ("left", "right"))
        spans = zip(start_R.tolist(), np.minimum(stop_R, start_R + most).tolist(), strict=True)
        twins = [self._twin_T2[start:stop, 1] for start, stop in spans if stop > start]
        return np.concatenate([row_R, *twins])


def write_graph(vector_NE: NDArray[np.float32], graph: Path, twins: Path) -> None:
    """Writes the files that ``Neighbours.open`` opens.

    Memory holds the graph: 300 bytes and more for each vector that is not another's twin.

    Args:
        vector_NE: Unit vectors, may be memory-mapped.
        graph: File of the graph.
        twins: File of the twins.

    Raises:
        UsageError: ``usearch`` is not installed.
    """
    require_usearch()
    from usearch.index import Index

    row_U, twin_T2 = _distinct(vector_NE)
    made = Index(
        ndim=vector_NE.shape[1],
        metric="cos",
        dtype="i8",
        connectivity=CONNECTIVITY,
        expansion_add=EXPANSION_ADD,
        enable_key_lookups=False,
    )
    for start in range(0, len(row_U), _BLOCK):
        rows = row_U[start : start + _BLOCK]
        made.add(rows.astype(np.uint64), np.asarray(vector_NE[rows]), threads=usable_cores())
    made.save(graph)
    np.save(twins, twin_T2)


def _distinct(vector_NE: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of vectors that differ as int8, rising, and pairs of such a row and one equal to it."""
    # A sum of the numbers times odd ones, modulo 2 ** 64, stands for a vector.
    odd_E = np.random.default_rng(0).integers(0, 2**63, vector_NE.shape[1], np.uint64) * 2 + 1
    hash_N = np.empty(len(vector_NE), dtype=np.uint64)
    for start in range(0, len(vector_NE), _BLOCK):
        block_BE = np.rint(vector_NE[start : start + _BLOCK] * np.float32(127)).astype(np.int64)
        hash_N[start : start + _BLOCK] = block_BE.astype(np.uint64) @ odd_E
    _, first_U, group_N = np.unique(hash_N, return_index=True, return_inverse=True)
    row_N = np.arange(len(hash_N), dtype=np.int64)
    first_N = first_U[group_N].astype(np.int64)
    twin_T2 = np.stack([first_N, row_N], axis=1)[first_N != row_N]
    order = np.lexsort((twin_T2[:, 1], twin_T2[:, 0]))
    return np.sort(first_U).astype(np.int64), twin_T2[order]


def require_usearch() -> None:
    """Checks that the graph can be made or read.

    Raises:
        UsageError: ``usearch`` is not installed.
    """
    try:
        import usearch.index  # noqa: F401 - whether it is there
    except ImportError as error:
        raise UsageError(
            f"an index of {EXACT_BELOW:,} melodies or more needs usearch; "
            "pip install 'seqmelody[search]'"
        ) from error
