from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from melody_batches import together
from strategies import token_streams
from tunes import TUNES, tune

from seqmelody.melody import Melodies
from seqmelody.note_statistics import STATISTICS, note_statistics
from seqmelody.tokens import Tokenizer, Tokens


def of(notes: str) -> dict[str, float]:
    (row,) = note_statistics(Tokenizer().encode_all(Melodies.of(tune(notes))))
    return dict(zip(STATISTICS, row.tolist(), strict=True))


def entropy(values: list[int]) -> float:
    return -sum(
        count / len(values) * math.log2(count / len(values)) for count in Counter(values).values()
    )


def plainly(melody: Tokens) -> dict[str, float]:
    """The same numbers, counted note by note."""
    pitch, duration = melody.pitch.tolist(), melody.duration.tolist()
    interval = [b - a for a, b in itertools.pairwise(pitch)]
    moves = [step > 0 for step in interval if step]
    grams = {n: [tuple(interval[i : i + n]) for i in range(len(interval) - n + 1)] for n in (3, 4)}
    rhythms = [tuple(duration[i : i + 4]) for i in range(len(duration) - 3)]
    onset = np.cumsum([0, *(melody.duration + melody.rest.astype(int))[:-1]])
    span = int(onset[-1]) + duration[-1]
    classes = Counter(p % 12 for p in pitch)

    def share(yes: list[bool]) -> float:
        return sum(yes) / max(1, len(yes))

    def repeated(runs: list[tuple]) -> float:
        return (len(runs) - len(set(runs))) / max(1, len(runs))

    return {
        "notes": len(pitch),
        "pitch_range": max(pitch) - min(pitch),
        "pitch_sd": float(np.std(pitch)),
        "pitch_classes": len({p % 12 for p in pitch}),
        "pitch_class_entropy": entropy([p % 12 for p in pitch]),
        "interval_entropy": entropy(interval) if interval else 0,
        "duration_entropy": entropy(duration),
        "mean_interval": float(np.mean(np.abs(interval))) if interval else 0,
        "largest_interval": max(map(abs, interval), default=0),
        "repeats": share([i == 0 for i in interval]),
        "steps": share([abs(i) in (1, 2) for i in interval]),
        "leaps": share([abs(i) >= 5 for i in interval]),
        "rises": share(moves),
        "turns": share([a != b for a, b in itertools.pairwise(moves)]),
        "repeated_3grams": repeated(grams[3]),
        "repeated_4grams": repeated(grams[4]),
        "repeated_rhythms": repeated(rhythms),
        "final_interval": abs(interval[-1]) if interval else 0,
        "final_length": math.log2(duration[-1] / np.mean(duration)),
        "final_commonest": float(classes[pitch[-1] % 12] == max(classes.values())),
        "duration_spread": float(np.std(np.log2(duration))),
        "notes_per_quarter": 24 * len(pitch) / span,
        "rest_share": 1 - sum(duration) / span,
        "on_grid": share([step % 6 == 0 or step % 8 == 0 for step in onset.tolist()]),
    }


@settings(max_examples=60)
@given(melodies=st.lists(token_streams(), min_size=1, max_size=4))
def test_each_number_is_what_counting_note_by_note_gives(melodies):
    found = note_statistics(together(*melodies))
    for row, melody in zip(found.tolist(), melodies, strict=True):
        named = dict(zip(STATISTICS, row, strict=True))
        tonal_fit = named.pop("tonal_fit")
        assert named == pytest.approx(plainly(melody), abs=1e-9)
        assert -1 <= tonal_fit <= 1 + 1e-9


@settings(max_examples=30)
@given(melody=token_streams(lowest=12, highest=115), shift=st.integers(-12, 12))
def test_transposing_changes_nothing(melody, shift):
    moved = replace(melody, pitch=(melody.pitch.astype(int) + shift).astype(np.uint8))
    here, there = note_statistics(together(melody, moved))
    np.testing.assert_allclose(here, there, atol=1e-9)


@settings(max_examples=30)
@given(melodies=st.lists(token_streams(max_notes=12), min_size=2, max_size=5))
def test_a_melody_has_the_same_numbers_alone_and_among_others(melodies):
    alone = np.concatenate([note_statistics(together(melody)) for melody in melodies])
    np.testing.assert_allclose(note_statistics(together(*melodies)), alone, atol=1e-9)


def test_blocks_of_notes_change_nothing(monkeypatch):
    melodies = together(*map(Tokenizer().encode, TUNES.values()))
    whole = note_statistics(melodies)
    monkeypatch.setattr("seqmelody.note_statistics._BLOCK_NOTES", 50)
    np.testing.assert_allclose(note_statistics(melodies), whole, atol=1e-9)


def test_one_note_and_none():
    (one,) = note_statistics(together(Tokenizer().encode(tune("C4"))))
    assert np.isfinite(one).all()
    empty = Tokens(*(np.zeros(0, kind) for kind in (np.uint8, np.uint16, np.uint16)))
    rows = note_statistics(together(empty, Tokenizer().encode(tune("C4")), empty))
    np.testing.assert_array_equal(rows, [np.zeros(len(STATISTICS)), one, np.zeros(len(STATISTICS))])
    assert note_statistics(together()).shape == (0, len(STATISTICS))
    assert note_statistics(together(empty)).shape == (1, len(STATISTICS))


def test_songs_fit_a_key_and_clusters_do_not():
    keys = [of(notes)["tonal_fit"] for notes in ("C4 E4 G4 C5:2", "A3 C4 E4 A4:2", "F#4 A#4 C#5:2")]
    assert min(keys) > 0.75
    chromatic = "C4 C#4 D4 D#4 E4 F4 F#4 G4 G#4 A4 A#4 B4"
    assert of(chromatic)["tonal_fit"] == 0
    assert of("C4 C#4 D4 D#4 E4 F4 F#4")["tonal_fit"] < 0.5


def test_a_round_repeats_itself():
    round_, none = of("C4 D4 E4 C4 C4 D4 E4 C4 E4 F4 G4:2"), of("C4 D4 F4 C5 A4 Bb4 G4")
    assert round_["repeated_3grams"] == pytest.approx(1 / 8)
    assert none["repeated_3grams"] == none["repeated_4grams"] == 0


def test_durations_of_any_length_are_told_apart():
    # The highest cap: four durations would not fit into one integer.
    duration = np.array([1, 65535, 2, 65534, 1, 65535, 2, 65534, 3], dtype=np.uint16)
    pitch, rest = np.full(9, 60, np.uint8), np.zeros(9, np.uint16)
    (row,) = note_statistics(together(Tokens(pitch, duration, rest)))
    assert row[STATISTICS.index("repeated_rhythms")] == pytest.approx(1 / 6)


def test_some_are_computed_as_they_are_among_all():
    melodies = together(*(Tokenizer().encode(tune(notes)) for notes in ("C4 E4 G4 C5", "D4 D4 A3")))
    whole = note_statistics(melodies)
    names = ("turns", "notes", "tonal_fit")
    columns = [STATISTICS.index(name) for name in names]
    np.testing.assert_array_equal(note_statistics(melodies, names), whole[:, columns])
    assert note_statistics(melodies, ()).shape == (2, 0)
