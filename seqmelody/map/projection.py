"""Embeddings projected to two dimensions: t-SNE, as scikit-learn has it.

L. van der Maaten and G. Hinton, "Visualizing data using t-SNE", Journal of Machine Learning Research 9
(2008); started from the two principal components, as D. Kobak and P. Berens, "The art of using t-SNE
for single-cell transcriptomics", Nature Communications 10 (2019), advise, so that what is far apart in
the picture means something as well.

Of many melodies some are projected, drawn by chance, and each other one is put beside the one of them
that it is most like: that kept more neighbours than the median, or a mean, of several.

Shapes: N melodies, S of them drawn, E embedding size.
"""

from __future__ import annotations

import importlib.util
import math
import sys
from contextlib import nullcontext

import numpy as np
from numpy.typing import NDArray

from seqmelody.errors import UsageError

PROJECTED = 8_000
"""Of more melodies, so many are projected: the time grows faster than their number."""
PERPLEXITY = 30
"""About how many neighbours of a melody count."""
_FEWEST = 8
"""Fewer melodies have too few neighbours, and get their principal components."""
_BESIDE = 0.1
"""How far beside the nearest one another melody is put, in mean distances between those projected."""
_BLOCK = 1024


def require_projection() -> None:
    """Checks that scikit-learn is there, before anything takes time.

    Raises:
        UsageError: It is not installed.
    """
    if importlib.util.find_spec("sklearn") is None:
        raise UsageError("a map needs scikit-learn; pip install 'seqmelody[sklearn]'")


def project(
    embedding_NE: NDArray[np.float32],
    *,
    seed: int = 0,
    threads: int | None = None,
    most: int = PROJECTED,
    progress: bool = False,
) -> NDArray[np.float64]:
    """Places in a plane, melodies that are alike close together, ``(N, 2)``.

    The same embeddings, seed and number of threads give the same places on the same machine.

    Args:
        embedding_NE: Unit vectors of three melodies or more.
        seed: Of what is drawn by chance.
        threads: Threads at most; all cores by default.
        most: Melodies projected at most; see the module.
        progress: Tell on standard error what takes long.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
    from tqdm import tqdm

    random = np.random.default_rng(seed)
    melodies = len(embedding_NE)
    drawn_S = np.sort(random.permutation(melodies)[:most])
    if progress:
        tqdm.write(f"projecting {len(drawn_S):,} melodies ...", file=sys.stderr)
    with nullcontext() if threads is None else threadpool_limits(threads):
        place_S2 = _tsne(embedding_NE[drawn_S], random)
        if len(drawn_S) == melodies:
            return place_S2
        place_N2 = np.empty((melodies, 2))
        place_N2[drawn_S] = place_S2
        other = np.setdiff1d(np.arange(melodies), drawn_S)
        for start in range(0, len(other), _BLOCK):
            row_B = other[start : start + _BLOCK]
            nearest_B = (embedding_NE[row_B] @ embedding_NE[drawn_S].T).argmax(1)
            place_N2[row_B] = place_S2[nearest_B]
    # On one spot they could not be told apart.
    spacing = math.sqrt(float(np.prod(np.ptp(place_S2, axis=0))) / len(drawn_S))
    place_N2[other] += _BESIDE * spacing * random.standard_normal((len(other), 2))
    return place_N2


def _tsne(embedding_SE: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float64]:
    from sklearn.manifold import TSNE

    melodies = len(embedding_SE)
    centred_SE = embedding_SE.astype(np.float64) - embedding_SE.mean(0, dtype=np.float64)
    # The two principal components; those of equal melodies are all zero.
    start_S2 = centred_SE @ np.linalg.eigh(centred_SE.T @ centred_SE)[1][:, :-3:-1]
    start_S2 /= max(float(start_S2[:, 0].std()), 1e-9)
    # Equal melodies would stay on one spot.
    start_S2 += 0.01 * random.standard_normal(start_S2.shape)
    if melodies < _FEWEST:
        return np.asarray(start_S2, dtype=np.float64)
    tsne = TSNE(
        2,
        perplexity=min(PERPLEXITY, (melodies - 1) / 3),
        # So small that no melody is caught where it begins.
        init=(1e-4 * start_S2).astype(np.float32),
        random_state=int(random.integers(2**31)),
    )
    return np.asarray(tsne.fit_transform(embedding_SE), dtype=np.float64)
