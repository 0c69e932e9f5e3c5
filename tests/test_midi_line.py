"""Which track is read, by policy, and what the result says of it."""

from __future__ import annotations

import pytest
from midi_bytes import END_OF_TRACK, chunk, midi, notes

from seqmelody.errors import InputError, UsageError
from seqmelody.midi import MelodyLine, read_melody

BASS = [(beat * 480, beat * 480 + 480, 36 + beat % 3) for beat in range(16)]
TUNE = [(beat * 480, beat * 480 + 480, 67 + beat % 7) for beat in range(16)]
BEATS = [(beat * 240, beat * 240 + 120, 42) for beat in range(32)]
BAND = midi(
    chunk(END_OF_TRACK),
    notes(BASS, 0, name=b"Bass"),
    notes(BEATS, 9, name=b"Kit"),
    notes(TUNE, 1, name=b"Violin I"),
)


@pytest.mark.parametrize(
    "text", ["auto", "skyline", "track:0", "track:12", "name:Violin", "name:a:b"]
)
def test_parse_and_str_are_inverse(text: str) -> None:
    assert str(MelodyLine.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "AUTO", "auto:1", "track", "track:", "track:-1", "track:x", "track:²", "name:", "best"],
)
def test_parse_refuses_what_it_does_not_know(text: str) -> None:
    with pytest.raises(UsageError, match="none of auto, skyline, track:NUMBER"):
        MelodyLine.parse(text)


@pytest.mark.parametrize(
    "arguments",
    [
        {"policy": "best"},
        {"policy": "track"},
        {"policy": "track", "track": -1},
        {"policy": "name"},
        {"track": 1},
        {"name": "Violin"},
    ],
)
def test_contradictions_are_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"melody line|track"):
        MelodyLine(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("line", "said", "number", "name", "pitch"),
    [
        ("auto", "track 2 'Violin I' (auto)", 2, "Violin I", 67),
        ("track:2", "track 2 'Violin I' (track)", 2, "Violin I", 67),
        ("track:0", "track 0 'Bass' (track)", 0, "Bass", 36),
        ("name:bass", "track 0 'Bass' (name)", 0, "Bass", 36),
        ("name:VIOLIN i", "track 2 'Violin I' (name)", 2, "Violin I", 67),
        ("skyline", "skyline of 2 tracks", None, "", 67),
    ],
)
def test_the_result_tells_the_line(
    line: str, said: str, number: int | None, name: str, pitch: int
) -> None:
    found = read_melody(BAND, line=MelodyLine.parse(line))
    assert found.line == said
    assert found.track == number
    assert found.track_name == name
    assert found.melody.pitch[0] == pitch


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("track:3", "has no track track:3 with notes, only track 0 'Bass', track 1 'Kit', track 2"),
        ("name:Oboe", "has no track name:Oboe with notes, only track 0 'Bass'"),
        ("track:1", "track:1 is only drums"),
        ("name:kit", "name:kit is only drums"),
    ],
)
def test_a_track_that_is_not_there_is_an_input_error(line: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        read_melody(BAND, line=MelodyLine.parse(line))


def test_drums_are_never_read() -> None:
    drums = notes(BEATS, 9, name=b"Melody")
    for line in ("auto", "skyline"):
        with pytest.raises(InputError, match="holds only drums"):
            read_melody(midi(drums), line=MelodyLine.parse(line))
        found = read_melody(midi(drums, notes(TUNE)), line=MelodyLine.parse(line))
        assert found.melody.pitch.min() >= 67


@pytest.mark.parametrize("name", ["Flöte", "Flöte".encode("latin-1").decode("latin-1")])
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_names_are_found_in_either_encoding(name: str, encoding: str) -> None:
    data = midi(notes(BASS), notes(TUNE, name=name.encode(encoding)))
    assert read_melody(data, line=MelodyLine("name", name=name)).track == 1


def test_a_long_name_is_cut_in_messages() -> None:
    data = midi(notes(TUNE, name=b"x" * 10_000))
    with pytest.raises(InputError) as caught:
        read_melody(data, line=MelodyLine("track", track=7))
    assert len(str(caught.value)) < 200
    assert read_melody(data).track_name == "x" * 10_000


def test_patterns_of_format_2_are_no_skyline() -> None:
    data = midi(notes(BASS), notes(TUNE), file_format=2)
    with pytest.raises(InputError, match="format 2"):
        read_melody(data, line=MelodyLine("skyline"))
    assert read_melody(data).track == 1
    assert read_melody(data, line=MelodyLine("track", track=0)).melody.pitch[0] == 36
    alone = midi(notes(TUNE), file_format=2)
    assert read_melody(alone, line=MelodyLine("skyline")).melody == read_melody(alone).melody
