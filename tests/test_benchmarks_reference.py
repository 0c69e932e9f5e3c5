"""The models that ours is timed against compute what ours computes."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from benchmarks.reference import (
    PlainConvGRU,
    PlainTransformer,
    flops_per_note,
    parameters,
)
from seqmelody.batching import OrderedBatches
from seqmelody.checkpoint import default_checkpoint, load_checkpoint
from seqmelody.config import ContrastConfig, ModelConfig
from seqmelody.model import MelodyNetwork
from seqmelody.objectives import Contrast
from seqmelody.tokens import Tokenizer


@pytest.fixture(scope="module")
def shipped():
    return load_checkpoint(default_checkpoint())


def _reference(model, tokenizer):
    return PlainConvGRU(model.config, tokenizer).load_weights(model.state_dict())


def _one_batch(corpus):
    rows = corpus.split("train")
    return next(iter(OrderedBatches(corpus, rows, tokens_per_batch=1_000_000)))


@pytest.mark.parametrize("fixture", ["tune_corpus", "essen_corpus"])
def test_plain_model_gives_the_same_scores_and_embeddings(fixture, request, shipped):
    batch = _one_batch(request.getfixturevalue(fixture))
    assert len(set(batch.length_B.tolist())) > 1  # there is padding
    model = shipped.model.eval()
    with torch.no_grad():
        ours = model(batch)
        plain = _reference(model, shipped.tokenizer).eval()(batch)
    for name in ("score_B", "embedding_BE", "weight_BL", "value_BL"):
        torch.testing.assert_close(getattr(plain, name), getattr(ours, name), atol=1e-4, rtol=1e-4)


def test_plain_model_gives_the_same_loss_and_gradients(tune_corpus):
    config = ModelConfig(channels=16, hidden_size=16, dropout=0.0, feature_dropout=0.0)
    ours = MelodyNetwork(config, tune_corpus.tokenizer)
    plain = _reference(ours, tune_corpus.tokenizer)
    contrast = Contrast(ContrastConfig(), tune_corpus)
    batch = _one_batch(tune_corpus)
    comparison = contrast.draw(batch, torch.Generator().manual_seed(0))
    losses = [contrast(model, batch, comparison).loss for model in (ours, plain)]
    torch.testing.assert_close(losses[1], losses[0])
    gradients = []
    for model, loss in zip((ours, plain), losses, strict=True):
        loss.backward()
        gradients.append({name: weight.grad for name, weight in model.named_parameters()})
    table = torch.cat(
        [
            gradients[1][f"features.tables.{number}.weight"]
            for number in range(len(plain.features.tables))
        ]
    )
    torch.testing.assert_close(table, gradients[0]["features.table.weight"], atol=1e-5, rtol=1e-3)


def test_dropout_is_the_same_share_of_the_same_things(tune_corpus):
    """In training the two draw other random numbers, but their scores spread alike."""
    config = ModelConfig(channels=32, hidden_size=32, dropout=0.2, feature_dropout=0.3)
    torch.manual_seed(0)
    ours = MelodyNetwork(config, tune_corpus.tokenizer).train()
    plain = _reference(ours, tune_corpus.tokenizer).train()
    batch = _one_batch(tune_corpus)
    with torch.no_grad():
        spread, plain_spread = (
            torch.stack([model(batch).score_B for _ in range(150)]).std(0)
            for model in (ours, plain)
        )
    torch.testing.assert_close(plain_spread, spread, atol=0.0, rtol=0.25)


@pytest.mark.parametrize("config", [ModelConfig(), ModelConfig(channels=64, hidden_size=128)])
def test_rivals_have_as_many_parameters(config):
    ours = parameters(MelodyNetwork(config, Tokenizer()))
    assert parameters(PlainConvGRU(config, Tokenizer())) == ours
    assert parameters(PlainTransformer(config, Tokenizer())) == pytest.approx(ours, rel=0.005)


def test_transformer_scores_a_melody_whatever_is_beside_it(tune_corpus):
    torch.manual_seed(0)
    model = PlainTransformer(ModelConfig(), tune_corpus.tokenizer).eval()
    batch = _one_batch(tune_corpus)
    shortest = int(batch.length_B.argmin())
    alone = batch[torch.tensor([shortest])]
    notes = int(alone.length_B[0])
    alone = dataclasses.replace(
        alone,
        pitch_BL=alone.pitch_BL[:, :notes],
        duration_BL=alone.duration_BL[:, :notes],
        rest_BL=alone.rest_BL[:, :notes],
    )
    with torch.no_grad():
        torch.testing.assert_close(
            model(alone).score_B[0], model(batch).score_B[shortest], atol=1e-5, rtol=1e-5
        )


def test_operations_are_two_for_each_weight_of_the_products():
    model = torch.nn.Sequential(
        torch.nn.Embedding(7, 5), torch.nn.Conv1d(5, 4, 3), torch.nn.Linear(4, 2)
    )
    assert flops_per_note(model) == 2 * (5 * 4 * 3 + 4 * 2)
    gru = torch.nn.GRU(4, 6, bidirectional=True)
    assert flops_per_note(gru) == 2 * 2 * 3 * 6 * (4 + 6)
