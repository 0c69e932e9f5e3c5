from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from ranked_lists import textbook_figures
from songs import Songs, number_of, numbered
from stand_ins import ByVectors

from seqmelody.errors import CorpusError, SeqmelodyError
from seqmelody.evaluation.methods import Remembered
from seqmelody.evaluation.retrieval import Pool, retrieval_task
from seqmelody.tokens import Tokens


def by_matrix(matrix: np.ndarray) -> Remembered:
    """A method that says of ``numbered`` melodies what a table says, two rows at a time."""

    class ByMatrix:
        name = "table"

        def similarities(self, melodies, rows):
            number = number_of(melodies)
            for start in range(0, len(rows), 2):
                yield matrix[number[rows[start : start + 2]]][:, number].astype(np.float32)

    return Remembered(ByMatrix())


def pool_of(families, melodies=None) -> Pool:
    melodies = numbered(len(families)) if melodies is None else melodies
    return Pool.of(Songs(melodies, family=families), np.arange(len(families)), "family")


@given(st.data(), st.integers(2, 12))
def test_the_order_of_the_pool_does_not_matter(data, size):
    families = data.draw(st.lists(st.sampled_from("aabc"), min_size=size, max_size=size))
    if max(map(families.count, families)) < 2:
        families[:2] = "aa"
    matrix = data.draw(arrays(np.float64, (size, size), elements=st.sampled_from([0.0, 0.3, 1.0])))
    order = np.array(data.draw(st.permutations(range(size))))
    method = by_matrix(matrix)
    songs = Songs(numbered(size), family=families)
    found, by_family = retrieval_task(method, Pool.of(songs, np.arange(size), "family"))
    again, by_family_again = retrieval_task(method, Pool.of(songs, order, "family"))
    for name, each in found.figures().items():
        assert again.figures()[name].value == pytest.approx(each.value, abs=1e-12)
        assert again.figures()[name].low == pytest.approx(each.low, abs=1e-9, nan_ok=True)
    for name, values in by_family.figures.items():
        assert by_family_again.figures[name] == pytest.approx(values)


@given(st.lists(st.sampled_from("abcdef"), min_size=2, max_size=15))
def test_who_knows_the_families_is_perfect(families):
    if max(map(families.count, families)) < 2:
        families[:2] = "aa"
    same = np.array([[a == b for b in families] for a in families], dtype=float)
    result, _ = retrieval_task(by_matrix(same), pool_of(families))
    others = np.array([families.count(name) - 1 for name in families])
    recall = np.minimum(1, 10 / others[others > 0]).mean()
    assert [each.value for each in result.found.values()] == pytest.approx([1, 1, recall])


def test_the_figures_are_those_of_a_plain_loop():
    random = np.random.default_rng(0)
    families = [str(number) for number in random.integers(0, 25, size=60)]
    vectors = random.normal(size=(60, 5)).astype(np.float32)
    vectors += random.normal(size=(25, 5)).astype(np.float32)[[int(name) for name in families]]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    matrix = vectors @ vectors.T
    expected = []
    for query, name in enumerate(families):
        others = [row for row in np.argsort(-matrix[query]) if row != query]
        wanted = [families[row] == name for row in others]
        if any(wanted):
            expected.append(textbook_figures(wanted))
    result, by_family = retrieval_task(by_matrix(matrix), pool_of(families))
    found = [each.value for each in result.found.values()]
    np.testing.assert_allclose(found, np.mean(expected, axis=0), atol=1e-6)
    weighted = np.average(by_family.figures["MAP"], weights=by_family.queries)
    assert weighted == pytest.approx(found[0])
    assert list(by_family.to_dict()["families"]) == list(by_family.names)


def test_who_has_no_family_is_searched_but_does_not_ask():
    families = ["a", "a", "alone", None, "", float("nan")]
    pool = pool_of(families)
    assert pool.queries.tolist() == [0, 1]
    assert pool.families == 1
    matrix = np.zeros((6, 6))
    matrix[0] = [9, 1, 0, 2, 0, 0]
    matrix[1] = [1, 9, 0, 0, 0, 0]
    result, by_family = retrieval_task(by_matrix(matrix), pool)
    assert result.found["MAP"].value == pytest.approx((1 / 2 + 1) / 2)
    assert by_family.names == ("a",)
    # One family does not tell how families differ.
    assert np.isnan(result.found["MAP"].low)


