from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqmelody.corpus.labels import Labels
from seqmelody.errors import UsageError

IDS = ["deut/one", "han/one", "two", "x.zip!in/three"]
PATHS = ["songs/deut/one.mid", "songs/han/one.mid", "songs/two.MID", "songs/x.zip!in/three.mid"]


@pytest.fixture
def read(tmp_path):
    def write_and_read(text: str | bytes) -> Labels:
        path = tmp_path / "labels.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return Labels.read(path)

    return write_and_read


@pytest.mark.parametrize(
    ("keys", "rows"),
    [
        (["id", "deut/one", "two"], [0, -1, 1, -1]),
        (["id", "one"], [0, 0, -1, -1]),
        (["id", "one", "han/one"], [0, 1, -1, -1]),
        (["id", "three", "missing"], [-1, -1, -1, 0]),
        (["path", "songs/han/one.mid"], [-1, 0, -1, -1]),
        (["path", "han/one.mid"], [-1, 0, -1, -1]),
        (["path", "one.mid", "two.MID"], [0, 0, 1, -1]),
        (["path", "two.mid", "two"], [-1, -1, -1, -1]),
        (["path"], [-1, -1, -1, -1]),
    ],
)
def test_how_rows_are_found(read, keys, rows):
    labels = read("\n".join(keys) + "\n")
    assert labels.find(IDS, PATHS).tolist() == rows


def test_with_both_keys_the_id_counts(read):
    labels = read("path,mood,id\nsongs/two.MID,glad,deut/one\n")
    assert labels.find(IDS, PATHS).tolist() == [0, -1, -1, -1]
    assert labels.table.column_names == ["mood"]


def test_columns_get_types(read):
    text = 'id,whole,real,mixed,name,code,long,empty\na,1,0.5,1,x,007,12345678901234567890,\nb,-20,3,2.5e-3,"y, z",1,1,\nc,,,,,,,\n'
    table = read(text).table
    assert table.schema.types == [
        *(pa.int64(), pa.float64(), pa.float64()),
        *(pa.string(), pa.string(), pa.string(), pa.string()),
    ]
    assert table["whole"].to_pylist() == [1, -20, None]
    assert table["mixed"].to_pylist() == [1.0, 0.0025, None]
    assert table["name"].to_pylist() == ["x", "y, z", None]
    assert table["code"].to_pylist() == ["007", "1", None]


def test_a_spreadsheet_may_begin_with_a_mark(read):
    assert read("\ufeffid,mood\r\ntwo,glad\r\n").find(IDS, PATHS).tolist() == [-1, -1, 0, -1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read as labels"),
        (b"id,name\na,\xff\n", "cannot be read as labels"),
        ("id,name\na,1\nb\n", "cannot be read as labels.*#3"),
        ("name,mood\na,b\n", "no column 'id' or 'path'; there are name, mood"),
        ("id,mood\na,1\nb,2\na,3\n", "id 'a' occurs in rows 2, 4$"),
        ("id,mood\na,1\nb,2\na,3\nb,2\nb,2\n", "occurs in rows .*, and . more"),
        ("id,mood\na,1\n,2\n,3\n", "no id in rows 3, 4"),
        ("id,mood,mood\na,1,2\n", "column 'mood' occurs twice"),
        ("id,group\na,1\n", "column 'group' is a column of every corpus"),
        ("path,pitch\na,1\n", "column 'pitch' is a column of every corpus"),
    ],
)
def test_what_cannot_be_used(read, text, message):
    with pytest.raises(UsageError, match=r"labels\.csv: ") as raised:
        read(text)
    assert raised.match(message)
    assert "\n" not in str(raised.value)


def test_no_file(tmp_path):
    with pytest.raises(UsageError, match="cannot be read as labels"):
        Labels.read(tmp_path / "missing.csv")


@settings(max_examples=50)
@given(st.sets(st.text(st.characters(codec="utf-8", exclude_characters="/\0")), max_size=30))
def test_each_key_finds_its_row(tmp_path_factory, keys):
    import csv
    import io

    keys = sorted(keys - {""})
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([["id"], *[[key] for key in keys]])
    path = tmp_path_factory.mktemp("labels") / "labels.csv"
    path.write_text(text.getvalue(), encoding="utf-8", newline="")
    labels = Labels.read(path)
    assert labels.find(keys, keys).tolist() == list(range(len(keys)))
    assert labels.names(labels.find(keys, keys)) == keys
