"""``read_melody`` takes a file in any form, and names it in what it raises."""

from __future__ import annotations

import os
import threading
from io import BytesIO, StringIO
from pathlib import Path

import pytest
from midi_bytes import midi, notes

from seqmelody.errors import InputError
from seqmelody.midi import MAX_MIDI_BYTES, iter_sources, read_melody

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
