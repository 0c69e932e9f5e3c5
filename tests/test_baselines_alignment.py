from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from melody_batches import together
from strategies import token_streams
from tunes import tune

from seqmelody.baselines.alignment import LEVENSHTEIN, Levenshtein, above_the_median
from seqmelody.errors import UsageError
from seqmelody.tokens import Tokenizer, Tokens

pytest.importorskip("rapidfuzz")

ROOM = {"lowest": 12, "highest": 115}


def streams(words: str) -> Tokens:
    return Tokenizer().encode(tune(words))


def compare(name: str, *melodies: Tokens, rows=None) -> np.ndarray:
    rows = np.arange(len(melodies)) if rows is None else np.asarray(rows)
    return np.concatenate([*Levenshtein(name).similarities(together(*melodies), rows)])


def alike(name: str, a: str, b: str) -> float:
    return float(compare(name, streams(a), streams(b))[0, 1])


def edits(a: list[int], b: list[int]) -> int:
    """Levenshtein's distance, as it is defined."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, start=1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


def moved(melody: Tokens, semitones: int) -> Tokens:
    pitch = (melody.pitch.astype(int) + semitones).astype(np.uint8)
    return Tokens(pitch, melody.duration, melody.rest)


def test_a_changed_note_costs_one_edit_of_pitches_and_two_of_intervals():
    before, after = "C4 D4 E4 F4 G4 C4", "C4 D4 E4 A4 G4 C4"
    assert alike("levenshtein-pitch", before, after) == pytest.approx(1 - 1 / 6)
    assert alike("levenshtein-interval", before, after) == pytest.approx(1 - 2 / 5)


def test_another_last_note_spoils_only_what_hangs_on_it():
    before, after = "C4 D4 E4 F4 G4 F4 E4 C4", "D4 E4 F#4 G4 A4 G4 F#4 A4"
    assert alike("levenshtein-pitch", before, after) < 0.5
    assert alike("levenshtein-transposed", before, after) == pytest.approx(1 - 1 / 8)


def test_rhythm_counts_for_one_and_tempo_does_not():
    even, long = "C4 D4 E4 F4 G4 C4", "C4 D4 E4:2 F4 G4 C4"
    twice = "C4:2 D4:2 E4:4 F4:2 G4:2 C4:2"
    rest = "C4 D4 E4:1 -:1 F4 G4 C4"
    assert alike("levenshtein-transposed", even, long) == 1
    assert alike("levenshtein-sampled", even, long) == pytest.approx(1 - 1 / 7)
    assert alike("levenshtein-sampled", long, twice) == 1
    assert alike("levenshtein-sampled", long, rest) == 1


@given(token_streams(max_notes=12), token_streams(max_notes=12))
def test_the_distance_is_levenshteins_over_the_longer(a, b):
    x, y = ((m.pitch.astype(int) - m.pitch[-1]).tolist() for m in (a, b))
    expected = 1 - edits(x, y) / max(len(x), len(y))
    assert compare("levenshtein-pitch", a, b)[0, 1] == pytest.approx(expected, abs=1e-6)
    x, y = (above_the_median(m) for m in (a, b))
    best = min(edits((x + key).tolist(), y.tolist()) for key in range(-5, 6))
    found = compare("levenshtein-transposed", a, b)[0, 1]
    assert found == pytest.approx(1 - best / max(len(x), len(y)), abs=1e-6)


@pytest.mark.parametrize("name", LEVENSHTEIN)
@given(token_streams(**ROOM), token_streams(**ROOM), st.integers(-12, 12))
def test_each_is_blind_to_the_key_and_symmetric(name, a, b, semitones):
    found = compare(name, a, b, moved(a, semitones))
    np.testing.assert_array_equal(found[0], found[2])
    np.testing.assert_array_equal(found, found.T)
    assert found.dtype == np.float32
    assert (np.diag(found) == 1).all()
    assert ((found >= 0) & (found <= 1)).all()


@pytest.mark.parametrize("name", LEVENSHTEIN)
def test_some_rows_are_those_of_all(name, essen_corpus):
    melodies = essen_corpus.token_batch(np.arange(100))
    rows = np.arange(99, -1, -3)
    every = np.concatenate([*Levenshtein(name).similarities(melodies, np.arange(100))])
    some = np.concatenate([*Levenshtein(name).similarities(melodies, rows)])
    np.testing.assert_array_equal(some, every[rows])


@pytest.mark.parametrize("name", LEVENSHTEIN)
def test_each_two_compared_once_gives_what_all_comparisons_give(name, essen_corpus):
    melodies = essen_corpus.token_batch(np.arange(40))
    [every] = Levenshtein(name).similarities(melodies, np.arange(40))
    np.testing.assert_array_equal(Levenshtein(name).among(melodies), every)


def test_the_median_is_that_of_the_time_that_pitches_sound():
    assert above_the_median(streams("C4:1 E4:1 G4:3")).tolist() == [-7, -3, 0]
    assert above_the_median(streams("C4:3 E4:1 G4:1")).tolist() == [0, 4, 7]


def test_without_rapidfuzz_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "rapidfuzz.distance", None)
    with pytest.raises(UsageError, match=r"pip install 'seqmelody\[search\]'"):
        Levenshtein("levenshtein-pitch")
