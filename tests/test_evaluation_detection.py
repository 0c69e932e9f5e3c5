from __future__ import annotations

import numpy as np
import pytest
from rated import prepare_rated
from stand_ins import By, mean_pitch

from seqmelody.errors import CorpusError
from seqmelody.evaluation.detection import detection_task


@pytest.fixture(scope="module")
def corpus(essen_corpus, tmp_path_factory):
    return prepare_rated(essen_corpus, tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def rows(corpus) -> np.ndarray:
    return np.arange(len(corpus))


def test_the_figure_is_the_share_of_pairs_that_people_win(corpus, rows):
    result = detection_task(By(mean_pitch), corpus, rows, "maker", ["*-Orig"])
    # Only 120 melodies say who made them, half of them people.
    assert (len(result.people), len(result.machines)) == (60, 60)
    expected = (result.people[:, None] > result.machines).mean()
    expected += (result.people[:, None] == result.machines).mean() / 2
    assert result.auc.value == pytest.approx(expected)
    assert result.auc.low < result.auc.value < result.auc.high
    assert list(result.by_maker) == ["GAN", "RNN"]
    mean = np.mean([found.value for found in result.by_maker.values()])
    assert mean == pytest.approx(expected, abs=1e-9)


def test_a_score_that_knows_wins_all(corpus, rows):
    makers = corpus.column("maker")
    told = [row for row in rows if makers[row] is not None]
    human = np.array([makers[row].endswith("-Orig") for row in told], dtype=float)
    for sign, auc in ((1, 1), (-1, 0), (0, 0.5)):
        result = detection_task(
            By(lambda melodies, sign=sign: sign * human), corpus, rows, "maker", ["*-Orig"]
        )
        assert (result.auc.value, result.auc.low, result.auc.high) == (auc, auc, auc)


def test_people_are_named_one_by_one_too(corpus, rows):
    result = detection_task(By(mean_pitch), corpus, rows, "maker", ["A-Orig"])
    assert len(result.people) == 30
    assert list(result.by_maker) == ["B-Orig", "GAN", "RNN"]


@pytest.mark.parametrize(
    ("column", "people", "message"),
    [
        ("system", ["*"], "no column 'system'"),
        ("maker", ["*"], "names no machines"),
        ("maker", ["Bach"], "names no people; people are Bach, and it holds A-Orig, B-Orig, GAN"),
    ],
)
def test_a_side_that_is_empty_is_named(corpus, rows, column, people, message):
    with pytest.raises(CorpusError, match=message):
        detection_task(By(mean_pitch), corpus, rows, column, people)
