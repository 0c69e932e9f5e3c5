from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_ins import ScoreBy, knows
from strategies import batches, seeds

from seqmelody.batching import Batch, collate, corpus_batch
from seqmelody.config import TRAINED_KINDS, ContrastConfig
from seqmelody.corruption import Corruptor, changed
from seqmelody.objectives import Contrast
from seqmelody.objectives.contrast import compare
from seqmelody.tokens import Tokens


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def batch(essen_corpus) -> Batch:
    return corpus_batch(essen_corpus, np.arange(40))


@settings(max_examples=40)
@given(batch=batches(), copies=st.integers(1, 4), seed=seeds)
def test_each_melody_gets_its_copies_save_those_that_came_out_alike(
    tune_corpus, batch, copies, seed
):
    contrast = Contrast(ContrastConfig(copies=copies), tune_corpus)
    drawn = contrast.draw(batch, seeded(seed))
    assert len(drawn.copies) == len(drawn.original_N) == len(drawn.kind_N)
    assert torch.bincount(drawn.original_N, minlength=len(batch)).max() <= copies
    originals = batch[drawn.original_N]
    assert torch.equal(drawn.copies.length_B, originals.length_B)
    assert changed(originals, drawn.copies).all()
    again = contrast.draw(batch, seeded(seed))
    assert torch.equal(drawn.copies.pitch_BL, again.copies.pitch_BL)
    assert torch.equal(drawn.kind_N, again.kind_N)


def test_kinds_are_drawn_by_their_weights_and_made_by_their_names(essen_corpus, batch):
    weights = {"shuffle_pitches": 3.0, "shuffle_durations": 1.0, "markov_1": 0.0}
    contrast = Contrast(ContrastConfig(kinds=weights, copies=50), essen_corpus)
    assert contrast.kinds == ("shuffle_pitches", "shuffle_durations")
    drawn = contrast.draw(batch, seeded(0))
    assert len(drawn.copies) > 0.98 * 50 * len(batch)
    share = (drawn.kind_N == 0).float().mean().item()
    assert share == pytest.approx(0.75, abs=0.04)
    originals = batch[drawn.original_N]
    for number, kept in ((0, "duration_BL"), (1, "pitch_BL")):
        of_kind = drawn.kind_N == number
        assert torch.equal(getattr(drawn.copies, kept)[of_kind], getattr(originals, kept)[of_kind])


@pytest.mark.parametrize("across", [0.0, 0.25, 1.0])
def test_the_loss_is_that_of_bradley_and_terry(essen_corpus, batch, across):
    contrast = Contrast(ContrastConfig(copies=2, across=across), essen_corpus)
    drawn = contrast.draw(batch, seeded(0))

    def score(batch: Batch) -> torch.Tensor:
        return batch.pitch_BL[:, :8].double().std(dim=1) - batch.duration_BL[:, 0] / 24

    result = contrast(ScoreBy(score), batch, drawn)
    original, copy = score(batch).numpy(), score(drawn.copies).numpy()

    def cost(winner, loser):
        return np.log1p(np.exp(-(winner - loser)))

    own = cost(original[drawn.original_N], copy).mean()
    every = np.mean([cost(one, copy) for one in original])
    assert result.loss.item() == pytest.approx((1 - across) * own + across * every)
    difference = original[drawn.original_N] - copy
    assert (
        result.won_N.tolist()
        == np.where(difference > 0, 1.0, np.where(difference < 0, 0.0, 0.5)).tolist()
    )
    assert torch.equal(result.kind_N, drawn.kind_N)


def test_knowing_the_originals_wins_all_and_scoring_by_nothing_ties(essen_corpus, batch):
    contrast = Contrast(ContrastConfig(), essen_corpus)
    drawn = contrast.draw(batch, seeded(0))
    assert (contrast(knows(batch), batch, drawn).won_N == 1).all()
    nothing = ScoreBy(lambda batch: torch.zeros(len(batch)))
    result = contrast(nothing, batch, drawn)
    assert (result.won_N == 0.5).all()
    assert result.loss.item() == pytest.approx(np.log(2))


def test_melodies_that_cannot_be_spoiled_cost_nothing(tune_corpus):
    one_note = Tokens(np.array([60], np.uint8), np.array([24], np.uint16), np.zeros(1, np.uint16))
    batch = collate([one_note] * 3)
    contrast = Contrast(ContrastConfig(kinds={"shuffle_notes": 1.0}), tune_corpus)
    drawn = contrast.draw(batch, seeded(0))
    assert len(drawn.copies) == 0
    weight = torch.ones((), requires_grad=True)
    result = contrast(ScoreBy(lambda batch: weight * batch.length_B), batch, drawn)
    result.loss.backward()
    assert result.loss == 0
    assert weight.grad == 0


@pytest.mark.parametrize("kind", TRAINED_KINDS)
def test_compare_says_who_won_and_nothing_where_the_copy_is_alike(essen_corpus, batch, kind):
    corruptor = Corruptor(essen_corpus, (kind,))
    one_note = Tokens(np.array([60], np.uint8), np.array([24], np.uint16), np.zeros(1, np.uint16))
    tokens = [essen_corpus.tokens(row) for row in range(20)]
    batch = collate([*tokens, *([] if kind.startswith("markov") else [one_note])])
    model = knows(batch)
    won_B, copy_score_B = compare(model, corruptor, batch, model(batch).score_B, kind, seeded(0))
    unlike = changed(batch, corruptor.corrupt(batch, kind, seeded(0)))
    assert unlike[:20].float().mean() > 0.9
    assert torch.equal(won_B.isnan(), ~unlike)
    assert (won_B[unlike] == 1).all()
    assert (copy_score_B[unlike] == 0).all()
    loser = torch.full((len(batch),), -1.0)
    assert (compare(model, corruptor, batch, loser, kind, seeded(0))[0][unlike] == 0).all()
