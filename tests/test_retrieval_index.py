from __future__ import annotations

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tunes import TUNES

from seqmelody.corpus import Corpus
from seqmelody.corpus.build import prepare
from seqmelody.errors import CorpusError, InputError, SeqmelodyError, UsageError
from seqmelody.melody import Melody
from seqmelody.retrieval import MelodyIndex, building
from seqmelody.scorer import Scorer
from seqmelody.tokens import Tokenizer

KEYS = (-5, 0, 7)


@pytest.fixture(scope="module")
def scorer(checkpoint_folder) -> Scorer:
    return Scorer.load(checkpoint_folder, threads=1)


@pytest.fixture(scope="module")
def tunes_index(tune_folder, scorer, tmp_path_factory) -> MelodyIndex:
    return MelodyIndex.build(tune_folder, tmp_path_factory.mktemp("index") / "x.index", scorer)


@pytest.fixture
def copied(tunes_index, tmp_path):
    return shutil.copytree(tunes_index.folder, tmp_path / "copy.index")


@pytest.fixture
def parquet(tune_corpus, scorer, tmp_path):
    """Writes a file of embeddings of the tunes, its vectors and metadata changed as asked."""

    def write(change=lambda vectors: vectors, **metadata):
        vectors = change(scorer.embed(tune_corpus))
        told = {
            "seqmelody.checkpoint": scorer.checkpoint.name,
            "seqmelody.model": scorer.checkpoint.fingerprint,
        }
        columns = {
            "id": tune_corpus.column("id"),
            "path": tune_corpus.column("path"),
            "embedding": pa.FixedSizeListArray.from_arrays(
                pa.array(vectors.ravel()), vectors.shape[1]
            ),
        }
        table = pa.table(columns).replace_schema_metadata(
            {key: value for key, value in (told | metadata).items() if value is not None}
        )
        pq.write_table(table, tmp_path / "x.parquet")
        return tmp_path / "x.parquet"

    return write


@pytest.mark.parametrize("name", TUNES)
@pytest.mark.parametrize("key", KEYS)
def test_a_melody_is_found_in_whatever_key(tunes_index, scorer, name, key):
    (answer,) = tunes_index.search(TUNES[name].transpose(key), top=3, align=True, scorer=scorer)
    assert [hit.same for hit in answer.hits] == [True, False, False]
    best = answer.hits[0]
    assert (best.id, best.similarity) == (name, pytest.approx(1, abs=1e-5))
    assert (best.alignment.transposition, best.alignment.identity) == (-key, 1.0)
    assert best.alignment.pairs.shape == (len(TUNES[name]), 2)
    similarities = [hit.similarity for hit in answer.hits]
    assert similarities == sorted(similarities, reverse=True)


def test_similarities_are_those_of_the_scorer(tunes_index, scorer):
    (answer,) = tunes_index.search(TUNES["freude"], scorer=scorer)
    assert len(answer.hits) == len(tunes_index) == len(TUNES)
    for hit in answer.hits:
        expected = scorer.similarity(TUNES["freude"], TUNES[hit.id])
        assert hit.similarity == pytest.approx(expected, abs=1e-5)


def test_vectors_of_any_length_are_queries_too(tunes_index, scorer, tune_folder):
    vectors = 3 * scorer.embed(tune_folder)
    answers = tunes_index.search(vectors, top=1)
    assert [answer.hits[0].id for answer in answers] == sorted(TUNES)
    assert all(answer.hits[0].same for answer in answers)
    (one,) = tunes_index.search(vectors[2].astype(np.float64), top=1)
    assert one.hits[0].id == sorted(TUNES)[2]


def test_a_changed_rhythm_is_not_the_same_melody(tunes_index, scorer):
    freude = TUNES["freude"]
    other = Melody(2 * freude.onset, 2 * freude.duration, freude.pitch)
    (answer,) = tunes_index.search(other, scorer=scorer)
    assert not any(hit.same for hit in answer.hits)


