"""Each kind changes what it says, and nothing else."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import batches, seeds, token_streams
from tunes import TUNES, tune

from seqmelody.batching import Batch, collate, corpus_batch
from seqmelody.melody import Melody
from seqmelody.tokens import Tokenizer
from seqmelody.variation import KINDS, Variation

# An example is a batch of several melodies.
FEW = settings(max_examples=20)
VARIATION = Variation()
long_batches = st.lists(token_streams(min_notes=12), min_size=1, max_size=5).map(collate)
KEEP_PITCHES = ("change_metre", "dot_pairs", "change_rests", "hold_ends", "change_tempo")
KEEP_RHYTHM = ("transpose", "move_pitches", "move_passage", "change_final")
KEEP_TIME = (
    *KEEP_RHYTHM,
    "add_ornaments",
    "drop_ornaments",
    "merge_repeats",
    "split_notes",
    "dot_pairs",
    "change_rests",
)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def melodies(batch: Batch) -> list[Melody]:
    return [
        Melody.from_streams(
            batch.pitch_BL[row, :length].tolist(),
            batch.duration_BL[row, :length].tolist(),
            batch.rest_BL[row, :length].tolist(),
        )
        for row, length in enumerate(batch.length_B.tolist())
    ]


def varied(batch: Batch, kind: str, seed: int, strength: float = 1.0):
    """Each melody and its variant."""
    variant = VARIATION.apply(batch, kind, seeded(seed), strength=strength)
    return zip(melodies(batch), melodies(variant), strict=True)


def variants(melody: Melody, kind: str, times: int = 300, **options) -> list[Melody]:
    batch = collate([Tokenizer().encode(melody)] * times)
    return [variant for _, variant in varied(batch, kind, 0, **options)]


def plain(*pitches: int, quarters: float = 1.0) -> Melody:
    steps = round(24 * quarters)
    return Melody(np.arange(len(pitches)) * steps, [steps] * len(pitches), pitches)


def notes(melody: Melody) -> list[tuple[int, int, int]]:
    """Pitch, duration, and time to the next onset but for the last note."""
    gaps = [*np.diff(melody.onset).tolist(), 0]
    return list(zip(melody.pitch.tolist(), melody.duration.tolist(), gaps, strict=True))


def sounding(melody: Melody) -> list[int]:
    """The grid steps at which there is a note."""
    spans = zip(melody.onset.tolist(), melody.duration.tolist(), strict=True)
    return [step for onset, duration in spans for step in range(onset, onset + duration)]


def collapsed(melody: Melody) -> list[int]:
    """Pitches, those that follow each other without a rest and are the same as one."""
    joined = zip(melody.pitch.tolist(), [1, *melody.rest[:-1].tolist()], strict=True)
    kept: list[int] = []
    for pitch, rest_before in joined:
        if rest_before or pitch != kept[-1]:
            kept.append(pitch)
    return kept


def is_subsequence(part: list[int], whole: list[int]) -> bool:
    remaining = iter(whole)
    return all(item in remaining for item in part)


@pytest.fixture(scope="module")
def real_batch(essen_corpus) -> Batch:
    return corpus_batch(essen_corpus, np.arange(200))


@pytest.mark.parametrize("kind", KEEP_PITCHES)
@FEW
@given(batch=batches(), seed=seeds)
def test_kinds_that_touch_the_rhythm_keep_the_pitches(kind, batch, seed):
    for before, after in varied(batch, kind, seed):
        assert after.pitch.tolist() == before.pitch.tolist()


@pytest.mark.parametrize("kind", KEEP_RHYTHM)
@FEW
@given(batch=batches(), seed=seeds)
def test_kinds_that_touch_the_pitches_keep_the_rhythm(kind, batch, seed):
    for before, after in varied(batch, kind, seed):
        assert after.onset.tolist() == before.onset.tolist()
        assert after.duration.tolist() == before.duration.tolist()


@pytest.mark.parametrize("kind", KEEP_TIME)
@FEW
@given(batch=batches(), seed=seeds)
def test_kinds_that_do_not_move_what_follows_keep_the_time(kind, batch, seed):
    for before, after in varied(batch, kind, seed):
        assert after.span_steps == before.span_steps


def test_every_kind_is_asked_for_here():
    others = {
        "keep_passage",
        "repeat_section",
        "cut_repeat",
        "add_pickup",
        "drop_pickup",
    }
    assert set(KINDS) == {*KEEP_PITCHES, *KEEP_RHYTHM, *KEEP_TIME, *others}


# Form


@FEW
@given(batch=batches(), seed=seeds)
def test_a_passage_is_half_of_the_melody_or_more(batch, seed):
    for before, after in varied(batch, "keep_passage", seed):
        assert 2 * len(after) >= len(before)
        starts = range(len(before) - len(after) + 1)
        assert any(before[start : start + len(after)] == after for start in starts)


def test_passages_begin_and_end_everywhere_mostly_at_phrases():
    melody = TUNES["ah-vous-dirai-je"]  # phrases of seven notes
    found = variants(melody, "keep_passage", 1000)
    # This melody has no two passages of half its length that are alike, so one place fits.
    starts = [
        next(start for start in range(len(melody)) if melody[start : start + len(after)] == after)
        for after in found
    ]
    ends = [start + len(after) for start, after in zip(starts, found, strict=True)]
    assert set(starts) >= {0, 7, 14, 21}
    assert set(ends) >= {42, 35, 28, 21}
    assert len(set(starts)) > 8
    at_phrase = np.mean(
        [start % 7 == 0 and end % 7 == 0 for start, end in zip(starts, ends, strict=True)]
    )
    assert 0.5 < at_phrase < 0.95
    dropped = {(start > 0, end < 42) for start, end in zip(starts, ends, strict=True)}
    assert dropped >= {(True, False), (False, True), (True, True)}


@FEW
@given(batch=long_batches, seed=seeds)
def test_a_section_comes_twice(batch, seed):
    for before, after in varied(batch, "repeat_section", seed):
        length, section = len(before), len(after) - len(before)
        # The rest after the last note of a section is its own, but not where the melody ends.
        was, became = notes(before), notes(after)
        was[-1] = became[-1] = (*was[-1][:2], 0)
        assert length // 8 <= section <= length // 2
        assert any(
            became[:end] == was[:end] and pitches(became[end:]) == pitches(was[end - section :])
            for end in range(section, length)
        ) or pitches(became) == pitches(was + was[length - section :])


def pitches(found: list[tuple[int, int, int]]) -> list[tuple[int, int]]:
    return [(pitch, duration) for pitch, duration, _ in found]


def test_all_of_a_repeated_melody_but_one_is_cut():
    first, other = [60, 62, 64, 65, 67, 69, 71, 72], [55, 57, 59, 60, 59, 57, 55, 48]
    repeated = plain(*first, *first, *other)
    found = variants(repeated, "cut_repeat")
    assert {tuple(melody.pitch.tolist()) for melody in found} == {(*first, *other)}
    # A repeat that differs in one note of eight is one; which of both is kept is chance.
    varied_ = [*first[:-1], 76]
    found = {
        tuple(melody.pitch.tolist())
        for melody in variants(plain(*first, *varied_, *other), "cut_repeat")
    }
    assert found == {(*first, *other), (*varied_, *other)}
    # Another rhythm is another section, though the pitches are the same.
    streams = [*first, *first, *other], [24] * 8 + [36] * 8 + [24] * 8, [0] * 24
    other_rhythm = Melody.from_streams(*streams)
    assert all(melody == other_rhythm for melody in variants(other_rhythm, "cut_repeat"))
    # Sections that are alike but not neighbours are form, not repeats.
    apart = plain(*first, *other, *first)
    assert all(melody == apart for melody in variants(apart, "cut_repeat"))


@FEW
@given(batch=batches(highest=62, lowest=60), seed=seeds)
def test_cutting_a_repeat_leaves_out_one_section(batch, seed):
    for before, after in varied(batch, "cut_repeat", seed):
        was, became = pitches(notes(before)), pitches(notes(after))
        cut = len(was) - len(became)
        assert cut <= len(was) // 2
        assert any(became == was[:start] + was[start + cut :] for start in range(len(became) + 1))


@FEW
@given(batch=batches(lowest=12, highest=115), seed=seeds)
def test_an_added_pickup_is_one_or_two_short_notes_near_the_first(batch, seed):
    for before, after in varied(batch, "add_pickup", seed):
        added = len(after) - len(before)
        assert added in {1, 2}
        assert notes(after[added:]) == notes(before)
        assert (after.rest[:added] == 0).all()
        assert after.duration[:added].sum() <= max(24, added)
        moves = np.diff(after.pitch[: added + 1])
        assert -4 <= moves[-1] <= 5
        assert moves[0] >= -4


def test_pickups_are_of_all_sorts():
    melody = plain(60, 62, 64, 65, 67, 69, 71, 60)
    found = variants(melody, "add_pickup", 1000)
    assert {tuple(after.pitch[: len(after) - 8].tolist()) for after in found} >= {
        (60,), (59,), (62,), (55,), (60, 60), (59, 60), (53, 55), (55, 55)
    }  # fmt: skip
    assert {tuple(after.duration[: len(after) - 8].tolist()) for after in found} == {
        (24,), (12,), (12, 12), (6, 6)
    }  # fmt: skip


@FEW
@given(batch=long_batches, seed=seeds)
def test_a_dropped_pickup_is_one_to_three_notes(batch, seed):
    for before, after in varied(batch, "drop_pickup", seed):
        dropped = len(before) - len(after)
        assert before[dropped:] == after
        assert 1 <= dropped <= 3


def test_what_is_dropped_stands_before_a_longer_note_mostly():
    melody = TUNES["new-britain"]  # an upbeat, and a half note on the beat
    dropped = [len(melody) - len(after) for after in variants(melody, "drop_pickup", 500)]
    assert set(dropped) == {1, 2, 3}
    assert np.mean(np.array(dropped) == 1) > 0.7


# Pitches


@FEW
@given(batch=batches(), seed=seeds)
def test_transposition_moves_all_by_one_to_six_semitones(batch, seed):
    for before, after in varied(batch, "transpose", seed):
        [by] = set(np.subtract(after.pitch, before.pitch).tolist())
        room = max(127 - before.pitch.max(), before.pitch.min())
        assert 1 <= abs(by) <= 6 or (by == 0 and room < 6)


def test_every_transposition_is_drawn_and_turns_back_at_the_edge():
    middle = {after.pitch[0] - 60 for after in variants(plain(60, 62, 64), "transpose")}
    assert middle == {*range(-6, 0), *range(1, 7)}
    high = {after.pitch[0] - 122 for after in variants(plain(122, 127, 124), "transpose")}
    assert high == set(range(-6, 0))


def test_moved_pitches_are_none_to_a_third_and_not_the_last():
    melody = plain(*[60, 62, 64, 65, 67, 69, 71] * 60)
    share = []
    for after in variants(melody, "move_pitches"):
        by = np.subtract(after.pitch, melody.pitch)
        assert by[-1] == 0
        share.append((by != 0).mean())
    assert min(share) < 0.02
    assert 0.3 < max(share) < 0.42
    assert np.mean(share) == pytest.approx(0.175, abs=0.03)


def test_moved_pitches_stay_in_the_scale():
    melody = plain(*[60, 62, 64, 67, 69] * 8, 60)  # pentatonic
    moved = [after.pitch for after in variants(melody, "move_pitches")]
    assert set(np.concatenate(moved) % 12) == {0, 2, 4, 7, 9}
    moves = {
        (before, after)
        for variant in moved
        for before, after in zip(melody.pitch.tolist(), variant.tolist(), strict=True)
    }
    assert {after - before for before, after in moves if before == 64} == {-4, -2, 0, 3, 5}


def test_a_chromatic_passing_note_is_no_step_of_the_scale():
    melody = plain(*[60, 62, 64, 65, 67] * 8, 66, 67, 60)
    for after in variants(melody, "move_pitches"):
        fresh = after.pitch[after.pitch != melody.pitch]
        assert not (fresh % 12 == 6).any()


def test_a_moved_passage_is_a_quarter_of_the_melody_at_most_and_goes_one_way(real_batch):
    for before, after in varied(real_batch, "move_passage", 0):
        by = np.subtract(after.pitch, before.pitch)
        moved = np.flatnonzero(by)
        assert np.ptp(moved) < max(1, len(before) // 4)
        assert moved.size == np.ptp(moved) + 1
        assert len(set(np.sign(by[moved]).tolist())) == 1


def test_a_changed_final_is_the_last_note_alone(real_batch):
    for before, after in varied(real_batch, "change_final", 0):
        assert after.pitch[:-1].tolist() == before.pitch[:-1].tolist()
        assert after.pitch[-1] != before.pitch[-1]
        assert abs(after.pitch[-1] - before.pitch[-1]) <= 16
    melody = plain(*[60, 62, 64, 65, 67, 69, 71] * 4, 60)
    finals = {after.pitch[-1] for after in variants(melody, "change_final")}
    assert finals == {53, 55, 57, 59, 62, 64, 65, 67}
    assert {after.pitch[-1] for after in variants(melody, "change_final", strength=0.25)} == {
        59,
        62,
    }


# Ornaments


@FEW
@given(batch=batches(), seed=seeds)
def test_ornaments_are_added_between_the_notes_there_were(batch, seed):
    for before, after in varied(batch, "add_ornaments", seed):
        assert is_subsequence(before.pitch.tolist(), after.pitch.tolist())
        assert set(before.onset.tolist()) <= set(after.onset.tolist())
        ends = set((before.onset + before.duration).tolist())
        assert ends <= set((after.onset + after.duration).tolist())


def test_ornaments_are_turns_neighbours_and_passing_notes():
    melody = plain(60, 62, 64, 65, 67, 69, 71, 72, 71, 67, 64, 60)
    found = {}
    for after in variants(melody, "add_ornaments", 3000):
        bounds = np.searchsorted(after.onset, [*melody.onset.tolist(), melody.span_steps])
        for number, (first, last) in enumerate(itertools.pairwise(bounds)):
            part = slice(first, last)
            entry = tuple(
                zip(after.pitch[part].tolist(), after.duration[part].tolist(), strict=True)
            )
            found.setdefault(number, set()).add(entry)
    turns = {((64, a), (neighbour, 6), (64, 18 - a)) for neighbour in (62, 65) for a in (6, 12)}
    before = {((neighbour, a), (64, 24 - a)) for neighbour in (62, 65) for a in (6, 12)}
    # The third note of the melody is followed by a step, the third from the end by a third down.
    assert found[2] == {((64, 24),)} | turns | before
    assert found[10] == found[2] | {((64, 24 - a), (62, a)) for a in (6, 12)}


@FEW
@given(batch=batches(), seed=seeds)
def test_dropped_ornaments_are_short_and_their_time_is_the_note_befores(batch, seed):
    for before, after in varied(batch, "drop_ornaments", seed):
        kept = set(after.onset.tolist())
        assert kept <= set(before.onset.tolist())
        assert [
            pitch
            for pitch, onset in zip(before.pitch.tolist(), before.onset.tolist(), strict=True)
            if onset in kept
        ] == after.pitch.tolist()
        assert before.onset[-1] in kept
        dropped = [onset not in kept for onset in before.onset.tolist()]
        assert (before.duration[dropped] <= 12).all()
        assert sounding(after) == sounding(before)


def test_what_is_dropped_stands_off_the_beat():
    melody = tune("C4 D4:.5 E4:.5 F4:.5 G4:.5 A4:.75 G4:.25 F4:.5 E4:.5 D4:.5 B3:.5 C4:2")
    dropped = [
        set(melody.onset.tolist()) - set(after.onset.tolist())
        for after in variants(melody, "drop_ornaments", 500)
    ]
    assert set().union(*dropped) == {36, 60, 90, 108, 132}


# Notes of one pitch


@pytest.mark.parametrize("kind", ["merge_repeats", "split_notes"])
@FEW
@given(batch=batches(lowest=60, highest=62), seed=seeds)
def test_joining_and_dividing_keeps_the_line(kind, batch, seed):
    for before, after in varied(batch, kind, seed):
        assert collapsed(after) == collapsed(before)
        few, many = (after, before) if kind == "merge_repeats" else (before, after)
        assert set(few.onset.tolist()) <= set(many.onset.tolist())
        assert sounding(after) == sounding(before)


def test_repeats_are_merged_up_to_the_cap():
    longest = [int(after.duration.max()) for after in variants(plain(*[60] * 60), "merge_repeats")]
    assert max(longest) == 192
    assert len(set(longest)) == 8
    apart = Melody(np.arange(12) * 24, [20] * 12, [60] * 12)
    assert all(after == apart for after in variants(apart, "merge_repeats"))


def test_long_notes_are_split_evenly_or_dotted():
    melody = plain(60, 62, quarters=2)
    found = {tuple(after.duration.tolist()) for after in variants(melody, "split_notes", 3000)}
    parts = [(48,), (24, 24), (36, 12)]
    assert found == {one + other for one in parts for other in parts}
    short = plain(60, 62, quarters=0.5)
    assert all(after == short for after in variants(short, "split_notes"))


# Rhythm


@FEW
@given(batch=batches(), seed=seeds)
def test_tempo_is_doubled_or_halved_without_rounding(batch, seed):
    for before, after in varied(batch, "change_tempo", seed):
        was = np.concatenate([before.duration, before.rest])
        became = np.concatenate([after.duration, after.rest])
        doubled, halved = (became == 2 * was).all(), (2 * became == was).all()
        assert doubled or halved or (was.max() > 96 and (was % 2).any())


def test_tempo_goes_the_way_that_is_open():
    even, odd, long = plain(60, 62), plain(60, 62, quarters=0.125), plain(60, 62, quarters=5)
    assert {after.duration[0] for after in variants(even, "change_tempo")} == {12, 48}
    assert {after.duration[0] for after in variants(odd, "change_tempo")} == {6}
    assert {after.duration[0] for after in variants(long, "change_tempo")} == {60}


def test_two_beats_become_three_and_three_two():
    duple = tune("C4:.5 D4:.5 E4 F4:.5 G4:.5 A4 G4:2")
    # With beats of an eighth, a quarter or a half.
    assert {tuple(after.duration.tolist()) for after in variants(duple, "change_metre")} >= {
        (24, 12, 36, 24, 12, 36, 72)
    }
    triple = tune("C4 D4:.5 E4 F4:.5 G4 A4:.5 G4:1.5")
    assert {tuple(after.duration.tolist()) for after in variants(triple, "change_metre")} >= {
        (12, 12, 12, 12, 12, 12, 24)
    }


@FEW
@given(batch=batches(), seed=seeds)
def test_a_changed_metre_stretches_time_by_at_most_two(batch, seed):
    for before, after in varied(batch, "change_metre", seed):
        ratio = after.duration / before.duration
        assert (ratio >= 0.5).all()
        assert (ratio <= 2).all()
        assert ((after.rest == 0) == (before.rest == 0)).all()


def test_pairs_keep_their_time(real_batch):
    changed = 0
    for before, after in varied(real_batch, "dot_pairs", 0):
        assert after.rest.tolist() == before.rest.tolist()
        moved = np.flatnonzero(after.onset != before.onset)
        changed += moved.size
        # Never two in a row: what moves is the second note of a pair, whose end stays.
        assert (np.diff(moved) > 1).all()
        for place in moved:
            pair = slice(place - 1, place + 1)
            was, became = before.duration[pair], after.duration[pair]
            assert was.sum() == became.sum()
            ratios = {1 / 3, 1 / 2, 1, 2, 3}
            assert was[0] / was[1] in ratios
            assert became[0] / became[1] in ratios
    assert changed > 1000


def test_equal_pairs_are_dotted_snapped_and_swung():
    melody = tune("C4:.5 D4:.5 E4:.5 F4:.5 G4:2")
    pairs = {tuple(after.duration[:2].tolist()) for after in variants(melody, "dot_pairs")}
    assert pairs == {(12, 12), (18, 6), (6, 18), (16, 8)}
    # A melody is dotted or snapped, not both.
    for after in variants(melody, "dot_pairs"):
        both = {tuple(after.duration[place : place + 2].tolist()) for place in (0, 2)}
        assert len(both - {(12, 12)}) <= 1


def test_uneven_pairs_are_evened_out_and_exchanged():
    dotted, swung = tune("C4:.75 D4:.25 G4:2"), tune("C4 D4:.5 G4:2")
    for melody, expected in ((dotted, {(18, 6), (12, 12), (6, 18)}), (swung, {(24, 12), (12, 24)})):
        pairs = {tuple(after.duration[:2].tolist()) for after in variants(melody, "dot_pairs")}
        assert pairs == expected


@FEW
@given(batch=batches(), seed=seeds)
def test_changed_rests_leave_the_onsets(batch, seed):
    for before, after in varied(batch, "change_rests", seed):
        assert after.onset.tolist() == before.onset.tolist()
        # Some get rests, or some lose them, not both.
        by = after.rest - before.rest
        assert (by >= 0).all() or (by <= 0).all()
        assert (after.rest[by < 0] == 0).all()


def test_rests_come_and_go_at_the_ends_of_phrases():
    melody = TUNES["ah-vous-dirai-je"]
    rested = [np.flatnonzero(after.rest) for after in variants(melody, "change_rests")]
    assert set(np.concatenate(rested).tolist()) == {6, 13, 20, 27, 34}
    back = Melody(melody.onset, melody.duration - 12 * (melody.duration == 48), melody.pitch)
    filled = [after for after in variants(back, "change_rests") if (after.rest <= back.rest).all()]
    assert {int((after.rest == 0).sum()) for after in filled} >= {40, 41}


@FEW
@given(batch=batches(), seed=seeds)
def test_held_notes_are_long_ones_and_rests_stay(batch, seed):
    for before, after in varied(batch, "hold_ends", seed):
        assert after.rest.tolist() == before.rest.tolist()
        changed = after.duration != before.duration
        gaps = before.duration + before.rest
        assert (gaps[:-1][changed[:-1]] >= 1.5 * gaps.mean() - 1e-9).all()
        assert set((after.duration / before.duration).tolist()) <= {0.5, 1, 1.5, 2}
