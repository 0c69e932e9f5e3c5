from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import batches, seeds, token_streams

from seqmelody import corruption
from seqmelody.batching import Batch, OrderedBatches, collate, corpus_batch
from seqmelody.config import HELD_OUT_KINDS, TRAINED_KINDS
from seqmelody.corruption import FEWEST_SPOILED, Corruptor, changed
from seqmelody.melody import Melody
from seqmelody.tokens import Tokens

KINDS = (*TRAINED_KINDS, *HELD_OUT_KINDS)
MOVE_WHOLE_NOTES = ("shuffle_notes", "swap_segments", "retrograde")
KEEP_RHYTHM = (
    "shuffle_pitches",
    "uniform_pitches",
    "jitter_pitches",
    "transpose_tail",
    "level_pitches",
)
STREAMS = ("pitch_BL", "duration_BL", "rest_BL")
# An example is a batch of several melodies.
FEW = settings(max_examples=25)


@pytest.fixture(scope="module")
def corruptor(tune_corpus) -> Corruptor:
    return Corruptor(tune_corpus, KINDS)


@pytest.fixture(scope="module")
def real_batch(essen_corpus) -> Batch:
    return corpus_batch(essen_corpus, np.arange(200))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rows(batch: Batch):
    """The melodies of a batch as three lists each."""
    for row, length in enumerate(batch.length_B.tolist()):
        yield [getattr(batch, name)[row, :length].tolist() for name in STREAMS]


def same(one: Batch, other: Batch) -> bool:
    return all(
        torch.equal(getattr(one, field.name), getattr(other, field.name))
        for field in dataclasses.fields(Batch)
    )


def plain(*pitches: list[int]) -> Batch:
    """Quarter notes of these pitches."""
    return collate(
        [
            Tokens(
                np.array(row, dtype=np.uint8),
                np.full(len(row), 24, dtype=np.uint16),
                np.zeros(len(row), dtype=np.uint16),
            )
            for row in pitches
        ]
    )


def check_is_melodies(copy: Batch, original: Batch) -> None:
    assert torch.equal(copy.length_B, original.length_B)
    padding_BL = ~original.mask_BL
    for name in STREAMS:
        stream_BL = getattr(copy, name)
        assert stream_BL.shape == original.pitch_BL.shape
        assert stream_BL.dtype == torch.int64
        assert not stream_BL[padding_BL].any()
    for pitch, duration, rest in rows(copy):
        assert rest[-1] == 0
        # Refuses durations below 1, rests below 0 and pitches outside 0 to 127.
        melody = Melody.from_streams(pitch, duration, rest)
        assert melody.pitch.tolist() == pitch


@pytest.mark.parametrize("kind", KINDS)
@FEW
@given(batch=batches(), seed=seeds)
def test_a_copy_is_as_many_proper_melodies_and_the_original_stays(corruptor, kind, batch, seed):
    before = dataclasses.replace(batch, **{name: getattr(batch, name).clone() for name in STREAMS})
    copy = corruptor.corrupt(batch, kind, seeded(seed))
    check_is_melodies(copy, batch)
    assert same(batch, before)


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_of_real_music_is_as_many_proper_melodies(essen_corpus, real_batch, kind):
    copy = Corruptor(essen_corpus, KINDS).corrupt(real_batch, kind, seeded(0))
    check_is_melodies(copy, real_batch)
    assert changed(real_batch, copy).float().mean() > 0.95
    # Lengths that the tokenizer knows.
    assert copy.duration_BL.max() <= essen_corpus.tokenizer.max_duration_steps
    assert copy.rest_BL.max() <= essen_corpus.tokenizer.max_rest_steps


@pytest.mark.parametrize("kind", MOVE_WHOLE_NOTES)
@FEW
@given(batch=batches(), seed=seeds)
def test_moving_notes_keeps_each_melodys_notes_and_rests(corruptor, kind, batch, seed):
    copy = corruptor.corrupt(batch, kind, seeded(seed))
    for before, after in zip(rows(batch), rows(copy), strict=True):
        assert sorted(zip(*before[:2], strict=True)) == sorted(zip(*after[:2], strict=True))
        assert sorted(before[2]) == sorted(after[2])


