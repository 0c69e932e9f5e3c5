from __future__ import annotations

import numpy as np
import pytest

from seqmelody.errors import UsageError
from seqmelody.judgements import Preferences


@pytest.fixture
def read(tune_corpus, tmp_path):
    def write_and_read(text: str) -> Preferences:
        path = tmp_path / "pairs.csv"
        path.write_text(text, encoding="utf-8")
        return Preferences.read(path, tune_corpus)

    return write_and_read


def test_pairs_by_id_or_path_with_ties_and_raters(read, tune_corpus):
    ids = tune_corpus.column("id")
    found = read(
        "winner,loser,rater,tie\nfreude,greensleeves,ann,0\ngreensleeves.mid,freude.mid,,1\n"
        "new-britain,freude,bob,\n".replace("bob,\n", "bob,0\n")
    )
    assert [ids[row] for row in found.winner] == ["freude", "greensleeves", "new-britain"]
    assert [ids[row] for row in found.loser] == ["greensleeves", "freude", "freude"]
    assert found.tie.tolist() == [False, True, False]
    assert found.rater.tolist() == [0, -1, 1]
    assert found.raters == ("ann", "bob")
    assert found.warnings == ()


def test_contradictory_pairs_are_kept_and_counted(read):
    found = read(
        "winner,loser\nfreude,greensleeves\ngreensleeves,freude\nfreude,greensleeves\n"
        "new-britain,freude\n"
    )
    assert len(found) == 4
    [warning] = found.warnings
    assert "1 pair of melodies judged both ways: both kept as evidence" in warning


def test_a_pair_with_a_melody_that_is_not_there_is_left_out(read):
    found = read("winner,loser\nfreude,gone\nfreude,greensleeves\nlost,freude\n")
    assert len(found) == 1
    assert "2 rows left out" in found.warnings[0]
    assert found.warnings[0].endswith("no melody gone, lost")


def test_repeats_of_a_rater_count_once(read):
    found = read(
        "winner,loser,rater,tie\nfreude,greensleeves,ann,0\nfreude,greensleeves,ann,0\n"
        "freude,greensleeves,bob,0\nfreude,new-britain,bob,1\nnew-britain,freude,bob,1\n"
    )
    assert len(found) == 3
    assert "2 repeated pairs count once (rows 3, 6)" in found.warnings[0]
    assert len(read("winner,loser\nfreude,greensleeves\nfreude,greensleeves\n")) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("winner\nfreude\n", "no column 'loser'"),
        ("winner,loser\n", "holds no judgement"),
        ("winner,loser\nfreude,\n", "no loser in row 2"),
        ("winner,loser\nfreude,freude\n", "'freude' is compared with itself, in row 2"),
        ("winner,loser\nfreude,freude.mid\n", "compared with itself, in row 2"),
        ("winner,loser\nx,x\nfreude,greensleeves\n", "'x' is compared with itself, in row 2"),
        ("winner,loser\nx,y\n", r"none of its melodies is in"),
        ("winner,loser,tie\nfreude,greensleeves,2\n", "tie must be 0 or 1, not 2, in row 2"),
        ("winner,loser,tie\nfreude,greensleeves,yes\n", "tie 'yes' is no number, in row 2"),
        ("winner,loser,tie\nfreude,greensleeves,\n", "no tie in row 2"),
    ],
)
def test_what_cannot_be_meant_is_one_line_with_the_row(read, text, message):
    with pytest.raises(UsageError, match=r"pairs\.csv: ") as raised:
        read(text)
    assert raised.match(message)
    assert "\n" not in str(raised.value)


def test_pairs_among_some_rows_have_both_melodies_there(read):
    found = read("winner,loser\nfreude,greensleeves\nnew-britain,freude\n")
    rows = np.array([found.winner[0], found.loser[0]])
    assert found.among(rows).winner.tolist() == [found.winner[0]]
    assert len(found.among(rows[:1])) == 0
