from __future__ import annotations

import io
import pickle
import shutil
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from tunes import TUNES

pytest.importorskip("sklearn")

from joblib import Parallel, cpu_count, delayed
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import validate_data

import seqmelody.estimators
from seqmelody.checkpoint import load_checkpoint
from seqmelody.errors import CheckpointError, InputError, SeqmelodyError, UsageError
from seqmelody.estimators import MelodyEmbedder, MelodyScorer
from seqmelody.melody import Melody
from seqmelody.midi import iter_sources, to_midi
from seqmelody.scorer import Scorer

BOTH = [MelodyEmbedder, MelodyScorer]


@pytest.fixture
def small(checkpoint_folder):
    """An embedder with a small checkpoint, fitted."""
    return MelodyEmbedder(checkpoint_folder, threads=1).fit(list(TUNES.values()))


@pytest.fixture(scope="module")
def paths(tune_folder) -> list[str]:
    return sorted(map(str, tune_folder.glob("*.mid")))


@pytest.fixture(scope="module")
def songs(essen_corpus):
    """Chinese and German songs as ``Melody``, where they are from, and their near-duplicates."""
    names = np.array(essen_corpus.column("id"))
    china = np.flatnonzero(np.char.startswith(names, "han") | np.char.startswith(names, "shanx"))
    rows = [*china[:50], *np.flatnonzero(np.char.startswith(names, "deut"))[:50]]
    melodies = [essen_corpus.tokenizer.decode(essen_corpus.tokens(row)) for row in rows]
    china = np.repeat(["china", "germany"], 50)
    return melodies, china, np.asarray(essen_corpus.column("group"))[rows]


# scikit-learn's own checks. They give tables of numbers, which are no melodies, and so run no check
# on an estimator whose tags say so. What they ask of any estimator (clones, parameters, tags,
# attributes, fitting twice, pickles, subsets and order of the rows, containers) is asked here with
# rows of numbers turned into melodies. The tag ``no_validation`` leaves out the checks of how a
# table of numbers is refused (missing, complex, empty, of other width), which would test the lines
# below; those of how melodies are refused are further down.


def melodies_of_numbers(estimator, X, reset=False) -> list[Melody]:
    numbers = validate_data(estimator, X, reset=reset, dtype=np.float64)
    # As many notes as there are numbers; a higher number is a higher, longer note.
    pitch = np.clip(np.round(64 + 6 * numbers), 0, 127).astype(int)
    duration = np.clip(np.round(24 + 6 * numbers), 1, 96).astype(int)
    none = np.zeros(numbers.shape[1], dtype=int)
    return [Melody.from_streams(*row, none) for row in zip(pitch, duration, strict=True)]


class OfNumbers:
    def fit(self, X, y=None):
        return super().fit(melodies_of_numbers(self, X, reset=True), y)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = False
        tags.input_tags.two_d_array = True
        tags.no_validation = True
        return tags


class EmbedderOfNumbers(OfNumbers, MelodyEmbedder):
    def transform(self, X):
        return super().transform(melodies_of_numbers(self, X))


class ScorerOfNumbers(OfNumbers, MelodyScorer):
    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # The ratings of the checks follow one number in ten, which is the height of one note.
        tags.regressor_tags.poor_score = True
        return tags

    def predict(self, X):
        return super().predict(melodies_of_numbers(self, X))


# Single precision rounds sums as they are batched, by 1e-6 or so; these checks allow 1e-7. A test
# below allows 1e-4, for a regression adds up what all numbers of a vector were rounded by.
NOT_RUN = {"check_methods_sample_order_invariance", "check_methods_subset_invariance"}


@parametrize_with_checks([EmbedderOfNumbers(threads=1), ScorerOfNumbers(threads=1)])
def test_scikit_learns_checks(estimator, check):
    if check.func.__name__ in NOT_RUN:
        pytest.skip("single precision is rounded otherwise in another batch")
    check(estimator)


CONTAINER_CHECKS = [
    estimator_checks.check_set_output_transform,
    estimator_checks.check_set_output_transform_pandas,
    estimator_checks.check_set_output_transform_polars,
    estimator_checks.check_global_output_transform_pandas,
    estimator_checks.check_global_set_output_transform_polars,
    estimator_checks.check_get_feature_names_out_error,
]


