from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
import shutil
import sys

import pytest
from midi_bytes import midi, notes
from test_cli import seqmelody_process
from tunes import TUNES

from seqmelody.checkpoint import load_checkpoint, save_checkpoint
from seqmelody.cli import main
from seqmelody.listeners import Listeners
from seqmelody.scorer import Scorer


@pytest.fixture
def score(checkpoint_folder, capsys):
    """Runs the command; gives exit code, standard output and standard error."""

    def run(*arguments) -> tuple[int, str, str]:
        options = ["--checkpoint", str(checkpoint_folder), "--threads", "1"]
        code = main(["score", *map(str, arguments), *options])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def mixed_folder(tune_folder, tmp_path):
    """Good files, and one that is no MIDI, in the middle."""
    folder = tmp_path / "mixed"
    shutil.copytree(tune_folder, folder)
    (folder / "f.mid").write_bytes(b"not music")
    return folder


def test_json_rows_come_in_order_with_the_failed_one_among_them(score, mixed_folder):
    code, out, err = score(mixed_folder, "--format", "json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 1
    assert [row["path"] for row in rows] == sorted(map(str, mixed_folder.iterdir()))
    for row in rows:
        keys = ["path", "score", "percentile", "notes", "warnings"]
        if row["path"].endswith("f.mid"):
            assert list(row) == [*keys, "error"]
            assert (row["score"], row["percentile"], row["notes"]) == (None, None, 0)
            assert err == f"seqmelody: {row['path']}: {row['error']}\n"
        else:
            assert list(row) == keys
            assert row["warnings"] == []


def test_json_says_what_the_python_api_says(score, tune_folder, checkpoint_folder):
    code, out, err = score(tune_folder, "--format", "json")
    assert (code, err) == (0, "")
    expected = Scorer.load(checkpoint_folder, threads=1).score(tune_folder)
    for line, one in zip(out.splitlines(), expected, strict=True):
        row = json.loads(line)
        assert (row["path"], row["notes"]) == (one.path, one.notes)
        assert row["score"] == pytest.approx(one.score, abs=1e-5)
        assert row["percentile"] == pytest.approx(one.percentile, abs=0.01)


@pytest.mark.parametrize("form", ["json", "csv", "table"])
def test_rank_puts_the_best_first_and_failures_last(score, mixed_folder, form, checkpoint_folder):
    code, out, _ = score(mixed_folder, "--rank", "--format", form)
    assert code == 1
    ranked = [row.path for row in Scorer.load(checkpoint_folder, threads=1).rank(mixed_folder)]
    places = [out.index(path) for path in ranked]
    assert places == sorted(places)
    assert ranked[-1].endswith("f.mid")


def test_csv_has_a_header_and_all_columns(score, mixed_folder):
    short = mixed_folder / "short.mid"
    shutil.copy(mixed_folder / "freude.mid", short)
    _, out, _ = score(mixed_folder / "freude.mid", mixed_folder / "f.mid", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert list(rows[0]) == ["path", "score", "percentile", "notes", "warnings", "error"]
    assert float(rows[0]["score"]) != 0
    assert rows[0]["error"] == ""
    assert (rows[1]["score"], rows[1]["percentile"]) == ("", "")
    assert "not a MIDI file" in rows[1]["error"]


def test_the_table_shows_remarks(score, mixed_folder):
    code, out, _ = score(mixed_folder)
    assert code == 1
    header, _, *rows = out.splitlines()
    assert header.split() == ["path", "score", "percentile", "notes", "remarks"]
    assert len(rows) == len(TUNES) + 1
    assert "error: not a MIDI file" in next(row for row in rows if "f.mid" in row)


def test_intervals_are_in_every_format_where_the_checkpoint_knows(
    sure_checkpoint_folder, mixed_folder, capsys
):
    def printed(form: str) -> str:
        options = ["--checkpoint", str(sure_checkpoint_folder), "--threads", "1"]
        assert main(["score", str(mixed_folder), "--format", form, *options]) == 1
        return capsys.readouterr().out

    expected = Scorer.load(sure_checkpoint_folder, threads=1).score(mixed_folder)
    rows = [json.loads(line) for line in printed("json").splitlines()]
    table = list(csv.DictReader(io.StringIO(printed("csv"))))
    for row, cells, one in zip(rows, table, expected, strict=True):
        assert list(row)[:5] == ["path", "score", "low", "high", "percentile"]
        if one.error is not None:
            assert (row["low"], row["high"], cells["low"], cells["high"]) == (None, None, "", "")
            continue
        assert (row["low"], row["high"]) == pytest.approx(one.interval, abs=1e-3)
        assert (float(cells["low"]), float(cells["high"])) == (row["low"], row["high"])
    header, _, *lines = printed("table").splitlines()
    assert header.split() == ["path", "score", "low", "high", "percentile", "notes", "remarks"]
    assert f"{rows[0]['low']:.2f}" in lines[0]


@pytest.fixture
def two_notes(tmp_path):
    """A file that deserves two warnings."""
    path = tmp_path / "two.mid"
    path.write_bytes(midi(notes([(0, 480, 60), (480, 960, 62)])))
    return path


@pytest.mark.parametrize("command", ["score", "rank"])
def test_the_chance_of_a_yes_is_in_every_format_where_answers_were_learnt(
    command, checkpoint_folder, mixed_folder, tmp_path, capsys
):
    asked = dataclasses.replace(
        load_checkpoint(checkpoint_folder),
        listeners=Listeners(catchy={"offset": 0.3, "scale": 2.0}),
    )
    folder = save_checkpoint(tmp_path / "asked", asked, "# Asked")

    def printed(form: str) -> str:
        options = ["--checkpoint", str(folder), "--threads", "1", "--format", form]
        assert main([command, str(mixed_folder), *options]) == 1
        return capsys.readouterr().out

    scores = Scorer.load(folder, threads=1).score(mixed_folder)
    expected = {score.path: score.catchy for score in scores}
    rows = [json.loads(line) for line in printed("json").splitlines()]
    table = list(csv.DictReader(io.StringIO(printed("csv"))))
    for row, cells in zip(rows, table, strict=True):
        keys = ["path", "score", "catchy", "percentile", "notes", "warnings"]
        assert list(row)[:6] == keys
        assert list(cells) == [*keys, "error"]
        if expected[row["path"]] is None:
            assert (row["catchy"], cells["catchy"]) == (None, "")
        else:
            assert row["catchy"] == pytest.approx(expected[row["path"]], abs=1e-4)
            assert 0 < row["catchy"] < 1
            assert float(cells["catchy"]) == row["catchy"]
    header, _, *lines = printed("table").splitlines()
    assert header.split() == ["path", "score", "catchy", "percentile", "notes", "remarks"]
    assert f"{rows[0]['catchy']:.2f}" in lines[0].split()


def test_on_a_terminal_remarks_go_on_below(score, two_notes, tune_folder, monkeypatch):
    monkeypatch.chdir(two_notes.parent)
    shutil.copy(tune_folder / "freude.mid", "long.mid")
    _, piped, _ = score("two.mid", "long.mid")
    remark = (
        "only 2 notes: below 8 a score means little; "
        "fewer than 3 distinct pitches: the score means little"
    )
    # Not on a terminal: a line for each melody, whole.
    assert len(piped.splitlines()) == 4
    assert piped.splitlines()[2].endswith(remark)

    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "90")
    _, shown, _ = score("two.mid", "long.mid")
    lines = shown.splitlines()
    assert max(map(len, lines)) <= 90
    assert len(lines) > 4
    column = lines[0].index("remarks")
    assert " ".join(line[column:].strip() for line in lines[2:]).split() == remark.split()
    assert [line.split()[0] for line in lines if line[:4].strip()][2:] == ["two.mid", "long.mid"]

    # A wide one has room for all; a narrow one is no reason for a word on each line.
    monkeypatch.setenv("COLUMNS", "200")
    assert score("two.mid", "long.mid")[1] == piped
    monkeypatch.setenv("COLUMNS", "20")
    assert len(score("two.mid", "long.mid")[1].splitlines()) < 10
    # Programs get the same as ever.
    _, out, _ = score("two.mid", "--format", "csv")
    assert remark in out


def test_on_a_terminal_a_table_without_remarks_is_as_it_was(score, tune_folder, monkeypatch):
    _, piped, _ = score(tune_folder)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "20")
    assert score(tune_folder)[1] == piped


