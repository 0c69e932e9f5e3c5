"""Which files ``iter_sources`` finds, in which order, and what becomes of those it cannot open."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from midi_bytes import midi, notes

from seqmelody.errors import InputError
from seqmelody.midi import MidiSource, iter_sources

TUNE = midi(notes([(0, 480, 60)]))


def outcome(source: MidiSource) -> str:
    """``read`` or the reason why not."""
    try:
        return "read" if source.read() == TUNE else "other bytes"
    except InputError as error:
        return error.reason if error.name == source.name else f"{error.name} is not {source.name}"


def found(*paths: Path | str) -> dict[str, str]:
    return {source.name: outcome(source) for source in iter_sources(paths)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.mid", "a.MID", "c.midi", "deep/er/z.kar", "deep/d.Mid", "._a.mid"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(TUNE)
    (tmp_path / "readme.txt").write_text("no MIDI")
    (tmp_path / "tune").write_bytes(TUNE)
    return tmp_path


def test_a_folder_is_walked_in_sorted_order(folder: Path) -> None:
    names = ["a.MID", "b.mid", "c.midi", "deep/d.Mid", "deep/er/z.kar"]
    result = found(folder)
    assert list(result) == [str(folder / name) for name in names]
    assert set(result.values()) == {"read"}


def test_names_are_the_paths_as_given(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert list(found("./deep/../b.mid", "deep")) == [
        "./deep/../b.mid",
        "deep/d.Mid",
        "deep/er/z.kar",
    ]


def test_a_named_file_is_taken_whatever_its_suffix(folder: Path) -> None:
    assert found(folder / "tune") == {str(folder / "tune"): "read"}
    assert found(folder / "readme.txt") == {str(folder / "readme.txt"): "other bytes"}


def test_sources_survive_pickling(folder: Path) -> None:
    for source in iter_sources([folder, "nowhere.mid", "nowhere.zip"]):
        copy = pickle.loads(pickle.dumps(source))
        assert copy == source
        assert outcome(copy) == outcome(source)


def test_a_folder_is_read_only_when_its_turn_comes(folder: Path) -> None:
    def paths() -> Iterator[Path]:
        yield folder / "b.mid"
        pytest.fail("the second path was asked for too early")

    assert next(iter_sources(paths())).name == str(folder / "b.mid")


def test_what_fails_does_not_stop_the_rest(folder: Path) -> None:
    (folder / "empty").mkdir()
    (folder / "loop.mid").symlink_to("loop.mid")
    (folder / "fake.zip").write_bytes(b"no zip")
    (folder / "fake.tar.gz").write_bytes(b"no tar")
    result = found(
        folder / "missing.mid",
        folder / "missing.zip",
        folder / "missing.tar",
        folder / "empty",
        folder / "fake.zip",
        folder / "fake.tar.gz",
        folder / "loop.mid",
        "null\0.mid",
        folder / "b.mid",
    )
    reasons = list(result.values())
    assert "No such file" in reasons[0]
    assert "No such file" in reasons[1]
    assert "No such file" in reasons[2]
    assert reasons[3] == "the folder holds no MIDI files (.mid .midi .kar)"
    assert "not a zip file" in reasons[4]
    assert "the archive cannot be read to its end" in reasons[5]
    assert "symbolic link" in reasons[6]
    assert "null" in reasons[7]
    assert reasons[8] == "read"


def test_damaged_archives_in_a_folder_are_told(folder: Path) -> None:
    (folder / "fake.zip").write_bytes(b"no zip")
    result = found(folder)
    assert "not a zip file" in result[str(folder / "fake.zip")]
    assert list(result.values()).count("read") == 5


def test_links_are_followed_and_loops_end(folder: Path) -> None:
    (folder / "deep" / "up").symlink_to(folder, target_is_directory=True)
    (folder / "deep" / "self").symlink_to(".", target_is_directory=True)
    (folder / "link.mid").symlink_to("b.mid")
    elsewhere = folder.parent / f"{folder.name}-elsewhere"
    elsewhere.mkdir()
    (elsewhere / "far.mid").write_bytes(TUNE)
    (folder / "far").symlink_to(elsewhere, target_is_directory=True)
    result = found(folder)
    assert [Path(name).name for name in result] == [
        *("a.MID", "b.mid", "c.midi", "d.Mid", "z.kar", "far.mid", "link.mid"),
    ]


@pytest.mark.slow
def test_a_folder_deeper_than_the_stack_of_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    depth = sys.getrecursionlimit() + 100
    for level in range(1, depth + 1):
        Path("d/" * level).mkdir()
    bottom = Path("d/" * depth, "tune.mid")
    bottom.write_bytes(TUNE)
    try:
        assert found("d") == {str(bottom): "read"}
    finally:  # whoever clears up after the test may recurse
        bottom.unlink()
        for level in range(depth, 0, -1):
            Path("d/" * level).rmdir()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_without_permission(folder: Path) -> None:
    (folder / "deep").chmod(0)
    try:
        result = found(folder)
    finally:
        (folder / "deep").chmod(0o700)
    assert "Permission denied" in result[str(folder / "deep")]
    assert list(result.values()).count("read") == 3


def test_no_paths_no_sources() -> None:
    assert list(iter_sources([])) == []
