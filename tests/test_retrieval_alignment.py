from __future__ import annotations

import itertools
from fractions import Fraction
from unittest import mock

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import token_streams
from tunes import TUNES, tune

from seqmelody.melody import Melody
from seqmelody.retrieval import align, alignment, transposition_name
from seqmelody.retrieval.alignment import GAP, OTHER_PITCH, SAME_PITCH, SAME_RHYTHM, TIME_SCALES
from seqmelody.tokens import Tokenizer, Tokens

TOKENIZER = Tokenizer()
TOKENS = {name: TOKENIZER.encode(melody) for name, melody in TUNES.items()}
# Few pitches and durations, so that notes of two melodies meet.
small = token_streams(max_notes=7, lowest=60, highest=64, tokenizer=Tokenizer(4, 1))


def pair_score(query, hit, i, j, by, scale):
    """As defined, note by note."""
    if int(hit.pitch[j]) - int(query.pitch[i]) != by:
        return OTHER_PITCH
    ours, theirs = (
        int(tokens.duration[at]) + int(tokens.rest[at]) for tokens, at in ((query, i), (hit, j))
    )
    return SAME_PITCH + SAME_RHYTHM * (theirs == scale * ours)


def best_score(query: Tokens, hit: Tokens) -> int:
    """Smith and Waterman's table in plain Python, for every transposition of the ``small`` ones."""
    best = 0
    for by, scale in itertools.product(range(-4, 5), TIME_SCALES):
        table = np.zeros((len(query) + 1, len(hit) + 1), dtype=int)
        for i, j in itertools.product(range(len(query)), range(len(hit))):
            table[i + 1, j + 1] = max(
                0,
                table[i, j] + pair_score(query, hit, i, j, by, scale),
                table[i, j + 1] + GAP,
                table[i + 1, j] + GAP,
            )
        best = max(best, table.max())
    return best


def as_tokens(words: str) -> Tokens:
    return TOKENIZER.encode(tune(words))


def slower(tokens: Tokens, times: int) -> Tokens:
    return Tokens(tokens.pitch, tokens.duration * times, tokens.rest * times)


@given(small, small)
def test_it_is_the_best_there_is(query, hit):
    # With few settings at once, some are left out.
    with mock.patch.object(alignment, "_SETTINGS_AT_ONCE", 1):
        found = align(query, hit)
    assert found.score == best_score(query, hit)
    # And the pairs are worth that score.
    paired = sum(
        pair_score(query, hit, i, j, found.transposition, found.time_scale) for i, j in found.pairs
    )
    assert found.score == paired + GAP * (found.length - len(found.pairs))
    assert (np.diff(found.pairs, axis=0) > 0).all()


@given(token_streams(), st.integers(-127, 127))
def test_a_transposed_melody_is_the_same_from_end_to_end(tokens, semitones):
    pitch = tokens.pitch.astype(int) + semitones
    assume(pitch.min() >= 0 and pitch.max() <= 127)
    found = align(tokens, Tokens(pitch.astype(np.uint8), tokens.duration, tokens.rest))
    assert found.pairs.tolist() == [[note, note] for note in range(len(tokens))]
    assert found.same_pitch.all()
    assert found.same_rhythm.all()
    assert (found.transposition, found.time_scale, found.identity) == (semitones, 1, 1.0)


@given(small, small)
def test_either_may_be_the_query(query, hit):
    there, back = align(query, hit), align(hit, query)
    assert there.score == back.score


@pytest.mark.parametrize("name", TOKENS)
def test_a_melody_notated_in_longer_values_is_the_same(name):
    found = align(TOKENS[name], slower(TOKENS[name], 2))
    assert (found.time_scale, found.identity) == (2, 1.0)
    assert found.same_rhythm.all()
    assert ", in doubled values, " in found.describe()
    back = align(slower(TOKENS[name], 2), TOKENS[name])
    assert back.time_scale == Fraction(1, 2)
    assert ", in halved values, " in back.describe()


def test_a_quotation_is_found_in_its_place():
    freude = TUNES["freude"]
    around = TUNES["greensleeves"]
    quoted = freude[15:30].transpose(5)
    pieces = [around[:10], quoted, around[10:25]]
    onset, pitch, duration = [], [], []
    start = 0
    for piece in pieces:
        onset += (piece.onset + start).tolist()
        duration += piece.duration.tolist()
        pitch += piece.pitch.tolist()
        start += piece.span_steps
    found = align(TOKENIZER.encode(freude), TOKENIZER.encode(Melody(onset, duration, pitch)))
    assert found.transposition == 5
    assert {(15 + note, 10 + note) for note in range(15)} <= set(map(tuple, found.pairs.tolist()))


def test_ornaments_and_wrong_notes_are_counted():
    plain = as_tokens("C4 D4 E4 F4 G4 A4 B4 C5 G4 E4 C4")
    # An ornament before G, and Bb in place of B; a fourth higher.
    varied = as_tokens("F4 G4 A4 Bb4 D5:.25 C5 D5 Eb5 F5 C5 A4 F4")
    found = align(plain, varied)
    assert found.describe() == "notes 1-11 ~ notes 1-12, up a fourth, 10 of 12 alike"
    assert (found.alike, found.length, found.identity) == (10, 12, 10 / 12)
    assert found.pairs[~found.same_pitch].tolist() == [[6, 7]]


def test_a_rhythm_that_differs_is_told_from_a_pitch_that_does():
    found = align(as_tokens("C4 E4 G4 C5 G4 E4"), as_tokens("C4 E4:1.5 G4:.5 C5 G4 E4"))
    assert found.same_pitch.all()
    assert found.same_rhythm.tolist() == [True, False, False, True, True, True]


def test_unlike_melodies_share_little():
    found = align(TOKENS["greensleeves"], TOKENS["ah-vous-dirai-je"])
    assert found.length < 10


def test_what_chance_gives_is_called_so():
    tunes = [Tokenizer().encode(melody) for melody in TUNES.values()]
    for one, other in itertools.product(tunes, repeat=2):
        found = align(one, other)
        assert found.by_chance == (one is not other)
        assert ("no more than chance" in found.describe()) == found.by_chance


@pytest.mark.parametrize(
    ("semitones", "name"),
    [
        (0, "at the same pitch"),
        (5, "up a fourth"),
        (-2, "down a major second"),
        (12, "up an octave"),
        (-15, "down an octave and a minor third"),
        (31, "up 2 octaves and a fifth"),
    ],
)
def test_intervals_have_names(semitones, name):
    assert transposition_name(semitones) == name


def test_what_cannot_be_aligned_is_refused():
    nothing = Tokens(*(np.zeros(0, dtype=np.uint8) for _ in range(3)))
    with pytest.raises(ValueError, match="without notes"):
        align(nothing, TOKENS["freude"])
    long = Tokens(*(np.ones(10_000, dtype=np.uint16) for _ in range(3)))
    with pytest.raises(ValueError, match="10,000 and 10,000 notes are too long"):
        align(long, long)
