from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from midi_bytes import midi, notes
from tunes import TUNES

from seqmelody.checkpoint import load_checkpoint
from seqmelody.errors import UsageError
from seqmelody.melody import Melody
from seqmelody.scorer import Scorer, Selection
from seqmelody.scorer.ranking import distinct_rows
from seqmelody.whitening import Whitening


@pytest.fixture(scope="module")
def scorer(checkpoint_folder) -> Scorer:
    """A scorer whose embeddings are compared as they are."""
    checkpoint = load_checkpoint(checkpoint_folder)
    size = checkpoint.model.config.embedding_size
    plain = Whitening(np.zeros(size, dtype=np.float32), np.eye(size, dtype=np.float32))
    return Scorer(dataclasses.replace(checkpoint, whitening=plain), threads=1)


def transposed(melody: Melody, semitones: int) -> Melody:
    return Melody.from_streams(melody.pitch + semitones, melody.duration, melody.rest)


def random_melodies(count: int) -> list[Melody]:
    random = np.random.default_rng(0)
    return [
        Melody.from_streams(
            random.integers(48, 84, length), random.integers(6, 48, length), np.zeros(length, int)
        )
        for length in random.integers(8, 40, count)
    ]


def unit_rows(seed: int, rows: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(rows, 3))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def usual_similarity(scorer: Scorer, items: list[Melody]) -> float:
    """What half of the pairs reach: so some are alike and some are not, whatever the weights."""
    vectors = scorer.embed(items)
    return float(np.median((vectors @ vectors.T)[np.triu_indices(len(items), 1)]))


def greedy(vectors: np.ndarray, similarity: float) -> list[int]:
    """The rule, one row at a time."""
    kept: list[int] = []
    for row, vector in enumerate(vectors):
        if all(float(vector @ vectors[other]) < similarity for other in kept):
            kept.append(row)
    return kept


@given(
    seed=st.integers(0, 10**6),
    rows=st.integers(0, 60),
    similarity=st.floats(0.1, 0.99),
    block=st.integers(1, 20),
    tile=st.integers(1, 9),
)
def test_blocks_keep_what_the_rule_keeps(seed, rows, similarity, block, tile):
    from seqmelody.scorer import ranking

    vectors = unit_rows(seed, rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking, "_BLOCK", block)
        patch.setattr(ranking, "_TILE", tile)
        kept, looked_at = distinct_rows(vectors.copy(), similarity)
        expected = greedy(vectors, similarity)
        assert kept.tolist() == expected
        assert looked_at == rows
        for top in {1, max(1, len(expected) - 1), len(expected) + 1}:
            kept, looked_at = distinct_rows(vectors.copy(), similarity, top)
            assert kept.tolist() == expected[:top]
            assert looked_at == (expected[top - 1] + 1 if top <= len(expected) else rows)


def test_without_limits_all_are_ranked_repeats_too(scorer):
    items = [*TUNES.values(), b"", transposed(TUNES["freude"], 5)]
    ranked = scorer.rank(items)
    assert len(ranked) == len(items)
    values = [row.score for row in ranked[:-1]]
    assert values == sorted(values, reverse=True)
    assert ranked[-1].error is not None


def test_the_same_melody_in_another_key_counts_once_and_the_first_is_kept(scorer):
    items = [
        TUNES["freude"],
        transposed(TUNES["freude"], 3),
        TUNES["greensleeves"],
        transposed(TUNES["greensleeves"], -12),
        TUNES["freude"],
    ]
    ranked = scorer.rank(items, distinct=1)
    assert {row.path for row in ranked} == {"<Melody 0>", "<Melody 2>"}


@pytest.mark.parametrize("stream", ["pitch", "duration", "rest"])
def test_a_melody_that_differs_in_one_note_is_no_repeat(scorer, stream):
    tune = TUNES["freude"]
    other = {name: getattr(tune, name).copy() for name in ("pitch", "duration", "rest")}
    other[stream][2] += 1
    varied = Melody.from_streams(**other)
    assert len(scorer.rank([tune, varied], distinct=1)) == 2


def test_the_start_of_a_melody_is_no_repeat_of_it(scorer):
    tune = TUNES["freude"]
    assert len(scorer.rank([tune, tune[:-1]], distinct=1)) == 2


def test_of_melodies_that_are_alike_the_better_is_kept(scorer):
    items = random_melodies(60)
    similarity = usual_similarity(scorer, items)
    ranked = scorer.ranking(items, Selection(distinct=similarity))
    rows = scorer.score(items)
    vectors = scorer.embed(items)
    order = np.argsort([-row.score for row in rows], kind="stable")
    expected = [int(order[row]) for row in greedy(vectors[order], similarity)]
    assert 1 < len(expected) < len(items)
    assert ranked.places == expected
    assert ranked.alike == len(items) - len(expected)
    kept = vectors[ranked.places]
    assert np.triu(kept @ kept.T, 1).max() < similarity