def test_notes_come_back_without_the_files(tune_folder, scorer, tmp_path):
    files = shutil.copytree(tune_folder, tmp_path / "files")
    index = MelodyIndex.build(files, tmp_path / "x.index", scorer)
    shutil.rmtree(files)
    (answer,) = index.search(TUNES["greensleeves"], top=1, scorer=scorer)
    assert index.melody(answer.hits[0].row) == TUNES["greensleeves"]
    assert answer.hits[0].path == str(files / "greensleeves.mid")


def test_a_corpus_gives_the_ids_and_notes_that_its_files_give(tunes_index, tune_corpus, scorer):
    index = MelodyIndex.build(tune_corpus, tunes_index.folder.with_name("corpus.index"), scorer)
    for row, name in enumerate(tune_corpus.column("id")):
        (hit,) = index.search(TUNES[name], top=1, scorer=scorer)[0].hits
        assert (hit.row, hit.id, hit.path) == (row, name, tune_corpus.column("path")[row])
        assert index.melody(row) == TUNES[name]


def test_any_items_make_an_index(scorer, tmp_path, tune_folder, tune_corpus):
    items = [TUNES["freude"], (tune_folder / "freude.mid").read_bytes(), tune_corpus, tune_folder]
    index = MelodyIndex.build(items, tmp_path / "x.index", scorer)
    hits = index.search(TUNES["freude"], top=4, scorer=scorer)[0].hits
    assert [hit.id for hit in hits] == ["0", "1", "freude", "freude"]
    assert all(hit.same for hit in hits)


def test_one_file_as_bytes_or_opened_makes_an_index(scorer, tmp_path, tune_folder):
    path = tune_folder / "freude.mid"
    with path.open("rb") as opened:
        for number, item in enumerate([path.read_bytes(), opened]):
            index = MelodyIndex.build(item, tmp_path / f"{number}.index", scorer)
            assert len(index) == 1
            assert index.search(TUNES["freude"], scorer=scorer)[0].hits[0].same


def test_rows_of_several_groups_are_found(scorer, tmp_path, monkeypatch, essen_corpus):
    from seqmelody.retrieval import melodies

    monkeypatch.setattr(melodies, "ROWS_PER_GROUP", 8)
    index = MelodyIndex.build(essen_corpus, tmp_path / "x.index", scorer)
    ids, paths = (essen_corpus.column(name) for name in ("id", "path"))
    for row in range(0, len(essen_corpus), 13):
        hit = next(
            hit for hit in index.search(index._vector_NE[row], top=5)[0].hits if hit.row == row
        )
        assert (hit.id, hit.path) == (ids[row], paths[row])
        streams = essen_corpus.tokens(row)
        assert np.array_equal(index.melody(row).pitch, streams.pitch)
        assert np.array_equal(index.melody(row).duration, streams.duration)


def test_a_large_index_has_a_graph(essen_corpus, scorer, tmp_path, monkeypatch):
    pytest.importorskip("usearch")
    exact = MelodyIndex.build(essen_corpus, tmp_path / "exact.index", scorer)
    monkeypatch.setattr(building, "EXACT_BELOW", 100)
    index = MelodyIndex.build(essen_corpus, tmp_path / "graph.index", scorer)
    assert (index.folder / "graph.usearch").exists()
    assert not (exact.folder / "graph.usearch").exists()
    same = total = 0
    for query in essen_corpus.folder, [TUNES["freude"]]:
        queries = Corpus.open(query) if query == essen_corpus.folder else query
        pairs = zip(
            *(one.iter_search(queries, scorer=scorer) for one in (index, exact)), strict=True
        )
        for found, true in pairs:
            least = true.hits[-1].similarity - 1e-6
            same += sum(hit.similarity >= least for hit in found.hits)
            total += len(true.hits)
    assert same / total > 0.99


def test_a_missing_library_is_told_before_the_end(tune_folder, scorer, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "usearch.index", None)
    monkeypatch.setattr(building, "EXACT_BELOW", 3)
    with pytest.raises(SeqmelodyError, match="needs usearch"):
        MelodyIndex.build(tune_folder, tmp_path / "x.index", scorer)
    assert list(tmp_path.iterdir()) == []


