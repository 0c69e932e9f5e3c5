from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from test_map_page import unpacked
from tunes import TUNES

from seqmelody.cli import main
from seqmelody.corpus import Corpus, prepare
from seqmelody.midi import write_midi
from seqmelody.scorer import Scorer
from seqmelody.tokens import Tokenizer

pytest.importorskip("sklearn", reason="scikit-learn is not installed")


@pytest.fixture
def draw(checkpoint_folder, tmp_path, capsys):
    """Runs the command; gives exit code, what the page holds or None, and what was printed."""

    def run(*words) -> tuple[int, dict | None, str, str]:
        out = tmp_path / "out" / "map.html"
        options = ["--checkpoint", str(checkpoint_folder), "--threads", "1", "--out", str(out)]
        code = main(["map", *map(str, words), *options])
        assert [path.name for path in out.parent.glob("*")] in ([], ["map.html"])
        values = unpacked(out.read_text("utf-8")) if out.exists() else None
        printed = capsys.readouterr()
        return code, values, printed.out, printed.err

    return run


@pytest.fixture
def labelled(tune_folder, tmp_path) -> Corpus:
    """A corpus with a column of countries, one of them missing."""
    csv = tmp_path / "countries.csv"
    csv.write_text(
        "id,country,title\nah-vous-dirai-je,FR,Ah! vous dirai-je\nfrere-jacques,FR,\n"
        "freude,DE,Ode an die Freude\ngreensleeves,GB,\n"
    )
    prepare([tune_folder], tmp_path / "corpus", labels=csv, workers=1, progress=False)
    return Corpus.open(tmp_path / "corpus")


def test_midi_files_make_a_map_coloured_by_score(draw, tune_folder, checkpoint_folder):
    code, values, out, err = draw(tune_folder)
    assert (code, err) == (0, "")
    assert out.endswith("5 melodies, 0.1 MB\n")
    about = values["about"]
    assert about["names"] == sorted(TUNES)
    assert (about["label"], about["titles"]) == (None, None)
    assert values["notes"].tolist() == [len(TUNES[name]) for name in sorted(TUNES)]
    scorer = Scorer.load(checkpoint_folder, threads=1)
    scores = [score.score for score in scorer.score(tune_folder)]
    assert values["score"] == pytest.approx(scores, abs=1e-5)
    embedding = scorer.embed(tune_folder)
    for melody, nearest in enumerate(values["neighbour"].reshape(5, 4).tolist()):
        cosine = embedding @ embedding[melody]
        assert sorted(nearest, key=lambda other: -cosine[other]) == nearest


def test_a_corpus_is_coloured_by_its_column_and_named_by_its_titles(draw, labelled):
    code, values, out, err = draw(labelled.folder, "--color", "country")
    assert (code, err) == (0, "")
    about = values["about"]
    assert about["names"] == labelled.column("id")
    assert about["label"] == {"name": "country", "labels": ["FR", "DE", "GB"], "own": 3}
    said = [None if index < 0 else about["label"]["labels"][index] for index in values["label"]]
    assert said == labelled.column("country")
    assert about["titles"] == [title or "" for title in labelled.column("title")]
    assert "without country: 1 melodies" in out


def test_labels_of_a_file_find_their_melodies_and_come_before_those_of_a_corpus(
    draw, labelled, tmp_path
):
    csv = tmp_path / "other.csv"
    csv.write_text("path,country\nfreude.mid,Österreich\ngone.mid,X\n", encoding="utf-8")
    code, values, _, _ = draw(labelled.folder, "--color", "country", "--labels", csv)
    label = values["about"]["label"]
    said = [None if index < 0 else label["labels"][index] for index in values["label"]]
    assert code == 0
    assert dict(zip(labelled.column("id"), said, strict=True)) == {
        "ah-vous-dirai-je": "FR",
        "frere-jacques": "FR",
        "freude": "Österreich",
        "greensleeves": "GB",
        "new-britain": None,
    }


def test_labels_beside_the_files_are_found(draw, tune_folder, tmp_path):
    folder = tmp_path / "labelled"
    shutil.copytree(tune_folder, folder)
    (folder / "labels.csv").write_text("id,mode\nfreude,major\ngreensleeves,minor\n")
    code, values, out, _ = draw(folder, "--color", "mode")
    assert code == 0
    assert f"labels from {folder / 'labels.csv'}" in out
    assert values["about"]["label"]["labels"] == ["major", "minor"]


def test_files_and_corpora_come_together_with_names_of_their_own(draw, labelled, tune_folder):
    code, values, _, _ = draw(labelled.folder, tune_folder, "--color", "country")
    names = values["about"]["names"]
    assert code == 0
    assert len(names) == len(set(names)) == 2 * len(TUNES)
    # What comes from a file has no label, and lies next to its twin in the corpus.
    assert (values["label"][len(TUNES) :] == -1).all()
    nearest = values["neighbour"].reshape(10, 9)[:, 0].tolist()
    assert {
        names[i].removesuffix("~2") == names[near].removesuffix("~2")
        for i, near in enumerate(nearest)
    } == {True}


