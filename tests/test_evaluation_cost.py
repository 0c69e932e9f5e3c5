from __future__ import annotations

import time

import numpy as np
import pytest
from stand_ins import By

from seqmelody.checkpoint import load_checkpoint
from seqmelody.evaluation.cost import (
    MELODIES,
    ROUNDS,
    CostResult,
    cost_task,
    mean_cost,
    some_of,
)
from seqmelody.evaluation.intervals import Estimate
from seqmelody.evaluation.methods import CheckpointMethod


def test_time_is_that_of_scoring_and_of_every_round(essen_corpus):
    rows = np.arange(10)
    asked = []

    def burn(melodies):
        asked.append(len(melodies))
        until = time.process_time() + 0.01
        while time.process_time() < until:
            pass
        return np.zeros(len(melodies))

    found = cost_task(By(burn), essen_corpus, rows)
    # Once before the clock runs.
    assert asked == [10] * (ROUNDS + 1)
    cost = found.figures()["ms a melody"]
    assert 1 <= cost.low <= cost.value <= cost.high
    # A baseline has none to count.
    assert list(found.figures()) == ["ms a melody"]


def test_of_many_melodies_some_are_enough(essen_corpus):
    rows = np.tile(np.arange(len(essen_corpus)), 1 + 3 * MELODIES // len(essen_corpus))
    asked = []
    cost_task(By(lambda of: asked.append(len(of)) or np.zeros(len(of))), essen_corpus, rows)
    assert MELODIES <= asked[0] == len(some_of(rows)) < 2 * MELODIES


def test_the_mean_of_trainings_keeps_the_least_and_the_most():
    first = CostResult(Estimate(0.2, 0.1, 0.3), 100)
    second = CostResult(Estimate(0.4, 0.35, 0.5), 100)
    assert mean_cost([first, second]) == CostResult(Estimate(pytest.approx(0.3), 0.1, 0.5), 100)


def test_parameters_of_a_checkpoint_are_counted(essen_corpus, checkpoint_folder):
    checkpoint = load_checkpoint(checkpoint_folder)
    found = cost_task(CheckpointMethod(checkpoint), essen_corpus, np.arange(3))
    weights = checkpoint.model.state_dict().values()
    assert found.parameters == sum(weight.numel() for weight in weights)