def test_embeddings_make_the_same_index(parquet, tune_corpus, tunes_index, scorer, tmp_path):
    bare = MelodyIndex.from_embeddings(parquet(), tmp_path / "bare.index")
    index = MelodyIndex.from_embeddings(parquet(), tmp_path / "x.index", notes=tune_corpus)
    for one in (bare, index):
        assert (one.checkpoint, one.fingerprint) == (
            tunes_index.checkpoint,
            scorer.checkpoint.fingerprint,
        )
        (answer,) = one.search(TUNES["freude"], scorer=scorer)
        assert answer.hits[0].id == "freude"
        assert [hit.same for hit in answer.hits] == [True, False, False, False, False]
    assert index.melody(answer.hits[0].row) == TUNES["freude"]
    for asked in (
        lambda: bare.melody(0),
        lambda: bare.search(TUNES["freude"], align=True, scorer=scorer),
    ):
        with pytest.raises(UsageError, match=r"bare.index: has no notes.*with --notes"):
            asked()


def test_notes_of_another_corpus_are_refused(parquet, essen_corpus, tmp_path):
    with pytest.raises(
        UsageError, match=r"'ah-vous-dirai-je' is not in .*corpus that was embedded"
    ):
        MelodyIndex.from_embeddings(parquet(), tmp_path / "x.index", notes=essen_corpus)
    assert not (tmp_path / "x.index").exists()


def test_notes_read_in_another_way_are_refused(parquet, tune_folder, scorer, tmp_path):
    folder = tmp_path / "other.corpus"
    prepare(tune_folder, folder, tokenizer=Tokenizer(max_rest_steps=1), progress=False)
    notes = Corpus.open(folder)
    index = MelodyIndex.from_embeddings(parquet(), tmp_path / "x.index", notes=notes)
    with pytest.raises(UsageError, match=r"x.index: its notes were read with tokenizer"):
        index.search(TUNES["freude"], scorer=scorer)


def spoiled(number):
    def change(vectors):
        vectors[2, 3] = number
        return vectors

    return change


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_number_that_is_not_finite_is_refused(parquet, tunes_index, tmp_path, number):
    with pytest.raises(InputError, match=r"x.parquet: row 2 \('freude'\) has .* no finite number"):
        MelodyIndex.from_embeddings(parquet(spoiled(number)), tmp_path / "x.index")
    assert not (tmp_path / "x.index").exists()
    vector = np.ones(tunes_index.embedding_size)
    vector[1] = number
    with pytest.raises(ValueError, match="vector 0 holds a number that is not finite"):
        tunes_index.search(vector)


def test_a_vector_without_direction_is_refused(parquet, tunes_index, tmp_path):
    with pytest.raises(InputError, match=r"freude.mid: its embedding is zero"):
        MelodyIndex.from_embeddings(
            parquet(lambda v: v * (np.arange(len(v)) != 2)[:, None]), tmp_path / "x"
        )
    with pytest.raises(ValueError, match="vector 0 is zero"):
        tunes_index.search(np.zeros(tunes_index.embedding_size))


def test_vectors_of_another_size_are_refused(tunes_index):
    with pytest.raises(ValueError, match="has 5 numbers, those of the index have 8"):
        tunes_index.search(np.ones(5))


def test_embeddings_of_no_known_checkpoint_are_refused(parquet, tmp_path):
    with pytest.raises(InputError, match="does not say which checkpoint it is from"):
        MelodyIndex.from_embeddings(parquet(**{"seqmelody.model": None}), tmp_path / "x")


def test_another_checkpoint_is_refused(copied, scorer):
    header = json.loads((copied / "index.json").read_text())
    header["checkpoint"] = {"name": "older", "fingerprint": "0123456789abcdef"}
    (copied / "index.json").write_text(json.dumps(header))
    expected = r"made with checkpoint 'older' \(0123456789abcdef\), and 'untrained' .* --checkpoint"
    with pytest.raises(UsageError, match=expected):
        MelodyIndex.open(copied).search(TUNES["freude"], scorer=scorer)


