from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import batches, tokenizers
from tunes import TUNES

from seqmelody.batching import collate
from seqmelody.model.features import NoteFeatures, describe
from seqmelody.tokens import Tokenizer, Tokens

INTERVAL, HEIGHT, ABOVE_LAST, DURATION, REST, BIN, IN_4, IN_3, BACK_4, BACK_3 = range(10)
MELODIC_END, MELODIC_BEGIN, FULL_END, FULL_BEGIN, AGO = range(10, 15)


def test_the_features_of_a_tune():
    tokens = Tokenizer().encode(TUNES["frere-jacques"])
    [feature_LF] = describe(collate([tokens]))
    pitch = TUNES["frere-jacques"].pitch.astype(int)
    # 0 is the first note; a second up is two semitones above the 25 of a repeated note.
    assert feature_LF[:5, INTERVAL].tolist() == [0, 27, 27, 21, 25]
    assert feature_LF[:, HEIGHT].tolist() == (36 + pitch - round(pitch.mean())).tolist()
    assert feature_LF[:, ABOVE_LAST].tolist() == (36 + pitch - pitch[-1]).tolist()
    assert feature_LF[:, DURATION].tolist() == tokens.duration.tolist()
    assert feature_LF[:, REST].tolist() == tokens.rest.tolist()
    onset = TUNES["frere-jacques"].onset
    assert feature_LF[:, IN_4].tolist() == (onset % 96).tolist()
    assert feature_LF[:, IN_3].tolist() == (onset % 72).tolist()
    assert feature_LF[:, BACK_4].tolist() == ((onset[-1] - onset) % 96).tolist()
    assert feature_LF[:, BACK_3].tolist() == ((onset[-1] - onset) % 72).tolist()


def test_what_a_tune_repeats():
    tokens = Tokenizer().encode(TUNES["frere-jacques"])
    [feature_LF] = describe(collate([tokens]))
    # Bar 2 is bar 1 again: its second to fourth notes end runs of two intervals, the four notes
    # and the step to them came a bar ago.
    assert feature_LF[:8, MELODIC_END].tolist() == [0, 0, 0, 0, 0, 0, 1, 1]
    assert feature_LF[:8, FULL_END].tolist() == [0, 0, 0, 0, 0, 0, 1, 1]
    assert feature_LF[:3, FULL_BEGIN].tolist() == [0, 1, 1]
    assert not feature_LF[:8, AGO].any()


def test_a_phrase_that_comes_again_is_dated():
    pitch = [60, 62, 65, 64, 67, 60, 72, 60, 62, 65, 64, 67, 50]
    tokens = Tokens(np.array(pitch, np.uint8), np.full(13, 24, np.uint16), np.zeros(13, np.uint16))
    [feature_LF] = describe(collate([tokens]))
    assert feature_LF[:, MELODIC_END].tolist() == [0] * 9 + [1, 1, 2, 0]
    assert feature_LF[:, MELODIC_BEGIN].tolist() == [0, 2, 1, 1] + [0] * 9
    assert feature_LF[:, FULL_END].tolist() == feature_LF[:, MELODIC_END].tolist()
    # Four intervals, seven quarters ago; 0 is for none.
    assert feature_LF[:, AGO].tolist() == [0] * 11 + [8, 0]


def test_duration_bins_are_quarters_of_an_octave():
    duration = np.array([1, 2, 4, 6, 24, 36, 48, 192], dtype=np.uint16)
    tokens = Tokens(np.full(8, 60, np.uint8), duration, np.zeros(8, np.uint16))
    [feature_LF] = describe(collate([tokens]))
    assert feature_LF[:, BIN].tolist() == [0, 4, 8, 10, 18, 21, 22, 30]


def test_far_leaps_are_cut():
    tokens = Tokens(
        np.array([0, 127, 0, 60], np.uint8), np.full(4, 24, np.uint16), np.zeros(4, np.uint16)
    )
    [feature_LF] = describe(collate([tokens]))
    assert feature_LF[:, INTERVAL].tolist() == [0, 49, 1, 49]
    assert feature_LF[:, HEIGHT].tolist() == [0, 72, 0, 49]
    assert feature_LF[:, ABOVE_LAST].tolist() == [0, 72, 0, 36]


@given(batches(lowest=20, highest=100), st.integers(-20, 27))
def test_transposition_changes_no_feature(batch, semitones):
    moved = dataclasses.replace(batch, pitch_BL=(batch.pitch_BL + semitones) * batch.mask_BL)
    assert torch.equal(describe(moved), describe(batch))


@given(batches(min_size=2), st.integers(1, 10))
def test_padding_and_other_rows_change_no_feature_and_padding_reads_zero(batch, wider):
    feature_BLF = describe(batch)
    assert not feature_BLF[~batch.mask_BL].any()
    padded = dataclasses.replace(
        batch,
        **{
            # What stands on padding must not matter either.
            name: torch.nn.functional.pad(getattr(batch, name), (0, wider), value=77)
            for name in ("pitch_BL", "duration_BL", "rest_BL")
        },
    )
    notes = batch.pitch_BL.shape[1]
    assert torch.equal(describe(padded)[:, :notes], feature_BLF)
    for row in range(len(batch)):
        alone = batch[torch.tensor([row])]
        assert torch.equal(describe(alone)[0], feature_BLF[row])


@settings(max_examples=30)
@given(st.data(), tokenizers)
def test_every_melody_of_the_tokenizer_has_vectors(data, tokenizer):
    batch = data.draw(batches(tokenizer=tokenizer))
    features = NoteFeatures(tokenizer.max_duration_steps, tokenizer.max_rest_steps, channels=3)
    feature_BLF = describe(batch)
    size_F = torch.diff(features.offset_F, append=torch.tensor([len(features.table.weight)]))
    # No feature reaches into the next one's part of the table.
    assert (feature_BLF >= 0).all()
    assert (feature_BLF < size_F).all()
    assert features(batch).shape == (*batch.pitch_BL.T.shape, 3)


@pytest.mark.parametrize("cap", [1, 2, 3, 192, 65535])
def test_the_longest_duration_and_rest_have_vectors(cap):
    tokens = Tokens(
        np.full(3, 60, np.uint8), np.full(3, cap, np.uint16), np.array([cap, cap, 0], np.uint16)
    )
    vector_LBD = NoteFeatures(cap, cap, channels=2)(collate([tokens]))
    assert vector_LBD.isfinite().all()


def test_a_duration_that_training_never_met_borrows_from_its_neighbours():
    torch.manual_seed(0)
    features = NoteFeatures(192, 192, channels=4)

    def vector(duration: int) -> torch.Tensor:
        tokens = Tokens(
            np.full(1, 60, np.uint8), np.full(1, duration, np.uint16), np.zeros(1, np.uint16)
        )
        return features(collate([tokens]))[0, 0].detach()

    # Before training the vectors of exact durations are zero: neighbours in a bin are alike.
    assert torch.equal(vector(100), vector(101))
    assert not torch.allclose(vector(100), vector(24))
