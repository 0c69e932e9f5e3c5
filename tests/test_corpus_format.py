from __future__ import annotations

import itertools
import os
import pickle
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpora import run_seqmelody
from tunes import TUNES

from seqmelody.corpus import SPLITS, Corpus, prepare
from seqmelody.corpus.format import MELODIES_FILE
from seqmelody.errors import CorpusError
from seqmelody.tokens import Tokenizer


@pytest.fixture(scope="module")
def built(tune_folder, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("corpus") / "built"
    labels = folder.parent / "labels.csv"
    labels.write_text(
        "path,year,key,score\nfreude.mid,1824,D major,6.5\ngreensleeves.mid,1580,,7\n"
    )
    prepare([tune_folder], folder, labels=labels, progress=False)
    return folder


@pytest.fixture
def folder(built, tmp_path) -> Path:
    """A copy of the corpus that a test may spoil."""
    copy = tmp_path / "corpus"
    shutil.copytree(built, copy, ignore=shutil.ignore_patterns(".*"))
    return copy


def rewrite(folder: Path, change) -> None:
    path = folder / MELODIES_FILE
    pq.write_table(change(pq.read_table(path)), path)


def test_tokens_are_those_of_the_melodies(folder):
    corpus = Corpus.open(folder)
    assert len(corpus) == len(TUNES)
    assert corpus.tokenizer == Tokenizer()
    for row, id_ in enumerate(corpus.column("id")):
        tokens = corpus.tokens(row)
        assert corpus.tokenizer.decode(tokens) == TUNES[id_]
        assert len(tokens) == corpus.notes[row]
        assert (tokens.pitch.dtype, tokens.duration.dtype, tokens.rest.dtype) == ("u1", "u2", "u2")
    for row in (-1, len(corpus)):
        with pytest.raises(IndexError, match="row"):
            corpus.tokens(row)


def test_streams_are_the_tokens_end_to_end_and_mapped(folder):
    corpus = Corpus.open(folder)
    streams = corpus.streams()
    assert streams.offsets[0] == 0
    assert np.array_equal(np.diff(streams.offsets), corpus.notes)
    for name in ("pitch", "duration", "rest"):
        flat = getattr(streams, name)
        parts = [getattr(corpus.tokens(row), name) for row in range(len(corpus))]
        assert np.array_equal(flat, np.concatenate(parts))
        assert np.shares_memory(flat, parts[0])
        assert not flat.flags.writeable
        assert isinstance(flat.base, np.memmap)


def test_splits_share_out_the_rows(folder):
    corpus = Corpus.open(folder)
    rows = [corpus.split(name) for name in SPLITS]
    assert sorted(itertools.chain(*rows)) == list(range(len(corpus)))
    assert all(part.dtype == np.int64 and part.size for part in rows)
    with pytest.raises(CorpusError, match="no split 'dev'; there are train, validation, test"):
        corpus.split("dev")


def test_a_split_may_be_empty(folder):
    train = ["train"] * len(TUNES)
    rewrite(folder, lambda table: table.set_column(2, "split", pa.array(train)))
    assert Corpus.open(folder).split("test").tolist() == []


def test_columns(folder):
    corpus = Corpus.open(folder)
    names = ("id", "path", "split", "group", "notes", "year", "key", "score")
    assert corpus.columns == names
    row = corpus.column("id").index("freude")
    assert corpus.column("path")[row].endswith("freude.mid")
    assert (corpus.column("year")[row], corpus.column("score")[row]) == (1824, 6.5)
    assert corpus.column("key")[row] == "D major"
    other = corpus.column("id").index("greensleeves")
    assert corpus.column("key")[other] is None
    assert np.isnan(corpus.column("year")).sum() == len(TUNES) - 2
    for missing in ("tempo", "pitch"):
        with pytest.raises(CorpusError, match=f"no column '{missing}'; there are id, path, split"):
            corpus.column(missing)


def test_any_parquet_reader_reads_it(folder):
    table = pq.read_table(folder / MELODIES_FILE)
    corpus = Corpus.open(folder)
    assert table.column("pitch").type == pa.list_(pa.uint8())
    assert table.column("rest")[3].as_py() == corpus.tokens(3).rest.tolist()


def test_a_pickled_corpus_is_the_same_corpus(folder):
    corpus = Corpus.open(folder)
    again = pickle.loads(pickle.dumps(corpus))
    assert np.array_equal(again.streams().pitch, corpus.streams().pitch)
    assert len(pickle.dumps(corpus)) < 1000


def test_a_corpus_that_was_replaced_says_so(folder, tune_folder):
    corpus = Corpus.open(folder)
    pickled = pickle.dumps(corpus)
    before = corpus.streams().pitch.copy()
    prepare([tune_folder], folder, min_notes=45, progress=False)
    assert np.array_equal(corpus.streams().pitch, before)
    with pytest.raises(CorpusError, match="was replaced; open it again"):
        corpus.column("id")
    with pytest.raises(CorpusError, match="was replaced; open it again"):
        pickle.loads(pickled)
    assert len(Corpus.open(folder)) < len(corpus)


def test_only_the_streams_of_the_present_corpus_stay(folder, tune_folder):
    Corpus.open(folder)
    prepare([tune_folder], folder, min_notes=45, progress=False)
    left = folder / ".streams-0123456789abcdef.new"
    left.mkdir()
    Corpus.open(folder)
    assert len(list(folder.glob(".streams-*"))) == 1


def test_streams_are_unpacked_once(folder):
    Corpus.open(folder)
    unpacked = next(folder.glob(".streams-*"))
    before = unpacked.stat().st_mtime_ns
    Corpus.open(folder)
    assert next(folder.glob(".streams-*")).stat().st_mtime_ns == before


@pytest.mark.parametrize("name", ["pitch", "duration", "rest", "offsets"])
def test_damaged_streams_are_unpacked_again(folder, name):
    whole = Corpus.open(folder).streams().pitch.copy()
    part = next(folder.glob(".streams-*")) / f"{name}.npy"
    os.truncate(part, part.stat().st_size // 2)
    assert np.array_equal(Corpus.open(folder).streams().pitch, whole)


def test_no_folder_or_no_corpus(tmp_path):
    with pytest.raises(CorpusError, match="no such folder; make a corpus with"):
        Corpus.open(tmp_path / "missing")
    with pytest.raises(CorpusError, match=r"no corpus here \(no melodies.parquet\)"):
        Corpus.open(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(CorpusError, match="not a folder"):
        Corpus.open(tmp_path / "file")


def test_cut_short_anywhere(folder):
    path = folder / MELODIES_FILE
    whole = path.read_bytes()
    for size in [0, 1, 4, 7, 8, 11, 12, 100, len(whole) // 2, *range(len(whole) - 40, len(whole))]:
        path.write_bytes(whole[:size])
        with pytest.raises(CorpusError, match=r"melodies\.parquet: .*prepare the corpus again"):
            Corpus.open(folder)


def test_a_changed_byte_in_the_streams_is_found(folder):
    path = folder / MELODIES_FILE
    whole = path.read_bytes()
    metadata = pq.read_metadata(path)
    group = metadata.row_group(0)
    for number in range(group.num_columns):
        column = group.column(number)
        if column.path_in_schema.split(".")[0] in ("pitch", "duration", "rest", "notes"):
            start = column.dictionary_page_offset or column.data_page_offset
            spoiled = bytearray(whole)
            spoiled[start + column.total_compressed_size - 5] ^= 0x55
            path.write_bytes(spoiled)
            with pytest.raises(CorpusError, match="damaged"):
                Corpus.open(folder)


def test_another_parquet_file(folder):
    rewrite(folder, lambda table: table.replace_schema_metadata(None))
    with pytest.raises(CorpusError, match="a Parquet file, but not a seqmelody corpus"):
        Corpus.open(folder)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b'"format": 1', b'"format": 2', "corpus format 2, this version of seqmelody reads 1"),
        (b'"max_rest_steps": 192', b'"max_rest_steps": 191', "tokenizer fingerprint"),
        (b'"tokenizer"', b'"tokeniser"', "unreadable corpus header"),
        (b"{", b"[", "unreadable corpus header"),
    ],
)
def test_a_header_of_another_kind(folder, old, new, message):
    def change(table):
        value = table.schema.metadata[b"seqmelody"]
        assert old in value
        return table.replace_schema_metadata({b"seqmelody": value.replace(old, new)})

    rewrite(folder, change)
    with pytest.raises(CorpusError, match=message):
        Corpus.open(folder)


def test_another_tokenizer(folder):
    other = Tokenizer(max_rest_steps=96)
    Corpus.open(folder, Tokenizer())
    with pytest.raises(CorpusError) as raised:
        Corpus.open(folder, other)
    assert other.fingerprint in str(raised.value)
    assert Tokenizer().fingerprint in str(raised.value)


def set_streams(table, name, change):
    place = table.column_names.index(name)
    column = pa.array([change(values) for values in table[name].to_pylist()], table[name].type)
    return table.set_column(place, name, column)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop_columns(["rest"]), "column 'rest' is not list"),
        (lambda table: table.slice(0, 0), "holds no melody"),
        (lambda table: set_streams(table, "pitch", lambda p: [*p[1:], 200]), "column 'pitch'"),
        (lambda table: set_streams(table, "duration", lambda d: [0, *d[1:]]), "column 'duration'"),
        (
            lambda table: set_streams(table, "duration", lambda d: [193, *d[1:]]),
            "column 'duration'",
        ),
        (lambda table: set_streams(table, "rest", lambda r: r[1:]), "column 'rest' does not fit"),
        (lambda table: set_streams(table, "rest", lambda r: None), "column 'rest'"),
        (lambda table: set_streams(table, "rest", lambda r: [None] * len(r)), "column 'rest'"),
        (lambda table: set_streams(table, "notes", lambda n: 0), "melody without notes"),
    ],
)
def test_content_that_no_corpus_has(folder, change, message):
    rewrite(folder, change)
    with pytest.raises(CorpusError, match=message):
        Corpus.open(folder)
    assert not list(folder.glob(".streams-*"))


