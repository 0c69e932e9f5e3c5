from __future__ import annotations

import numpy as np
import pytest
import torch
from runs import small_run

from seqmelody.checkpoint import load_checkpoint
from seqmelody.config import ContrastConfig, ModelConfig
from seqmelody.familiarity import statistic_ranges
from seqmelody.model import MelodyNetwork
from seqmelody.objectives import Contrast
from seqmelody.scorer import Scorer
from seqmelody.training.run import train
from seqmelody.training.whitening import fit_whitening


@pytest.fixture(scope="module")
def model(essen_corpus) -> MelodyNetwork:
    config = ModelConfig(channels=16, dilations=(1, 2), hidden_size=16, embedding_size=8)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return MelodyNetwork(config, essen_corpus.tokenizer).eval()


@pytest.fixture(scope="module")
def contrast(essen_corpus) -> Contrast:
    return Contrast(ContrastConfig(copies=1), essen_corpus)


def test_melodies_and_their_copies_come_out_centred_and_evenly_spread(
    model, essen_corpus, contrast
):
    from seqmelody.batching import OrderedBatches
    from seqmelody.training.data import seed_of

    whitening = fit_whitening(model, essen_corpus, contrast, seed=5)
    generator = torch.Generator().manual_seed(seed_of(5, 0, 0, 3))
    vectors = []
    with torch.inference_mode():
        for batch in OrderedBatches(essen_corpus, essen_corpus.split("train")):
            vectors.append(model(batch).embedding_BE.numpy())
            vectors.append(model(contrast.draw(batch, generator).copies).embedding_BE.numpy())
    stretched = (np.concatenate(vectors) - whitening.mean_E) @ whitening.axes_EE
    assert np.allclose(stretched.mean(0), 0, atol=0.1)
    # The smallest spread is not blown up all the way.
    assert np.sort(stretched.std(0))[1:] == pytest.approx(np.ones(7), abs=0.5)


def test_the_same_seed_gives_the_same(model, essen_corpus, contrast):
    one, other = (fit_whitening(model, essen_corpus, contrast, seed=1) for _ in range(2))
    assert np.array_equal(one.axes_EE, other.axes_EE)


def test_of_a_large_corpus_every_so_many_melodies_are_looked_at(
    model, essen_corpus, contrast, monkeypatch
):
    seen = []
    monkeypatch.setattr("seqmelody.training.whitening.MELODIES", 40)
    draw = contrast.draw
    monkeypatch.setattr(
        contrast, "draw", lambda batch, *rest: seen.append(len(batch)) or draw(batch, *rest)
    )
    fit_whitening(model, essen_corpus, contrast)
    assert 20 < sum(seen) <= 40


def test_a_released_checkpoint_knows_what_its_melodies_are_like(essen_corpus, tmp_path):
    released = train(small_run(essen_corpus, tmp_path / "run"), progress=False)
    checkpoint = load_checkpoint(released)
    assert checkpoint.statistic_ranges == statistic_ranges(essen_corpus)
    scorer = Scorer(checkpoint, threads=1)
    ranked = scorer.rank(essen_corpus, distinct=0.99)
    assert 1 < len(ranked) <= len(essen_corpus)