@pytest.mark.parametrize("check", CONTAINER_CHECKS, ids=lambda check: check.__name__)
def test_scikit_learns_checks_of_containers(check):
    check("EmbedderOfNumbers", EmbedderOfNumbers(threads=1))


# The checks that need no data, on the estimators themselves.
CHECKS_WITHOUT_DATA = [
    estimator_checks.check_estimator_cloneable,
    estimator_checks.check_estimator_repr,
    estimator_checks.check_estimator_tags_renamed,
    estimator_checks.check_do_not_raise_errors_in_init_or_set_params,
    estimator_checks.check_get_params_invariance,
    estimator_checks.check_mixin_order,
    estimator_checks.check_no_attributes_set_in_init,
    estimator_checks.check_parameters_default_constructible,
    estimator_checks.check_set_params,
    estimator_checks.check_valid_tag_types,
]


@pytest.mark.parametrize("check", CHECKS_WITHOUT_DATA, ids=lambda check: check.__name__)
@pytest.mark.parametrize("kind", BOTH)
def test_scikit_learns_checks_without_data(kind, check):
    check(kind.__name__, kind())


@pytest.mark.parametrize("kind", BOTH)
def test_a_row_hinges_on_neither_its_neighbours_nor_their_order(kind, songs):
    melodies, regions, _ = songs
    fitted = kind().fit(melodies, regions == "china")
    compute = fitted.transform if kind is MelodyEmbedder else fitted.predict
    together = compute(melodies)
    alone = np.concatenate([compute([melody]) for melody in melodies[:20]])
    np.testing.assert_allclose(alone, together[:20], atol=1e-4)
    np.testing.assert_allclose(compute(melodies[::-1])[::-1], together, atol=1e-4)


def columns_of(paths):
    """The same paths in all that a user may have them in."""
    yield paths
    yield tuple(paths)
    yield list(map(Path, paths))
    yield np.array(paths)
    yield np.array(paths, dtype=object)
    yield [Path(path).read_bytes() for path in paths]
    yield list(iter_sources(paths))


@pytest.mark.parametrize("kind", BOTH)
def test_every_way_to_give_melodies(kind, checkpoint_folder, paths):
    scorer = Scorer.load(checkpoint_folder, threads=1)
    expected = scorer.embed(paths)
    if kind is MelodyScorer:
        expected = [score.score for score in scorer.score(paths)]
    for X in columns_of(paths):
        fitted = kind(checkpoint_folder).fit(X)
        found = fitted.transform(X) if kind is MelodyEmbedder else fitted.predict(X)
        np.testing.assert_array_equal(found, expected)


def test_columns_of_pandas_and_polars(small, paths):
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    expected = small.transform(paths)
    np.testing.assert_array_equal(small.transform(pandas.Series(paths)), expected)
    np.testing.assert_array_equal(small.transform(polars.Series(paths)), expected)
    table = pandas.DataFrame({"path": paths, "year": range(len(paths))})
    columns = make_column_transformer((clone(small), "path"), ("passthrough", ["year"]))
    both = columns.fit_transform(table)
    np.testing.assert_array_equal(both[:, :-1], expected)
    assert both[:, -1].tolist() == table["year"].tolist()


def test_objects_and_folders_of_one_file(small, paths, tmp_path):
    melodies = list(TUNES.values())
    expected = small.transform(melodies)
    np.testing.assert_array_equal(small.transform([*map(to_midi, melodies)]), expected)
    opened = [io.BytesIO(Path(path).read_bytes()) for path in paths]
    np.testing.assert_array_equal(small.transform(opened), small.transform(paths))
    shutil.copy(paths[0], tmp_path)
    with zipfile.ZipFile(tmp_path / "one.ZIP", "w") as archive:
        archive.write(paths[1], "a.mid")
    (tmp_path / "folder").mkdir()
    shutil.copy(paths[0], tmp_path / "folder")
    mixed = [tmp_path / "folder", paths[2], tmp_path / "one.ZIP"]
    np.testing.assert_allclose(small.transform(mixed), small.transform(paths)[[0, 2, 1]], atol=1e-5)


