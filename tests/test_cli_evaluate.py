from __future__ import annotations

import json

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
