from __future__ import annotations

import numpy as np
import pytest
import torch
from judged import minimise

from seqmelody.judgements import Ratings
from seqmelody.objectives import Catchy
from seqmelody.objectives.catchy import answered
from seqmelody.objectives.listeners import Raters


def answers(rows, yes, rater=None) -> Ratings:
    who = np.full(len(rows), -1) if rater is None else np.array(rater)
    names = () if rater is None else tuple(f"r{number}" for number in range(max(rater) + 1))
    return Ratings(np.array(rows), np.array(yes, dtype=float), who, names)


def simulated(count: int = 4000):
    random = np.random.default_rng(0)
    score = random.normal(2, 3, size=count)
    yes = random.random(count) < 1 / (1 + np.exp(-(-1 + 0.5 * score)))
    return score, answered(answers(np.arange(count), yes), by_rater=False)


def test_it_begins_calibrated_and_its_figures_are_auc_and_calibration_error():
    score, said = simulated()
    objective = Catchy(said)
    batch, score_B = said.of(said.item_NM), torch.from_numpy(score).float()
    before = objective.measure(score_B, None, batch)
    objective.begin(score, np.zeros((len(score), 1)), said)
    assert objective.offset_and_scale["offset"] == pytest.approx(-1, abs=0.15)
    assert objective.offset_and_scale["scale"] == pytest.approx(0.5, abs=0.05)
    after = objective.measure(score_B, None, batch)
    assert after["ece"] < 0.03 < before["ece"]
    assert after["auc"] == before["auc"] > 0.75


def test_the_loss_is_the_log_likelihood_of_the_answers():
    said = answered(answers([0, 1], [1, 0]), by_rater=False)
    loss = Catchy(said)(torch.tensor([2.0, -1.0]), None, said.of(said.item_NM))
    expected = np.mean([np.log1p(np.exp(-2.0)), np.log1p(np.exp(-1.0))])
    assert loss.item() == pytest.approx(expected)


def test_a_rater_who_always_says_yes_stays_finite_and_near_the_others():
    rater = [0] * 20 + [1] * 3
    yes = [1, 0] * 10 + [1] * 3
    said = answered(answers([*range(20), 0, 1, 2], yes, rater=rater), by_rater=True)
    torch.manual_seed(0)
    objective = Catchy(said, Raters(2))
    score_B, batch = torch.zeros(20), said.of(said.item_NM)
    minimise(objective, score_B, batch)
    offset_R = objective.effects.offset_R.detach()
    assert offset_R[1] - offset_R[0] > 0.5
    assert offset_R.abs().max() < 1.5
    assert abs(objective.offset.item() + offset_R[0].item()) < 0.3
