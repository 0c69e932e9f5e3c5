from __future__ import annotations

import json
import shutil

import pytest
from corpora import run_seqmelody
from tunes import TUNES

from seqmelody.cli import main
from seqmelody.corpus import Corpus


@pytest.fixture
def folder(tune_folder, tmp_path):
    """A copy of the tunes that a test may add to."""
    return shutil.copytree(tune_folder, tmp_path / "tunes")


def test_summary_and_report(folder, tmp_path, capsys):
    (folder / "short.mid").write_bytes((folder / "freude.mid").read_bytes())
    assert main(["prepare", str(folder), "--out", str(tmp_path / "c")]) == 0
    shown = capsys.readouterr().out
    report = json.loads((tmp_path / "c" / "report.json").read_text())
    assert f"read             {len(TUNES) + 1} files" in shown
    assert f"kept             {len(TUNES)} melodies" in shown
    assert "repeated         1 exact duplicate of another, left out" in shown
    assert f"train {report['splits']['train']['melodies']}, validation 1, test 1" in shown
    assert f"what became of each file: {tmp_path / 'c' / 'report.json'}" in shown


def test_files_that_fail_are_reported_and_give_1(folder, tmp_path, capsys):
    (folder / "broken.mid").write_bytes(b"MThd")
    arguments = ["prepare", str(folder), str(tmp_path / "gone.mid"), "--out", str(tmp_path / "c")]
    assert main(arguments) == 1
    shown = capsys.readouterr().out
    assert "failed           2 " in shown
    assert len(Corpus.open(tmp_path / "c")) == len(TUNES)


def test_skips_are_no_failures(folder, tmp_path, capsys):
    arguments = ["--out", str(tmp_path / "c"), "--min-notes", "30", "--max-notes", "50"]
    assert main(["prepare", str(folder), *arguments]) == 0
    shown = capsys.readouterr().out
    fewer = sum(len(melody) < 30 for melody in TUNES.values())
    more = sum(len(melody) > 50 for melody in TUNES.values())
    assert f"{fewer} fewer than 30 notes" in shown or not fewer
    assert f"{more} more than 50 notes" in shown
    assert len(Corpus.open(tmp_path / "c")) == len(TUNES) - fewer - more


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("empty", "the folder holds no MIDI files"),
        ("broken.mid", "not a MIDI file"),
        ("gone.mid", ""),
    ],
)
def test_nothing_that_can_be_read_gives_1(tmp_path, capsys, name, reason):
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.mid").write_bytes(b"not music")
    assert main(["prepare", str(tmp_path / name), "--out", str(tmp_path / "c")]) == 1
    error = capsys.readouterr().err
    assert f"error: no melody could be read: {tmp_path / name}: {reason}" in error
    assert error.count("\n") == 1


def test_nothing_kept_gives_3(folder, tmp_path, capsys):
    arguments = ["prepare", str(folder), "--out", str(tmp_path / "c"), "--min-notes", "500"]
    assert main(arguments) == 3
    error = capsys.readouterr().err
    others = len(TUNES) - 1
    assert f"no melody to keep among {len(TUNES)} files: " in error
    assert error.endswith(f".mid and {others} others: fewer than 500 notes\n")


def test_a_count_is_said_once_and_one_in_the_singular(folder, tmp_path, capsys):
    longest = max(map(len, TUNES.values()))
    arguments = ["--out", str(tmp_path / "c"), "--min-notes", str(longest)]
    assert main(["prepare", str(folder), *arguments]) == 0
    shown = capsys.readouterr().out
    assert "kept             1 melody, " in shown
    assert f"skipped          {len(TUNES) - 1} fewer than {longest} notes\n" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--line", "bass"], "melody line 'bass'"),
        (["--labels", "no.csv"], "no.csv: cannot be read as labels"),
        (["--workers", "0"], "workers must be 1 or more"),
        (["--together", "tune"], "keeping 'tune' together needs a file of labels"),
    ],
)
def test_wrong_usage_gives_2(folder, tmp_path, capsys, arguments, message):
    assert main(["prepare", str(folder), "--out", str(tmp_path / "c"), *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_labels_of_the_folder_are_used_unless_others_are_given(folder, tmp_path, capsys):
    (folder / "labels.csv").write_text("path,region\nfreude.mid,rhine\n")
    (tmp_path / "other.csv").write_text("id,mood\nfreude,glad\nlost,sad\n")
    out = tmp_path / "c"
    assert main(["prepare", str(folder), "--out", str(out)]) == 0
    assert f"labels from {folder / 'labels.csv'}" in capsys.readouterr().out
    assert "rhine" in Corpus.open(out).column("region")
    arguments = ["prepare", str(folder), "--out", str(out), "--labels", str(tmp_path / "other.csv")]
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert "1 row names no file that was read, such as lost" in shown
    assert Corpus.open(out).columns[5:] == ("mood",)
    # With several paths it would not be clear whose labels they are.
    assert main(["prepare", str(folder), str(folder), "--out", str(out)]) == 0
    assert Corpus.open(out).columns[5:] == ()


def test_families_are_kept_together_and_counted(folder, tmp_path, capsys):
    labels = folder / "labels.csv"
    # Of five tunes, three are of one family and one is the only one of its own.
    families = dict(zip(sorted(TUNES), ("a", "b", "a", "", "a"), strict=True))
    labels.write_text(
        "\n".join(["id,family,key", *(f"{id_},{family},C" for id_, family in families.items())])
    )
    arguments = ["prepare", str(folder), "--out", str(tmp_path / "c"), "--together"]
    assert main([*arguments, "family"]) == 0
    assert (
        "together         2 families by family, 3 groups joined; the largest block holds 3 melodies "
        "of 1 family\n" in capsys.readouterr().out
    )
    corpus = Corpus.open(tmp_path / "c")
    split = dict(zip(corpus.column("id"), corpus.column("split"), strict=True))
    assert len({split[id_] for id_, family in families.items() if family == "a"}) == 1
    assert len(set(split.values())) == 3
    assert main([*arguments, "tune"]) == 2
    error = capsys.readouterr().err
    assert f"{labels}: no column 'tune' to keep together; there are family, key\n" in error
    assert error.count("\n") == 1


def test_the_process_prints_errors_to_stderr_and_ends_with_their_code(folder, tmp_path):
    done = run_seqmelody("prepare", folder, "--out", folder / "freude.mid")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"seqmelody: error: {folder / 'freude.mid'}: ")
    assert done.stderr.count("\n") == 1
