from __future__ import annotations

import numpy as np
import pytest

from seqmelody.whitening import Whitening


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def whitening_of(vectors: np.ndarray) -> Whitening:
    vectors = vectors.astype(np.float64)
    return Whitening.from_moments(vectors.mean(0), vectors.T @ vectors / len(vectors))


@pytest.fixture
def narrow() -> np.ndarray:
    """Unit vectors that all point nearly the same way, and vary more in some directions."""
    random = np.random.default_rng(0)
    spread = np.array([0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.001, 0.001])
    return unit(np.eye(8)[0] + random.normal(size=(4000, 8)) * spread)


def test_unrelated_vectors_that_seemed_alike_are_told_apart(narrow):
    raw = narrow @ narrow[0]
    white = whitening_of(narrow)(narrow)
    cosines = white[1:] @ white[0]
    assert np.quantile(raw, 0.01) > 0.99
    assert abs(np.median(cosines)) < 0.1
    assert np.quantile(cosines, 0.99) < 0.9


def test_what_differs_little_stays_alike(narrow):
    white = whitening_of(narrow)
    near = unit(narrow + np.random.default_rng(1).normal(size=narrow.shape) * 1e-5)
    cosines = (white(narrow) * white(near)).sum(1)
    assert np.quantile(cosines, 0.01) > 0.99


def test_vectors_come_out_with_length_one(narrow):
    white = whitening_of(narrow)(narrow[:5])
    assert white.dtype == np.float32
    assert np.allclose(np.linalg.norm(white, axis=1), 1.0, atol=1e-5)
    assert whitening_of(narrow)(narrow[:0]).shape == (0, 8)


def test_all_directions_count_the_same(narrow):
    whitening = whitening_of(narrow)
    stretched = (narrow - whitening.mean_E) @ whitening.axes_EE
    # The last of the eight hardly varies, since the vectors are of length 1.
    assert np.sort(stretched.std(0))[1:] == pytest.approx(np.ones(7), abs=0.4)


def test_a_model_that_says_the_same_of_all_is_no_trouble():
    same = np.tile(unit(np.ones((1, 4))), (10, 1))
    assert np.isfinite(whitening_of(same)(same)).all()
