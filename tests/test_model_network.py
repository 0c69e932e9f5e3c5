from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import batches, model_configs, seeds, token_streams
from tunes import TUNES

from seqmelody.batching import Batch, collate, corpus_batch
from seqmelody.config import CONTEXTS, ModelConfig
from seqmelody.model import MelodyNetwork, ModelOutput
from seqmelody.tokens import Tokenizer

SMALL = ModelConfig(channels=12, dilations=(1, 3), hidden_size=10, embedding_size=7)
KINDS = {
    "convolutions and GRU": SMALL,
    "GRU": dataclasses.replace(SMALL, dilations=()),
    "CNN": dataclasses.replace(SMALL, context="none"),
    "Transformer": dataclasses.replace(SMALL, dilations=(), context="attention", heads=2, layers=2),
    "bag of notes": dataclasses.replace(SMALL, dilations=(), context="none"),
}


def model_of(config: ModelConfig, seed: int = 0) -> MelodyNetwork:
    torch.manual_seed(seed)
    model = MelodyNetwork(config, Tokenizer()).eval()
    with torch.no_grad():
        # As training would: biases and exact durations that are not zero.
        for weight in model.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return model


@pytest.fixture(scope="module", params=KINDS)
def model(request) -> MelodyNetwork:
    return model_of(KINDS[request.param])


def tensors(output: ModelOutput) -> list[torch.Tensor]:
    """All but the standard deviations, which an untrained model does not know."""
    assert output.sd_B is None
    return [output.score_B, output.embedding_BE, output.weight_BL, output.value_BL]


def scored(model: MelodyNetwork, batch: Batch) -> ModelOutput:
    # Not in inference mode, since a batch keeps its mask, which some tests use for training.
    with torch.no_grad():
        return model(batch)


def assert_row_is(output: ModelOutput, row: int, alone: ModelOutput) -> None:
    notes = alone.weight_BL.shape[1]
    assert output.score_B[row].item() == pytest.approx(alone.score_B[0].item(), abs=1e-5)
    for one, other in (
        (output.embedding_BE[row], alone.embedding_BE[0]),
        (output.weight_BL[row, :notes], alone.weight_BL[0]),
        (output.value_BL[row, :notes], alone.value_BL[0]),
    ):
        assert torch.allclose(one, other, atol=1e-5)


@settings(max_examples=50)
@given(melodies=st.lists(token_streams(), min_size=2, max_size=6), wider=st.integers(0, 30))
def test_a_melody_scores_the_same_alone_in_any_batch_and_with_any_padding(model, melodies, wider):
    batch = collate(melodies)
    padded = dataclasses.replace(
        batch,
        **{
            # Whatever stands on padding.
            name: torch.nn.functional.pad(getattr(batch, name), (0, wider), value=1)
            for name in ("pitch_BL", "duration_BL", "rest_BL")
        },
    )
    turned = collate(melodies[::-1])
    outputs = scored(model, batch), scored(model, padded), scored(model, turned)
    for row, tokens in enumerate(melodies):
        alone = scored(model, collate([tokens]))
        assert_row_is(outputs[0], row, alone)
        assert_row_is(outputs[1], row, alone)
        assert_row_is(outputs[2], len(melodies) - 1 - row, alone)


@pytest.mark.parametrize("context", CONTEXTS)
def test_real_melodies_score_the_same_alone_and_in_one_batch(essen_corpus, context):
    model = model_of(ModelConfig(context=context))
    rows = np.arange(60)
    together = scored(model, corpus_batch(essen_corpus, rows))
    assert together.score_B.std() > 0.01
    for row in rows:
        assert_row_is(together, row, scored(model, corpus_batch(essen_corpus, rows[[row]])))


@settings(max_examples=30)
@given(batch=batches(min_size=2), data=st.data())
def test_no_gradient_leaves_a_melody(model, batch, data):
    row = data.draw(st.integers(0, len(batch) - 1))
    seen = []
    handle = model.features.register_forward_hook(
        lambda module, inputs, vector_LBD: (
            seen.append(vector_LBD.detach().requires_grad_()) or seen[0]
        )
    )
    try:
        output = model(batch)
    finally:
        handle.remove()
    (output.score_B[row] + output.embedding_BE[row].sum()).backward()
    gradient_LBD = seen[0].grad
    own_LB = batch.mask_BL.T & (torch.arange(len(batch)) == row)
    assert not gradient_LBD[~own_LB].any()
    # Every note of the melody counts.
    assert gradient_LBD[own_LB].abs().sum(1).min() > 0


@settings(max_examples=30)
@given(batch=batches(lowest=20, highest=100), semitones=st.integers(-20, 27))
def test_the_score_does_not_hinge_on_the_key(model, batch, semitones):
    moved = dataclasses.replace(batch, pitch_BL=(batch.pitch_BL + semitones) * batch.mask_BL)
    one, other = scored(model, batch), scored(model, moved)
    for tensor, same in zip(tensors(one), tensors(other), strict=True):
        assert torch.equal(tensor, same)


