from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqmelody.melody import Melodies, Melody

steps = st.integers(0, 400)


@st.composite
def melodies(draw: st.DrawFn, max_size: int = 40) -> Melody:
    notes = draw(st.integers(1, max_size))
    column = {"min_size": notes, "max_size": notes}
    return Melody.from_streams(
        pitch=draw(st.lists(st.integers(0, 127), **column)),
        duration=draw(st.lists(st.integers(1, 400), **column)),
        rest=draw(st.lists(steps, **column)),
    )


def test_columns_cannot_be_changed():
    melody = Melody([0, 24], [24, 24], [60, 62])
    with pytest.raises(ValueError, match="read-only"):
        melody.pitch[0] = 61
    with pytest.raises(AttributeError):
        melody.pitch = melody.pitch + 1


def test_copies_what_it_is_given():
    pitch = np.array([60, 62])
    melody = Melody([0, 24], [24, 24], pitch)
    pitch[0] = 1
    assert melody.pitch.tolist() == [60, 62]


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        (([], [], []), "at least one note"),
        (([0, 24], [24], [60, 62]), "duration has shape"),
        (([0, 24], [24, 24], [[60, 62]]), "pitch has shape"),
        (([1, 24], [12, 24], [60, 62]), "starts at step 0"),
        (([0, 24], [25, 24], [60, 62]), "overlap"),
        (([0, 0], [1, 1], [60, 62]), "overlap"),
        (([0, 24], [0, 24], [60, 62]), "at least one step"),
        (([0, 24], [24, 24], [60, 128]), r"0\.\.127"),
        (([0, 24], [24, 24], [-1, 60]), r"0\.\.127"),
        (([0, 24], [24, 24], [60, 60], [0, 64]), r"1\.\.127"),
        (([0, 24], [24, 24], [60, 60], [64, 128]), r"1\.\.127"),
    ],
)
def test_refuses_what_is_no_melody(columns, reason):
    with pytest.raises(ValueError, match=reason):
        Melody(*columns)


def test_equality_is_that_of_all_four_columns():
    columns = ([0, 24], [24, 24], [60, 62], [64, 64])
    assert Melody(*columns) == Melody(*columns)
    for index, other in enumerate(([0, 25], [24, 23], [60, 63], [64, 65])):
        assert Melody(*columns) != Melody(*columns[:index], other, *columns[index + 1 :])
    assert Melody([0], [24], [60]) != Melody(*columns)
    assert Melody([0], [24], [60]) != "C"
    with pytest.raises(TypeError, match="unhashable"):
        hash(Melody(*columns))


@given(melodies())
def test_rest_and_duration_fill_the_time_between_onsets(melody):
    assert (melody.onset[1:] == np.cumsum(melody.duration + melody.rest)[:-1]).all()
    assert melody.rest[-1] == 0
    assert melody.span_steps == melody.duration.sum() + melody.rest.sum()


@given(melodies())
def test_streams_round_trip(melody):
    again = Melody.from_streams(melody.pitch, melody.duration, melody.rest)
    assert again == melody


@given(melodies(), st.data())
def test_slices_join_to_the_whole(melody, data):
    cut = data.draw(st.integers(0, len(melody)))
    parts = [part for part in (slice(None, cut), slice(cut, None)) if melody.pitch[part].size]
    assert sum(len(melody[part]) for part in parts) == len(melody)
    assert np.concatenate([melody[part].pitch for part in parts]).tolist() == melody.pitch.tolist()
    assert all(melody[part].onset[0] == 0 for part in parts)


@pytest.mark.parametrize("notes", [slice(2, 2), slice(5, 9)])
def test_an_empty_slice_is_no_melody(notes):
    with pytest.raises(ValueError, match="at least one note"):
        Melody([0, 24], [24, 24], [60, 62])[notes]


@pytest.mark.parametrize("notes", [1, slice(None, None, 2)])
def test_slices_are_contiguous(notes):
    with pytest.raises(ValueError, match="contiguous"):
        Melody([0, 24], [24, 24], [60, 62])[notes]


@given(melodies(), st.integers(-127, 127))
def test_transposing_there_and_back_changes_nothing(melody, semitones):
    highest, lowest = int(melody.pitch.max()), int(melody.pitch.min())
    if lowest + semitones >= 0 and highest + semitones <= 127:
        moved = melody.transpose(semitones)
        assert (moved.pitch - melody.pitch == semitones).all()
        assert moved.transpose(-semitones) == melody
    else:
        with pytest.raises(ValueError, match=r"0\.\.127"):
            melody.transpose(semitones)


def test_streams_of_different_length_are_refused():
    with pytest.raises(ValueError, match="2 durations but 1 rests"):
        Melody.from_streams([60, 62], [24, 24], [0])
    with pytest.raises(ValueError, match="negative"):
        Melody.from_streams([60, 62], [24, 24], [-1, 0])
    with pytest.raises(ValueError, match="pitch has shape"):
        Melody.from_streams([60], [24, 24], [0, 0])


def end_to_end(melodies: list[Melody | None]) -> Melodies:
    there = [melody for melody in melodies if melody is not None]
    lengths = [0 if melody is None else len(melody) for melody in melodies]
    return Melodies(
        *(
            np.concatenate([np.zeros(0, np.int32), *(getattr(melody, name) for melody in there)])
            for name in ("onset", "duration", "pitch", "velocity")
        ),
        offsets=np.cumsum([0, *lengths]),
    )


@given(st.lists(st.none() | melodies(8), max_size=6), st.data())
def test_many_melodies_are_those_they_were_made_of(parts, data):
    together = end_to_end(parts)
    assert len(together) == len(parts)
    chosen = data.draw(st.lists(st.booleans(), min_size=len(parts), max_size=len(parts)))
    selected = together.select(np.array(chosen, dtype=bool))
    expected = [part for part, keep in zip(parts, chosen, strict=True) if keep]
    for many, each in ((together, parts), (selected, expected)):
        assert many.lengths.tolist() == [0 if part is None else len(part) for part in each]
        rests = np.split(many.rest, many.offsets[1:-1]) if each else []
        for number, part in enumerate(each):
            if part is None:
                with pytest.raises(ValueError, match="at least one note"):
                    many[number]
            else:
                assert many[number] == part == Melodies.of(part)[0]
                assert np.array_equal(rests[number], part.rest)


def test_repr_says_what_a_reader_needs():
    assert repr(Melody([0, 24], [24, 48], [60, 67])) == "Melody(2 notes, 3 quarters, pitch 60-67)"
