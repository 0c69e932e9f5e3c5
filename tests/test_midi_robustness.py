"""Bytes of any kind: a melody or one line that says why not, in time, and the process lives on.

Reading runs in a child process, so that a crash or a hang of the parser is a failure with an
example, and Hypothesis can shrink it.
"""

from __future__ import annotations

import multiprocessing
import random
import zipfile
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from midi_bytes import END_OF_TRACK, chunk, events, midi, notes

SECONDS = 60
"""Far above any reading; a machine that runs tests may be busy."""

SCORE = midi(
    chunk(
        events((0, bytes.fromhex("ff 58 04 06 03 18 08")), (0, bytes.fromhex("ff 51 03 07 a1 20")))
        + END_OF_TRACK
    ),
    notes([(beat * 240, beat * 240 + 230, 60 + beat % 9) for beat in range(12)], name=b"Lead"),
    notes([(0, 960, key) for key in (48, 52, 55)], 1, program=32),
    notes([(beat * 480, beat * 480, 36) for beat in range(6)], 9),
    chunk(
        bytes.fromhex("00 f0 05 7e 7f 09 01 f7 00 92 3c 40 81 00 3c 00 10 3e 40 00 ff 05 02 6c 61")
        + bytes.fromhex("81 00 3e 00 00 b2 07 64 00 e2 00 40 00 d2 10 00 a2 3c 10")
        + END_OF_TRACK
    ),
)


def read_all(calls: Connection) -> None:
    """The child: what is wrong with the reading of each piece of data, or nothing."""
    from seqmelody.errors import InputError
    from seqmelody.midi import MelodyLine, read_melody

    lines = [MelodyLine(), MelodyLine("skyline"), MelodyLine("track", track=1)]
    while True:
        data, readers = calls.recv()
        wrong = ""
        for reader in readers:
            for line in lines:
                try:
                    found = read_melody(data, name="the file", line=line, reader=reader)
                    if len(found.melody) > found.notes_read:
                        wrong = f"more notes than were read: {found}"
                except InputError as error:
                    message = str(error)
                    if not message.startswith("the file: ") or "\n" in message:
                        wrong = f"not one line that names the file: {message!r}"
                    if len(message) > 400:
                        wrong = f"a long message: {message!r}"
                except BaseException as error:  # noqa: BLE001 (nothing else may be raised)
                    wrong = f"{reader} let {error!r} escape"
        calls.send(wrong)


class Child:
    """A process that reads, started again when it dies."""

    def __init__(self) -> None:
        self._process: multiprocessing.process.BaseProcess | None = None

    def check(self, data: bytes, *readers: str) -> None:
        if self._process is None:
            context = multiprocessing.get_context("spawn")
            self._calls, theirs = context.Pipe()
            self._process = context.Process(target=read_all, args=(theirs,), daemon=True)
            self._process.start()
            theirs.close()
        try:
            self._calls.send((data, readers))
            if not self._calls.poll(SECONDS):
                self.stop()
                pytest.fail(f"no answer after {SECONDS} s")
            wrong = self._calls.recv()
        except (EOFError, OSError):
            self._process.join()
            code = self._process.exitcode
            self.stop()
            pytest.fail(f"the process died with exit code {code}")
        assert not wrong, wrong

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None


@pytest.fixture(scope="module")
def child() -> Iterator[Child]:
    started = Child()
    yield started
    started.stop()