@settings(max_examples=30)
@given(config=model_configs(), batch=batches(), seed=seeds)
def test_any_sizes_make_a_model(config, batch, seed):
    model = model_of(config, seed)
    output = scored(model, batch)
    B, L = batch.pitch_BL.shape
    assert output.score_B.shape == (B,)
    assert output.embedding_BE.shape == (B, config.embedding_size)
    assert output.weight_BL.shape == output.value_BL.shape == (B, L)
    for tensor in tensors(output):
        assert tensor.dtype == torch.float32
        assert tensor.isfinite().all()
    assert torch.allclose(output.weight_BL.sum(1), torch.ones(B), atol=1e-5)
    share_BL = output.weight_BL * output.value_BL
    assert torch.allclose(output.score_B, share_BL.sum(1), atol=1e-5)
    assert torch.allclose(output.embedding_BE.norm(dim=1), torch.ones(B), atol=1e-4)
    # One backward pass reaches the weights, dropout and all.
    model.train()(batch).score_B.sum().backward()
    assert all(weight.grad is None or weight.grad.isfinite().all() for weight in model.parameters())


def test_every_part_of_a_melody_matters(model, essen_corpus):
    batch = corpus_batch(essen_corpus, np.arange(1))
    score = scored(model, batch).score_B
    last = int(batch.length_B[0]) - 1
    for name in ("pitch_BL", "duration_BL", "rest_BL"):
        for note in (0, last // 2, last - 1):
            stream_BL = getattr(batch, name).clone()
            stream_BL[0, note] += 1
            other = scored(model, dataclasses.replace(batch, **{name: stream_BL})).score_B
            assert (other - score).abs() > 1e-6, (name, note)


def test_one_note_alone_leaves_the_weights_as_they_are(model):
    before = [weight.clone() for weight in model.parameters()]
    scored(model, Batch(*(torch.tensor([[value]]) for value in (60, 24, 0)), torch.tensor([1])))
    for weight, was in zip(model.parameters(), before, strict=True):
        assert torch.equal(weight, was)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["dropout", "feature_dropout"])
def test_dropout_is_for_training_only(essen_corpus, name, kind):
    batch = corpus_batch(essen_corpus, np.arange(3))
    off = dataclasses.replace(KINDS[kind], dropout=0.0, feature_dropout=0.0)
    model = model_of(dataclasses.replace(off, **{name: 0.5}))
    assert torch.equal(scored(model, batch).score_B, scored(model, batch).score_B)
    model.train()
    assert not torch.equal(scored(model, batch).score_B, scored(model, batch).score_B)
    without = model_of(off)
    assert torch.equal(scored(without.train(), batch).score_B, scored(without, batch).score_B)


def test_the_score_is_linear_in_the_vector_whose_direction_is_the_embedding(model, essen_corpus):
    batch = corpus_batch(essen_corpus, np.arange(20))
    output = scored(model, batch)
    with torch.no_grad():
        vector_BE = model.vectors(batch)
        score_B = model.head.value(vector_BE)[:, 0]
    assert torch.allclose(score_B, output.score_B, atol=1e-5)
    embedding_BE = torch.nn.functional.normalize(vector_BE, dim=1)
    assert torch.allclose(embedding_BE, output.embedding_BE, atol=1e-5)


def test_the_melodys_vector_is_the_weighted_sum_of_the_notes_vectors(model, essen_corpus):
    batch = corpus_batch(essen_corpus, np.arange(20))
    with torch.no_grad():
        output, vector_BLE = model.with_note_vectors(batch)
        pooled_BE = (output.weight_BL[:, :, None] * vector_BLE).sum(1)
        value_BL = model.head.value(vector_BLE)[:, :, 0]
        assert torch.allclose(pooled_BE, model.vectors(batch), atol=1e-5)
    for one, other in zip(tensors(output), tensors(scored(model, batch)), strict=True):
        assert torch.equal(one, other)
    assert vector_BLE.dtype == torch.float32
    assert not vector_BLE[~batch.mask_BL].any()
    # A note's value is read off its vector, as a melody's score is off its own.
    assert torch.allclose(value_BL[batch.mask_BL], output.value_BL[batch.mask_BL], atol=1e-4)


def test_the_names_of_the_default_models_weights_stay():
    names = set(MelodyNetwork(ModelConfig(), Tokenizer()).state_dict())
    parts = {name.split(".")[0] for name in names}
    assert parts == {"features", "blocks", "norm", "gru", "head"}
    assert {"features.table.weight", "blocks.3.conv.weight", "norm.bias"} <= names
    assert {"gru.forwards.weight_hh_l0", "gru.backwards.bias_ih_l0", "head.value.bias"} <= names


def test_a_note_is_judged_knowing_the_whole_where_there_is_context(model):
    batch = collate([Tokenizer().encode(TUNES["freude"][:14])])
    # One onset moves, beyond what convolutions see: no feature of the first note changes.
    duration_BL = batch.duration_BL.clone()
    duration_BL[0, 10] += 1
    duration_BL[0, 11] -= 1
    changed = dataclasses.replace(batch, duration_BL=duration_BL)
    one, other = scored(model, batch).value_BL[0, 0], scored(model, changed).value_BL[0, 0]
    assert torch.equal(one, other) == (model.config.context == "none")
