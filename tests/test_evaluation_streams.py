from __future__ import annotations

import numpy as np
import pytest

from seqmelody.batching import corpus_batch
from seqmelody.evaluation import streams
from seqmelody.melody import Melody
from seqmelody.tokens import TokenBatch, Tokenizer


def tokens(*melodies: Melody) -> TokenBatch:
    parts = [Tokenizer().encode(melody) for melody in melodies]
    empty = np.zeros(len(parts), dtype=np.int64)
    return TokenBatch(
        np.concatenate([part.pitch for part in parts]),
        np.concatenate([part.duration for part in parts]),
        np.concatenate([part.rest for part in parts]),
        np.cumsum([0, *map(len, parts)]),
        empty,
        empty,
    )


def listed(melodies: TokenBatch) -> list[list[tuple[int, ...]]]:
    """The notes of each melody: pitch, duration, rest."""
    return [
        list(zip(each.pitch.tolist(), each.duration.tolist(), each.rest.tolist(), strict=True))
        for each in (melodies[number] for number in range(len(melodies)))
    ]


@pytest.fixture
def two() -> TokenBatch:
    return tokens(
        Melody([0, 24, 72], [24, 24, 12], [60, 64, 67]),
        Melody([0, 5, 11, 20], [5, 6, 9, 3], [1, 127, 3, 4]),
    )


def test_rows_of_a_corpus_come_in_the_order_asked_for(essen_corpus):
    rows = np.array([7, 3, 3, 100])
    found = essen_corpus.token_batch(rows)
    expected = [essen_corpus.tokens(row) for row in rows.tolist()]
    for number, each in enumerate(expected):
        for name in ("pitch", "duration", "rest"):
            assert np.array_equal(getattr(found[number], name), getattr(each, name))
    same = streams.of_batch(corpus_batch(essen_corpus, rows))
    assert listed(same) == listed(found)
    assert same.pitch.dtype == found.pitch.dtype
    assert listed(streams.select(found, np.array([3, 0]))) == [listed(found)[3], listed(found)[0]]


def test_transposing_moves_pitches_alone_where_there_is_room(two):
    assert streams.room_for(two, (-1, 1)).tolist() == [True, False]
    assert streams.room_for(two, (-1,)).tolist() == [True, True]
    assert streams.room_for(two, (-2,)).tolist() == [True, False]
    down = listed(streams.transposed(two, -1))
    assert [note[0] for melody in down for note in melody] == [59, 63, 66, 0, 126, 2, 3]
    assert [note[1:] for melody in down for note in melody] == [
        note[1:] for melody in listed(two) for note in melody
    ]


def test_tempo_changes_are_exact_or_not_made(two):
    tokenizer = Tokenizer(max_duration_steps=40, max_rest_steps=40)
    assert streams.can_be_slower(two, tokenizer).tolist() == [False, True]
    assert streams.can_be_slower(two, Tokenizer(max_rest_steps=47)).tolist() == [False, True]
    assert streams.can_be_slower(two, Tokenizer(max_rest_steps=48)).tolist() == [True, True]
    assert streams.can_be_faster(two).tolist() == [True, False]
    one = streams.select(two, np.array([0]))
    assert listed(streams.slower(one)) == [[(60, 48, 0), (64, 48, 48), (67, 24, 0)]]
    assert listed(streams.faster(streams.slower(one))) == listed(one)


def test_a_beginning_ends_without_a_rest(two):
    assert listed(streams.beginnings(two, 0.5)) == [
        [(60, 24, 0), (64, 24, 0)],
        [(1, 5, 0), (127, 6, 0)],
    ]
    assert listed(streams.beginnings(two, 1)) == listed(two)
    assert two.rest.tolist() == [0, 24, 0, 0, 0, 0, 0]
    assert [len(melody) for melody in listed(streams.beginnings(two, 0.01))] == [1, 1]