@FEW
@given(batch=batches(), seed=seeds)
def test_shuffling_one_stream_leaves_the_others(corruptor, batch, seed):
    for kind, moved in (("shuffle_pitches", 0), ("shuffle_durations", 1)):
        copy = corruptor.corrupt(batch, kind, seeded(seed))
        for before, after in zip(rows(batch), rows(copy), strict=True):
            assert sorted(before.pop(moved)) == sorted(after.pop(moved))
            assert before == after


@pytest.mark.parametrize("kind", KEEP_RHYTHM)
@FEW
@given(batch=batches(), seed=seeds)
def test_kinds_that_touch_pitches_keep_the_rhythm(corruptor, kind, batch, seed):
    copy = corruptor.corrupt(batch, kind, seeded(seed))
    assert torch.equal(copy.duration_BL, batch.duration_BL)
    assert torch.equal(copy.rest_BL, batch.rest_BL)


@FEW
@given(batch=batches(), seed=seeds)
def test_uniform_pitches_stay_within_the_melodys_range(corruptor, batch, seed):
    copy = corruptor.corrupt(batch, "uniform_pitches", seeded(seed))
    for before, after in zip(rows(batch), rows(copy), strict=True):
        assert min(before[0]) <= min(after[0]) <= max(after[0]) <= max(before[0])


@FEW
@given(batch=batches(), seed=seeds)
def test_jitter_moves_pitches_by_two_semitones_at_most(corruptor, batch, seed):
    copy = corruptor.corrupt(batch, "jitter_pitches", seeded(seed))
    assert (copy.pitch_BL - batch.pitch_BL).abs().max() <= 2


def test_jitter_moves_a_tenth_to_a_half_of_the_notes(corruptor):
    batch = plain(*[[60] * 400] * 400)
    share_B = (corruptor.corrupt(batch, "jitter_pitches", seeded(0)).pitch_BL != 60).float().mean(1)
    assert 0.05 < share_B.min() < 0.15
    assert 0.45 < share_B.max() < 0.55


@FEW
@given(batch=batches(), seed=seeds)
def test_a_transposed_tail_moves_as_one(corruptor, batch, seed):
    copy = corruptor.corrupt(batch, "transpose_tail", seeded(seed))
    for before, after in zip(rows(batch), rows(copy), strict=True):
        by = np.subtract(after[0], before[0])
        assert by[0] == 0
        moved = np.flatnonzero(by)
        if len(moved):
            assert (by[moved[0] :] == by[-1]).all()
            assert 1 <= abs(by[-1]) <= 6
            assert len(by) // 4 <= moved[0] <= (3 * len(by) + 3) // 4


