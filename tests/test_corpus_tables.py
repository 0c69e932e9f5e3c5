from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqmelody.corpus.tables import MelodyKeys, TextTable
from seqmelody.errors import UsageError

PARTS = st.lists(st.sampled_from("abcd"), min_size=1, max_size=4)


@given(st.lists(PARTS, min_size=1, max_size=8), st.sets(PARTS.map("/".join), max_size=6))
def test_the_longest_end_of_a_name_that_fits_decides(melodies, names):
    ids = ["/".join(parts) for parts in melodies]
    names = sorted(names)
    keys = MelodyKeys(["id"], names)
    for parts, number in zip(melodies, keys.find(ids, ids), strict=True):
        ends = ["/".join(parts[cut:]) for cut in range(len(parts))]
        fitting = [end for end in ends if end in names]
        assert (names[number] if number >= 0 else None) == (fitting[0] if fitting else None)


@given(st.lists(PARTS, min_size=1, max_size=8), st.sets(PARTS.map("/".join), max_size=6))
def test_a_name_is_that_of_the_melody_in_full_or_of_all_that_end_so(melodies, names):
    ids = ["/".join(parts) for parts in melodies]
    names = sorted(names)
    for name, rows in zip(names, MelodyKeys(["id"], names).melodies(ids, ids), strict=True):
        whole = [row for row, id_ in enumerate(ids) if id_ == name]
        ending = [row for row, id_ in enumerate(ids) if f"/{id_}".endswith(f"/{name}")]
        assert rows.tolist() == (whole or ending)


def test_a_name_may_be_an_id_or_a_path_and_the_id_goes_first():
    ids, paths = ["one", "two"], ["x/two.mid", "x.zip!y/one.mid"]
    keys = MelodyKeys(["id", "path"], ["two", "two.mid", "y/one.mid"])
    assert keys.find(ids, paths).tolist() == [1, 0]
    assert MelodyKeys(["path"], ["y/one.mid"]).find(ids, paths).tolist() == [-1, 0]
    assert MelodyKeys(["id"], []).find(ids, paths).tolist() == [-1, -1]


def test_a_column_without_empty_cells(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("id,a\nx,1\ny,\n")
    table = TextTable.read(path, "a test")
    assert table.filled("id") == ["x", "y"]
    with pytest.raises(UsageError, match=r"t\.csv: no a in row 3"):
        table.filled("a")
    with pytest.raises(UsageError, match=r"t\.csv: no column 'b'; there are id, a"):
        table.filled("b")
    with pytest.raises(UsageError, match="cannot be read as a test"):
        TextTable.read(tmp_path / "none.csv", "a test")


@pytest.mark.parametrize(("separator", "called"), [(";", "semicolons"), ("\t", "tabs")])
@pytest.mark.parametrize("header", ["path{}score", '"path"{}"score"', '"path"{}score'])
def test_another_separator_is_told(tmp_path, separator, called, header):
    path = tmp_path / "t.csv"
    # Where columns are separated by semicolons, numbers often have a comma.
    path.write_text(f"{header.format(separator)}\na.mid{separator}3,5\n")
    with pytest.raises(UsageError) as raised:
        TextTable.read(path, "a test")
    assert str(raised.value) == (
        f"{path}: columns are separated by commas, this file seems to use {called}"
    )


def test_semicolons_and_tabs_within_cells_are_no_separators(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('id,"a;b"\nx,"1;2\t3"\n')
    assert TextTable.read(path, "a test").filled("a;b") == ["1;2\t3"]


def test_a_file_that_is_not_there_is_named_once(tmp_path):
    path = tmp_path / "none.csv"
    with pytest.raises(UsageError) as raised:
        TextTable.read(path, "a test")
    assert str(raised.value) == f"{path}: cannot be read as a test (No such file or directory)"