def test_top_and_thresholds_cut_the_list(scorer):
    items = random_melodies(30)
    whole = scorer.rank(items)
    assert scorer.rank(items, top=7) == whole[:7]
    assert scorer.rank(items, top=99) == whole
    cut = whole[11].score
    assert scorer.rank(items, threshold=cut) == whole[:12]
    assert scorer.rank(items, threshold=math.inf) == []
    percentile = whole[4].percentile
    assert scorer.rank(items, percentile=percentile) == whole[:5]
    similarity = usual_similarity(scorer, items)
    apart = scorer.rank(items, distinct=similarity)
    assert 1 < len(apart) < len(whole)
    assert scorer.rank(items, distinct=similarity, top=2) == apart[:2]


def test_failures_stand_last_and_take_no_place(scorer):
    items = [b"", *random_melodies(5), b"MThd"]
    ranking = scorer.ranking(items, Selection(top=2, distinct=0.99))
    assert [row.error is None for row in ranking.scores] == [True, True, False, False]
    assert ranking.places[2:] == [0, 6]


def test_what_became_of_all_of_them_is_told(scorer):
    melodies = random_melodies(10)
    best, *_, worst = scorer.ranking(melodies, Selection()).places
    repeats = [transposed(melodies[best], 1), transposed(melodies[worst], 1)]
    threshold = scorer.rank(melodies)[7].score
    ranking = scorer.ranking([*melodies, *repeats, b""], Selection(threshold=threshold, distinct=1))
    # What scores too low is not looked at any further.
    assert (ranking.read, ranking.below, ranking.repeated, ranking.alike) == (12, 3, 1, 0)
    assert len(ranking.scores) == 8 + 1


def test_what_was_warned_of_can_be_left_out(scorer):
    good = random_melodies(6)
    short, shorter = good[0][:5], good[1][:2]
    items = [short, *good, b"", shorter]
    assert len(scorer.rank(items)) == len(items)
    kept = scorer.rank(items, without_warnings=True)
    assert [row.path for row in kept[:-1]] == [
        row.path for row in scorer.rank(items) if row.error is None and not row.warnings
    ]
    assert len(kept) == len(good) + 1
    assert kept[-1].error is not None
    ranking = scorer.ranking(items, Selection(without_warnings=True, top=2))
    assert (ranking.read, ranking.warned, len(ranking.scores)) == (8, 2, 3)
    assert ranking.warning == "only 5 notes: below 8 a score means little"
    ranking = scorer.ranking(items, Selection())
    assert (ranking.warned, ranking.warning) == (0, "")


def test_a_melody_with_a_warning_does_not_stand_in_for_its_repeat(scorer):
    """The same notes may have been read with a warning from one file and without from another."""
    tune = TUNES["freude"]

    def file(*beneath: tuple[int, int, int]) -> bytes:
        columns = (tune.onset, tune.onset + tune.duration, tune.pitch)
        played = zip(*(column.tolist() for column in columns), strict=True)
        spans = [(20 * on, 20 * off, key) for on, off, key in (*beneath, *played)]
        return midi(notes(spans))

    chord, line = file((0, 24, int(tune.pitch[0]) - 12)), file()
    warned, clean = scorer.score([chord, line])
    assert warned.warnings
    assert not clean.warnings
    assert [row.path for row in scorer.rank([chord, line], distinct=1)] == ["<bytes 0>"]
    kept = scorer.rank([chord, line], distinct=1, without_warnings=True)
    assert [row.path for row in kept] == ["<bytes 1>"]


def test_no_items_give_an_empty_ranking(scorer):
    for distinct in (None, 1, 0.5):
        assert scorer.rank([], distinct=distinct) == []
        assert [row.path for row in scorer.rank([b""], distinct=distinct)] == ["<bytes 0>"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"top": 0},
        {"threshold": math.nan},
        {"percentile": -1},
        {"percentile": 101},
        {"percentile": math.nan},
        {"distinct": 0},
        {"distinct": 1.1},
        {"distinct": math.nan},
    ],
    ids=str,
)
def test_wrong_values_are_usage_errors(scorer, wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        scorer.rank([], **wrong)


def test_a_checkpoint_that_lacks_what_is_needed_says_so(checkpoint_folder):
    bare = dataclasses.replace(
        load_checkpoint(checkpoint_folder), score_quantiles=np.zeros(0, dtype=np.float32)
    )
    with pytest.raises(UsageError, match="knows of no percentiles"):
        Scorer(bare, threads=1).rank([], percentile=10)
    with pytest.raises(UsageError, match="how embeddings are spread"):
        Scorer(bare, threads=1).rank([], distinct=0.9)
    assert Scorer(bare, threads=1).rank([], distinct=1) == []


def test_progress_is_shown_when_asked_for(scorer, capsys):
    scorer.rank(random_melodies(3), distinct=0.9, progress=True)
    assert "comparing" in capsys.readouterr().err
    scorer.rank(random_melodies(3), distinct=0.9)
    assert capsys.readouterr().err == ""