def test_a_corpus_gives_a_row_for_each_melody(small, checkpoint_folder, tune_corpus):
    found = small.transform(tune_corpus)
    assert found.shape == (len(TUNES), small.embedding_size_)
    np.testing.assert_array_equal(found, Scorer.load(checkpoint_folder).embed(tune_corpus))
    ratings = np.arange(len(TUNES))
    fitted = MelodyScorer(checkpoint_folder).fit(tune_corpus, ratings)
    assert fitted.predict(tune_corpus).shape == ratings.shape


def test_containers_keep_names_and_rows(small, paths):
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    names = [f"melodyembedder{number}" for number in range(small.embedding_size_)]
    assert small.get_feature_names_out().tolist() == names
    expected = small.transform(paths)
    assert expected.dtype == np.float32
    table = small.set_output(transform="pandas").transform(pandas.Series(paths))
    assert table.columns.tolist() == names
    assert set(table.dtypes) == {np.dtype(np.float32)}
    np.testing.assert_array_equal(table, expected)
    table = small.set_output(transform="polars").transform(polars.Series(paths))
    assert table.columns == names
    assert set(table.dtypes) == {polars.Float32}
    np.testing.assert_array_equal(table.to_numpy(), expected)


def test_rows_of_pandas_keep_their_names(small, paths):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("sklearn", "1.9")  # older ones only look at the rows of tables
    rows = [f"row {number}" for number in range(len(paths))]
    table = small.set_output(transform="pandas").transform(pandas.Series(paths, index=rows))
    assert table.index.tolist() == rows


def test_without_ratings_the_score_is_predicted_and_with_them_what_they_say(songs):
    melodies, _, groups = songs
    scores = [score.score for score in Scorer.load().score(melodies)]
    np.testing.assert_allclose(MelodyScorer().fit(melodies).predict(melodies), scores, atol=1e-5)
    # What a listener would say who likes long notes.
    liked = np.array([np.log(melody.duration).mean() for melody in melodies])
    found = cross_val_score(MelodyScorer(), melodies, liked, groups=groups, cv=GroupKFold())
    assert found.mean() > 0.3


def test_regions_are_told_apart_by_songs_that_were_not_learnt_from(songs):
    melodies, regions, groups = songs
    pipeline = make_pipeline(MelodyEmbedder(), LogisticRegression(max_iter=1000))
    found = cross_val_score(pipeline, melodies, regions, groups=groups, cv=GroupKFold())
    assert found.mean() > 0.7


def test_a_grid_search_finds_the_line_and_the_checkpoint(songs, checkpoint_folder):
    melodies, regions, groups = songs
    files = []
    # The other line is that of any song: it tells nothing.
    for melody, other in enumerate(np.random.default_rng(0).permutation(len(melodies))):
        file = to_midi(melodies[other])
        file.instruments += to_midi(melodies[melody]).instruments
        files.append(file)
    search = GridSearchCV(
        make_pipeline(MelodyEmbedder(), KNeighborsClassifier()),
        {
            "melodyembedder__line": ["track:0", "track:1"],
            "melodyembedder__checkpoint": [checkpoint_folder, None],
        },
        cv=GroupKFold(3),
    )
    search.fit(files, regions, groups=groups)
    assert search.best_params_ == {
        "melodyembedder__line": "track:1",
        "melodyembedder__checkpoint": None,
    }
    assert search.best_score_ > 0.7


def test_a_pipeline_with_a_memory_embeds_once(checkpoint_folder, tune_folder, tmp_path):
    shutil.copytree(tune_folder, tmp_path / "tunes")
    copies = sorted(map(str, (tmp_path / "tunes").iterdir()))
    pipeline = make_pipeline(
        MelodyEmbedder(checkpoint_folder), KNeighborsClassifier(1), memory=str(tmp_path / "memory")
    )
    names = [Path(path).stem for path in copies]
    pipeline.fit(copies, names)
    expected = pipeline[0].transform(copies)
    shutil.rmtree(tmp_path / "tunes")
    # Only the memory has them now.
    pipeline.set_params(kneighborsclassifier__weights="distance").fit(copies, names)
    assert pipeline[-1].predict(expected).tolist() == names


