from __future__ import annotations

import pytest

from benchmarks.harness import BenchmarkError, Measured, Ratio, Side, interleave
from benchmarks.rows import Row, compared, markdown


def test_sides_take_turns_in_processes_of_their_own(tune_folder, capsys):
    files = [str(path) for path in sorted(tune_folder.glob("*.mid"))]
    sides = {
        name: Side(f"benchmarks.reading:{function}", {"files": files}, threads=1)
        for name, function in (("A", "symusic_parse"), ("B", "symusic_notes"))
    }
    found = interleave(sides, rounds=3)
    assert [measured.units for measured in found.values()] == [[len(files)] * 3] * 2
    assert all(second > 0 for measured in found.values() for second in measured.seconds)
    told = [line.split(": ")[1] for line in capsys.readouterr().err.splitlines() if "round" in line]
    assert told == ["A", "B"] * 3


def test_a_side_that_fails_says_why():
    sides = {"broken": Side("benchmarks.reading:symusic_parse", {"files": ["no/such.mid"]})}
    with pytest.raises(BenchmarkError, match=r"broken: FileNotFoundError.*no/such\.mid"):
        interleave(sides, rounds=1)


def test_ratio_is_taken_round_by_round():
    # The machine was twice as slow in the second round, for both.
    ratio = Ratio.of([6.0, 3.0, 8.0], [2.0, 1.0, 2.0])
    assert (ratio.median, ratio.low, ratio.high) == (3.0, 3.0, 4.0)
    assert str(ratio) == "3 (3 to 4)"


def test_a_row_says_whether_its_goal_is_met():
    ours = Measured([10.0, 10.0, 10.0], [1.0, 1.0, 1.0], [{}] * 3)
    theirs = Measured([4.0, 4.0, 4.0], [1.0, 1.0, 1.0], [{}] * 3)
    row = compared("training", "ours", ours, "theirs", theirs, "notes/s", goal=2)
    assert row.cells() == [
        *("training", "ours", "10 notes/s", "theirs: 4 notes/s"),
        *("2.5 (2.5 to 2.5)", "2 or more", "yes"),
    ]
    assert compared("training", "ours", ours, "theirs", theirs, "notes/s", goal=3).met is False
    assert compared("training", "ours", ours, "theirs", theirs, "notes/s").met is None


def test_table_has_a_row_each_and_the_machine():
    text = markdown([Row("score", "a | b", "1 s")], {"python": "3.11"})
    assert "| score" in text
    assert r"a \| b" in text
    assert text.endswith("- python: 3.11")