@FEW
@given(streams=token_streams(min_notes=2, max_notes=60), seed=seeds)
def test_swap_segments_exchanges_two_neighbours_of_an_eighth_or_more(corruptor, streams, seed):
    notes = len(streams)
    batch = plain(list(range(notes)))
    [[order, _, _]] = rows(corruptor.corrupt(batch, "swap_segments", seeded(seed)))
    moved = [place for place in range(notes) if order[place] != place]
    start, end = moved[0], moved[-1] + 1
    cut = order[start]
    assert order == [*range(start), *range(cut, end), *range(start, cut), *range(end, notes)]
    least = max(1, notes // 8)
    assert cut - start >= least
    assert end - cut >= least


def test_swap_segments_reaches_every_place(corruptor):
    batch = plain(*[list(range(16))] * 2000)
    order_BL = corruptor.corrupt(batch, "swap_segments", seeded(0)).pitch_BL
    share_L = (order_BL != torch.arange(16)).float().mean(0)
    assert share_L.min() > 0.1


@FEW
@given(batch=batches(), seed=seeds)
def test_levelled_pitches_are_a_quarter_or_more_on_one_pitch(corruptor, batch, seed):
    copy = corruptor.corrupt(batch, "level_pitches", seeded(seed))
    for (pitch, *_), (levelled, *_) in zip(rows(batch), rows(copy), strict=True):
        differs = [one != other for one, other in zip(pitch, levelled, strict=True)]
        if any(differs):
            first = differs.index(True)
            last = len(differs) - differs[::-1].index(True)
            assert len(set(levelled[first:last])) == 1
            assert levelled[first] == levelled[first - 1]
        runs = [len(list(run)) for _, run in itertools.groupby(levelled)]
        assert max(runs) >= len(pitch) / 4


@FEW
@given(batch=batches(), kind=st.sampled_from(KINDS), strength=st.floats(0.05, 0.95), seed=seeds)
def test_a_mild_copy_is_spoiled_in_one_passage_only(corruptor, batch, kind, strength, seed):
    copy = corruptor.corrupt(batch, kind, seeded(seed), strength=strength)
    check_is_melodies(copy, batch)
    for original, spoiled in zip(rows(batch), rows(copy), strict=True):
        length = len(original[0])
        notes = list(zip(*original, strict=True)), list(zip(*spoiled, strict=True))
        differs = np.flatnonzero([one != other for one, other in zip(*notes, strict=True)])
        most = min(length, max(FEWEST_SPOILED, math.ceil(strength * length + 1e-4)))
        if differs.size:
            assert np.ptp(differs) < most


def test_mild_copies_reach_every_place(corruptor):
    batch = plain(*[list(range(40, 80))] * 300)
    copy = corruptor.corrupt(batch, "uniform_pitches", seeded(0), strength=0.25)
    differs_BL = copy.pitch_BL != batch.pitch_BL
    assert differs_BL.any(0).all()
    assert 0.2 < differs_BL.float().mean() < 0.25


@pytest.mark.parametrize("strength", [0.0, -0.5, 1.5, math.nan])
def test_a_strength_out_of_range_is_refused(corruptor, real_batch, strength):
    with pytest.raises(ValueError, match="strength"):
        corruptor.corrupt(real_batch, "shuffle_notes", seeded(0), strength=strength)


@FEW
@given(batch=batches())
def test_retrograde_twice_is_the_original(corruptor, batch):
    once = corruptor.corrupt(batch, "retrograde", seeded(0))
    assert same(corruptor.corrupt(once, "retrograde", seeded(0)), batch)


@FEW
@given(batch=batches())
def test_retrograde_is_time_turned_round(corruptor, batch):
    copy = corruptor.corrupt(batch, "retrograde", seeded(0))
    for before, after in zip(rows(batch), rows(copy), strict=True):
        forwards, backwards = Melody.from_streams(*before), Melody.from_streams(*after)
        end = forwards.onset + forwards.duration
        assert backwards.onset.tolist() == (forwards.span_steps - end)[::-1].tolist()
        assert backwards.pitch.tolist() == forwards.pitch[::-1].tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_the_generator_decides(corruptor, real_batch, kind):
    once = corruptor.corrupt(real_batch, kind, seeded(1))
    assert same(once, corruptor.corrupt(real_batch, kind, seeded(1)))
    if kind != "retrograde":
        other = corruptor.corrupt(real_batch, kind, seeded(2))
        assert changed(once, other).float().mean() > 0.9


@pytest.mark.parametrize("kind", KINDS)
def test_other_rows_of_a_batch_of_that_size_do_not_matter(corruptor, real_batch, kind):
    longest = int(real_batch.length_B.argmax())
    short = real_batch[torch.arange(len(real_batch))]
    for name in STREAMS:
        getattr(short, name)[:, 1:] *= (torch.arange(len(short)) == longest)[:, None]
    short.rest_BL[:, 0] *= torch.arange(len(short)) == longest
    short = dataclasses.replace(
        short, length_B=torch.ones_like(short.length_B).index_fill(0, torch.tensor(longest), 0)
    )
    short.length_B[longest] = real_batch.length_B[longest]
    among_long = corruptor.corrupt(real_batch, kind, seeded(3))
    among_short = corruptor.corrupt(short, kind, seeded(3))
    row = torch.tensor([longest])
    assert same(among_long[row], among_short[row])


@pytest.mark.parametrize("kind", KINDS)
@FEW
@given(batch=batches(lowest=40, highest=60), seed=seeds)
def test_spoiling_does_not_hinge_on_the_key(corruptor, kind, batch, seed):
    moved = dataclasses.replace(batch, pitch_BL=(batch.pitch_BL + 12) * batch.mask_BL)
    copy = corruptor.corrupt(batch, kind, seeded(seed))
    moved_copy = corruptor.corrupt(moved, kind, seeded(seed))
    assert torch.equal(moved_copy.pitch_BL, (copy.pitch_BL + 12) * batch.mask_BL)
    assert torch.equal(moved_copy.duration_BL, copy.duration_BL)


@pytest.mark.parametrize(("edge", "inwards"), [(127, -1), (0, 1)])
def test_jitter_turns_back_at_the_edge_of_the_range(corruptor, edge, inwards):
    pitch = edge + inwards
    batch = plain(*[[pitch] * 200] * 200)
    pitch_BL = corruptor.corrupt(batch, "jitter_pitches", seeded(0)).pitch_BL
    moved = pitch_BL[pitch_BL != pitch]
    # Of the moves by one up, one down, two up and two down, only one ends at the edge.
    assert (moved == edge).float().mean().item() == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize(("edge", "inwards"), [(127, -1), (0, 1)])
def test_a_transposed_tail_turns_back_at_the_edge_of_the_range(corruptor, edge, inwards):
    pitch = edge + 2 * inwards
    batch = plain(*[[pitch] * 8] * 5000)
    last_B = corruptor.corrupt(batch, "transpose_tail", seeded(0)).pitch_BL[:, -1]
    # Of the twelve moves, only that by two outwards ends at the edge.
    assert (last_B == edge).float().mean().item() == pytest.approx(1 / 12, abs=0.02)


def test_a_tail_with_room_neither_way_stays(corruptor):
    batch = plain(*[[0, 127] * 20] * 50)
    copy = corruptor.corrupt(batch, "transpose_tail", seeded(0))
    check_is_melodies(copy, batch)
    assert not changed(batch, copy).any()


@pytest.mark.parametrize("kind", ["markov_1", "markov_2", "markov_3"])
@pytest.mark.parametrize("edge", [0, 127])
def test_a_walk_moves_as_a_whole_at_the_edge_of_the_range(corruptor, kind, edge):
    middle = plain(*[[60] * 30] * 50)
    high = dataclasses.replace(middle, pitch_BL=torch.full_like(middle.pitch_BL, edge))
    intervals = [
        corruptor.corrupt(batch, kind, seeded(0)).pitch_BL.diff(dim=1) for batch in (middle, high)
    ]
    assert torch.equal(*intervals)


@FEW
@given(batch=batches(min_size=2), seed=seeds)
def test_changed_says_which_rows_differ_by_more_than_transposition(corruptor, batch, seed):
    for kind in KINDS:
        copy = corruptor.corrupt(batch, kind, seeded(seed))
        expected = [
            len(set(np.subtract(after[0], before[0]))) > 1 or before[1:] != after[1:]
            for before, after in zip(rows(batch), rows(copy), strict=True)
        ]
        assert changed(batch, copy).tolist() == expected


def test_a_transposed_copy_is_not_changed_and_one_other_note_is():
    batch = plain([60, 62, 64], [60], [60, 62])
    moved = dataclasses.replace(batch, pitch_BL=(batch.pitch_BL + 5) * batch.mask_BL)
    assert changed(batch, moved).tolist() == [False, False, False]
    for name in STREAMS:
        stream_BL = getattr(batch, name).clone()
        stream_BL[0, 1] += 1
        one_note = dataclasses.replace(batch, **{name: stream_BL})
        assert changed(batch, one_note).tolist() == [True, False, False]


def test_the_kinds_to_train_on_and_the_held_out_ones_are_all_there_are(tune_corpus):
    assert not set(TRAINED_KINDS) & set(HELD_OUT_KINDS)
    with pytest.raises(ValueError, match="'melt'") as caught:
        Corruptor(tune_corpus, ("melt",))
    known = str(caught.value).split("there are ")[1].split(", ")
    assert sorted(known) == sorted(KINDS)


def test_chains_of_a_corpus_above_the_cap_are_built_from_some_of_its_training_melodies(
    essen_corpus, monkeypatch
):
    monkeypatch.setattr(corruption, "LARGEST_CORPUS", 1)  # as little as one melody
    corruptor = Corruptor(essen_corpus, ("markov_1",))
    batch = plain(*[[60] * 100] * 5)
    walks = list(rows(corruptor.corrupt(batch, "markov_1", seeded(0))))
    rhythms = {
        pair for _, duration, rest in walks for pair in zip(duration, rest[:-1], strict=False)
    }

    def explains(row: int) -> bool:
        tokens = essen_corpus.tokens(row)
        duration, rest = tokens.duration.tolist(), tokens.rest.tolist()
        if not rhythms <= set(zip(duration, rest, strict=True)):
            return False
        height = tokens.pitch.astype(int) - int(tokens.pitch[-1])
        symbols = set(zip(height.tolist(), duration, rest, strict=True))
        # The height of a walk is not known beforehand, so it is looked for.
        return all(
            any(
                set(zip(np.subtract(pitch, final), duration, [*rest[:-1]], strict=False)) <= symbols
                for final in range(128)
            )
            for pitch, duration, rest in walks
        )

    assert any(explains(int(row)) for row in essen_corpus.split("train"))
    assert not any(explains(int(row)) for row in essen_corpus.split("test"))


# The leak test: what can be told without listening to the order of the notes?


def bag_of_notes(batch: Batch) -> torch.Tensor:
    """Shares of heights, durations and rests, the number of notes and the last rest, ``(B, F)``."""
    length_B1 = batch.length_B[:, None]
    centre_B1 = ((2 * batch.pitch_BL * batch.mask_BL).sum(1, keepdim=True) + length_B1) // (
        2 * length_B1
    )
    height_BL = (batch.pitch_BL - centre_B1).clamp(-24, 24) + 24
    parts = []
    for stream_BL, size in ((height_BL, 49), (batch.duration_BL, 193), (batch.rest_BL, 193)):
        count_BF = torch.zeros(len(batch), size, dtype=torch.float64)
        count_BF.scatter_add_(1, stream_BL, batch.mask_BL.double())
        parts.append(count_BF / length_B1)
    last_rest_B1 = batch.rest_BL.gather(1, length_B1 - 1)
    return torch.cat([*parts, length_B1 / 100, last_rest_B1 / 24], dim=1)