@pytest.mark.parametrize("kind", BOTH)
def test_a_pickle_holds_no_weights_and_gives_the_same(kind, paths):
    fitted = kind(line="skyline").fit(paths, np.arange(len(paths)))
    stored = pickle.dumps(fitted)
    assert len(stored) < 20_000
    again = pickle.loads(stored)
    assert again.get_params() == fitted.get_params()
    method = "transform" if kind is MelodyEmbedder else "predict"
    np.testing.assert_array_equal(getattr(again, method)(paths), getattr(fitted, method)(paths))


@pytest.mark.parametrize("kind", BOTH)
def test_another_checkpoint_than_that_of_the_fit_is_refused(
    kind, checkpoint_folder, tmp_path, paths
):
    folder = tmp_path / "checkpoint"
    shutil.copytree(checkpoint_folder, folder)
    fitted = kind(folder).fit(paths, np.arange(len(paths)))
    compute = fitted.transform if kind is MelodyEmbedder else fitted.predict
    compute(paths)
    shutil.move(folder, tmp_path / "elsewhere")
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        compute(paths)
    shutil.copytree(seqmelody.checkpoint.default_checkpoint(), folder)
    with pytest.raises(
        CheckpointError, match=rf"fitted with \(fingerprint .*{fitted.fingerprint_}"
    ):
        compute(paths)
    # The same weights may lie elsewhere.
    fitted.set_params(checkpoint=tmp_path / "elsewhere")
    compute(paths)
    fitted.set_params(checkpoint=folder).fit(paths)
    compute(paths)


def test_a_process_reads_a_checkpoint_once(checkpoint_folder, tmp_path, paths, monkeypatch):
    shutil.copytree(checkpoint_folder, tmp_path / "checkpoint")
    read = []

    def counted(path):
        read.append(path)
        time.sleep(0.1)  # time enough for another thread to want it as well
        return load_checkpoint(path)

    monkeypatch.setattr(seqmelody.estimators, "load_checkpoint", counted)
    embedder = MelodyEmbedder(tmp_path / "checkpoint", threads=1)
    copies = [clone(embedder).set_params(line=line) for line in ("auto", "skyline", "track:0")]
    found = Parallel(2, backend="threading")(delayed(copy.fit_transform)(paths) for copy in copies)
    found.append(pickle.loads(pickle.dumps(copies[0])).transform(paths))
    MelodyScorer(tmp_path / "checkpoint").fit(paths).predict(paths)
    assert len(read) == 1
    for vectors in found:
        np.testing.assert_array_equal(vectors, found[0])


def in_a_worker(embedder, paths):
    found = embedder.transform(paths)
    return found, torch.get_num_threads()