@contextmanager
def nobody():
    """Give up root for a while, so that permissions bite."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_folder_that_cannot_be_written(built):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "corpus"
        folder.mkdir()
        shutil.copy(built / MELODIES_FILE, folder)
        os.chmod(name, 0o755)
        os.chmod(folder, 0o555)
        with nobody():
            if os.access(folder, os.W_OK, effective_ids=True):
                pytest.skip("permissions do not bite here")
            corpus = Corpus.open(folder)
            again = pickle.loads(pickle.dumps(corpus))
        assert np.array_equal(corpus.streams().pitch, Corpus.open(built).streams().pitch)
        assert np.shares_memory(corpus.streams().pitch, again.streams().pitch) or np.array_equal(
            corpus.streams().pitch, again.streams().pitch
        )
        assert [path.name for path in folder.iterdir()] == [MELODIES_FILE]
        os.chmod(folder, 0o755)


def test_several_processes_may_open_at_once(folder):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(lambda _: Corpus.open(folder), range(16)))
    first = opened[0].streams().pitch
    assert all(np.array_equal(corpus.streams().pitch, first) for corpus in opened)
    assert len(list(folder.glob(".streams-*"))) == 1


def test_the_command_line_says_it_in_one_line(tmp_path, tune_folder):
    done = run_seqmelody("prepare", tune_folder, "--out", tmp_path / "c", "--min-notes", "900",
                         "--max-notes", "999")  # fmt: skip
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1


def test_the_training_sample_is_the_training_split_and_nothing_else(essen_corpus):
    melodies = essen_corpus.training_sample(10**9)
    rows = essen_corpus.split("train")
    assert len(melodies) == len(rows) < len(essen_corpus)
    for number, row in enumerate(rows.tolist()):
        known = essen_corpus.tokens(row)
        for stream in ("pitch", "duration", "rest"):
            np.testing.assert_array_equal(getattr(melodies[number], stream), getattr(known, stream))


def test_a_smaller_training_sample_is_from_all_over_it(essen_corpus):
    whole = essen_corpus.training_sample(10**9)
    part = essen_corpus.training_sample(1000)
    assert 500 < part.pitch.size == part.offsets[-1] <= 1000
    assert not np.array_equal(part.pitch, whole.pitch[: part.pitch.size])
    assert len(essen_corpus.training_sample(1)) == 1


def test_without_a_training_split_there_is_no_sample(tune_corpus, monkeypatch):
    monkeypatch.setattr(Corpus, "split", lambda self, name: np.zeros(0, dtype=np.int64))
    with pytest.raises(CorpusError, match="no melodies in its train split"):
        tune_corpus.training_sample(1000)