def test_warnings_are_in_every_format(score, two_notes):
    path = two_notes
    for form in ("json", "csv", "table"):
        code, out, _ = score(path, "--format", form)
        assert code == 0
        assert "only 2 notes" in out


def test_a_name_that_is_no_text_does_not_stop_the_others(checkpoint_folder, tune_folder, tmp_path):
    odd = tmp_path / b"caf\xe9.mid".decode("utf-8", "surrogateescape")
    try:
        shutil.copy(tune_folder / "freude.mid", odd)
    except (OSError, UnicodeError):
        pytest.skip("this file system takes no such name")
    shutil.copy(tune_folder / "freude.mid", tmp_path / "z.mid")
    for form in ("json", "csv", "table"):
        done = seqmelody_process(
            *("score", str(tmp_path), "--format", form, "--checkpoint", str(checkpoint_folder)),
            env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"},
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "z.mid" in done.stdout
        assert "caf\\udce9.mid" in done.stdout


def test_control_characters_do_not_reach_the_terminal(score, mixed_folder):
    for name, source in (("red\x1b[31m\n.mid", "freude.mid"), ("bad\x1b[2J.mid", "f.mid")):
        try:
            shutil.copy(mixed_folder / source, mixed_folder / name)
        except OSError:
            pytest.skip("this file system takes no such name")
    code, out, err = score(mixed_folder)
    assert code == 1
    assert "\x1b" not in out + err
    assert "red\\x1b[31m\\n.mid" in out
    assert len(out.splitlines()) == 2 + len(TUNES) + 3
    assert "bad\\x1b[2J.mid: not a MIDI file" in err
    # Programs get the name as it is.
    _, out, _ = score(mixed_folder, "--format", "json")
    assert str(mixed_folder / "red\x1b[31m\n.mid") in [
        json.loads(line)["path"] for line in out.splitlines()
    ]


def test_a_corpus_is_scored_row_by_row(score, tune_corpus, tune_folder):
    code, out, err = score(tune_corpus.folder, tune_folder / "freude.mid", "--format", "json")
    assert (code, err) == (0, "")
    rows = [json.loads(line) for line in out.splitlines()]
    paths = [row["path"] for row in rows]
    assert paths == [*tune_corpus.column("path"), str(tune_folder / "freude.mid")]
    assert rows[paths.index(paths[-1])]["score"] == pytest.approx(rows[-1]["score"], abs=1e-5)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--line", "tenor"], 2, "melody line 'tenor' is none of"),
        (["--threads", "0"], 2, "threads must be at least 1"),
        (["--device", "nonsense"], 2, "'nonsense' cannot be used"),
        (["--checkpoint", "/nowhere"], 3, "/nowhere: no such checkpoint"),
    ],
)
def test_wrong_settings_are_one_line_and_an_exit_code(
    arguments, code, message, tune_folder, checkpoint_folder, capsys
):
    arguments = ["--checkpoint", str(checkpoint_folder), *arguments]
    assert main(["score", str(tune_folder), *arguments]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.count("\n") == 1


def test_the_line_is_passed_on(score, tune_folder):
    code, out, _ = score(tune_folder / "freude.mid", "--line", "track:7", "--format", "json")
    assert code == 1
    assert "no track" in json.loads(out)["error"]
