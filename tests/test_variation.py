from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import batches, seeds
from tunes import TUNES

from seqmelody.batching import Batch, collate, corpus_batch
from seqmelody.melody import Melody
from seqmelody.tokens import Tokenizer
from seqmelody.variation import KINDS, Variation
from seqmelody.variation.composition import FEWEST_NOTES

STREAMS = ("pitch_BL", "duration_BL", "rest_BL")
SMALL = Tokenizer(max_duration_steps=40, max_rest_steps=24)
# An example is a batch of several melodies.
FEW = settings(max_examples=15)
ALL = Variation(dict.fromkeys(KINDS, 1.0))
strengths = st.floats(0.01, 1)


@pytest.fixture(scope="module")
def real_batch(essen_corpus) -> Batch:
    return corpus_batch(essen_corpus, np.arange(200))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rows(batch: Batch):
    """The melodies of a batch as three lists each."""
    for row, length in enumerate(batch.length_B.tolist()):
        yield [getattr(batch, name)[row, :length].tolist() for name in STREAMS]


def check_is_melodies(variant: Batch, original: Batch, tokenizer: Tokenizer = Tokenizer()) -> None:
    assert len(variant) == len(original)
    padding_BL = ~variant.mask_BL
    for name in STREAMS:
        stream_BL = getattr(variant, name)
        assert stream_BL.shape == (len(original), int(variant.length_B.max()))
        assert stream_BL.dtype == torch.int64
        assert not stream_BL[padding_BL].any()
    for pitch, duration, rest in rows(variant):
        assert rest[-1] == 0
        # Refuses durations below 1, rests below 0 and pitches outside 0 to 127.
        melody = Melody.from_streams(pitch, duration, rest)
        assert melody.pitch.tolist() == pitch
        assert max(duration) <= tokenizer.max_duration_steps
        assert max(rest) <= tokenizer.max_rest_steps
    assert (variant.length_B >= original.length_B.clamp(max=FEWEST_NOTES)).all()


@pytest.mark.parametrize("kind", KINDS)
@FEW
@given(batch=batches(tokenizer=SMALL), seed=seeds, strength=strengths)
def test_a_variant_of_each_kind_is_a_proper_melody_and_the_original_stays(
    kind, batch, seed, strength
):
    before = dataclasses.replace(batch, **{name: getattr(batch, name).clone() for name in STREAMS})
    variation = Variation(tokenizer=SMALL)
    check_is_melodies(variation.apply(batch, kind, seeded(seed), strength=strength), batch, SMALL)
    assert list(rows(batch)) == list(rows(before))


@settings(max_examples=50)
@given(batch=batches(tokenizer=SMALL), seed=seeds, strength=strengths)
def test_a_variant_of_several_kinds_is_a_proper_melody(batch, seed, strength):
    variation = Variation(dict.fromkeys(KINDS, 1.0), tokenizer=SMALL)
    check_is_melodies(variation.vary(batch, seeded(seed), strength=strength), batch, SMALL)


@pytest.mark.parametrize("kind", [*KINDS, None])
def test_a_variant_of_real_music_is_a_proper_melody_and_another(real_batch, kind):
    if kind is None:
        variant = ALL.vary(real_batch, seeded(0))
    else:
        variant = ALL.apply(real_batch, kind, seeded(0))
    check_is_melodies(variant, real_batch)
    pairs = zip(rows(real_batch), rows(variant), strict=True)
    same = np.mean([before == after for before, after in pairs])
    # Some have no long notes, no repeated ones; few have a section that comes twice in a row.
    assert same < (0.95 if kind == "cut_repeat" else 0.4)


@pytest.mark.parametrize("kind", [*KINDS, None])
def test_the_generator_decides(real_batch, kind):
    def variants(seed):
        if kind is None:
            return list(rows(ALL.vary(real_batch, seeded(seed))))
        return list(rows(ALL.apply(real_batch, kind, seeded(seed))))

    assert variants(1) == variants(1)
    assert variants(1) != variants(2)


