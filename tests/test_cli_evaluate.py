from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from seqmelody.cli import main
from seqmelody.config import HELD_OUT_KINDS, TRAINED_KINDS


def test_evaluate_prints_a_table_and_writes_the_same_as_json(
    capsys, checkpoint_folder, essen_corpus, tmp_path
):
    path = tmp_path / "report.json"
    arguments = [str(checkpoint_folder), str(essen_corpus.folder), "--copies", "1"]
    assert main(["evaluate", *arguments, "--json", str(path)]) == 0
    table = capsys.readouterr().out
    report = json.loads(path.read_text(), parse_constant=pytest.fail)
    kinds = report["corruption"]["by_kind"]
    assert set(kinds) == {*TRAINED_KINDS, *HELD_OUT_KINDS}
    for kind, found in kinds.items():
        [row] = [line for line in table.splitlines() if line.startswith(f"| {kind} ")]
        assert f" {found['value']:.4f} " in row
    assert f"worst trained kind: {report['corruption']['worst_trained_kind']}" in table

    assert main(["evaluate", *arguments, "--split", "validation", "--seed", "5"]) == 0
    first_line = capsys.readouterr().out.splitlines()[0]
    melodies = len(essen_corpus.split("validation"))
    assert f"{melodies} melodies (validation split), 1 copies of each kind, seed 5" in first_line


def error_of(capsys, *arguments: object) -> str:
    assert main(["evaluate", *map(str, arguments)]) == 3
    printed = capsys.readouterr()
    assert printed.out == ""
    [line] = printed.err.splitlines()
    return line


def test_what_cannot_be_read_is_one_line_and_exit_code_3(
    capsys, checkpoint_folder, essen_corpus, tmp_path
):
    nowhere = tmp_path / "nowhere"
    assert f"{nowhere}: no such checkpoint" in error_of(capsys, nowhere, essen_corpus.folder)
    assert f"{nowhere}: no such folder" in error_of(capsys, checkpoint_folder, nowhere)
    assert f"{tmp_path}: no corpus here" in error_of(capsys, checkpoint_folder, tmp_path)
    assert "not a checkpoint folder" in error_of(capsys, tmp_path, essen_corpus.folder)


@pytest.mark.parametrize(
    "options", [[], ["--copies", "0"], ["--copies", "x"], ["--split", "all"], ["--seed", "x"]]
)
def test_wrong_usage_is_exit_code_2(capsys, options):
    with pytest.raises(SystemExit) as end:
        main(["evaluate", "checkpoint", *(["corpus", *options] if options else [])])
    assert end.value.code == 2
    assert "usage: seqmelody evaluate" in capsys.readouterr().err


def test_other_methods_stand_beside_the_checkpoint(
    capsys, checkpoint_folder, essen_corpus, tmp_path
):
    path = tmp_path / "report.json"
    arguments = [str(checkpoint_folder), str(essen_corpus.folder), "--copies", "1"]
    assert main(["evaluate", *arguments, "--json", str(path)]) == 0
    alone, told = capsys.readouterr().out, json.loads(path.read_text())
    arguments += ["--json", str(path), "--against", "length", "density", str(tmp_path)]
    assert main(["evaluate", *arguments]) == 1
    printed, beside = capsys.readouterr().out, json.loads(path.read_text())
    assert printed.startswith(alone)
    against = beside.pop("against")
    assert beside == told
    assert list(against) == ["length", "density", tmp_path.name]
    error = against[tmp_path.name]["error"]
    assert error.startswith(f"{tmp_path}: not a checkpoint folder")
    assert f"{tmp_path.name} failed: {error}" in printed
    assert against["length"]["corruption"]["by_kind"]["markov_1"]["value"] == 0.5
    [head] = [line for line in printed.splitlines() if "untrained  " in line and "density" in line]
    assert [cell.strip() for cell in head.split("|")][2:-1] == ["untrained", "length", "density"]
    rows = [line for line in printed.splitlines() if line.startswith("| shuffle_durations ")]
    assert (
        f"| {against['density']['corruption']['by_kind']['shuffle_durations']['value']:.3f} ("
        in (rows[1])
    )


