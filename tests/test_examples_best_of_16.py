from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from seqmelody import MelodyReward

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "best_of_16.py"


@pytest.fixture(scope="module")
def example():
    import sys

    spec = importlib.util.spec_from_file_location("best_of_16", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    sys.modules["best_of_16"] = module  # its dataclass looks its module up
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        del sys.modules["best_of_16"]


def test_choosing_by_the_shipped_checkpoint_pleases_another_judge(example, larger_essen_corpus):
    found = example.outcomes(larger_essen_corpus, MelodyReward.load(), draws=60, order=2)
    one, best = found["one sample"], found["best of 16"]
    assert best.gain.low > 0
    assert best.wins > 0.5
    assert best.judged == pytest.approx(one.judged + best.gain.value)
    assert best.notes == one.notes


def test_the_melodies_of_a_draw_are_equally_long_and_are_melodies(example, essen_corpus):
    drawn, length = example.sampled(essen_corpus, 5, 2, 0)
    assert (length.reshape(5, 16) == length[::16, None]).all()
    rows = np.array([3, 40])
    melodies = example.melodies_of(drawn, length, rows)
    for number, row in enumerate(rows):
        notes = length[row]
        assert melodies[number].pitch.tolist() == drawn[0][row, :notes].tolist()
        assert melodies[number].duration.tolist() == drawn[1][row, :notes].tolist()
        assert melodies[number].rest.tolist() == [*drawn[2][row, : notes - 1], 0]


def test_the_table_is_printed(example, essen_corpus, checkpoint_folder, capsys):
    options = ["--draws", "3", "--order", "1", "--checkpoint", str(checkpoint_folder)]
    example.main([str(essen_corpus.folder), *options])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["chosen", "judge"]
    assert [line.split("  ")[0] for line in lines[2:]] == [
        "one sample",
        "best of 16",
        "densest of 16",
        "sparsest of 16",
    ]
