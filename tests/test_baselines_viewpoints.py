from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from melody_batches import together
from strategies import token_streams
from tunes import tune

from seqmelody.baselines.viewpoints import ANCHORS, VIEWPOINTS, pitch_events, rhythm_events
from seqmelody.tokens import Tokenizer


def of(*words: str):
    return together(*(Tokenizer().encode(tune(notes)) for notes in words))


def test_pitch_is_interval_and_degree_above_the_last_note():
    value, anchor, offsets = pitch_events(of("G4 E4 C5 C4", "D4 F#4"))
    assert offsets.tolist() == [0, 4, 6]
    # A first note's value is its height above the last one, and nothing is before it.
    assert value.tolist() == [7, -3, 8, -12, -4, 4]
    assert anchor.tolist() == [0, 7, 4, 0, 0, 8]


def test_rhythm_is_relative_to_the_commonest_time_and_its_place():
    # Quarters are commonest, so half a span is one of them.
    value, anchor, _ = rhythm_events(of("C4 D4 E4:2 F4:.5 G4:.5 A4"))
    assert value.tolist() == [0, 0, 12, -12, -12, 0]
    assert anchor.tolist() == [0, 6, 0, 0, 3, 6]


def test_a_rest_counts_to_the_next_onset():
    value, _, _ = rhythm_events(of("C4 -:1 D4:2 E4:2 F4:1 -:2"))
    assert value.tolist() == [0, 0, 0, -12]


@pytest.mark.parametrize("name", VIEWPOINTS)
@given(
    melody=token_streams(lowest=12, highest=115, max_notes=12),
    other=token_streams(),
    shift=st.integers(-12, 12),
)
def test_neither_key_nor_tempo_nor_company_changes_them(name, melody, other, shift):
    pitch = (melody.pitch.astype(int) + shift).astype(np.uint8)
    moved = replace(melody, pitch=pitch, duration=melody.duration * 3, rest=melody.rest * 3)
    view = VIEWPOINTS[name]
    alone, company = view(together(melody)), view(together(other, moved))
    notes = len(other)
    np.testing.assert_array_equal(alone.value, company.value[notes:])
    np.testing.assert_array_equal(alone.anchor, company.anchor[notes:])
    assert company.anchor.min() >= 0
    assert company.anchor.max() < ANCHORS
