from __future__ import annotations

import importlib.util
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("pandas")
pytest.importorskip("polars")
pytest.importorskip("sklearn")

import polars as pl

from seqmelody.cli import main

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "regions.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("regions", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def prepared(essen_corpus, tmp_path_factory) -> tuple[Path, Path, Path]:
    """MIDI files, their corpus and their embeddings."""
    folder = tmp_path_factory.mktemp("regions")
    with zipfile.ZipFile(essen_corpus.folder.parent / "midi.zip") as archive:
        archive.extractall(folder / "essen")
    embeddings = folder / "essen.parquet"
    assert main(["embed", str(essen_corpus.folder), "--out", str(embeddings)]) == 0
    return folder / "essen", essen_corpus.folder, embeddings


def test_the_songs_are_as_many_of_each_region_without_those_of_two_names(example, prepared):
    folder, corpus, _ = prepared
    songs = example.songs_of(folder, corpus, 3)
    counts = songs["region"].value_counts()
    assert set(counts) == {3}
    assert {"deut", "han", "shanx"} <= set(counts.index)
    assert "elsass" not in counts.index
    assert all(Path(path).is_file() for path in songs["path"])
    assert [Path(path).stem for path in songs["path"]] == songs["id"].tolist()


def test_files_and_their_embeddings_tell_regions_apart(example, prepared):
    folder, corpus, embeddings = prepared
    songs = example.songs_of(folder, corpus, 25)
    chance = 1 / songs["region"].nunique()
    assert example.from_files(songs).mean() > chance + 0.15
    by_embedding = example.from_embeddings(songs, embeddings)
    assert by_embedding.mean() > chance + 0.15
    # A song finds its embedding by its name, wherever it stands in the file.
    backwards = embeddings.with_name("backwards.parquet")
    pl.read_parquet(embeddings).reverse().write_parquet(backwards)
    assert example.from_embeddings(songs, backwards).tolist() == by_embedding.tolist()


def test_the_table_is_printed(example, prepared, checkpoint_folder, capsys):
    options = ["--each", "10", "--checkpoint", str(checkpoint_folder)]
    example.main([*map(str, prepared), *options])
    lines = capsys.readouterr().out.splitlines()
    assert "songs of" in lines[0]
    assert lines[1].split() == ["method", "accuracy", "deviation", "over", "folds"]
    assert [line.split("  ")[0] for line in lines[3:-1]] == [
        "logistic regression, MIDI files",
        "5 nearest neighbours, Parquet",
        "grid search, a fifth left out",
        "chance",
    ]
    assert f"melodyembedder__checkpoint {checkpoint_folder}" in lines[-1]
