from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tunes import TUNES

from seqmelody.errors import InputError, UsageError
from seqmelody.listeners import Listeners
from seqmelody.objectives import Preference
from seqmelody.objectives.judged import Judgements
from seqmelody.scorer import Scorer

CATCHY = {"offset": -0.4, "scale": 1.7}
PREFERENCE = {"scale": 2.5, "tie": 0.6}


@pytest.fixture(scope="module")
def plain(checkpoint_folder) -> Scorer:
    return Scorer.load(checkpoint_folder, threads=1)


def asked(plain: Scorer, **learnt) -> Scorer:
    """The same scorer, as if people had been asked."""
    return Scorer(
        dataclasses.replace(plain.checkpoint, listeners=Listeners(**learnt)),
        threads=1,
    )


def test_a_yes_has_a_probability_where_answers_were_learnt(plain):
    scorer = asked(plain, catchy=CATCHY)
    assert (plain.knows_catchy, scorer.knows_catchy) == (False, True)
    items = [*TUNES.values(), b"no MIDI"]
    *scores, failed = scorer.score(items)
    assert failed.catchy is None
    for score in scores:
        odds = math.exp(-0.4 + 1.7 * score.score)
        assert score.catchy == pytest.approx(odds / (1 + odds), rel=1e-5)
    assert len({score.catchy for score in scores}) == len(scores)
    assert {score.catchy for score in plain.score(items)} == {None}
    assert scorer.explain(TUNES["freude"]).score.catchy == pytest.approx(
        scores[list(TUNES).index("freude")].catchy, abs=1e-5
    )


@settings(max_examples=20)
@given(offset=st.floats(-1e6, 1e6), scale=st.floats(0.01, 100))
def test_whatever_was_learnt_a_probability_is_one(plain, offset, scale):
    scores = asked(plain, catchy={"offset": offset, "scale": scale}).rank(list(TUNES.values()))
    chances = [score.catchy for score in scores]
    assert chances == sorted(chances, reverse=True)
    assert all(0 <= chance <= 1 for chance in chances)


def chance_in_training(scale: float, tie: float, score_a: float, score_b: float, said: str):
    """What the objective makes of a judgement: its loss is minus the logarithm of the chance."""
    pair = [[1, 0]] if said == "b" else [[0, 1]]
    value = torch.tensor([float(said == "neither")])
    judgement = Judgements(torch.tensor(pair), value, torch.ones(1), torch.tensor([-1]))
    # It only knows of ties where it has seen one.
    seen = Judgements(
        torch.tensor([[0, 1]]), torch.tensor([0.5]), torch.ones(1), torch.tensor([-1])
    )
    objective = Preference(seen)
    with torch.no_grad():
        objective.log_scale.fill_(math.log(scale))
        objective.log_tie.fill_(math.log(tie))
        return math.exp(-float(objective(torch.tensor([score_a, score_b]), None, judgement)))


@pytest.mark.parametrize("names", [("freude", "greensleeves"), ("greensleeves", "new-britain")])
def test_who_is_preferred_is_what_the_objective_learnt(plain, names):
    a, b = (TUNES[name] for name in names)
    scores = [score.score for score in plain.score([a, b])]
    found = asked(plain, preference=PREFERENCE).preference(a, b)
    for said in ("a", "b", "neither"):
        expected = chance_in_training(2.5, 0.6, *scores, said)
        assert getattr(found, said) == pytest.approx(expected, abs=1e-4)


@settings(max_examples=20)
@given(scale=st.floats(0.01, 1e5), tie=st.just(0) | st.floats(0.01, 50))
def test_preferences_add_up_and_have_no_side(plain, scale, tie):
    scorer = asked(plain, preference={"scale": scale, "tie": tie})
    a, b = TUNES["freude"], TUNES["greensleeves"]
    found, back = scorer.preference(a, b), scorer.preference(b, a)
    assert found.a + found.b + found.neither == pytest.approx(1)
    assert (found.a, found.b, found.neither) == pytest.approx((back.b, back.a, back.neither))
    same = scorer.preference(a, a)
    assert same.a == same.b == pytest.approx(1 / (2 + tie))
    assert tie > 0 or found.neither == 0
    first, second = plain.score([a, b])
    assert (found.a > found.b) is (first.score > second.score)


def test_a_checkpoint_that_learnt_no_preferences_says_so(plain, tune_folder):
    for scorer in (plain, asked(plain, catchy=CATCHY)):
        with pytest.raises(UsageError, match="untrained: has learnt no preferences"):
            scorer.preference(TUNES["freude"], TUNES["greensleeves"])


def test_preferences_are_between_two_melodies(plain, tune_folder):
    scorer = asked(plain, preference=PREFERENCE)
    with pytest.raises(ValueError, match="several melodies"):
        scorer.preference(TUNES["freude"], tune_folder)
    with pytest.raises(InputError, match=r"<bytes 0>: the file is empty"):
        scorer.preference(TUNES["freude"], b"")


def test_a_scorer_knows_ratings_where_it_has_a_listener(plain):
    assert not plain.knows_ratings
    with pytest.raises(UsageError, match="knows no listener"):
        Scorer(plain.checkpoint, listener="me")