@pytest.mark.parametrize("kind", [*KINDS, None])
def test_a_melody_goes_its_own_way_whatever_stands_beside_it(real_batch, kind):
    rows_, longest = torch.arange(len(real_batch)), int(real_batch.length_B.argmax())
    kept = rows_ % 2 == int(longest % 2 == 0)  # not the longest, so that the padding changes too
    short = real_batch[rows_]
    short.length_B[~kept] = 1
    for name in STREAMS:
        getattr(short, name)[~kept, 1:] = 0
    short.rest_BL[~kept] = 0
    width = int(short.length_B.max())
    assert width < real_batch.pitch_BL.shape[1]
    narrow = dataclasses.replace(
        short, **{name: getattr(short, name)[:, :width] for name in STREAMS}
    )

    def variants(batch):
        made = ALL.vary(batch, seeded(3)) if kind is None else ALL.apply(batch, kind, seeded(3))
        return [row for row, keep in zip(rows(made), kept.tolist(), strict=True) if keep]

    assert variants(narrow) == variants(real_batch)


@pytest.mark.parametrize("kind", [*KINDS, None])
@FEW
@given(batch=batches(lowest=40, highest=60), seed=seeds, by=st.integers(-12, 12))
def test_variation_does_not_hinge_on_the_key(kind, batch, seed, by):
    moved = dataclasses.replace(batch, pitch_BL=(batch.pitch_BL + by) * batch.mask_BL)
    one, other = (
        ALL.vary(some, seeded(seed)) if kind is None else ALL.apply(some, kind, seeded(seed))
        for some in (batch, moved)
    )
    assert torch.equal(other.pitch_BL, (one.pitch_BL + by) * one.mask_BL)
    assert torch.equal(other.duration_BL, one.duration_BL)
    assert torch.equal(other.rest_BL, one.rest_BL)


def test_strength_is_how_much(real_batch):
    fuzz = pytest.importorskip("rapidfuzz.distance", reason="needs rapidfuzz")
    originals = [np.diff(pitch).tolist() for pitch, _, _ in rows(real_batch)]
    alike = []
    for strength in (0.2, 0.6, 1.0):
        variants = rows(Variation().vary(real_batch, seeded(0), strength=strength))
        alike.append(
            np.mean(
                [
                    fuzz.Levenshtein.normalized_similarity(original, np.diff(pitch).tolist())
                    for original, (pitch, _, _) in zip(originals, variants, strict=True)
                ]
            )
        )
    assert alike[0] > alike[1] > alike[2]
    assert alike[0] > 0.9


@pytest.mark.parametrize(("strength", "least"), [(0.5, 0.99), (1.0, 0.94)])
def test_a_variant_is_more_like_its_original_than_like_any_other_tune(real_batch, strength, least):
    fuzz = pytest.importorskip("rapidfuzz", reason="needs rapidfuzz")
    originals = [np.diff(pitch).tolist() for pitch, _, _ in rows(real_batch)]
    variants = [
        np.diff(pitch).tolist()
        for pitch, _, _ in rows(Variation().vary(real_batch, seeded(0), strength=strength))
    ]
    alike = fuzz.process.cdist(
        variants, originals, scorer=fuzz.distance.Levenshtein.normalized_similarity
    )
    own = alike.diagonal().copy()
    np.fill_diagonal(alike, -1)
    assert (own > alike.max(1)).mean() > least


