from __future__ import annotations

import csv
import io
import json

import pytest
from judged import write_csv
from tunes import TUNES

from seqmelody.cli import main


@pytest.fixture
def adapted(checkpoint_folder, tune_folder, tmp_path, capsys):
    """Runs the command on ratings of the tunes; gives exit code, output and errors."""
    rows = [(tune_folder / f"{name}.mid", place + 1) for place, name in enumerate(TUNES)]

    def run(*options, header: str = "path,score", rows=rows) -> tuple[int, str, str]:
        ratings = write_csv(tmp_path / "ratings.csv", header, rows)
        out = ["--out", str(tmp_path / "mine")]
        code = main(["adapt", str(checkpoint_folder), str(ratings), *out, *options])
        return code, *capsys.readouterr()

    return run


def test_a_listener_is_adapted_to_and_scores_have_ratings(
    adapted, checkpoint_folder, tmp_path, tune_folder, capsys
):
    code, out, err = adapted("--listener", "me", "--scale", "1", "7")
    assert code == 0
    assert out == f"me: 5 ratings\ncheckpoint: {tmp_path / 'mine'}\n"
    assert err == (
        f"seqmelody: {checkpoint_folder}: was trained without ratings; how they follow from the "
        "score is assumed\n"
    )

    options = ["--checkpoint", str(tmp_path / "mine"), "--threads", "1", "--listener", "me"]
    for command in (["score", "--rank"], ["rank"]):
        assert main([*command, str(tune_folder), *options, "--format", "json"]) == 0
        rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        keys = ["path", "score", "rating", "percentile", "notes", "warnings"]
        assert [list(row) for row in rows] == [keys] * len(TUNES)
        ratings = [row["rating"] for row in rows]
        assert ratings == sorted(ratings, reverse=True)
    assert main(["score", str(tune_folder), *options, "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert list(rows[0]) == ["path", "score", "rating", "percentile", "notes", "warnings", "error"]
    assert all(1 < float(row["rating"]) < 5 for row in rows)
    assert main(["score", str(tune_folder), *options]) == 0
    assert capsys.readouterr().out.split("\n")[0].split() == [
        *("path", "score", "rating", "percentile", "notes", "remarks")
    ]


def test_a_file_that_cannot_be_scored_has_no_rating(adapted, tmp_path, tune_folder, capsys):
    adapted("--listener", "me")
    broken = tmp_path / "broken.mid"
    broken.write_bytes(b"not music")
    options = ["--checkpoint", str(tmp_path / "mine"), "--listener", "me", "--format", "json"]
    assert main(["score", str(broken), str(tune_folder / "freude.mid"), *options]) == 1
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first["rating"] is None
    assert second["rating"] is not None


def test_an_unknown_listener_is_exit_code_2_with_the_known_names(adapted, tmp_path, capsys):
    adapted("--listener", "me")
    options = ["--checkpoint", str(tmp_path / "mine"), "--listener", "you"]
    assert main(["score", "any.mid", *options]) == 2
    assert "mine: knows no listener 'you', but me;" in capsys.readouterr().err


def test_raters_of_the_file_become_listeners(adapted, tune_folder):
    rows = [(tune_folder / f"{name}.mid", 3, rater) for name in TUNES for rater in ("ann", "bob")]
    code, out, err = adapted(header="path,melody,rater", rows=rows)
    assert code == 2
    assert "no column 'score'; there are path, melody, rater" in err
    code, out, err = adapted("--column", "melody", header="path,melody,rater", rows=rows)
    assert code == 0
    assert out.startswith("ann: 5 ratings\nbob: 5 ratings\n")
    assert "2 raters always gave the same rating" in err


def test_ratings_all_alike_are_told_to_say_nothing_of_a_taste(adapted, tune_folder):
    rows = [(tune_folder / f"{name}.mid", 3) for name in TUNES]
    code, out, err = adapted("--listener", "me", rows=rows)
    assert code == 0
    assert out.startswith("me: 5 ratings\n")
    assert all(line.startswith("seqmelody: ") for line in err.splitlines())
    [told] = [line for line in err.splitlines() if "taste" in line]
    assert told.endswith(
        "ratings.csv: rater 'me' always gave the same rating, which tells nothing of a taste: kept"
    )


def test_another_checkpoint_is_only_replaced_when_asked(adapted, tmp_path):
    def known() -> set[str]:
        return set(json.loads((tmp_path / "mine" / "listeners.json").read_text())["listeners"])

    assert adapted("--listener", "me")[0] == 0
    code, out, err = adapted("--listener", "you")
    assert (code, out) == (2, "")
    assert f"{tmp_path / 'mine'}: holds a checkpoint already; give another --out, or --rep" in err
    assert known() == {"me"}
    assert adapted("--listener", "you", "--replace")[0] == 0
    assert known() == {"you"}


def test_what_cannot_be_read_is_one_line_and_an_exit_code(adapted, tune_folder, tmp_path):
    code, out, err = adapted()
    assert (code, out) == (2, "")
    assert err.startswith("seqmelody: error: ")
    assert "names no rater, so say whose the ratings are" in err
    (tmp_path / "broken.mid").write_bytes(b"not music")
    rows = [(tune_folder / "freude.mid", 3), (tmp_path / "broken.mid", 4)]
    code, out, err = adapted("--listener", "me", rows=rows)
    assert code == 1
    assert "broken.mid" in err.splitlines()[0]
    assert out.startswith("me: 1 rating\n")


def test_a_missing_file_is_left_out_and_told(adapted, tune_folder, tmp_path):
    rows = [(tune_folder / "freude.mid", 3), (tmp_path / "gone.mid", 4)]
    code, out, err = adapted("--listener", "me", rows=rows)
    assert code == 1
    assert "gone.mid: no such file" in err
    assert out.startswith("me: 1 rating\n")


def test_ratings_without_a_rater_are_told(adapted, tune_folder):
    rows = [(tune_folder / "freude.mid", 3, "ann"), (tune_folder / "greensleeves.mid", 4, "")]
    code, out, err = adapted(header="path,score,rater", rows=rows)
    assert code == 0
    assert out.startswith("ann: 1 rating\n")
    assert "1 ratings without a rater are left out" in err


@pytest.mark.parametrize("scale", [("5", "1"), ("nan", "5"), ("1", "inf"), ("3", "3")])
def test_a_scale_that_is_none_is_refused(adapted, scale):
    code, _, err = adapted("--listener", "me", "--scale", *scale)
    assert code == 2
    assert "the scale must be two rising numbers" in err


def test_a_checkpoint_that_is_not_there_is_exit_code_3(tmp_path, capsys):
    arguments = ["adapt", str(tmp_path / "none"), "ratings.csv", "--out", "mine"]
    assert main([*arguments, "--listener", "me"]) == 3
    assert "no such checkpoint" in capsys.readouterr().err
