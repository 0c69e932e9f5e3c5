from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judged import write_csv

from seqmelody.errors import UsageError
from seqmelody.judgements import Ratings, RatingTable


@pytest.fixture
def read(tune_corpus, tmp_path):
    """Writes a file, and reads it on the corpus of ``TUNES``."""

    def write_and_read(text: str, **options) -> Ratings:
        path = tmp_path / "ratings.csv"
        path.write_text(text, encoding="utf-8")
        return Ratings.read(path, tune_corpus, **options)

    return write_and_read


def ids(corpus, ratings: Ratings) -> list[str]:
    return [corpus.column("id")[row] for row in ratings.row]


def test_melodies_are_found_by_id_and_by_any_end_of_their_path(read, tune_corpus):
    by_id = read("id,score\nfreude,3\nnew-britain,2.5\nfreude,1\n")
    assert ids(tune_corpus, by_id) == ["freude", "new-britain", "freude"]
    assert by_id.value.tolist() == [3, 2.5, 1]
    assert by_id.rater.tolist() == [-1, -1, -1]
    assert by_id.raters == by_id.warnings == ()
    whole = tune_corpus.column("path")[0]
    parts = whole.lstrip("/").split("/")
    for name in (whole, "/".join(parts[-2:]), parts[-1]):
        assert read(f"path,score\n{name},3\n").row.tolist() == [0]


def test_raters_are_numbered_in_the_order_of_their_names(read):
    found = read("id,score,rater\nfreude,3,zoe\nfreude,4,\nfreude,5,ann\nnew-britain,1,zoe\n")
    assert found.raters == ("ann", "zoe")
    assert found.rater.tolist() == [1, -1, 0, 1]
    assert found.warnings[0].endswith(
        "rater 'ann' gave one rating: kept, and drawn to the consensus"
    )


def test_a_rater_who_always_says_the_same_is_kept_and_told_of(read):
    text = "id,score,rater\n" + "".join(
        f"{tune},{score},{rater}\n"
        for tune in ("freude", "new-britain", "greensleeves")
        for score, rater in ((3, "ann"), (5, "bob"), (len(tune), "cid"))
    )
    found = read(text)
    assert len(found) == 9
    [warning] = found.warnings
    assert "2 raters always gave the same rating, which tells nothing of a taste: kept" in warning
    assert warning.endswith("tells nothing of a taste: kept")


def test_a_file_that_names_nobody_may_be_one_persons(tmp_path):
    rows = [("freude", 3), ("freude", 3), ("greensleeves", 3)]
    path = write_csv(tmp_path / "r.csv", "id,score", rows)
    assert RatingTable.read(path).raters == RatingTable.read(path).warnings == ()
    table = RatingTable.read(path, rater="ann")
    assert (table.raters, table.rater.tolist()) == (("ann",), [0, 0])
    again, alike = table.warnings
    assert "1 repeated rating counts once (row 3)" in again
    assert "rater 'ann' always gave the same rating, which tells nothing of a taste" in alike
    # Where people are named, they are who is named.
    named = write_csv(
        tmp_path / "r.csv", "id,score,rater", [("freude", 3, "bob"), ("freude", 4, "")]
    )
    table = RatingTable.read(named, rater="ann")
    assert (table.raters, table.rater.tolist()) == (("bob",), [0, -1])
    nobody = write_csv(tmp_path / "r.csv", "id,score,rater", [("freude", 3, ""), ("freude", 4, "")])
    assert RatingTable.read(nobody, rater="ann").raters == ("ann",)


def test_a_melody_that_is_not_there_is_left_out_counted_and_named(read, tune_corpus):
    found = read("id,score\nfreude,3\nnobody,2\nnobody,4\nelse,1\n")
    assert ids(tune_corpus, found) == ["freude"]
    [warning] = found.warnings
    assert "ratings.csv: 3 rows left out" in warning
    assert warning.endswith("no melody nobody, else")


def test_repeated_rows_of_a_rater_count_once_and_different_ones_all(read):
    found = read(
        "id,score,rater\nfreude,3,ann\nfreude,3,ann\nfreude,4,ann\nfreude,3,bob\nfreude,5,bob\n"
    )
    assert found.value.tolist() == [3, 4, 3, 5]
    assert any("1 repeated rating counts once (row 3)" in told for told in found.warnings)


def test_ratings_under_two_names_of_one_melody_count_once(read, tune_corpus):
    path = next(path for path in tune_corpus.column("path") if path.endswith("freude.mid"))
    found = read(f"path,score,rater\nfreude.mid,3,ann\n{path},3,ann\n{path},4,ann\n")
    assert found.value.tolist() == [3, 4]
    assert any(f"two names of one melody count once ({path})" in told for told in found.warnings)


