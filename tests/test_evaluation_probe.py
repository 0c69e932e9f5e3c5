from __future__ import annotations

import itertools
import sys

import numpy as np
import pytest
from songs import Songs, number_of, numbered
from stand_ins import ByVectors

from seqmelody.errors import CorpusError, SeqmelodyError
from seqmelody.evaluation.methods import Remembered
from seqmelody.evaluation.probe import Labelled, ProbeResult, probe_task

pytest.importorskip("sklearn")

COUNT = 90
CLASSES = ["a", "b", "c"] * (COUNT // 3)


def labelled(labels=CLASSES, **options) -> Labelled:
    columns = options.pop("columns", {})
    songs = Songs(numbered(len(labels)), kind=labels, **columns)
    return Labelled.of(songs, np.arange(len(labels)), "kind", **{"least": 5, **options})


def by_table(table: np.ndarray) -> Remembered:
    return Remembered(ByVectors(lambda melodies: table[number_of(melodies)]))


def knows(labels, noise: float) -> np.ndarray:
    random = np.random.default_rng(3)
    of = np.unique(labels, return_inverse=True)[1]
    return np.hstack([np.eye(of.max() + 1)[of], random.normal(size=(len(labels), 2))]) + (
        noise * random.normal(size=(len(labels), of.max() + 3))
    )


def test_what_the_vectors_hold_is_told_both_ways():
    found = probe_task(by_table(knows(CLASSES, 0.05)), labelled()).figures()
    for name in ProbeResult.headlines:
        assert found[name].value > 0.9
        assert found[name].low <= found[name].value <= found[name].high
    assert found["share of b told, linear"].value > 0.9


def test_what_they_do_not_hold_is_not():
    random = np.random.default_rng(0)
    found = [
        probe_task(by_table(random.normal(size=(COUNT, 3))), labelled()).figures() for _ in range(4)
    ]
    for name in ProbeResult.headlines:
        assert np.mean([each[name].value for each in found]) == pytest.approx(1 / 3, abs=0.1)


def test_always_the_commonest_is_as_good_as_its_share_and_no_better_balanced():
    labels = ["a"] * 60 + ["b"] * 20
    about = labelled(labels)
    assert about.commonest == pytest.approx(0.75)
    found = probe_task(by_table(np.ones((80, 2))), about).figures()
    assert found["accuracy, linear"].value == pytest.approx(0.75)
    assert found["balanced accuracy, linear"].value == pytest.approx(0.5)
    assert found["balanced accuracy, linear"].high == pytest.approx(0.5)
    assert found["share of a told, linear"].value == 1
    assert found["share of b told, linear"].value == 0


@pytest.mark.parametrize("together", [None, "family"])
def test_variants_of_what_is_told_are_not_learnt_from(together):
    """Vectors that name a tune tell its label from its twin, and from nothing else."""
    random = np.random.default_rng(1)
    pairs = np.repeat(np.arange(40), 2)
    labels = random.choice(["a", "b"], size=40)[pairs].tolist()
    names = by_table(np.eye(40)[pairs])
    alone = probe_task(names, labelled(labels)).figures()
    assert alone["accuracy, 5-NN"].value > 0.7
    columns = {"family" if together else "group": pairs}
    apart = labelled(labels, columns=columns, together=together)
    for fold, group in ((a, b) for a in range(5) for b in range(a)):
        here, there = (apart.groups[apart.folds == each] for each in (fold, group))
        assert not np.isin(here, there).any()
    found = probe_task(names, apart).figures()
    assert max(found[f"accuracy, {way}"].value for way in ("linear", "5-NN")) < 0.65


def test_groups_that_share_a_family_are_one():
    group = np.repeat(np.arange(30), 3)
    none = itertools.cycle([None, float("nan"), ""])
    family = np.array(["x" if n % 10 < 2 else next(none) for n in range(COUNT)], dtype=object)
    about = labelled(columns={"group": group, "family": family}, together="family")
    linked = np.isin(group, group[family == "x"])
    assert len(np.unique(about.groups[linked])) == 1
    # Who has no family, however that is written, stays in the group alone.
    assert len(np.unique(about.groups)) == len(np.unique(group[~linked])) + 1


def test_who_compares_without_vectors_has_neighbours_only():
    class Nearest:
        name = "nearest"

        def similarities(self, melodies, rows):
            of = number_of(melodies) % 3
            yield (of[rows][:, None] == of[None]).astype(np.float32)

    found = probe_task(Remembered(Nearest()), labelled()).figures()
    assert np.isnan(found["accuracy, linear"].value)
    assert found["accuracy, 5-NN"].value == 1
    assert "share of a told, linear" not in found


def test_classes_can_be_left_out_and_large_ones_drawn_from():
    labels = ["a"] * 50 + ["b"] * 30 + ["c"] * 20 + ["d"] * 4 + [None] * 2 + [float("nan"), ""] * 2
    columns = {"group": np.arange(len(labels)) // 2}
    about = labelled(labels, without=("c",), most=25, columns=columns)
    assert about.classes == ("a", "b")
    assert np.bincount(about.label).tolist() == [24, 24]
    # Whole groups, from all over the class, and the same again.
    assert (np.unique(about.groups, return_counts=True)[1] == 2).all()
    number = number_of(about.melodies)
    assert np.ptp(number[about.label == 0]) > 30
    again = labelled(labels, without=("c",), most=25, columns=columns)
    np.testing.assert_array_equal(number, number_of(again.melodies))
    assert about.commonest == 0.5


def test_of_equally_common_labels_the_nearer_ones_count():
    angle = np.linspace(0, 1, COUNT)
    near = by_table(np.column_stack([np.cos(angle), np.sin(angle)]))
    near.method.embeddings = near.method.vectors
    # Three runs: only at their borders does a label not follow from its neighbours.
    found = probe_task(near, labelled(sorted(CLASSES))).figures()
    assert found["accuracy, 5-NN"].value > 0.9


def test_what_cannot_be_probed_is_said(monkeypatch):
    with pytest.raises(CorpusError, match="'kind' has 1 classes of 5 melodies or more"):
        labelled(["a"] * 20 + ["b"] * 4)
    with pytest.raises(CorpusError, match=r"class 'b' of column 'kind' has fewer than 5 groups"):
        labelled(["a"] * 20 + ["b"] * 8, columns={"group": [*range(20), *[20] * 8]})
    monkeypatch.setitem(sys.modules, "sklearn.model_selection", None)
    with pytest.raises(SeqmelodyError, match=r"pip install 'seqmelody\[sklearn\]'"):
        labelled()
