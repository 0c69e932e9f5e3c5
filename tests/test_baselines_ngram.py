from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from melody_batches import together
from strategies import token_streams
from tunes import TUNES, tune

from seqmelody.baselines.ngram import NGram, ViewpointModel
from seqmelody.baselines.viewpoints import VIEWPOINTS
from seqmelody.tokens import Tokenizer, Tokens

SONGS = together(*map(Tokenizer().encode, TUNES.values()))


def shuffled(melody: Tokens, random: np.random.Generator) -> Tokens:
    return replace(melody, pitch=random.permutation(melody.pitch))


@settings(max_examples=40)
@given(
    melodies=st.lists(token_streams(), min_size=1, max_size=3),
    name=st.sampled_from(list(VIEWPOINTS)),
    order=st.integers(1, 5),
    update_exclusion=st.booleans(),
    short_term=st.booleans(),
)
def test_what_may_come_next_has_a_probability_of_one(
    melodies, name, order, update_exclusion, short_term
):
    events = VIEWPOINTS[name]
    model = ViewpointModel(
        events(SONGS), order=order, update_exclusion=update_exclusion, short_term=short_term
    )
    batch = together(*melodies)
    symbol, probability = model.distributions(events(batch))
    assert probability.shape[0] == symbol.size == batch.pitch.size
    assert probability.min() > 0
    np.testing.assert_allclose(probability.sum(1), 1, atol=1e-4)
    content = model.information_content(events(batch))
    np.testing.assert_allclose(2**-content, probability[np.arange(symbol.size), symbol], rtol=1e-4)


@settings(max_examples=20)
@given(melodies=st.lists(token_streams(lowest=12, highest=115), min_size=2, max_size=4))
def test_neither_company_nor_key_changes_a_score(tune_corpus, melodies):
    ngram = NGram(tune_corpus)
    alone = [ngram.scores(together(melody))[0] for melody in melodies]
    up = [replace(melody, pitch=melody.pitch + np.uint8(7)) for melody in melodies]
    np.testing.assert_allclose(ngram.scores(together(*melodies)), alone, rtol=1e-5)
    np.testing.assert_allclose(ngram.scores(together(*up)), alone, rtol=1e-5)


def test_blocks_change_nothing(tune_corpus, monkeypatch):
    ngram = NGram(tune_corpus)
    whole = ngram.scores(SONGS)
    monkeypatch.setattr("seqmelody.baselines.ngram._BLOCK_NOTES", 60)
    np.testing.assert_allclose(ngram.scores(SONGS), whole, rtol=1e-6)


def test_what_comes_later_does_not_tell_what_comes_now():
    # The pitch viewpoint knows the last note, and rhythm the commonest time: both stay.
    melody = Tokenizer().encode(tune("C4 E4 G4 E4 C4 E4 G4 E4 D4 F4 A4 F4 C4"))
    other = Tokenizer().encode(tune("C4 E4 G4 E4 C4 E4 G4 E4 B4 B4 B4 F4 C4"))
    events = VIEWPOINTS["pitch"]
    model = ViewpointModel(events(SONGS), order=4, update_exclusion=True, short_term=True)
    here, there = (model.distributions(events(together(m)))[1] for m in (melody, other))
    # Up to the note that differs, which is known after it is predicted.
    np.testing.assert_allclose(here[:9], there[:9], rtol=1e-5)
    assert not np.allclose(here[9], there[9])


def test_songs_are_more_expected_than_their_notes_in_disorder(essen_corpus):
    ngram = NGram(essen_corpus)
    random = np.random.default_rng(0)
    rows = np.concatenate([essen_corpus.split("validation"), essen_corpus.split("test")])
    songs = [essen_corpus.tokens(int(row)) for row in rows]
    mixed = [shuffled(song, random) for song in songs]
    won = ngram.scores(together(*songs)) > ngram.scores(together(*mixed))
    assert won.mean() > 0.9


def test_repeating_itself_makes_a_melody_expected_by_its_own_model(tune_corpus):
    # Intervals that no tune has, so that only the melody itself can teach them.
    motif = "C4 C#5 D4 D#5 "
    melody = together(Tokenizer().encode(tune(motif * 6)))
    with_it = NGram(tune_corpus).scores(melody)
    without = NGram(tune_corpus, short_term=False).scores(melody)
    assert with_it[0] > without[0] + 1


def test_vectors_describe_the_information_content(tune_corpus):
    ngram = NGram(tune_corpus)
    found = ngram.vectors(SONGS)
    content = ngram.information_content(SONGS)
    for place, values in enumerate(content.values()):
        last = values[SONGS.offsets[-2] :]
        expected = [last.mean(), last.std(), last.max(), last.min()]
        assert found[-1, 4 * place : 4 * place + 4] == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(ngram.scores(SONGS), -(found[:, 0] + found[:, 4]), rtol=1e-5)


def test_one_note_has_a_score(tune_corpus):
    one = together(Tokenizer().encode(tune("C4")))
    assert np.isfinite(NGram(tune_corpus).scores(one)).all()


def test_an_order_below_one_is_refused(tune_corpus):
    with pytest.raises(ValueError, match="order must be at least 1, not 0"):
        NGram(tune_corpus, order=0)