def linear_accuracy(spoil, corpus) -> float:
    """Pairwise accuracy on held-out melodies of a linear model of bags of notes."""

    def differences(split: str, copies: int) -> torch.Tensor:
        generator = seeded(len(split))
        found = []
        for batch in OrderedBatches(corpus, corpus.split(split), 20_000):
            for _ in range(copies):
                copy = spoil(batch, generator)
                kept = changed(batch, copy)
                found.append(bag_of_notes(batch)[kept] - bag_of_notes(copy)[kept])
        return torch.cat(found)

    training = differences("train", copies=1)
    weight_F = torch.zeros(training.shape[1], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([weight_F], lr=0.1)
    for _ in range(100):
        optimizer.zero_grad()
        loss = torch.nn.functional.softplus(-training @ weight_F).mean()
        loss.backward()
        optimizer.step()
    held_out = torch.cat([differences(split, copies=3) for split in ("validation", "test")])
    won = (held_out @ weight_F.detach()).sign()
    return float((won + 1).mean() / 2)


@pytest.mark.parametrize("kind", MOVE_WHOLE_NOTES)
def test_a_bag_of_notes_cannot_tell_that_notes_moved(larger_essen_corpus, kind):
    corruptor = Corruptor(larger_essen_corpus, (kind,))
    accuracy = linear_accuracy(
        lambda batch, generator: corruptor.corrupt(batch, kind, generator), larger_essen_corpus
    )
    assert accuracy == pytest.approx(0.5, abs=0.05)


def test_a_bag_of_notes_tells_other_pitches(larger_essen_corpus):
    corruptor = Corruptor(larger_essen_corpus, ("uniform_pitches",))
    accuracy = linear_accuracy(
        lambda batch, generator: corruptor.corrupt(batch, "uniform_pitches", generator),
        larger_essen_corpus,
    )
    assert accuracy > 0.75
