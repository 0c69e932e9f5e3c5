from __future__ import annotations

import json
from contextlib import suppress

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqmelody.embeddings import Embeddings, Layout, Made, Parts, Row
from seqmelody.embeddings import parts as module
from seqmelody.errors import InputError, SeqmelodyError, UsageError

SIZE = 3
LAYOUT = Layout("melodic", "0123456789abcdef", SIZE, per_note=False)
WITH_NOTES = Layout("melodic", "0123456789abcdef", SIZE, per_note=True)


def row_of(number: int, notes: int = 0) -> Row:
    random = np.random.default_rng(number)
    weight_L = random.random(notes, dtype=np.float32)
    vector_LE = random.random((notes, SIZE), dtype=np.float32)
    embedding_E = random.random(SIZE, dtype=np.float32)
    where = f"folder/{number}.mid"
    if notes:
        return Row(str(number), where, embedding_E, number / 8, weight_L, vector_LE)
    return Row(str(number), where, embedding_E, number / 8)


def made_of(rows: list[Row]) -> Made:
    return Made(len(rows), "-".join(row.id for row in rows), (), len(rows))


def same(ids):
    return list(ids)


def write(out, rows, layout=LAYOUT, per_part=4, **options) -> int:
    with Parts(out, layout, {}, resume=False, **options) as parts:
        for start in range(0, len(rows), per_part):
            some = rows[start : start + per_part]
            parts.write(iter(some))
            parts.keep(made_of(some))
        return parts.finish(same)


@pytest.fixture
def file(tmp_path):
    """A file of ten embeddings, and the vectors in it."""
    rows = [row_of(number) for number in range(10)]
    write(tmp_path / "x.parquet", rows)
    return tmp_path / "x.parquet", np.stack([row.embedding_E for row in rows])


# Reading


def test_what_was_written_is_read(file):
    path, vectors = file
    found = Embeddings.open(path)
    assert (len(found), found.size) == (10, SIZE)
    assert (found.checkpoint, found.fingerprint) == ("melodic", "0123456789abcdef")
    assert found.columns == ("id", "path", "embedding", "score")
    assert list(found.iter_column("id")) == [str(number) for number in range(10)]
    assert list(found.iter_column("score")) == [number / 8 for number in range(10)]
    assert np.array_equal(found.vectors(), vectors)
    assert found.vectors().dtype == np.float32
    assert "10 of 3 numbers" in repr(found)


@given(rows=st.integers(1, 12))
def test_blocks_end_to_end_are_all_vectors(tmp_path_factory, rows):
    path = tmp_path_factory.getbasetemp() / "blocks.parquet"
    if not path.exists():
        write(path, [row_of(number) for number in range(10)])
    found = Embeddings.open(path)
    blocks = list(found.blocks(rows))
    assert max(map(len, blocks)) <= rows
    assert np.array_equal(np.concatenate(blocks), found.vectors())


def test_vectors_of_notes_are_lists_of_vectors(tmp_path):
    rows = [row_of(number, notes=number % 4 + 1) for number in range(10)]
    write(tmp_path / "x.parquet", rows, WITH_NOTES)
    table = pq.read_table(tmp_path / "x.parquet")
    kind = pa.list_(pa.list_(pa.float32(), SIZE))
    assert table.schema.field("note_embeddings").type.equals(kind)
    for row, weights, vectors in zip(
        rows, table["note_weights"].to_pylist(), table["note_embeddings"].to_pylist(), strict=True
    ):
        assert weights == row.weight_L.tolist()
        assert vectors == row.vector_LE.tolist()


@pytest.mark.parametrize(
    "kind",
    [
        pa.list_(pa.float64()),
        pa.list_(pa.float32()),
        pa.large_list(pa.float32()),
        pa.list_(pa.float16(), SIZE),
    ],
    ids=str,
)
def test_what_another_library_wrote_is_read(file, tmp_path, kind):
    path, vectors = file
    table = pq.read_table(path).select(["id"])
    cells = vectors.astype(np.float16 if "half" in str(kind) else np.float32)
    table = table.append_column("embedding", pa.array(list(cells), kind))
    other = tmp_path / "other.parquet"
    pq.write_table(table.replace_schema_metadata({}), other)
    found = Embeddings.open(other)
    assert (found.size, found.checkpoint, found.fingerprint) == (SIZE, None, None)
    assert np.allclose(found.vectors(), vectors, atol=1e-3)


