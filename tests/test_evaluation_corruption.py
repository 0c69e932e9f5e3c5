from __future__ import annotations

import numpy as np
import pytest
import torch
from stand_ins import By, by_model, knows, melodies_of

from seqmelody.batching import Batch, corpus_batch
from seqmelody.config import HELD_OUT_KINDS, TRAINED_KINDS
from seqmelody.evaluation.corruption import (
    CorruptionScores,
    calibration_cases,
    corruption_task,
)

KINDS = (*TRAINED_KINDS, *HELD_OUT_KINDS)


@pytest.fixture(scope="module")
def rows(essen_corpus) -> np.ndarray:
    return essen_corpus.split("test")


def test_a_model_that_knows_the_originals_wins_all(essen_corpus, rows):
    result = corruption_task(
        by_model(knows(corpus_batch(essen_corpus, rows)).score), essen_corpus, rows, copies=2
    )
    assert tuple(result.by_kind) == KINDS
    for kind, found in result.by_kind.items():
        assert (found.value, found.low, found.high) == (1, 1, 1)
        assert 0.9 * 2 * len(rows) < result.comparisons[kind] <= 2 * len(rows)
    assert result.trained_mean.value == 1


def test_a_model_that_scores_by_nothing_is_at_chance(essen_corpus, rows):
    tie = corruption_task(
        by_model(lambda batch: torch.zeros(len(batch))), essen_corpus, rows, copies=1
    )
    assert {found.value for found in tie.by_kind.values()} == {0.5}
    generator = torch.Generator().manual_seed(0)
    noise = by_model(lambda batch: torch.rand(len(batch), generator=generator))
    rows = np.arange(len(essen_corpus))
    result = corruption_task(noise, essen_corpus, rows, copies=2)
    for found in (*result.by_kind.values(), result.trained_mean):
        # Some 300 melodies with two copies of each kind that share the original's score.
        assert found.value == pytest.approx(0.5, abs=0.1)
        assert found.low < found.value < found.high
    assert result.trained_mean.low < 0.5 < result.trained_mean.high


def test_a_model_that_hears_rhythm_alone_wins_only_where_the_rhythm_changes(essen_corpus, rows):
    rhythms = {melody[1:] for melody in melodies_of(corpus_batch(essen_corpus, rows))}

    def score(batch: Batch) -> torch.Tensor:
        return torch.tensor([float(melody[1:] in rhythms) for melody in melodies_of(batch)])

    result = corruption_task(by_model(score), essen_corpus, rows, copies=1)
    for kind in ("shuffle_pitches", "uniform_pitches", "jitter_pitches", "transpose_tail"):
        assert result.by_kind[kind].value == 0.5
    assert result.by_kind["shuffle_durations"].value == 1
    assert result.by_kind["markov_1"].value > 0.95
    assert result.by_kind[result.worst].value == 0.5
    assert result.worst in TRAINED_KINDS
    values = [result.by_kind[kind].value for kind in TRAINED_KINDS]
    assert result.trained_mean.value == pytest.approx(np.mean(values), abs=0.02)


def test_the_seed_decides_the_copies(essen_corpus, rows):
    model = by_model(lambda batch: batch.pitch_BL.diff(dim=1).abs().double().mean(dim=1))
    one, again, other = (
        corruption_task(model, essen_corpus, rows, copies=1, seed=seed) for seed in (0, 0, 1)
    )
    assert one == again
    assert one != other


def test_lighter_copies_are_harder_to_tell(essen_corpus):
    rows = np.arange(150)
    steps = by_model(lambda batch: -batch.pitch_BL.diff(dim=1).abs().double().mean(dim=1))
    light, heavy = (
        corruption_task(steps, essen_corpus, rows, copies=1, strength=strength)
        for strength in (0.2, 1.0)
    )
    assert light.by_kind["uniform_pitches"].value < heavy.by_kind["uniform_pitches"].value
    assert corruption_task(steps, essen_corpus, rows, copies=1) == heavy


def test_win_probabilities_are_compared_with_what_happened(essen_corpus):
    originals = np.array([0.0, 0.0, 0.0])
    copies = np.array([[-100.0, np.nan], [-100.0, -100.0], [100.0, np.nan]])
    scores = CorruptionScores(originals, dict.fromkeys(KINDS, copies), np.array([0, 1, 2]))
    # Said with certainty each time, and right three times of four.
    assert scores.calibration_error().value == pytest.approx(0.25)
    even = CorruptionScores(originals, dict.fromkeys(KINDS, np.zeros((3, 1))), np.arange(3))
    assert even.calibration_error().value == 0
    bins, confidence, right = calibration_cases(np.array([[np.log(4), np.nan], [-np.log(4), 0]]))
    assert bins.tolist() == [6, 6, 0] or bins.tolist() == [5, 5, 0]
    assert confidence == pytest.approx([0.8, 0.8, 0.5])
    assert right.tolist() == [1, 0, 0.5]


def test_any_method_can_be_measured(essen_corpus, rows):
    length = By(lambda melodies: np.diff(melodies.offsets))
    result = corruption_task(length, essen_corpus, rows, copies=1)
    assert {found.value for found in result.by_kind.values()} == {0.5}
