from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from benchmarks import __main__ as benchmarks

ROOT = Path(__file__).resolve().parents[1]


def test_help_lists_every_benchmark(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--help"])
    with pytest.raises(SystemExit, match="0"):
        benchmarks.main()
    shown = capsys.readouterr().out
    for name, (_, what) in benchmarks.BENCHMARKS.items():
        assert re.search(rf"^  {name} +{re.escape(what)}", shown, re.MULTILINE)


def test_an_unknown_name_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["benchmarks", "speed"])
    with pytest.raises(SystemExit, match="2"):
        benchmarks.main()
    assert "no benchmark speed" in capsys.readouterr().err


def test_commands_that_the_documents_name_exist():
    documents = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in documents)
    named = " ".join(re.findall(r"python -m benchmarks((?: +[a-z][a-z-]*)+)", text)).split()
    assert named
    assert set(named) <= set(benchmarks.BENCHMARKS)