def refused(action) -> str:
    with pytest.raises(InputError) as caught:
        action()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_that_is_none_is_refused_by_name(file, tmp_path):
    path, _ = file
    whole = path.read_bytes()
    for wrong in (whole[:-20], whole[: len(whole) // 2], b"", b"not Parquet at all"):
        path.write_bytes(wrong)
        message = refused(lambda: Embeddings.open(path))
        assert message.startswith(f"{path}: cut short, or not a Parquet file")
    message = refused(lambda: Embeddings.open(tmp_path / "missing.parquet"))
    assert message == f"{tmp_path / 'missing.parquet'}: cannot be read (No such file or directory)"
    assert "cannot be read (Is a directory)" in refused(lambda: Embeddings.open(tmp_path))


def test_a_damaged_page_is_told(file):
    path, vectors = file
    data = bytearray(path.read_bytes())
    place = data.index(vectors[5].tobytes())
    data[place] ^= 0xFF
    path.write_bytes(data)
    message = refused(Embeddings.open(path).vectors)
    assert message.startswith(f"{path}: damaged (")


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"id": ["a"], "score": [1.0]}, "has no column 'embedding' of the vectors, but id, score;"),
        ({"embedding": [[1.0, 0.0]]}, "has no column 'id' of the names"),
        ({"id": ["a"], "embedding": [1.0]}, "column 'embedding' holds no lists of numbers"),
        ({"id": ["a"], "embedding": [["b"]]}, "column 'embedding' holds no lists of numbers"),
        ({"id": ["a"], "embedding": pa.array([[]], pa.list_(pa.float32()))}, "no numbers"),
        (
            {"id": pa.array([], pa.string()), "embedding": pa.array([], pa.list_(pa.float32()))},
            "holds no embedding",
        ),
    ],
)
def test_a_table_without_embeddings_is_refused(tmp_path, table, says):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table(table), path)
    message = refused(lambda: Embeddings.open(path))
    assert message.startswith(str(path))
    assert says in message


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ([0.0, np.nan, 1.0], "has nan in its embedding"),
        ([0.0, -np.inf, np.nan], "has -inf in its embedding"),
        ([0.0, None, 1.0], "has nan in its embedding"),
        (None, "has no embedding"),
        ([0.0, 1.0], "has 2 numbers, where the first has 3"),
    ],
    ids=str,
)
@pytest.mark.parametrize("row", [1, 9000])
def test_a_vector_that_is_none_is_told_by_row_and_id(tmp_path, cell, says, row):
    cells = [[1.0, 0.0, 0.0]] * 9500
    cells[row] = cell
    path = tmp_path / "x.parquet"
    names = [f"tune {number}" for number in range(len(cells))]
    embeddings = pa.array(cells, pa.list_(pa.float32()))
    pq.write_table(pa.table({"id": names, "embedding": embeddings}), path)
    message = refused(Embeddings.open(path).vectors)
    assert message.startswith(f"{path}: row {row} ('tune {row}') {says}")


def test_no_such_column_names_those_there_are(file):
    found = Embeddings.open(file[0])
    assert "no column 'family', but id, path" in refused(lambda: next(found.iter_column("family")))


# Writing


@settings(max_examples=25)
@given(
    notes=st.lists(st.integers(1, 9), max_size=12),
    rows_per_group=st.integers(1, 5),
    notes_per_group=st.integers(1, 12),
    per_part=st.integers(1, 7),
)
def test_groups_are_bounded_and_nothing_is_lost(
    tmp_path_factory, notes, rows_per_group, notes_per_group, per_part
):
    out = tmp_path_factory.mktemp("groups") / "x.parquet"
    rows = [row_of(number, count) for number, count in enumerate(notes)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "ROWS_PER_GROUP", rows_per_group)
        patch.setattr(module, "NOTES_PER_GROUP", notes_per_group)
        assert write(out, rows, WITH_NOTES, per_part) == len(rows)
    if not rows:
        assert not out.exists()
        return
    with pq.ParquetFile(out) as file:
        for number in range(file.num_row_groups):
            group = file.read_row_group(number)
            counts = [len(weights) for weights in group["note_weights"].to_pylist()]
            assert len(counts) <= rows_per_group
            # One melody may have more.
            assert sum(counts) <= notes_per_group or len(counts) == 1
        assert file.read()["id"].to_pylist() == [row.id for row in rows]


def test_ids_are_made_unique_over_all_parts(tmp_path):
    out = tmp_path / "x.parquet"
    asked = []

    def unique(ids):
        asked.append(list(ids))
        return [f"{name}!" for name in ids]

    with Parts(out, LAYOUT, {}, resume=False) as parts:
        for number in range(3):
            parts.write(iter([row_of(7)]))
            parts.keep(Made(1, str(number), (), 1))
        parts.finish(unique)
    assert asked == [["7"], ["7"], ["7"]]
    assert list(Embeddings.open(out).iter_column("id")) == ["7!"] * 3


def interrupted(out, layout=LAYOUT, made_from=None) -> None:
    """Leaves two whole parts of two rows, and one that is not whole."""
    with suppress(KeyboardInterrupt), Parts(out, layout, made_from or {}, resume=False) as parts:
        for number in range(2):
            rows = [row_of(2 * number), row_of(2 * number + 1)]
            parts.write(iter(rows))
            parts.keep(made_of(rows))
        parts.write(iter([row_of(99)]))
        raise KeyboardInterrupt