@pytest.mark.slow
def test_workers_of_joblib_share_the_cores(checkpoint_folder, paths, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    embedder = MelodyEmbedder(checkpoint_folder).fit(paths)
    jobs = [delayed(in_a_worker)(embedder, part) for part in (paths[:2], paths[2:])]
    (first, threads), (second, _) = Parallel(cpu_count())(jobs)
    assert threads == 1
    np.testing.assert_allclose(
        np.concatenate([first, second]), embedder.transform(paths), atol=1e-5
    )


def test_an_item_that_cannot_be_read_is_named(small, paths, tmp_path):
    broken = tmp_path / "broken.mid"
    broken.write_bytes(b"MThd")
    for X, name in (
        ([*paths, broken], str(broken)),
        ([*paths, tmp_path / "absent.mid"], "absent.mid"),
        ([TUNES["freude"], b"RIFF"], "<bytes 1>"),
        ([*paths, None], f"<None {len(paths)}>"),
        ([float("nan"), *paths], "<nan 0>"),
    ):
        with pytest.raises(InputError, match=name):
            small.transform(X)
        with pytest.raises(InputError, match=name):
            MelodyScorer().fit(paths).predict(X)
        with pytest.raises(InputError, match=name):
            MelodyScorer().fit(X, range(len(X)))


def test_an_item_of_several_melodies_is_named(small, paths, tune_folder, tune_corpus, tmp_path):
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.write(paths[0], "a.mid")
        archive.write(paths[1], "b.mid")
    for item, name in (
        (tune_folder, str(tune_folder)),
        (tmp_path / "two.zip", "two.zip"),
        (tune_corpus, "<Corpus 1>"),
    ):
        with pytest.raises(InputError, match=f"{name}.*: holds several melodies"):
            small.transform([paths[0], item])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty: the folder holds no MIDI"):
        small.transform([tmp_path / "empty"])


@pytest.mark.parametrize("kind", BOTH)
def test_what_is_no_column_of_melodies_is_refused(kind, paths):
    pandas = pytest.importorskip("pandas")
    fitted = kind().fit(paths)
    compute = fitted.transform if kind is MelodyEmbedder else fitted.predict
    with Path(paths[0]).open("rb") as opened:
        for X in (
            paths[0],
            Path(paths[0]),
            Path(paths[0]).read_bytes(),
            TUNES["freude"],
            to_midi(TUNES["freude"]),
            opened,
            iter(paths),
            3,
        ):
            for method in (kind().fit, compute):
                with pytest.raises(TypeError, match=f"not a {type(X).__name__}; a single"):
                    method(X)
    for X, reason in (
        (pandas.DataFrame({"path": paths}), r"one-dimensional.*\(5, 1\)"),
        (np.array([paths, paths]), r"one-dimensional.*\(2, 5\)"),
        ([], "0 sample"),
        (np.array([], dtype=object), "0 sample"),
    ):
        for method in (kind().fit, compute):
            with pytest.raises(ValueError, match=reason):
                method(X)
    with pytest.raises(TypeError, match="dict"):
        compute([{}])


def test_ratings_that_cannot_be_meant_are_refused(checkpoint_folder, paths):
    scorer = MelodyScorer(checkpoint_folder)
    for ratings, reason in (
        ([1.0], "inconsistent numbers of samples"),
        (np.full(5, np.nan), "y contains NaN"),
        ([1, 2, 3, 4, np.inf], "y contains infinity"),
        (["good"] * 5, "could not convert"),
        (np.ones((5, 2)), "1d array"),
    ):
        # That is told before any melody is read.
        with pytest.raises(ValueError, match=reason):
            scorer.fit(["absent.mid"] * 5, ratings)
    with pytest.raises(ValueError, match="2 ratings at least, not 1"):
        scorer.fit(paths[:1], [3.0])
    # Nothing was learnt, and nothing is predicted.
    with pytest.raises(NotFittedError):
        scorer.predict(paths)


@pytest.mark.parametrize("kind", BOTH)
def test_parameters_are_looked_at_when_it_is_fitted(kind, paths, tmp_path):
    for wrong, error, reason in (
        ({"line": "loudest"}, UsageError, "'loudest' is none of"),
        ({"line": 3}, UsageError, "'3' is none of"),
        ({"threads": 0}, UsageError, "at least 1"),
        ({"device": "abacus"}, UsageError, "'abacus'"),
        ({"checkpoint": tmp_path / "none"}, CheckpointError, "none: no such checkpoint"),
        ({"checkpoint": tmp_path}, CheckpointError, "not a checkpoint folder"),
    ):
        with pytest.raises(error, match=reason):
            kind(**wrong).fit(paths)


def test_before_a_fit_there_is_nothing(paths):
    for method in (MelodyEmbedder().transform, MelodyScorer().predict):
        with pytest.raises(NotFittedError):
            method(paths)
    with pytest.raises(NotFittedError):
        MelodyEmbedder().get_feature_names_out()


def test_without_scikit_learn_the_import_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "seqmelody.estimators")
    monkeypatch.setitem(sys.modules, "sklearn.base", None)
    with pytest.raises(SeqmelodyError, match=r"pip install 'seqmelody\[sklearn\]'"):
        import seqmelody.estimators  # noqa: F401