snippets = st.one_of(
    st.binary(min_size=1, max_size=8),
    st.sampled_from(
        [
            *(b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", bytes(4), b"MTrk", b"MThd"),
            *(b"\xff\x2f\x00", b"\xff\x51\x03", b"\xff\x03\x7f", b"\xff\x58\x01", b"\xff\x05\x84"),
            *(b"\xf0\x7f\x01", b"\xf7\x03\x01", b"\xf8", b"\xc5\x80", b"\x90\x80\x80\x80"),
        ]
    ),
)


@st.composite
def mutations(draw: st.DrawFn, files: st.SearchStrategy[bytes]) -> bytes:
    """A file with up to six edits: bytes set, put in, taken out, doubled, or all cut behind one."""
    data = bytearray(draw(files))
    for _ in range(draw(st.integers(1, 6))):
        where = draw(st.integers(0, len(data)))
        span = draw(st.integers(1, 40))
        edit = draw(st.sampled_from(["set", "flip", "insert", "delete", "double", "cut"]))
        if edit == "set":
            snippet = draw(snippets)
            data[where : where + len(snippet)] = snippet
        elif edit == "flip" and where < len(data):
            data[where] ^= 1 << draw(st.integers(0, 7))
        elif edit == "insert":
            data[where:where] = draw(snippets)
        elif edit == "delete":
            del data[where : where + span]
        elif edit == "double":
            data[where:where] = data[where : where + span]
        elif edit == "cut" and draw(st.booleans()):
            del data[where:]
    return bytes(data)


in_the_child = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@settings(in_the_child, max_examples=200)
@given(data=mutations(st.just(SCORE)))
@example(data=SCORE)
def test_mutations_of_a_score(child: Child, data: bytes) -> None:
    child.check(data, "symusic", "miditoolkit")


@settings(in_the_child, max_examples=100)
@given(content=st.binary(max_size=60))
def test_any_bytes_in_a_track(child: Child, content: bytes) -> None:
    child.check(midi(chunk(content)), "symusic", "miditoolkit")
    child.check(midi(chunk(b"\0\x90" + bytes(byte & 0x7F for byte in content))), "symusic")


@settings(in_the_child, max_examples=100)
@given(data=st.binary(max_size=200))
def test_any_bytes_at_all(child: Child, data: bytes) -> None:
    child.check(data, "symusic", "miditoolkit")
    child.check(b"MThd" + data, "symusic", "miditoolkit")


@pytest.mark.slow
@pytest.mark.parametrize(
    "content",
    [
        b"".join(
            bytes([0, 0xC0 | channel, program, 0, 0x90 | channel, 60, 64, 1, 0x80 | channel, 60, 0])
            for channel in range(16)
            for program in range(128)
        )
        * 700,
        b"\0\xb0\x07\0" + b"\0\x07\0" * 5_000_000,
        b"\0\x90" + b"\x3c\x40\0" * 2_700_000 + b"\x3c\0\0" * 2_700_000 + b"\x3c\0",
        b"\0\xff\x01\0" * 4_000_000,
        b"\0\xff\x05\x01a" * 3_000_000,
    ],
    ids=["programs", "controllers", "one key held", "texts", "lyrics"],
)
def test_the_largest_files(child: Child, content: bytes) -> None:
    child.check(midi(chunk(content + END_OF_TRACK)), "symusic")


@pytest.mark.slow
def test_the_most_tracks(child: Child) -> None:
    child.check(midi(*[notes([(0, 1, 60)])] * 65_535), "symusic")


@pytest.fixture(scope="module")
def real_files(shared_data: Path) -> list[bytes]:
    """Polyphonic files of many programs, and monophonic ones."""
    chosen = random.Random(0)  # noqa: S311
    paths = sorted((shared_data / "aimgef").rglob("*.mid"))
    files = [path.read_bytes() for path in chosen.sample(paths, 60)]
    with zipfile.ZipFile(shared_data / "mtc-fs-inst.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(".mid")]
        files += [archive.read(name) for name in chosen.sample(names, 60)]
    return sorted(files, key=len)


@pytest.mark.slow
@settings(
    in_the_child,
    max_examples=5000,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.large_base_example,
    ],
)
@given(choices=st.data())
def test_mutations_of_real_files(
    child: Child, real_files: list[bytes], choices: st.DataObject
) -> None:
    data = choices.draw(mutations(st.sampled_from(real_files)))
    child.check(data, "symusic")