def test_a_variant_undergoes_one_kind_to_six():
    # Kinds that leave a trace each, on a melody that has room for all of them.
    batch = collate([Tokenizer().encode(TUNES["new-britain"])] * 400)
    traces = {"transpose": 0, "change_final": 0, "change_tempo": 0}
    variation = Variation(dict.fromkeys(traces, 1.0))
    counts = []
    for variant, original in zip(rows(variation.vary(batch, seeded(0))), rows(batch), strict=True):
        moved = variant[0][0] - original[0][0]
        done = {
            "transpose": moved != 0,
            "change_final": variant[0][-1] - original[0][-1] != moved,
            "change_tempo": variant[1] != original[1],
        }
        counts.append(sum(done.values()))
        for kind, was in done.items():
            traces[kind] += was
    # Of 1 to 6 kinds with 3 to choose from: all three with probability 4 in 6.
    assert np.mean(np.array(counts) == 3) == pytest.approx(4 / 6, abs=0.08)
    assert np.mean(np.array(counts) == 1) == pytest.approx(1 / 6, abs=0.08)
    assert min(traces.values()) > 0.7 * 400
    mild = rows(variation.vary(batch, seeded(0), strength=0.1))
    assert all(
        (after[1] != before[1]) + (after[0][:-1] != before[0][:-1]) < 2
        for after, before in zip(mild, rows(batch), strict=True)
    )


def test_weights_say_which_kinds():
    batch = collate([Tokenizer().encode(TUNES["new-britain"])] * 1000)
    variation = Variation({"transpose": 3.0, "change_tempo": 1.0, "add_pickup": 0.0})
    variants = list(rows(variation.vary(batch, seeded(0), strength=0.1)))
    original = next(iter(rows(batch)))
    assert all(len(variant[0]) == len(original[0]) for variant in variants)
    transposed = np.mean([variant[0] != original[0] for variant in variants])
    assert transposed == pytest.approx(0.75, abs=0.05)
    assert all((one != original[0]) != (two != original[1]) for one, two, _ in variants)


def test_the_order_of_the_weights_is_nothing(real_batch):
    weights = {"transpose": 2.0, "keep_passage": 1.0, "split_notes": 0.5}
    backwards = dict(reversed(weights.items()))
    one, other = (Variation(some).vary(real_batch, seeded(0)) for some in (weights, backwards))
    assert list(rows(one)) == list(rows(other))


def test_absolute_pitch_stays_unless_asked_for(real_batch):
    assert "transpose" not in Variation().kinds
    assert set(Variation().kinds) == set(KINDS) - {"transpose"}


def test_no_melody_grows_above_the_most_notes(real_batch):
    variation = Variation({"repeat_section": 1.0}, max_notes=60)
    variant = variation.vary(real_batch, seeded(0))
    assert (variant.length_B <= real_batch.length_B.clamp(min=60)).all()
    grown_B = variant.length_B > real_batch.length_B
    assert 0 < grown_B.float().mean() < 1


@pytest.mark.parametrize("notes", [1, 2, FEWEST_NOTES - 1, FEWEST_NOTES])
def test_a_short_melody_loses_no_notes(notes):
    melody = next(iter(TUNES.values()))[:notes]
    batch = collate([Tokenizer().encode(melody)] * 100)
    assert ALL.vary(batch, seeded(0)).length_B.min() >= notes


@pytest.mark.parametrize("strength", [0.0, -0.5, 1.5, math.nan])
def test_a_strength_out_of_range_is_refused(real_batch, strength):
    with pytest.raises(ValueError, match="strength"):
        Variation().vary(real_batch, seeded(0), strength=strength)
    with pytest.raises(ValueError, match="strength"):
        Variation().apply(real_batch, "transpose", seeded(0), strength=strength)


@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        ({"melt": 1.0}, "no variation is called 'melt'; there are cut_repeat, "),
        ({"transpose": -1.0}, "the weight of transpose must be 0 or more, not -1.0"),
        ({"transpose": math.nan}, "not nan"),
        ({"transpose": math.inf}, "not inf"),
        ({"transpose": 0.0}, "at least one kind of variation"),
        ({}, "at least one kind of variation"),
    ],
)
def test_wrong_kinds_are_refused(kinds, message):
    with pytest.raises(ValueError, match=message):
        Variation(kinds)


def test_an_unknown_kind_is_refused(real_batch):
    with pytest.raises(ValueError, match="no variation is called 'melt'; there are cut_repeat, "):
        Variation().apply(real_batch, "melt", seeded(0))