def test_equal_ratings_of_unnamed_people_all_count(read):
    assert len(read("id,score\nfreude,3\nfreude,3\nfreude,3\n")) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,score\n", "holds no rating"),
        ("id,mood\nfreude,3\n", "no column 'score'; there are id, mood"),
        ("name,score\nfreude,3\n", "no column 'id' or 'path'"),
        ("id,score\nfreude,3\nfreude,nan\n", "score 'nan' is no number, in row 3"),
        ("id,score\nfreude,3\nfreude,inf\n", "score 'inf' is no number, in row 3"),
        ("id,score\nfreude,good\n", "score 'good' is no number, in row 2"),
        ("id,score\nfreude,\n,3\n", "no id in row 3"),
        ("id,score\nfreude,\nfreude,\n", "no score in rows 2, 3"),
        ("id,score\nfreude,7.5\n", "score 7.5 lies outside the scale from 1 to 7, in row 2"),
        ("id,score\nfreude,0\nfreude,1\nfreude,8\n", "score 0 lies outside .*, in rows 2, 4"),
        ("id,score\nnobody,3\n", r"none of its melodies is in .* \(row 2 names 'nobody'\)"),
        ("id,score,score\nfreude,3,4\n", "column 'score' occurs twice"),
        ("id,score\nfreude\n", "cannot be read as ratings"),
        ("", "cannot be read as ratings"),
    ],
)
def test_what_cannot_be_meant_is_one_line_with_the_row(read, text, message):
    with pytest.raises(UsageError, match=r"ratings\.csv: ") as raised:
        read(text, scale=(1, 7))
    assert raised.match(message)
    assert "\n" not in str(raised.value)


def test_a_name_that_fits_several_melodies_is_refused(tune_folder, tmp_path):
    from seqmelody.corpus import Corpus
    from seqmelody.corpus.build import prepare

    for folder, tune in (("a", "freude"), ("b", "greensleeves")):
        (tmp_path / "midi" / folder).mkdir(parents=True)
        song = (tune_folder / f"{tune}.mid").read_bytes()
        (tmp_path / "midi" / folder / "song.mid").write_bytes(song)
    prepare(tmp_path / "midi", tmp_path / "corpus", progress=False)
    corpus = Corpus.open(tmp_path / "corpus")
    path = write_csv(tmp_path / "r.csv", "path,score", [("a/song.mid", 1), ("song.mid", 2)])
    with pytest.raises(UsageError, match=r"'song.mid', in row 3, fits 2 melodies .*\(a/song, b/so"):
        Ratings.read(path, corpus)
    # A name that is one melody's in full is that melody's.
    found = Ratings.read(write_csv(path, "id,score", [("a/song", 1), ("b/song", 2)]), corpus)
    assert found.row.tolist() == [0, 1]


def test_ratings_of_some_rows(read, tune_corpus):
    found = read("id,score,rater\nfreude,3,ann\nnew-britain,2,bob\nfreude,4,bob\n")
    [row] = {row for row in found.row.tolist() if tune_corpus.column("id")[row] == "freude"}
    part = found.among(np.array([row]))
    assert part.value.tolist() == [3, 4]
    assert part.rater.tolist() == [0, 1]
    assert part.raters == found.raters


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["freude", "greensleeves", "gone"]),
            st.floats(-1e6, 1e6),
            st.sampled_from(["ann", "bob"]),
        ),
        min_size=1,
        max_size=20,
        unique=True,
    )
)
def test_every_rating_is_read_or_told_of(tmp_path_factory, tune_corpus, rows):
    path = tmp_path_factory.mktemp("ratings") / "ratings.csv"
    write_csv(path, "id,score,rater", rows)
    table = RatingTable.read(path)
    assert list(zip(table.names, table.value, strict=True)) == [row[:2] for row in rows]
    there = [row for row in rows if row[0] != "gone"]
    if not there:
        with pytest.raises(UsageError, match="none of its melodies"):
            Ratings.read(path, tune_corpus)
        return
    found = Ratings.read(path, tune_corpus)
    who = [found.raters[number] for number in found.rater]
    assert list(zip(ids(tune_corpus, found), found.value, who, strict=True)) == there


def test_a_huge_number_is_refused_with_its_row(read):
    with pytest.raises(UsageError, match=r"score 1e300 is beyond 1,000,000, in row 3"):
        read("id,score\nfreude,3\nnew-britain,1e300\n")
