from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqmelody.melody import Melodies, Melody
from seqmelody.tokens import Tokenizer, Tokens

caps = st.integers(1, 65535)
tokenizers = st.builds(Tokenizer, max_duration_steps=caps, max_rest_steps=caps)


@st.composite
def melodies_within(draw: st.DrawFn, duration_cap: int, rest_cap: int) -> Melody:
    notes = draw(st.integers(1, 40))
    column = {"min_size": notes, "max_size": notes}
    return Melody.from_streams(
        pitch=draw(st.lists(st.integers(0, 127), **column)),
        duration=draw(st.lists(st.integers(1, duration_cap), **column)),
        rest=draw(st.lists(st.integers(0, rest_cap), **column)),
    )


@given(tokenizers, st.data())
def test_decode_undoes_encode_within_the_caps(tokenizer, data):
    melody = data.draw(melodies_within(tokenizer.max_duration_steps, tokenizer.max_rest_steps))
    tokens = tokenizer.encode(melody)
    assert tokenizer.decode(tokens) == melody
    assert (tokens.clipped_durations, tokens.clipped_rests) == (0, 0)


@given(tokenizers, melodies_within(1000, 1000))
def test_what_the_caps_cut_is_counted_and_the_rest_is_kept(tokenizer, melody):
    tokens = tokenizer.encode(melody)
    again = tokenizer.decode(tokens)
    assert again.pitch.tolist() == melody.pitch.tolist()
    assert again.duration.max() <= tokenizer.max_duration_steps
    assert again.rest.max() <= tokenizer.max_rest_steps
    assert (again.duration != melody.duration).sum() == tokens.clipped_durations
    assert (again.rest != melody.rest).sum() == tokens.clipped_rests
    assert len(tokens) == len(melody)


@given(tokenizers, st.lists(melodies_within(1000, 1000), max_size=6))
def test_many_melodies_are_encoded_as_each_is(tokenizer, melodies):
    columns = {
        name: np.concatenate([np.zeros(0, np.int32), *(getattr(m, name) for m in melodies)])
        for name in ("onset", "duration", "pitch", "velocity")
    }
    offsets = np.cumsum([0, *map(len, melodies)])
    batch = tokenizer.encode_all(Melodies(**columns, offsets=offsets))
    assert len(batch) == len(melodies)
    for number, melody in enumerate(melodies):
        found, expected = batch[number], tokenizer.encode(melody)
        for name in ("pitch", "duration", "rest"):
            assert getattr(found, name).dtype == getattr(expected, name).dtype
            assert np.array_equal(getattr(found, name), getattr(expected, name))
        assert found.clipped_durations == expected.clipped_durations
        assert found.clipped_rests == expected.clipped_rests


def test_default_caps_are_two_whole_notes():
    tokens = Tokenizer().encode(Melody([0, 192, 500], [192, 193, 24], [60, 62, 64]))
    assert tokens.duration.tolist() == [192, 192, 24]
    assert tokens.rest.tolist() == [0, 115, 0]
    assert (tokens.clipped_durations, tokens.clipped_rests) == (1, 0)


@pytest.mark.parametrize("cap", [0, -1, 65536, 1.5, "9"])
def test_impossible_caps_are_refused(cap):
    with pytest.raises(ValueError, match="max_rest_steps must be a whole number"):
        Tokenizer(max_rest_steps=cap)


@given(tokenizers, tokenizers)
def test_the_fingerprint_differs_exactly_where_the_tokenizer_does(one, other):
    assert (one.fingerprint == other.fingerprint) == (one == other)


def test_the_fingerprint_of_the_default_stays():
    # Corpora and checkpoints in the world carry it: a change here makes them unreadable.
    assert Tokenizer().fingerprint == "a53ea8900e5b74a9"


@given(tokenizers)
def test_what_is_stored_comes_back(tokenizer):
    stored = tokenizer.to_dict()
    assert {field.name for field in dataclasses.fields(tokenizer)} < set(stored)
    assert Tokenizer.from_dict(stored) == tokenizer


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"max_rest_steps": 7}, "fingerprint"),
        ({"fingerprint": "0"}, "fingerprint"),
        ({"more": 1}, "has the fields"),
    ],
)
def test_a_stored_tokenizer_that_was_tampered_with_is_refused(change, reason):
    with pytest.raises(ValueError, match=reason):
        Tokenizer.from_dict({**Tokenizer().to_dict(), **change})


def test_a_stored_tokenizer_with_a_field_missing_is_refused():
    stored = Tokenizer().to_dict()
    del stored["max_rest_steps"]
    with pytest.raises(ValueError, match="has the fields"):
        Tokenizer.from_dict(stored)


def test_decoding_what_no_melody_can_be_is_refused():
    empty = np.zeros(0, dtype=np.uint8)
    with pytest.raises(ValueError, match="at least one note"):
        Tokenizer().decode(Tokens(empty, empty.astype(np.uint16), empty.astype(np.uint16)))
