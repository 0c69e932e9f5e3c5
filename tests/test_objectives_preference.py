from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from judged import minimise

from seqmelody.judgements import Preferences
from seqmelody.objectives import Preference
from seqmelody.objectives.listeners import Raters
from seqmelody.objectives.preference import paired


def pairs(winner, loser, tie=None, rater=None) -> Preferences:
    count = len(winner)
    return Preferences(
        np.array(winner),
        np.array(loser),
        np.zeros(count, dtype=bool) if tie is None else np.array(tie, dtype=bool),
        np.full(count, -1) if rater is None else np.array(rater),
        () if rater is None else tuple(f"r{number}" for number in range(max(rater) + 1)),
    )


def test_without_ties_it_is_bradley_and_terry():
    said = paired(pairs([0, 2], [1, 1]), by_rater=False)
    objective = Preference(said)
    score_B = torch.tensor([2.0, 1.0, 0.5])
    expected = [math.log(1 + math.exp(-1.0)), math.log(1 + math.exp(0.5))]
    loss = objective(score_B, None, said.of(said.item_NM))
    assert loss.item() == pytest.approx(np.mean(expected))
    assert objective.measure(score_B, None, said.of(said.item_NM)) == {"accuracy": 0.5}
    assert objective.scale_and_tie == {"scale": 1.0, "tie": 0.0}


def test_with_ties_it_is_davidson():
    said = paired(pairs([0, 0], [1, 1], tie=[False, True]), by_rater=False)
    objective = Preference(said)
    tie = objective.scale_and_tie["tie"]
    # Half of the pairs are ties: among equals, tie / (2 + tie).
    assert tie / (2 + tie) == pytest.approx(0.5)
    one, other = math.exp(1.5), math.exp(0.5)
    total = one + other + tie * math.sqrt(one * other)
    expected = -(math.log(one / total) + math.log(tie * math.sqrt(one * other) / total)) / 2
    score_B = torch.tensor([1.5, 0.5])
    assert objective(score_B, None, said.of(said.item_NM)).item() == pytest.approx(expected)


def test_a_tie_has_no_order_and_draws_scores_together():
    said = paired(pairs([0], [1], tie=[True]), by_rater=False)
    objective = Preference(said)
    losses = []
    for score in ([0.0, 2.0], [2.0, 0.0], [0.1, 0.0]):
        score_B = torch.tensor(score)
        losses.append(objective(score_B, None, said.of(said.item_NM)).item())
    assert losses[0] == pytest.approx(losses[1])
    assert losses[2] < losses[0]
    assert math.isnan(objective.measure(score_B, None, said.of(said.item_NM))["accuracy"])


def test_contradictory_pairs_are_evidence_that_nobody_is_better():
    said = paired(pairs([0, 1], [1, 0]), by_rater=False)
    score_B = torch.tensor([1.0, 0.0], requires_grad=True)
    Preference(said)(score_B, None, said.of(said.item_NM)).backward()
    assert score_B.grad[0] > 0 > score_B.grad[1]


def test_it_begins_with_the_scale_that_suits_the_choices():
    random = np.random.default_rng(0)
    score = random.normal(size=400) * 10
    one, other = random.integers(0, 400, size=(2, 4000))
    one, other = one[one != other], other[one != other]
    wins = random.random(len(one)) < 1 / (1 + np.exp(-0.2 * (score[one] - score[other])))
    said = paired(pairs(np.where(wins, one, other), np.where(wins, other, one)), by_rater=False)
    objective = Preference(said)
    objective.begin(score, np.zeros((400, 1)), said)
    assert objective.scale_and_tie["scale"] == pytest.approx(0.2, rel=0.15)
    ties = paired(pairs([0], [1], tie=[True]), by_rater=False)
    objective = Preference(ties)
    objective.begin(score, np.zeros((400, 1)), ties)
    assert math.isfinite(objective.scale_and_tie["scale"])


def test_raters_who_choose_against_the_score_are_told_apart():
    random = np.random.default_rng(0)
    score = random.normal(size=60)
    one, other = random.integers(0, 60, size=(2, 600))
    one, other = one[one != other], other[one != other]
    rater = np.arange(len(one)) % 3
    better = score[one] > score[other]
    # The third rater chooses by chance.
    better = np.where(rater == 2, random.random(len(one)) < 0.5, better)
    said = paired(
        pairs(np.where(better, one, other), np.where(better, other, one), rater=rater.tolist()),
        by_rater=True,
    )
    torch.manual_seed(0)
    objective = Preference(said, Raters(3))
    score_B, batch = torch.from_numpy(score).float(), said.of(said.item_NM)
    minimise(objective, score_B, batch)
    slope_R = objective.effects.slope_R.detach()
    assert slope_R[2] < min(slope_R[0], slope_R[1]) - 0.3
    assert objective.effects.offset_R is None
