from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import seeds

from seqmelody.errors import SeqmelodyError
from seqmelody.retrieval.neighbours import Neighbours, require_usearch, write_graph


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def families(count: int, members: int, size: int = 32) -> np.ndarray:
    """Vectors in families, as tunes and their variants are."""
    random = np.random.default_rng(0)
    centre = random.normal(size=(count, 1, size))
    return unit((centre + 0.4 * random.normal(size=(count, members, size))).reshape(-1, size))


@pytest.fixture
def graph(tmp_path):
    """Neighbours by a graph of some vectors."""
    pytest.importorskip("usearch")

    def made(vectors):
        write_graph(vectors, tmp_path / "graph", tmp_path / "twins.npy")
        return Neighbours.open(vectors, tmp_path / "graph", tmp_path / "twins.npy")

    return made


@given(seeds, st.integers(1, 30), st.integers(1, 40))
def test_exact_search_orders_all(seed, count, top):
    random = np.random.default_rng(seed)
    # Few different numbers, so that several are as near.
    vectors = unit(random.integers(-1, 2, (count, 4)) + 0.1)
    query = unit(random.integers(-1, 2, 4) + 0.1)
    rows, similarities = Neighbours(vectors).nearest(query, top)
    cosines = np.minimum(vectors @ query, 1)
    expected = sorted(range(count), key=lambda row: (-cosines[row], row))[:top]
    assert rows.tolist() == expected
    assert similarities.tolist() == cosines[expected].tolist()


def test_the_graph_finds_what_exact_search_finds(graph):
    vectors = families(400, 10)
    by_graph, exact = graph(vectors), Neighbours(vectors)
    found = same = 0
    for query in families(400, 10)[::50] + np.float32(0.01):
        rows, similarities = by_graph.nearest(unit(query), 10)
        _, true_similarities = exact.nearest(unit(query), 10)
        # Exact cosines, whatever the graph keeps.
        assert np.allclose(similarities, vectors[rows] @ unit(query), atol=1e-6)
        found += 10
        same += np.count_nonzero(similarities >= true_similarities[-1] - 1e-6)
    assert same / found > 0.99


def test_equal_vectors_do_not_hide_the_others(graph):
    vectors = families(100, 10)
    vectors[200:900] = vectors[200]
    by_graph, exact = graph(vectors), Neighbours(vectors)
    for row in (0, 17, 199, 900, 999):
        rows, _ = by_graph.nearest(vectors[row], 10)
        assert len(set(rows.tolist()) & set(exact.nearest(vectors[row], 10)[0].tolist())) >= 9
    rows, similarities = by_graph.nearest(vectors[200], 10)
    assert rows.tolist() == list(range(200, 210))
    assert np.allclose(similarities, 1)


def test_many_neighbours_are_found_exactly(graph):
    vectors = families(100, 10)
    rows, _ = graph(vectors).nearest(vectors[3], 500)
    assert rows.tolist() == Neighbours(vectors).nearest(vectors[3], 500)[0].tolist()


def test_a_damaged_graph_is_told(graph, tmp_path):
    vectors = families(10, 10)
    graph(vectors)
    whole = (tmp_path / "graph").read_bytes()
    with pytest.raises(ValueError, match="not one of these vectors"):
        Neighbours.open(vectors[:, :16], tmp_path / "graph", tmp_path / "twins.npy")
    for broken in (whole[: len(whole) // 2], whole[:10], b"", b"x" * len(whole)):
        (tmp_path / "graph").write_bytes(broken)
        with pytest.raises(ValueError, match=r"\w"):
            Neighbours.open(vectors, tmp_path / "graph", tmp_path / "twins.npy")


def test_a_missing_library_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    with pytest.raises(SeqmelodyError, match=r"needs usearch; pip install 'seqmelody\[search\]'"):
        require_usearch()
