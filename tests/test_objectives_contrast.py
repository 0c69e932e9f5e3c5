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


def test_milder_copies_are_paired_with_stronger_ones_of_the_same_melody(essen_corpus, batch):
    strengths = (0.25, 0.5, 1.0)
    config = ContrastConfig(
        kinds={"uniform_pitches": 1.0, "shuffle_durations": 1.0}, copies=2, strengths=strengths
    )
    contrast = Contrast(config, essen_corpus)
    drawn = contrast.draw(batch, seeded(0))
    assert len(drawn.copies) > 0.9 * 6 * len(batch)
    assert len(drawn.milder_P) > 0.8 * 6 * len(batch)
    milder, stronger = drawn.milder_P, drawn.stronger_P
    assert torch.equal(drawn.original_N[milder], drawn.original_N[stronger])
    assert torch.equal(drawn.kind_N[milder], drawn.kind_N[stronger])
    originals = batch[drawn.original_N]
    spoiled_N = (
        (drawn.copies.pitch_BL != originals.pitch_BL)
        | (drawn.copies.duration_BL != originals.duration_BL)
    ).sum(1)
    # On average only: a note may be drawn as it was.
    assert spoiled_N[milder].float().mean() < 0.7 * spoiled_N[stronger].float().mean()

    def score(batch: Batch) -> torch.Tensor:
        return batch.pitch_BL[:, :8].double().std(dim=1)

    result = contrast(ScoreBy(score), batch, drawn)
    original, copy = score(batch), score(drawn.copies)
    pairs = torch.cat([original[drawn.original_N] - copy, copy[milder] - copy[stronger]])
    every = original[:, None] - copy
    expected = 0.75 * pairs.neg().exp().log1p().mean() + 0.25 * every.neg().exp().log1p().mean()
    assert result.loss.item() == pytest.approx(expected.item())


def test_pairs_survive_where_some_copies_came_out_alike(tune_corpus):
    flat = Tokens(np.full(30, 60, np.uint8), np.full(30, 24, np.uint16), np.zeros(30, np.uint16))
    tune = tune_corpus.tokens(0)
    batch = collate([flat, tune])
    config = ContrastConfig(kinds={"shuffle_pitches": 1.0}, strengths=(0.3, 1.0), copies=5)
    drawn = Contrast(config, tune_corpus).draw(batch, seeded(0))
    assert (drawn.original_N == 1).all()
    assert len(drawn.milder_P) >= 4
    assert (drawn.milder_P != drawn.stronger_P).all()
    assert max(drawn.milder_P.max(), drawn.stronger_P.max()) < len(drawn.copies)


@pytest.mark.parametrize("strengths", [(), (0.5, 0.5), (1.0, 0.5), (0.0, 1.0), (0.5, 1.5)])
def test_strengths_that_do_not_rise_to_one_are_refused(strengths):
    with pytest.raises(ValueError, match="strengths must rise"):
        ContrastConfig(strengths=strengths)


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