def test_of_more_melodies_some_are_drawn(draw, essen_corpus):
    code, values, out, _ = draw(essen_corpus.folder, "--most", "40", "--color", "notes")
    names = essen_corpus.column("id")
    drawn = [names.index(name) for name in values["about"]["names"]]
    assert code == 0
    assert f"40 melodies drawn from {len(names)}" in out
    assert drawn == sorted(drawn)
    assert len(set(drawn)) == 40
    # From all of the corpus, not from its beginning.
    assert drawn[-1] > 0.7 * len(names)
    assert values["label"].tolist() == essen_corpus.notes[drawn].tolist()
    _, other, _, _ = draw(essen_corpus.folder, "--most", "40", "--seed", "1")
    assert other["about"]["names"] != values["about"]["names"]


def test_the_same_command_makes_the_same_page(draw, tune_folder, tmp_path):
    draw(tune_folder)
    first = (tmp_path / "out" / "map.html").read_bytes()
    draw(tune_folder)
    assert (tmp_path / "out" / "map.html").read_bytes() == first


def test_a_bad_file_is_told_and_left_out(draw, tune_folder, tmp_path):
    folder = tmp_path / "mixed"
    shutil.copytree(tune_folder, folder)
    (folder / "f.mid").write_bytes(b"not music")
    code, values, _, err = draw(folder)
    assert code == 1
    assert values["about"]["names"] == sorted(TUNES)
    assert err.startswith(f"seqmelody: {folder / 'f.mid'}: not a MIDI file")
    assert err.count("\n") == 1


@pytest.mark.parametrize(("melodies", "found"), [(1, "only one melody"), (2, "only two melodies")])
def test_too_few_melodies_make_no_map(draw, tmp_path, melodies, found):
    (tmp_path / "few").mkdir()
    for name in sorted(TUNES)[:melodies]:
        write_midi(TUNES[name], tmp_path / "few" / f"{name}.mid")
    code, values, _, err = draw(tmp_path / "few")
    assert (code, values) == (1, None)
    assert err.endswith(f"not written, {found} could be read; a map needs 3 or more\n")
    assert err.count("\n") == 1


def test_an_empty_folder_makes_no_map(draw, tmp_path):
    (tmp_path / "empty").mkdir()
    code, values, _, err = draw(tmp_path / "empty")
    assert (code, values) == (1, None)
    assert "the folder holds no MIDI files" in err
    assert "not written, no melody could be read" in err


def test_three_melodies_make_a_map(draw, tune_folder):
    code, values, _, _ = draw(*sorted(tune_folder.iterdir())[:3])
    assert (code, values["about"]["neighbours"]) == (0, 2)


def test_an_unknown_column_is_told_with_those_there_are(draw, labelled, tune_folder):
    code, values, _, err = draw(labelled.folder, "--color", "mode")
    assert (code, values) == (2, None)
    assert err == (
        "seqmelody: error: --color mode: no such column; there is score, id, path, split, group, "
        "notes, country, title\n"
    )
    code, _, _, err = draw(tune_folder, "--color", "mode")
    assert code == 2
    assert "give a corpus that has labels, or --labels" in err


def test_labels_that_fit_nothing_are_told(draw, tune_folder, tmp_path):
    csv = tmp_path / "wrong.csv"
    csv.write_text("id,mode\nhänschen-klein,major\n", encoding="utf-8")
    code, values, _, err = draw(tune_folder, "--labels", csv, "--color", "mode")
    assert (code, values) == (2, None)
    assert "wrong.csv: fits none of 5 melodies; their ids are such as 'ah-vous-dirai-je'" in err
    code, _, _, err = draw(tune_folder, "--labels", tmp_path / "gone.csv", "--color", "mode")
    assert code == 2
    assert err.count("\n") == 1


def test_a_place_that_takes_no_file_is_told_first(tune_folder, tmp_path, capsys):
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    for out in (tmp_path / "file" / "x.html", tmp_path / ("x" * 250), tmp_path, tmp_path / "pipe"):
        # The checkpoint would give 3: the place is looked at first.
        assert main(["map", str(tune_folder), "--out", str(out), "--checkpoint", "/nowhere"]) == 2
        err = capsys.readouterr().err
        assert err.startswith(f"seqmelody: error: {out}: ")
        assert err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "pipe"]


@pytest.mark.parametrize("wrong", [("--most", "2"), ("--seed", "-1"), ("--threads", "0")])
def test_numbers_that_make_no_sense_are_refused(draw, tune_folder, wrong):
    name, number = wrong
    code = main(["map", str(tune_folder), "--out", "x.html", name, number])
    assert code == 2


def test_a_corpus_of_another_tokenizer_is_refused(draw, tune_folder, tmp_path):
    other = Tokenizer(max_rest_steps=96)
    prepare([tune_folder], tmp_path / "corpus", workers=1, tokenizer=other, progress=False)
    code, values, _, err = draw(tmp_path / "corpus")
    assert (code, values) == (3, None)
    assert other.fingerprint in err


def test_a_name_that_is_html_is_text(draw, tune_folder, tmp_path):
    name = "</script><img src=x onerror=alert(1)>"
    folder = tmp_path / "evil"
    (folder / Path(name).parent).mkdir(parents=True)
    shutil.copytree(tune_folder, folder, dirs_exist_ok=True)
    shutil.copy(tune_folder / "freude.mid", folder / f"{name}.mid")
    code, values, _, _ = draw(folder)
    assert code == 0
    assert name in values["about"]["names"]
    assert "<img" not in (tmp_path / "out" / "map.html").read_text("utf-8")
