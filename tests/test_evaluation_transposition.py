from __future__ import annotations

import types

import numpy as np
import pytest
import torch
from stand_ins import by_model

from seqmelody.batching import Batch, corpus_batch
from seqmelody.checkpoint import load_checkpoint
from seqmelody.corpus import Corpus, Streams
from seqmelody.evaluation.methods import CheckpointMethod
from seqmelody.evaluation.transposition import SHIFTS, transposition_task


def low(batch: Batch) -> torch.Tensor:
    return batch.pitch_BL.masked_fill(~batch.mask_BL, 127).amin(1).float()


def test_the_shifts_are_the_six_on_either_side():
    assert SHIFTS == (-6, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6)


def test_the_models_of_the_package_do_not_hinge_on_the_key(essen_corpus, checkpoint_folder):
    result = transposition_task(
        CheckpointMethod(load_checkpoint(checkpoint_folder)),
        essen_corpus,
        essen_corpus.split("test"),
    )
    assert tuple(result.rank_correlation) == SHIFTS
    assert result.worst == pytest.approx(1)
    assert result.largest_change == 0


def test_a_score_that_moves_with_the_key_keeps_the_order(essen_corpus):
    result = transposition_task(by_model(low), essen_corpus, essen_corpus.split("test"))
    assert result.worst == pytest.approx(1)
    assert result.largest_change == 6


def test_a_score_that_hinges_on_the_key_is_found_out(essen_corpus):
    result = transposition_task(
        by_model(lambda batch: low(batch) % 12), essen_corpus, np.arange(len(essen_corpus))
    )
    assert result.worst < 0.5
    assert result.largest_change == 11


def test_padding_is_no_low_note(essen_corpus):
    seen = []

    def score(batch: Batch) -> torch.Tensor:
        seen.append(int(batch.pitch_BL[~batch.mask_BL].abs().sum()))
        return low(batch)

    transposition_task(by_model(score), essen_corpus, np.arange(50))
    assert set(seen) == {0}


def test_melodies_that_would_leave_the_range_are_left_out(essen_corpus):
    pitch, duration, rest, offsets = essen_corpus.streams()
    moved = pitch[: offsets[20]].astype(int)
    moved[: offsets[10]] += 127 - moved[: offsets[10]].max()
    ends = offsets[20]
    streams = Streams(moved.astype(np.uint8), duration[:ends], rest[:ends], offsets[:21])
    near_the_edge = types.SimpleNamespace(
        notes=essen_corpus.notes[:20],
        streams=lambda: streams,
        _streams=streams,
        token_batch=lambda rows: Corpus.token_batch(near_the_edge, rows),
    )
    high_B = corpus_batch(near_the_edge, np.arange(20)).pitch_BL.amax(1)
    scored = []

    def score(batch: Batch) -> torch.Tensor:
        assert batch.pitch_BL.max() <= 127
        scored.append(len(batch))
        return low(batch)

    transposition_task(by_model(score), near_the_edge, np.arange(20))
    assert sum(scored) == 13 * int((high_B <= 121).sum())
    assert (high_B > 121).any()
    none = transposition_task(by_model(low), near_the_edge, np.flatnonzero(high_B > 121))
    assert np.isnan(none.worst)
    assert none.largest_change == 0
