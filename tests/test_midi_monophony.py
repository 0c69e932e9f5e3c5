"""The grid, the two rules that make one line of many notes, and the counts of what they cost."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from midi_bytes import midi, notes

from seqmelody.errors import InputError
from seqmelody.melody import Melody
from seqmelody.midi import MelodyLine, MidiMelody, read_melody

SKYLINE = MelodyLine("skyline")


def read(
    *played: tuple[int, ...], division: int = 24, line: MelodyLine = MelodyLine()
) -> MidiMelody:
    return read_melody(midi(notes(played), division=division), line=line)


def test_ticks_are_rounded_half_up() -> None:
    # 48 ticks a quarter: a step is 2 ticks, so that odd ticks lie between two steps.
    found = read((0, 47, 60), (49, 95, 62), (97, 150, 64), division=48)
    assert found.melody == Melody([0, 25, 49], [24, 23, 26], [60, 62, 64])


def test_silence_before_the_first_note_is_counted_not_kept() -> None:
    found = read((48, 72, 60), (72, 96, 62))
    assert found.melody.onset.tolist() == [0, 24]
    assert found.lead_in_steps == 48


def test_velocities_are_kept() -> None:
    assert read((0, 24, 60, 1), (24, 48, 62, 127)).melody.velocity.tolist() == [1, 127]


@pytest.mark.parametrize("division", [24, 120, 480])
def test_gaps_of_one_tick_are_closed(division: int) -> None:
    played = [(beat * division, (beat + 1) * division - 1, 60 + beat) for beat in range(4)]
    found = read(*played, division=division)
    assert found.melody.duration.tolist() == [24, 24, 24, 24]
    assert found.gaps_closed == 3


def test_a_gap_of_one_long_tick_is_a_rest() -> None:
    found = read((0, 3, 60), (4, 7, 62), (8, 12, 64), division=4)
    assert found.melody.rest.tolist() == [6, 6, 0]
    assert found.gaps_closed == 0


def test_a_longer_gap_is_a_rest() -> None:
    found = read((0, 22, 60), (24, 48, 62))
    assert found.melody.rest.tolist() == [2, 0]
    assert found.gaps_closed == 0


def test_a_note_lasts_at_least_a_step() -> None:
    assert read((0, 0, 60), (24, 48, 62)).melody.duration.tolist() == [1, 24]


def test_a_note_is_cut_where_the_next_begins() -> None:
    found = read((0, 30, 67), (24, 54, 65), (48, 72, 64))
    assert found.melody == Melody([0, 24, 48], [24, 24, 24], [67, 65, 64])
    assert found.overlaps_cut == 2
    assert found.warnings == ()


def test_of_a_chord_in_a_line_the_highest_note_stays() -> None:
    line = [(beat * 24, beat * 24 + 24, 60 + beat) for beat in range(20)]
    found = read(*line, (0, 24, 48), (24, 48, 80))
    assert found.melody.pitch.tolist() == [60, 80, *range(62, 80)]
    assert found.simultaneous_dropped == 2
    assert found.collided == 0
    assert found.line == "track 0 (auto)"
    assert any("2 of 22 notes dropped" in warning for warning in found.warnings)


def test_notes_that_round_to_one_step_collide() -> None:
    # At 480 ticks a quarter a step is 20 ticks: onsets 0 and 9 are the same.
    found = read((0, 9, 60), (9, 480, 62), (480, 960, 64), division=480)
    assert found.melody == Melody([0, 24], [24, 24], [62, 64])
    assert (found.simultaneous_dropped, found.collided) == (0, 1)


def test_the_skyline_drops_what_begins_beneath_a_sounding_note() -> None:
    found = read((0, 96, 72), (24, 48, 48), (48, 72, 52), (96, 120, 71), line=SKYLINE)
    assert found.melody == Melody([0, 96], [96, 24], [72, 71])
    assert found.beneath_dropped == 2
    assert found.line == "skyline of track 0"


def test_the_skyline_forgives_a_slight_overlap() -> None:
    held = read((0, 27, 72), (24, 48, 71), line=SKYLINE)
    assert held.melody.pitch.tolist() == [72, 71]
    longer = read((0, 28, 72), (24, 48, 71), line=SKYLINE)
    assert longer.melody.pitch.tolist() == [72]


def test_in_a_skyline_only_notes_that_stay_cover_others() -> None:
    # 70 lies beneath 76 and goes; 65 begins after 76 has ended, beneath nothing that stays.
    found = read((0, 48, 76), (24, 96, 70), (60, 84, 65), line=SKYLINE)
    assert found.melody.pitch.tolist() == [76, 65]


def test_a_spread_chord_leaves_its_highest_note_in_a_skyline() -> None:
    found = read((0, 48, 60), (1, 48, 64), (2, 48, 67), (48, 96, 65), line=SKYLINE)
    assert found.melody.pitch.tolist() == [67, 65]
    assert found.simultaneous_dropped == 2


def test_of_a_chordal_track_the_skyline_is_read() -> None:
    melody = [(beat * 24, beat * 24 + 24, 72 + beat % 5) for beat in range(16)]
    chords = [(bar * 96, bar * 96 + 96, key) for bar in range(4) for key in (48, 52, 55)]
    off_beat = [(bar * 96 + 12, bar * 96 + 90, 43) for bar in range(4)]
    found = read(*melody, *chords, *off_beat)
    assert found.melody == Melody(
        [on for on, _, _ in melody], [24] * 16, [key for _, _, key in melody]
    )
    assert found.line == "skyline of track 0 (auto)"
    assert (found.simultaneous_dropped, found.beneath_dropped) == (12, 4)
    assert any("chords" in warning for warning in found.warnings)


def test_accompaniment_heard_while_the_melody_rests_is_no_melody() -> None:
    melody = [(beat * 24, beat * 24 + 12, 72 + beat % 5) for beat in range(16)]
    chords = [(bar * 96, bar * 96 + 90, key) for bar in range(4) for key in (48, 52, 55)]
    off_beat = [(beat * 24 + 14, beat * 24 + 22, 50) for beat in range(16)]
    # What follows the last note of the melody has a side only, and stays.
    found = read(*melody, *chords, *off_beat)
    assert found.melody.pitch.tolist() == [*(key for _, _, key in melody), 50]
    assert found.beneath_dropped == 15
    # Who asks for the highest notes gets them.
    assert len(read(*melody, *chords, *off_beat, line=SKYLINE).melody) == 32


@pytest.mark.parametrize(
    ("depth", "silence", "stays"), [(12, 0, True), (13, 0, False), (13, 96, True)]
)
def test_a_valley_is_deeper_than_an_octave_and_near_its_sides(
    depth: int, silence: int, stays: bool
) -> None:
    chords = [(bar * 96, bar * 96 + 24, key) for bar in range(4) for key in (60, 64, 67, 76)]
    low = 288 + 24 + silence
    back = low + 24 + silence
    found = read(*chords, (low, low + 24, 76 - depth), (back, back + 24, 76))
    assert (76 - depth in found.melody.pitch) is stays


def test_a_line_with_much_pedal_is_cut_not_skimmed() -> None:
    falling = [(beat * 24, beat * 24 + 60, 80 - beat) for beat in range(16)]
    assert len(read(*falling).melody) == 16


def test_all_notes_at_once_leave_the_highest() -> None:
    found = read(*((0, 24, key) for key in range(128)))
    assert found.melody.pitch.tolist() == [127]
    assert any("127 of 128 notes dropped" in warning for warning in found.warnings)


def test_one_note() -> None:
    found = read((5, 6, 60))
    assert found.melody == Melody([0], [1], [60])
    assert found.notes_read == 1


def test_a_hundred_thousand_notes() -> None:
    found = read(*((beat * 24, beat * 24 + 24, beat % 128) for beat in range(100_000)))
    assert len(found.melody) == 100_000
    assert found.melody.pitch[:3].tolist() == [0, 1, 2]


def test_a_hundred_thousand_notes_at_once() -> None:
    for line in (MelodyLine(), SKYLINE):
        found = read(*((0, 24 + beat, beat % 128) for beat in range(100_000)), line=line)
        assert found.melody.pitch.tolist() == [127]


def test_notes_beyond_the_grid_are_refused() -> None:
    far = (1 << 28) - 1
    with pytest.raises(InputError, match="beyond 89,478,484 quarter notes"):
        read((far, far + 1, 60), division=1)


played_notes = st.lists(
    st.tuples(st.integers(0, 400), st.integers(0, 200), st.integers(40, 80), st.integers(1, 127)),
    min_size=1,
    max_size=40,
)


def reference_skyline(
    played: list[tuple[int, int, int, int]], division: int
) -> list[tuple[int, int]]:
    """Onset steps and pitches of the skyline, note by note."""

    def steps(tick: int) -> int:
        return int(Fraction(tick * 24, division) + Fraction(1, 2))

    at_step: dict[int, tuple[int, int, int]] = {}
    for onset, length, pitch, velocity in played:
        candidate = (pitch, steps(onset + length), velocity)
        at_step[steps(onset)] = max(at_step.get(steps(onset), (-1, 0, 0)), candidate)
    line = [(onset, end, pitch) for onset, (pitch, end, _) in sorted(at_step.items())]
    line = [
        note
        for note in line
        if not any(0 < other[0] - note[0] <= 2 and other[0] < note[1] and other[2] > note[2]
                   for other in line)
    ]  # fmt: skip
    stays: list[tuple[int, int, int]] = []
    for note in sorted(line, key=lambda note: -note[2]):
        if not any(
            other[2] > note[2] and other[0] < note[0] and other[1] > note[0] + 3 for other in stays
        ):
            stays.append(note)
    return [(onset, pitch) for onset, _, pitch in sorted(stays)]


@given(played_notes, st.sampled_from([10, 24, 96, 100, 480]))
def test_skyline_equals_its_definition(
    played: list[tuple[int, int, int, int]], division: int
) -> None:
    # One channel a note: no note ends another of the same key.
    tracks = [
        notes([(onset, onset + length, pitch, velocity)])
        for onset, length, pitch, velocity in played
    ]
    found = read_melody(midi(*tracks, division=division), line=SKYLINE)
    expected = reference_skyline(played, division)
    starts = found.melody.onset + found.lead_in_steps
    assert list(zip(starts.tolist(), found.melody.pitch.tolist(), strict=True)) == expected


@given(played_notes, st.sampled_from([1, 10, 24, 96, 480]), st.booleans())
def test_every_note_is_kept_or_counted(
    played: list[tuple[int, int, int, int]], division: int, skyline: bool
) -> None:
    tracks = [notes([(on, on + length, key, loud)]) for on, length, key, loud in played]
    found = read_melody(midi(*tracks, division=division), line=SKYLINE if skyline else MelodyLine())
    dropped = found.simultaneous_dropped + found.collided + found.beneath_dropped
    assert len(found.melody) + dropped == found.notes_read
    assert np.isin(found.melody.pitch, [key for _, _, key, _ in played]).all()