def test_checkpoints_that_ship_and_the_untrained_network_go_by_name(capsys, essen_corpus):
    arguments = ["evaluate", "melodic", str(essen_corpus.folder), "--copies", "1"]
    assert main([*arguments, "--against", "rated", "untrained"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("melodic on ")
    [head] = [line for line in printed.splitlines() if "rated  " in line]
    assert [cell.strip() for cell in head.split("|")][2:-1] == ["melodic", "rated", "untrained"]
    assert main([*arguments, "--against", "no-such"]) == 2
    assert "no-such: no such checkpoint; with the package come melodic" in capsys.readouterr().err


def test_a_checkpoint_without_scores_is_refused_alone_and_named_beside_another(
    capsys, essen_corpus
):
    assert main(["evaluate", "variants", str(essen_corpus.folder)]) == 2
    assert "gives no scores" in capsys.readouterr().err
    beside = ["evaluate", "melodic", str(essen_corpus.folder), "--copies", "1"]
    assert main([*beside, "--against", "variants"]) == 1
    assert "variants failed: checkpoint 'variants'" in capsys.readouterr().out


@pytest.fixture
def suite(checkpoint_folder, essen_corpus, tmp_path):
    def write(**changes):
        values = {
            "methods": [str(checkpoint_folder), "length"],
            "corpora": {"songs": str(essen_corpus.folder)},
            "tasks": [{"task": "stability", "corpus": "songs"}],
        }
        path = tmp_path / "suite.yaml"
        path.write_text(json.dumps({**values, **changes}))
        return str(path)

    return write


def test_a_suite_is_printed_and_written(capsys, suite, tmp_path):
    files = {kind: tmp_path / f"report.{kind}" for kind in ("json", "csv", "html")}
    options = [part for kind, path in files.items() for part in (f"--{kind}", str(path))]
    assert main(["evaluate", "--suite", suite(), *options]) == 0
    printed = capsys.readouterr().out
    [section] = json.loads(files["json"].read_text())["sections"]
    assert section["title"] in printed
    found = section["methods"]["untrained"]["figures"]["first half"]["value"]
    assert f"{found:.3f} (" in printed
    assert f"untrained,first half,{found}" in files["csv"].read_text()
    assert files["html"].read_text().startswith("<!DOCTYPE html>")
    assert f"{found:.3f}" in files["html"].read_text()


def test_a_suite_that_is_not_done_in_full_is_exit_code_1(capsys, suite):
    assert main(["evaluate", "--suite", suite(methods=["length", "nowhere"])]) == 1
    assert "failed: nowhere: no such checkpoint" in capsys.readouterr().out
    assert main(["evaluate", "--suite", suite(corpora={"songs": "nowhere"})]) == 1
    assert "skipped: corpus songs: nowhere: no such folder" in capsys.readouterr().out


def test_a_wrong_key_in_a_suite_is_exit_code_2(capsys, suite):
    assert main(["evaluate", "--suite", suite(method=["length"])]) == 2
    assert "suite.yaml: the suite: no key 'method'" in capsys.readouterr().err


def test_a_report_that_has_no_folder_is_told_before_the_work(capsys, suite, tmp_path):
    nowhere = tmp_path / "nowhere" / "report.html"
    assert main(["evaluate", "--suite", suite(), "--html", str(nowhere)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert f"{nowhere}: its folder does not exist" in printed.err


def test_a_wrong_suite_is_told_without_torch(suite):
    program = (
        "import sys; from seqmelody.cli import main\n"
        f"print('exit', main(['evaluate', '--suite', {suite(corpora=[])!r}]))\n"
        "print('heavy', sorted({'torch', 'lightning', 'pyarrow', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout.endswith("exit 2\nheavy []\n")
    assert "corpora: a folder for each name" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["checkpoint", "corpus", "--suite", "s.yaml"],
        ["--suite", "s.yaml", "--against", "length"],
        ["checkpoint", "corpus", "--html", "a.html"],
        ["checkpoint", "corpus", "--csv", "a.csv"],
    ],
)
def test_arguments_that_do_not_go_together_are_exit_code_2(capsys, arguments):
    with pytest.raises(SystemExit) as end:
        main(["evaluate", *arguments])
    assert end.value.code == 2
    assert "usage: seqmelody evaluate" in capsys.readouterr().err
