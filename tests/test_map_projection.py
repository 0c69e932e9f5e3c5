from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqmelody.errors import SeqmelodyError
from seqmelody.map import nearest, project, require_projection

sklearn = pytest.importorskip("sklearn", reason="scikit-learn is not installed")


def units(random: np.random.Generator, *shape: int) -> np.ndarray:
    vectors = random.standard_normal(shape).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def clusters(random: np.random.Generator, each: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors around five centres, and whose centre each has."""
    label = np.repeat(np.arange(5), each)
    near = units(random, 5, 16)[label] + 0.25 * units(random, 5 * each, 16)
    return (near / np.linalg.norm(near, axis=1, keepdims=True)).astype(np.float32), label


def share_of_like_neighbours(place_N2: np.ndarray, label_N: np.ndarray) -> float:
    distance_NN = ((place_N2[:, None] - place_N2[None]) ** 2).sum(-1)
    np.fill_diagonal(distance_NN, np.inf)
    return float((label_N[distance_NN.argmin(1)] == label_N).mean())


def test_those_alike_lie_close_together():
    vectors, label = clusters(np.random.default_rng(0), 40)
    place = project(vectors)
    assert place.shape == (200, 2)
    assert share_of_like_neighbours(place, label) > 0.95
    from sklearn.manifold import trustworthiness

    assert trustworthiness(vectors, place, n_neighbors=10) > 0.9


def test_the_rest_of_many_is_placed_among_those_alike():
    vectors, label = clusters(np.random.default_rng(1), 60)
    place = project(vectors, most=100)
    assert np.isfinite(place).all()
    assert share_of_like_neighbours(place, label) > 0.95
    # Not on one another, where they could not be pointed at.
    assert len(np.unique(place, axis=0)) > 0.95 * len(place)


@pytest.mark.parametrize("most", [8000, 60])
def test_the_seed_decides(most):
    vectors, _ = clusters(np.random.default_rng(2), 20)
    first, again, other = (project(vectors, seed=seed, most=most, threads=1) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("melodies", [3, 4, 7, 8, 9, 31])
@pytest.mark.parametrize("equal", [False, True])
def test_few_melodies_and_equal_ones_have_places_of_their_own(melodies, equal):
    vectors = units(np.random.default_rng(0), melodies, 8)
    if equal:
        vectors[:] = vectors[0]
    place = project(vectors)
    assert np.isfinite(place).all()
    assert len(np.unique(place, axis=0)) == melodies


@given(st.integers(2, 60), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_neighbours_are_those_of_the_highest_cosines(melodies, count, seed):
    vectors = units(np.random.default_rng(seed), melodies, 5)
    found = nearest(vectors, count)
    cosine = vectors @ vectors.T
    np.fill_diagonal(cosine, -np.inf)
    expected = -np.sort(-cosine, axis=1)[:, : min(count, melodies - 1)]
    assert found.cosine_NK == pytest.approx(expected, abs=1e-6)
    assert (found.row_NK != np.arange(melodies)[:, None]).all()
    assert all(len(set(row)) == len(row) for row in found.row_NK.tolist())
    there = np.take_along_axis(cosine, found.row_NK.astype(np.int64), axis=1)
    assert found.cosine_NK == pytest.approx(there, abs=1e-6)


def test_neighbours_do_not_hang_on_blocks(monkeypatch):
    vectors = units(np.random.default_rng(0), 50, 5)
    whole = nearest(vectors)
    monkeypatch.setattr("seqmelody.map.neighbours._BLOCK", 7)
    parts = nearest(vectors)
    assert np.array_equal(whole.row_NK, parts.row_NK)


def test_without_scikit_learn_it_is_told_what_to_install(monkeypatch):
    require_projection()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SeqmelodyError, match=r"pip install 'seqmelody\[sklearn\]'"):
        require_projection()