def test_the_interval_is_about_families_not_melodies():
    """Ten melodies of one family that all fail are one piece of evidence."""
    families = [*"aabbccddee", *["f"] * 10]
    matrix = np.array([[a == b and a != "f" for b in families] for a in families], dtype=float)
    matrix[10:, 10:] = -1.0
    result, _ = retrieval_task(by_matrix(matrix), pool_of(families))
    found = result.found["P@1"]
    assert found.value == pytest.approx(0.5)
    # By melodies it would be about 0.28 to 0.72.
    assert found.low < 0.25
    assert found.high == 1


def test_copies_of_the_query_are_left_out_of_a_second_figure():
    def melody(*pitches: int) -> Tokens:
        notes = len(pitches)
        return Tokens(
            np.array(pitches, dtype=np.uint8),
            np.full(notes, 24, dtype=np.uint16),
            np.zeros(notes, dtype=np.uint16),
        )

    longer = replace(melody(60, 62, 64), duration=np.array([48, 24, 24], dtype=np.uint16))
    melodies = [melody(60, 62, 64), melody(65, 67, 69), longer, melody(1, 2), melody(2, 4)]
    pool = pool_of(["a", "a", "a", "b", "b"], melodies)
    assert pool.copied == 2

    class First:
        """Copies first, then whatever is of another family."""

        name = "first"

        def similarities(self, of, rows):
            matrix = np.array([[0, 9, 1, 2, 2], [9, 0, 1, 2, 2], [1, 1, 0, 2, 2], [0] * 5, [0] * 5])
            yield matrix[rows].astype(np.float32)

    result, _ = retrieval_task(Remembered(First()), pool)
    told = result.figures()
    assert result.headlines == ("MAP", "P@1", "recall@10", "MAP, copies left out")
    assert set(result.headlines) <= set(told)
    # The third has two that are no copies of it, below two strangers; the fourth and fifth tie.
    third, tied = (1 / 3 + 2 / 4) / 2, np.mean([1, 1 / 2, 1 / 3, 1 / 4])
    with_copies = (1 + 2 / 4) / 2
    assert told["MAP"].value == pytest.approx((2 * with_copies + third + 2 * tied) / 5)
    assert told["MAP, copies left out"].value == pytest.approx((2 / 3 + third + 2 * tied) / 5)
    assert told["P@1, copies left out"].value == pytest.approx((0 + 0 + 0 + 2 / 4) / 5)

    plainer, _ = retrieval_task(by_matrix(np.eye(4)), pool_of([*"aabb"]))
    assert plainer.headlines == ("MAP", "P@1", "recall@10")
    assert plainer.without_copies == {}


def test_vectors_are_compared_by_cosine():
    families = [*"aabb"]
    table = np.array([[1, 100.0], [1, 101.0], [-1, 100.0], [-1, 101.0]])
    by_number = ByVectors(lambda melodies: table[number_of(melodies)])
    result, _ = retrieval_task(Remembered(by_number), pool_of(families))
    # Both columns count alike, though one is much larger.
    assert result.found["MAP"].value == pytest.approx(np.mean([3 / 4, 3 / 4, 3 / 4, 3 / 4]))


def test_what_cannot_be_asked_is_said():
    with pytest.raises(CorpusError, match="no two of 3 melodies share an entry of column 'family'"):
        pool_of(["a", "b", None])
    with pytest.raises(CorpusError, match="no column 'tune'"):
        Pool.of(Songs(numbered(2), family=["a", "a"]), np.arange(2), "tune")
    with pytest.raises(SeqmelodyError, match="table: no finite similarity for 1 of 2 melodies"):
        retrieval_task(by_matrix(np.array([[0, np.nan], [0, 0]])), pool_of(["a", "a"]))
