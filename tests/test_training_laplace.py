from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from strategies import seeds

from seqmelody.batching import Batch, corpus_batch
from seqmelody.config import ContrastConfig, ModelConfig
from seqmelody.model import MelodyNetwork
from seqmelody.objectives import Contrast
from seqmelody.training import laplace
from seqmelody.training.laplace import fit_posterior

SIZES = ModelConfig(channels=12, dilations=(1, 2), hidden_size=10, embedding_size=6)


def model_of(seed: int = 0, **changes) -> MelodyNetwork:
    from seqmelody.tokens import Tokenizer

    torch.manual_seed(seed)
    return MelodyNetwork(dataclasses.replace(SIZES, **changes), Tokenizer()).eval()


@pytest.fixture(scope="module")
def contrast(essen_corpus) -> Contrast:
    return Contrast(
        ContrastConfig(kinds={"shuffle_notes": 1.0, "transpose_tail": 1.0}), essen_corpus
    )


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_scores_under_dropout_lie_in_the_interval_as_often_as_it_says(
    essen_corpus, contrast, monkeypatch, share
):
    # The readout's part alone would cover them, in a model that was not trained.
    nothing_EE = torch.zeros(6, 6, dtype=torch.float64)
    monkeypatch.setattr(laplace, "_root", lambda *_: nothing_EE)
    monkeypatch.setattr(laplace, "INTERVAL", share)
    model = model_of()
    posterior = fit_posterior(model, essen_corpus, contrast)
    assert not model.training
    originals = corpus_batch(essen_corpus, np.sort(essen_corpus.split("validation")))
    copies = contrast.draw(originals, torch.Generator().manual_seed(5)).copies
    batch = Batch.concatenate([originals, copies])
    with torch.no_grad():
        sd_B, score_B = posterior(model.vectors(batch)), model(batch).score_B
        model.train()
        within = []
        for _ in range(20):
            dropped_B = model(batch).score_B
            # As two trainings are compared: at the same mean and scale.
            dropped_B = (dropped_B - dropped_B.mean()) / dropped_B.std() * score_B.std()
            off_B = dropped_B + score_B.mean() - score_B
            within.append((off_B.abs() < 1.6449 * sd_B).float().mean())
    assert float(torch.stack(within).mean()) == pytest.approx(share, abs=0.08)


def test_the_readout_is_as_sure_as_the_comparisons_of_the_training_melodies_tell(
    essen_corpus, contrast, monkeypatch
):
    """The posterior worked out by hand, from the copies that were drawn."""
    drawn = []

    def draw(batch, generator):
        comparison = Contrast.draw(contrast, batch, generator)
        drawn.append((batch, comparison))
        return comparison

    monkeypatch.setattr(contrast, "draw", draw)
    monkeypatch.setattr(laplace, "MELODIES", {"train": 30, "validation": 20})
    model = model_of()
    posterior = fit_posterior(model, essen_corpus, contrast)
    vectors, told, seen = [], [], 0
    with torch.no_grad():
        for batch, comparison in drawn:
            if seen == 30:
                break
            seen += len(batch)
            vectors.append(model.vectors(batch).double())
            told.append(
                vectors[-1][comparison.original_N] - model.vectors(comparison.copies).double()
            )
    assert seen == 30 < len(essen_corpus.split("train"))
    torch.testing.assert_close(posterior.mean_E.double(), torch.cat(vectors).mean(0))
    difference_NE = torch.cat(told)
    chance_N = (difference_NE @ model.head.value.weight[0].detach().double()).sigmoid()
    # The thirty stand for all.
    weight_N = len(essen_corpus.split("train")) / 30 * chance_N * (1 - chance_N)
    told_EE = difference_NE.T @ (weight_N[:, None] * difference_NE)
    root_EE = posterior.root_EE.double()
    prior_EE = torch.linalg.inv(root_EE @ root_EE.T) - told_EE
    prior = prior_EE.diagonal().mean()
    assert prior > 0
    identity_EE = torch.eye(6, dtype=torch.float64)
    torch.testing.assert_close(prior_EE / prior, identity_EE, atol=0.02, rtol=0)


def test_the_same_seed_gives_the_same_and_the_generator_is_left_as_it_was(essen_corpus, contrast):
    model = model_of()
    torch.manual_seed(3)
    before = torch.get_rng_state()
    one, same, other = (fit_posterior(model, essen_corpus, contrast, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    for name, tensor in one.named_buffers():
        assert torch.equal(tensor, same.get_buffer(name))
    assert not torch.equal(one.root_EE, other.root_EE)


def test_a_melody_unlike_those_of_training_is_less_sure(essen_corpus, contrast):
    posterior = fit_posterior(model_of(), essen_corpus, contrast)
    away_E = torch.randn(6)
    sds = posterior(posterior.mean_E + torch.arange(4.0)[:, None] * away_E)
    assert (sds.diff() > 0).all()
    assert sds[0] == posterior.spread


def test_nothing_is_known_without_dropout_or_without_a_copy_that_differs(
    essen_corpus, contrast, monkeypatch
):
    rigid = model_of(dropout=0.0, feature_dropout=0.0)
    assert fit_posterior(rigid, essen_corpus, contrast) is None
    monkeypatch.setattr(contrast.corruptor, "corrupt", lambda batch, kind, generator, **how: batch)
    assert fit_posterior(model_of(), essen_corpus, contrast) is None


@settings(max_examples=20)
@given(seed=seeds)
def test_the_covariance_is_the_inverse_of_the_information_with_a_prior_that_fits_the_weights(seed):
    generator = torch.Generator().manual_seed(seed)
    weight_E = torch.randn(4, generator=generator, dtype=torch.float64)
    difference_NE = torch.randn(300, 4, generator=generator, dtype=torch.float64)
    root_EE = laplace._root(difference_NE, weight_E, share=2.0)
    precision_EE = torch.linalg.inv(root_EE @ root_EE.T)
    chance_N = (difference_NE @ weight_E).sigmoid()
    told_EE = sum(
        2 * chance * (1 - chance) * torch.outer(difference_E, difference_E)
        for chance, difference_E in zip(chance_N, difference_NE, strict=True)
    )
    prior_EE = precision_EE - told_EE
    prior = prior_EE.diagonal().mean()
    assert torch.allclose(prior_EE, prior * torch.eye(4, dtype=torch.float64), atol=1e-6)
    # MacKay's condition: the data tell of so many directions.
    directions = 4 - prior * torch.linalg.inv(precision_EE).trace()
    assert float(prior * weight_E.square().sum()) == pytest.approx(float(directions), rel=1e-3)