def test_a_run_goes_on_from_the_parts_that_are_whole(tmp_path):
    out = tmp_path / "x.parquet"
    interrupted(out)
    assert not out.exists()
    with Parts(out, LAYOUT, {}, resume=True) as parts:
        assert [made.digest for made in parts.made] == ["0-1", "2-3"]
        assert parts.inputs == 4
        parts.write(iter([row_of(4)]))
        parts.keep(made_of([row_of(4)]))
        assert parts.finish(same) == 5
    resumed = out.read_bytes()
    assert write(out, [row_of(number) for number in range(5)], per_part=2) == 5
    assert out.read_bytes() == resumed
    assert [path.name for path in tmp_path.iterdir()] == ["x.parquet"]


@pytest.mark.parametrize("spoil", ["cut short", "without its word", "word cut short", "other rows"])
def test_a_part_that_is_not_whole_is_made_again(tmp_path, spoil):
    out = tmp_path / "x.parquet"
    interrupted(out)
    part = tmp_path / ".x.parquet.parts" / "00001.parquet"
    word = part.with_suffix(".json")
    if spoil == "cut short":
        part.write_bytes(part.read_bytes()[:-9])
    elif spoil == "without its word":
        word.unlink()
    elif spoil == "word cut short":
        word.write_text(word.read_text()[:-9])
    else:
        word.write_text(json.dumps(json.loads(word.read_text()) | {"rows": 3}))
    with Parts(out, LAYOUT, {}, resume=True) as parts:
        assert [made.digest for made in parts.made] == ["0-1"]


def test_what_is_kept_is_neither_lost_nor_taken_for_another_run(tmp_path):
    out = tmp_path / "x.parquet"
    interrupted(out, made_from={"list of inputs": ["a"]})
    folder = tmp_path / ".x.parquet.parts"
    before = {path.name for path in folder.iterdir()}
    with pytest.raises(
        UsageError, match="has kept 4 melodies of it; go on with --resume, or remove"
    ):
        Parts(out, LAYOUT, {"list of inputs": ["a"]}, resume=False)
    other = Layout("melodic", "f" * 16, SIZE, per_note=True)
    for layout, inputs, named in (
        (LAYOUT, ["b"], "another list of inputs;"),
        (other, ["a"], "another checkpoint, another --per-note;"),
    ):
        with pytest.raises(UsageError, match=named) as caught:
            Parts(out, layout, {"list of inputs": inputs}, resume=True)
        assert str(folder) in str(caught.value)
    assert {path.name for path in folder.iterdir()} == before
    # The name of a checkpoint is not what tells it from others.
    renamed = Layout("moved", LAYOUT.fingerprint, SIZE, per_note=False)
    with Parts(out, renamed, {"list of inputs": ["a"]}, resume=True) as parts:
        assert parts.inputs == 4


def test_what_a_killed_run_left_without_a_whole_part_is_cleared(tmp_path):
    out = tmp_path / "x.parquet"
    folder = tmp_path / ".x.parquet.parts"
    folder.mkdir()
    for name in ("manifest.json", "00000.parquet", "00000.json.new"):
        (folder / name).write_bytes(b"{")
    assert write(out, [row_of(1)]) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["x.parquet"]


def test_without_a_whole_part_nothing_is_left(tmp_path):
    out = tmp_path / "new" / "folder" / "x.parquet"
    with suppress(OSError), Parts(out, LAYOUT, {}, resume=False) as parts:
        parts.write(iter([row_of(1)]))
        raise OSError("the disk is full")
    assert list(tmp_path.iterdir()) == []


def test_two_do_not_write_the_same_file(tmp_path):
    out = tmp_path / "x.parquet"
    with Parts(out, LAYOUT, {}, resume=False) as parts:
        for resume in (False, True):
            with pytest.raises(UsageError, match="another process is writing it"):
                Parts(out, LAYOUT, {}, resume=resume)
        parts.write(iter([row_of(1)]))
        parts.keep(made_of([row_of(1)]))
        assert parts.finish(same) == 1


def test_a_part_that_was_damaged_since_is_told(tmp_path):
    out = tmp_path / "x.parquet"
    interrupted(out)
    part = tmp_path / ".x.parquet.parts" / "00001.parquet"
    data = bytearray(part.read_bytes())
    data[data.index(row_of(3).embedding_E.tobytes())] ^= 0xFF
    part.write_bytes(data)
    with (
        pytest.raises(SeqmelodyError, match=r"00001\.parquet: damaged"),
        Parts(out, LAYOUT, {}, resume=True) as parts,
    ):
        parts.finish(same)
    assert not out.exists()
