"""What is refused, mended or warned of before any note is parsed."""

from __future__ import annotations

import pytest
from midi_bytes import END_OF_TRACK, chunk, events, midi, notes

from seqmelody.errors import InputError
from seqmelody.melody import Melody
from seqmelody.midi import read_melody

SCALE = [(0, 480, 60), (480, 960, 62), (960, 1440, 64)]
SCALE_MELODY = Melody([0, 24, 48], [24, 24, 24], [60, 62, 64])
PLAIN = midi(notes(SCALE))


def refusal(data: bytes) -> str:
    with pytest.raises(InputError) as caught:
        read_melody(data, name="a.mid")
    message = str(caught.value)
    assert message.startswith("a.mid: ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"MThd", "cut short"),
        (b"hello, this is no MIDI file", "not a MIDI file"),
        (PLAIN.replace(b"MThd", b"MThx"), "not a MIDI file"),
        (b"MThd\0\0\0\5" + PLAIN[8:], "length of 5 bytes"),
        (b"MThd\xff\xff\xff\xff" + PLAIN[8:], "length of 4294967295 bytes"),
        (midi(notes(SCALE), file_format=3), "MIDI format 3"),
        (midi(), "no tracks"),
        (midi(notes(SCALE), division=0), "0 ticks per quarter"),
        (midi(notes(SCALE), promised=3), "announces 3 track chunks, only 1"),
        (midi(notes(SCALE), division=0x9C28), "100 frames"),
        (midi(notes(SCALE), division=0xE700), "0 ticks a frame"),
        (midi(chunk(b"", length=2**32 - 1)), "announces 4,294,967,295 bytes, only 0"),
        (midi(chunk(b"\0\x90\x3c")), "broken MIDI data"),
        (midi(chunk(b"\0\x3c\x40")), "broken MIDI data"),
        (midi(chunk(b"\0\x90\xbc\x40\1\x80\x3c\0")), "broken MIDI data"),
    ],
)
def test_refused_with_a_reason(data: bytes, reason: str) -> None:
    assert reason in refusal(data)


def test_truncated_anywhere_is_refused_or_loses_only_the_end_of_track() -> None:
    for length in range(len(PLAIN)):
        data = PLAIN[:length]
        if length < len(PLAIN) - len(END_OF_TRACK):
            refusal(data)
        else:
            found = read_melody(data)
            assert found.melody == SCALE_MELODY
            assert any("end-of-track" in warning for warning in found.warnings)


def test_truncation_in_an_earlier_track_is_refused() -> None:
    both = midi(notes(SCALE), notes(SCALE))
    assert "cut short" in refusal(both[: len(PLAIN)])
    assert "cut short" in refusal(both[: len(PLAIN) - 2])


def test_missing_end_of_track_event_is_warned_of() -> None:
    content = notes(SCALE)[8 : -len(END_OF_TRACK)]
    found = read_melody(midi(chunk(content)))
    assert found.melody == SCALE_MELODY
    assert any("end-of-track" in warning for warning in found.warnings)


@pytest.mark.parametrize("reader", ["symusic", "miditoolkit"])
def test_alien_chunks_and_long_headers_are_skipped(reader: str) -> None:
    alien = chunk(b"anything", kind=b"XFIH")
    plain = read_melody(PLAIN)
    for data in (
        midi(alien, notes(SCALE), alien, promised=1),
        b"MThd\0\0\0\x08" + PLAIN[8:14] + b"\0\0" + PLAIN[14:],
        PLAIN + b"trailing bytes",
    ):
        assert read_melody(data, reader=reader) == plain  # type: ignore[arg-type]


def test_more_tracks_than_announced_are_warned_of() -> None:
    found = read_melody(midi(notes(SCALE), notes([(0, 480, 70)]), promised=1))
    assert found.melody == SCALE_MELODY
    assert any("more track chunks" in warning for warning in found.warnings)


@pytest.mark.parametrize("reader", ["symusic", "miditoolkit"])
@pytest.mark.parametrize(
    ("frames", "ticks_per_frame", "ticks_per_second"),
    [(24, 100, 2400), (25, 40, 1000), (25, 41, 1025), (30, 80, 2400), (30, 8, 240)],
)
def test_smpte_time_takes_half_a_second_for_a_quarter(
    reader: str, frames: int, ticks_per_frame: int, ticks_per_second: int
) -> None:
    seconds = [(0, 1, 60), (1, 2, 62), (2, 4, 64)]
    played = [(on * ticks_per_second, off * ticks_per_second, key) for on, off, key in seconds]
    division = (256 - frames) << 8 | ticks_per_frame
    found = read_melody(midi(notes(played), division=division), reader=reader)  # type: ignore[arg-type]
    assert found.melody == Melody([0, 48, 96], [48, 48, 96], [60, 62, 64])
    assert any("SMPTE" in warning for warning in found.warnings)


def test_drop_frame_time_runs_at_29_97() -> None:
    # 30,000 frames of drop-frame time last 1001 seconds: 2002 quarters.
    played = [(0, 300_000, 60), (300_000, 600_000, 62)]
    found = read_melody(midi(notes(played), division=(256 - 29) << 8 | 10))
    assert found.melody.onset.tolist() == [0, 2002 * 24]


@pytest.mark.parametrize("reader", ["symusic", "miditoolkit"])
def test_running_status_and_note_on_without_velocity(reader: str) -> None:
    running = bytes.fromhex("00 90 3c 40 83 60 3c 00 00 3e 40 83 60 3e 00 00 40 40 83 60 40 00")
    found = read_melody(midi(chunk(running + END_OF_TRACK)), reader=reader)  # type: ignore[arg-type]
    assert found.melody == SCALE_MELODY


@pytest.mark.parametrize("reader", ["symusic", "miditoolkit"])
def test_tempo_and_metre_leave_quarter_time_alone(reader: str) -> None:
    conductor = events(
        (0, bytes.fromhex("ff 58 04 06 03 18 08")),
        (0, bytes.fromhex("ff 51 03 07 a1 20")),
        (500, bytes.fromhex("ff 51 03 01 00 00")),
        (700, bytes.fromhex("ff 58 04 05 02 18 08")),
        (700, bytes.fromhex("ff 51 03 0f ff ff")),
    )
    data = midi(chunk(conductor + END_OF_TRACK), notes(SCALE))
    assert read_melody(data, reader=reader).melody == SCALE_MELODY  # type: ignore[arg-type]
