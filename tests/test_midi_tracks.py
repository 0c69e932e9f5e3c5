"""Which of several tracks looks most like a melody."""

from __future__ import annotations

import pytest
from midi_bytes import midi, notes

from seqmelody.midi import read_melody

TUNE = [(beat * 480, beat * 480 + 480, 60 + (beat * 5) % 12) for beat in range(32)]


def transposed(played: list[tuple[int, int, int]], semitones: int) -> list[tuple[int, int, int]]:
    return [(onset, end, key + semitones) for onset, end, key in played]


OTHERS = {
    "lower": transposed(TUNE, -12),
    "chords": [(bar * 1920, bar * 1920 + 1920, key) for bar in range(8) for key in (64, 67, 76)],
    "seldom": transposed(TUNE, 12)[:9],
    "few notes": [(0, 15360, 84)],
    "a drone": [(onset, end, 61) for onset, end, _ in TUNE],
    "held notes beneath": [(onset, end + 1900, key - 12) for onset, end, key in TUNE],
}


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("tune_first", [True, False])
def test_the_tune_is_chosen_over(other: str, tune_first: bool) -> None:
    tracks = [notes(TUNE, 0), notes(OTHERS[other], 1)]
    found = read_melody(midi(*(tracks if tune_first else reversed(tracks))))
    assert found.track == (0 if tune_first else 1)


@pytest.mark.parametrize("name", [b"Melody", b"LEAD VOCALS", b"Soprano", b"Singstimme"])
def test_a_name_outweighs_height(name: bytes) -> None:
    above = transposed(TUNE, 12)
    assert read_melody(midi(notes(above), notes(TUNE, name=name))).track == 1


def test_a_name_tells_what_is_no_melody() -> None:
    above = transposed(TUNE, 12)
    assert read_melody(midi(notes(above, name=b"String pad"), notes(TUNE))).track == 1


def test_of_equal_tracks_the_first_is_chosen() -> None:
    assert read_melody(midi(notes(TUNE, 0), notes(TUNE, 1))).track == 0


def test_a_soprano_of_five_pitches_is_chosen_over_busier_voices_below() -> None:
    soprano = [(beat * 480, beat * 480 + 480, 67 + beat % 5) for beat in range(32)]
    below = [transposed(TUNE, -steps) for steps in (5, 12, 20)]
    voices = [notes(part, channel) for channel, part in enumerate([soprano, *below])]
    assert read_melody(midi(*voices)).track == 0