@pytest.mark.parametrize("notes", [1, 2, 3])
def test_a_query_of_hardly_any_notes_is_told(tunes_index, scorer, notes):
    short, long = tunes_index.search([TUNES["freude"][:notes], TUNES["freude"]], scorer=scorer)
    count = "1 note" if notes == 1 else f"{notes} notes"
    assert str(short.error) == f"<Melody 0>: only {count}: a query needs 4 or more"
    assert short.hits == ()
    assert long.hits[0].id == "freude"


def test_a_query_that_cannot_be_read_stops_no_other(tunes_index, scorer):
    bad, good = tunes_index.search([b"no music", TUNES["freude"]], top=1, scorer=scorer)
    assert bad.error.reason.startswith("not a MIDI file")
    assert good.hits[0].id == "freude"


def test_too_long_melodies_are_not_aligned(tunes_index, scorer, monkeypatch):
    from seqmelody.retrieval import index as module

    monkeypatch.setattr(module, "LARGEST_TABLE", 100)
    (answer,) = tunes_index.search(TUNES["freude"], align=True, scorer=scorer)
    assert [hit.alignment for hit in answer.hits] == [None] * len(TUNES)


def test_nothing_to_index_is_told_and_leaves_the_old_one(tunes_index, copied, scorer, tmp_path):
    told = []
    with pytest.raises(SeqmelodyError, match="not written, no melody could be read"):
        MelodyIndex.build([b"no music"], copied, scorer, failed=told.append)
    assert len(told) == 1
    assert len(MelodyIndex.open(copied)) == len(TUNES)
    assert [path.name for path in tmp_path.iterdir()] == [copied.name]
    with pytest.raises(InputError, match="not a MIDI file"):
        MelodyIndex.build([b"no music"], copied, scorer)


def test_a_new_index_takes_the_old_ones_place(copied, scorer, tmp_path):
    link = tmp_path / "link.index"
    link.symlink_to(copied)
    MelodyIndex.build(TUNES["freude"], link, scorer)
    assert link.is_symlink()
    assert len(MelodyIndex.open(copied)) == 1
    assert {path.name for path in tmp_path.iterdir()} == {copied.name, link.name}


def test_what_is_no_index_is_not_replaced(scorer, tmp_path):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").touch()
    with pytest.raises(UsageError, match="is there and is no index; give another --out"):
        MelodyIndex.build(TUNES["freude"], tmp_path / "letters", scorer)
    assert (tmp_path / "letters" / "dear.txt").exists()


FILES = ("index.json", "vectors.npy", "melodies.parquet")


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_told(copied, name):
    (copied / name).unlink()
    with pytest.raises(CorpusError, match=r"copy.index: .*index.*; .* with 'seqmelody index'"):
        MelodyIndex.open(copied)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_a_file_cut_short_is_told(copied, name, kept):
    whole = (copied / name).read_bytes()
    (copied / name).write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(CorpusError, match=f"copy.index: damaged index: {name} ") as caught:
        MelodyIndex.open(copied)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", FILES[1:])
def test_a_file_with_a_hole_is_told(copied, name):
    whole = (copied / name).read_bytes()
    third = len(whole) // 3
    (copied / name).write_bytes(whole[:third] + bytes(third) + whole[2 * third :])
    with pytest.raises(CorpusError, match=f"copy.index: damaged index: {name} was changed"):
        MelodyIndex.open(copied)


def test_no_index_and_one_of_another_version_are_told(copied, tmp_path):
    with pytest.raises(CorpusError, match="nowhere: no such index; make one with"):
        MelodyIndex.open(tmp_path / "nowhere")
    with pytest.raises(CorpusError, match=r"no index here \(no index.json\)"):
        MelodyIndex.open(tmp_path)
    header = json.loads((copied / "index.json").read_text())
    (copied / "index.json").write_text(json.dumps(header | {"format": 99}))
    with pytest.raises(CorpusError, match="index format 99, this version of seqmelody reads 1"):
        MelodyIndex.open(copied)


def test_top_must_be_a_number_of_hits(tunes_index, scorer):
    with pytest.raises(UsageError, match="top must be 1 or more, not 0"):
        tunes_index.search(TUNES["freude"], top=0, scorer=scorer)
