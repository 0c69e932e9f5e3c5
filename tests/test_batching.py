from __future__ import annotations

import dataclasses
import types

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import seeds, token_streams

from seqmelody.batching import (
    Batch,
    OrderedBatches,
    TrainingBatches,
    bucket,
    collate,
    corpus_batch,
)
from seqmelody.corpus import Streams
from seqmelody.tokens import Tokens

lengths = st.lists(st.integers(1, 60), min_size=1, max_size=80).map(np.array)


def same(one: Batch, other: Batch) -> bool:
    return all(
        torch.equal(getattr(one, field.name), getattr(other, field.name))
        for field in dataclasses.fields(Batch)
    )


def fake_corpus(notes: np.ndarray):
    """Melody ``i`` has all its pitches at ``i``, so that a batch tells which rows it holds."""
    offsets = np.concatenate([[0], np.cumsum(notes)])
    pitch = np.repeat(np.arange(len(notes)), notes)
    streams = Streams(pitch, np.ones_like(pitch), np.zeros_like(pitch), offsets)
    return types.SimpleNamespace(notes=notes, streams=lambda: streams)


def rows_of(batch: Batch) -> list[int]:
    return batch.pitch_BL[:, 0].tolist()


@given(st.lists(token_streams(), min_size=1, max_size=5))
def test_collate_pads_with_zeros_to_the_longest(melodies):
    batch = collate(melodies)
    assert batch.pitch_BL.shape == (len(melodies), max(map(len, melodies)))
    assert len(batch) == len(melodies)
    for row, tokens in enumerate(melodies):
        notes = len(tokens)
        assert batch.length_B[row] == notes
        assert batch.mask_BL[row].tolist() == [True] * notes + [False] * (
            batch.pitch_BL.shape[1] - notes
        )
        for name in ("pitch", "duration", "rest"):
            stream_L = getattr(batch, f"{name}_BL")[row]
            assert stream_L.dtype == torch.int64
            assert stream_L[:notes].tolist() == getattr(tokens, name).tolist()
            assert not stream_L[notes:].any()


def test_collate_refuses_nothing_and_empty_melodies():
    nothing = np.zeros(0)
    empty = Tokens(nothing.astype(np.uint8), nothing.astype(np.uint16), nothing.astype(np.uint16))
    for melodies in ([], [empty]):
        with pytest.raises(ValueError, match="at least one"):
            collate(melodies)


def test_a_batch_of_corpus_rows_is_their_tokens(essen_corpus):
    rows = np.array([7, 3, len(essen_corpus) - 1, 0])
    expected = collate([essen_corpus.tokens(int(row)) for row in rows])
    assert same(corpus_batch(essen_corpus, rows), expected)


def test_rows_are_picked_by_mask_index_and_slice_and_joined_again(essen_corpus):
    batch = corpus_batch(essen_corpus, np.arange(4))
    mask = torch.tensor([True, True, False, False])
    parts = [batch[mask], batch[torch.tensor([2])], batch[3:]]
    assert [len(part) for part in parts] == [2, 1, 1]
    assert same(Batch.concatenate(parts), batch)
    assert same(batch.to("cpu"), batch)


@settings(max_examples=50)
@given(lengths, st.integers(1, 200), st.integers(1, 100), seeds)
def test_buckets_hold_every_melody_once_within_the_budget(notes, budget, window, seed):
    order = np.random.default_rng(seed).permutation(len(notes))
    batches = bucket(notes, budget, order, window)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(notes)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * notes[batch].max() <= budget
    # Windows come one after the other.
    position = np.argsort(order)
    windows = [set((position[batch] // window).tolist()) for batch in batches]
    assert all(len(found) == 1 for found in windows)
    assert sorted(windows, key=min) == windows


def buckets_one_by_one(notes, budget: int, order, window: int) -> list[list[int]]:
    """What ``bucket`` gives, put together melody by melody."""
    batches = []
    for start in range(0, len(order), window):
        chunk = order[start : start + window]
        current: list[int] = []
        for row in chunk[np.argsort(notes[chunk], kind="stable")].tolist():
            if current and (len(current) + 1) * notes[row] > budget:
                batches.append(current)
                current = []
            current.append(row)
        batches.append(current)
    return batches


@settings(max_examples=200)
@given(lengths, st.integers(1, 400), st.integers(1, 100), seeds)
def test_buckets_are_as_full_as_can_be(notes, budget, window, seed):
    order = np.random.default_rng(seed).permutation(len(notes))
    expected = buckets_one_by_one(notes, budget, order, window)
    assert [batch.tolist() for batch in bucket(notes, budget, order, window)] == expected


def test_buckets_waste_little_of_real_music(essen_corpus):
    notes = essen_corpus.notes
    batches = bucket(notes, 4096)
    padded = sum(len(batch) * notes[batch].max() for batch in batches)
    assert notes.sum() / padded > 0.8


@settings(max_examples=50)
@given(lengths, st.integers(1, 200), seeds, st.integers(1, 40), st.integers(0, 40))
def test_a_run_begun_at_a_step_is_the_rest_of_the_whole_run(notes, budget, seed, steps, first):
    corpus, rows = fake_corpus(notes), np.arange(len(notes))
    whole = list(TrainingBatches(corpus, rows, budget, steps, seed=seed))
    tail = list(TrainingBatches(corpus, rows, budget, steps, first_step=first, seed=seed))
    assert len(whole) == steps
    assert len(tail) == max(0, steps - first)
    assert all(map(same, whole[first:], tail))
    assert len(TrainingBatches(corpus, rows, budget, steps, first_step=first)) == steps


@settings(max_examples=50)
@given(lengths, st.integers(1, 200), seeds)
def test_each_pass_visits_each_row_once_in_another_order(notes, budget, seed):
    rows = np.arange(len(notes))[::2]
    corpus = fake_corpus(notes)
    # A pass may have more batches than another: they are cut at other places.
    passes, current = [], []
    batches = TrainingBatches(corpus, rows, budget, steps=4 * len(rows), seed=seed)
    for batch in batches:
        current += rows_of(batch)
        if len(current) >= len(rows):
            passes.append(current)
            current = []
    assert len(passes) >= 3
    for visited in passes:
        assert sorted(visited) == rows.tolist()
    if len(rows) > 20:
        assert passes[0] != passes[1]


def test_another_seed_is_another_order(essen_corpus):
    rows = essen_corpus.split("train")
    one, other = (
        [batch.length_B.tolist() for batch in TrainingBatches(essen_corpus, rows, 500, 20, seed=s)]
        for s in (0, 1)
    )
    assert one != other


def test_a_run_without_rows_is_refused():
    corpus = fake_corpus(np.array([5, 5]))
    with pytest.raises(ValueError, match="no melodies to train on"):
        TrainingBatches(corpus, np.zeros(0, dtype=np.int64), 100, steps=1)


@settings(max_examples=30)
@given(lengths, st.integers(1, 200))
def test_ordered_batches_hold_every_row_once_the_same_way_each_time(notes, budget):
    rows = np.arange(len(notes))[1:]
    batches = OrderedBatches(fake_corpus(notes), rows, budget)
    held = [rows_of(batch) for batch in batches]
    assert held == [members.tolist() for members in batches.batches]
    assert held == [rows_of(batch) for batch in batches]
    assert len(held) == len(batches)
    assert sorted(row for members in held for row in members) == rows.tolist()
