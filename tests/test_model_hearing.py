from __future__ import annotations

import dataclasses
import importlib.util

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sound import Harmonics, heard
from strategies import batches, token_streams
from tunes import TUNES

from seqmelody.batching import Batch, collate
from seqmelody.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from seqmelody.config import ModelConfig
from seqmelody.errors import SeqmelodyError
from seqmelody.melody import Melody
from seqmelody.model import MelodyNetwork, ModelOutput, build_model, hearing
from seqmelody.model.frames import STATE_HOP
from seqmelody.scorer import Scorer
from seqmelody.tokens import Tokenizer
from seqmelody.whitening import Whitening

SMALL = ModelConfig(
    channels=10, dilations=(1, 2), hidden_size=8, embedding_size=6, bands=24, filters=3
)
KINDS = {
    "spectrogram, CNN": dataclasses.replace(SMALL, front_end="mel", context="none"),
    "spectrogram, CNN and GRU": dataclasses.replace(SMALL, front_end="mel"),
    "STFT": dataclasses.replace(SMALL, front_end="stft"),
    "filter bank": dataclasses.replace(SMALL, front_end="filterbank"),
    "butterfly": dataclasses.replace(SMALL, front_end="butterfly"),
    "butterfly, attention": dataclasses.replace(
        SMALL, front_end="butterfly", context="attention", channels=8, heads=2, layers=1
    ),
}


@pytest.fixture(scope="module", params=KINDS)
def model(request) -> MelodyNetwork:
    return heard(KINDS[request.param])


@pytest.fixture(scope="module")
def tunes() -> Batch:
    return collate([Tokenizer().encode(tune) for tune in TUNES.values()])


def scored(model: MelodyNetwork, batch: Batch) -> ModelOutput:
    with torch.no_grad():
        return model(batch)


def tensors(output: ModelOutput) -> list[torch.Tensor]:
    return [output.score_B, output.embedding_BE, output.weight_BL, output.value_BL]


def assert_row_is(output: ModelOutput, row: int, alone: ModelOutput) -> None:
    notes = alone.weight_BL.shape[1]
    assert output.score_B[row].item() == pytest.approx(alone.score_B[0].item(), abs=2e-5)
    for one, other in (
        (output.embedding_BE[row], alone.embedding_BE[0]),
        (output.weight_BL[row, :notes], alone.weight_BL[0]),
        (output.value_BL[row, :notes], alone.value_BL[0]),
    ):
        assert torch.allclose(one, other, atol=2e-5)


@settings(max_examples=8)
@given(
    melodies=st.lists(token_streams(max_notes=12), min_size=2, max_size=4),
    wider=st.integers(0, 5),
)
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
    outputs = scored(model, batch), scored(model, padded), scored(model, collate(melodies[::-1]))
    for row, tokens in enumerate(melodies):
        alone = scored(model, collate([tokens]))
        assert_row_is(outputs[0], row, alone)
        assert_row_is(outputs[1], row, alone)
        assert_row_is(outputs[2], len(melodies) - 1 - row, alone)


def test_a_batch_that_is_worked_on_in_pieces_gives_what_it_gives_at_once(model, tunes, monkeypatch):
    whole, vector_BE = scored(model, tunes), model.vectors(tunes)
    assert whole.score_B.std() > 1e-3
    rendered = []
    at_once = model._synthesizer
    monkeypatch.setattr(
        model, "_synthesizer", lambda batch: rendered.append(len(batch)) or at_once(batch)
    )
    monkeypatch.setattr(hearing, "STATES_AT_ONCE", 1)
    pieces = scored(model, tunes)
    assert rendered == [1] * len(tunes)
    for one, other in zip(tensors(whole), tensors(pieces), strict=True):
        assert torch.allclose(one, other, atol=2e-5)
    assert torch.allclose(vector_BE, model.vectors(tunes), atol=2e-5)


@settings(max_examples=10)
@given(batch=batches(max_notes=20))
def test_the_score_is_a_sum_over_the_notes(model, batch):
    output = scored(model, batch)
    for tensor in tensors(output):
        assert tensor.dtype == torch.float32
        assert tensor.isfinite().all()
    assert output.weight_BL.shape == output.value_BL.shape == batch.pitch_BL.shape
    assert (output.weight_BL >= 0).all()
    assert not output.weight_BL[~batch.mask_BL].any()
    assert torch.allclose(output.weight_BL.sum(1), torch.ones(len(batch)), atol=1e-5)
    share_BL = output.weight_BL * output.value_BL
    assert torch.allclose(output.score_B, share_BL.sum(1), atol=1e-5)
    assert torch.allclose(output.embedding_BE.norm(dim=1), torch.ones(len(batch)), atol=1e-4)


def batch_of(*notes: tuple[int, int, int]) -> Batch:
    """One melody of pitches, durations and rests."""
    streams = torch.tensor(notes).T[:, None]
    return Batch(*streams, torch.tensor([len(notes)]))


def test_time_belongs_to_the_note_that_sounds_or_sounded_last(model):
    sixteenth = STATE_HOP // hearing.SAMPLES_PER_STEP
    # A quarter, a note too short to be sounding at the middle of a state, a sixteenth; a rest.
    batch = batch_of(
        (60, 4 * sixteenth, 0), (62, 1, 0), (64, sixteenth - 1, 2 * sixteenth), (65, 6, 0)
    )
    weight_L = scored(model, batch).weight_BL[0]
    assert (weight_L > 0).tolist() == [True, False, True, True]
    output = model.head(*model._hear(batch)[:2])
    states = [4, 0, 3, output.weight_BL.shape[1] - 7]
    for weight, part in zip(weight_L, output.weight_BL[0].split(states), strict=True):
        assert weight.item() == pytest.approx(part.sum().item(), abs=1e-6)


def test_what_comes_after_a_minute_is_not_heard(model):
    bars = [(60 + number % 5, 96, 0) for number in range(40)]
    changed = [*bars[:30], *[(90, 96, 0)] * 10]
    one, other = scored(model, batch_of(*bars)), scored(model, batch_of(*changed))
    assert torch.equal(one.score_B, other.score_B)
    assert (one.weight_BL[0, :30] > 0).all()
    assert not one.weight_BL[0, 30:].any()


def test_every_part_of_a_melody_matters_and_so_does_the_key(model):
    batch = collate([Tokenizer().encode(TUNES["freude"])])
    score = scored(model, batch).score_B
    last = int(batch.length_B[0]) - 1
    for name in ("pitch_BL", "duration_BL", "rest_BL"):
        for note in (0, last // 2, last - 1):
            stream_BL = getattr(batch, name).clone()
            stream_BL[0, note] += 6
            other = scored(model, dataclasses.replace(batch, **{name: stream_BL})).score_B
            assert (other - score).abs() > 1e-7, (name, note)
    higher = dataclasses.replace(batch, pitch_BL=batch.pitch_BL + 3)
    assert (scored(model, higher).score_B - score).abs() > 1e-5


def test_no_gradient_leaves_a_melody(model, tunes):
    seen = []
    handle = model.features.register_forward_hook(
        lambda module, inputs, vector_FBD: (
            seen.append(vector_FBD.detach().requires_grad_()) or seen[0]
        )
    )
    try:
        output = model(tunes)
    finally:
        handle.remove()
    (output.score_B[1] + output.embedding_BE[1].sum()).backward()
    gradient_BFD = seen[0].grad.transpose(0, 1)
    # Rows are sorted by length on their way.
    touched_B = gradient_BFD.flatten(1).any(1)
    assert touched_B.sum() == 1
    states = -(-int(Harmonics()(tunes).length_B[1]) // STATE_HOP)
    row_FD = gradient_BFD[touched_B][0]
    assert row_FD[:states].any(1).all()
    assert not row_FD[states:].any()


@pytest.mark.parametrize("kind", ["spectrogram, CNN", "STFT"])
@pytest.mark.parametrize("name", ["dropout", "feature_dropout"])
def test_dropout_is_for_training_only(tunes, name, kind):
    off = dataclasses.replace(KINDS[kind], dropout=0.0, feature_dropout=0.0)
    model = heard(dataclasses.replace(off, **{name: 0.5}))
    assert torch.equal(scored(model, tunes).score_B, scored(model, tunes).score_B)
    model.train()
    assert not torch.equal(scored(model, tunes).score_B, scored(model, tunes).score_B)
    without = heard(off)
    assert torch.equal(scored(without.train(), tunes).score_B, scored(without, tunes).score_B)


def test_the_melodys_vector_is_the_weighted_sum_of_the_notes_vectors(model, tunes, monkeypatch):
    vector_BE = model.vectors(tunes).detach()
    # Some rows at a time, out of their order.
    monkeypatch.setattr(hearing, "STATES_AT_ONCE", 200)
    with torch.no_grad():
        output, vector_BLE = model.with_note_vectors(tunes)
    for one, other in zip(tensors(output), tensors(scored(model, tunes)), strict=True):
        assert torch.equal(one, other)
    pooled_BE = (output.weight_BL[:, :, None] * vector_BLE).sum(1)
    assert torch.allclose(pooled_BE, vector_BE, atol=2e-5)
    # What has no state of its own has no vector.
    assert torch.equal(vector_BLE.any(2), output.weight_BL > 0)
    value_BL = model.head.value(vector_BLE)[:, :, 0].detach()
    heard_BL = output.weight_BL > 0
    assert torch.allclose(value_BL[heard_BL], output.value_BL[heard_BL], atol=1e-4)


def test_embeddings_of_notes_add_up_where_some_are_not_heard(model):
    axes_EE = np.random.default_rng(0).normal(size=(6, 6)).astype(np.float32)
    whitening = Whitening(np.full(6, 0.1, dtype=np.float32), axes_EE)
    scorer = Scorer(Checkpoint("heard", model, Tokenizer(), {}, whitening=whitening), threads=1)
    # The second note is too short to be sounding at the middle of a state.
    melody = Melody.from_streams([60, 62, 64, 65], [24, 1, 5, 24], [0, 0, 12, 0])
    [(_, found)] = scorer.iter_note_embeddings(melody)
    assert (found.weight > 0).tolist() == [True, False, True, True]
    assert found.vector.any(1).tolist() == [True, False, True, True]
    assert np.allclose(found.weight @ found.vector, scorer.embed(melody)[0], atol=1e-4)


def test_the_score_is_linear_in_the_vector_whose_direction_is_the_embedding(model, tunes):
    output = scored(model, tunes)
    with torch.no_grad():
        vector_BE = model.vectors(tunes)
        score_B = model.head.value(vector_BE)[:, 0]
    assert torch.allclose(score_B, output.score_B, atol=1e-5)
    embedding_BE = torch.nn.functional.normalize(vector_BE, dim=1)
    assert torch.allclose(embedding_BE, output.embedding_BE, atol=1e-5)


@pytest.mark.parametrize("kind", ["spectrogram, CNN", "STFT", "filter bank", "butterfly"])
def test_a_few_steps_tell_melodies_from_their_notes_shuffled(tunes, kind):
    model = heard(dataclasses.replace(KINDS[kind], dropout=0.0, feature_dropout=0.0)).train()
    # The first sixteen notes of each.
    heads = Batch(
        *(stream[:, :16] for stream in (tunes.pitch_BL, tunes.duration_BL, tunes.rest_BL)),
        tunes.length_B.clamp(max=16),
    )
    order = torch.randperm(16, generator=torch.Generator().manual_seed(0))
    shuffled = dataclasses.replace(heads, pitch_BL=heads.pitch_BL[:, order])
    both = Batch.concatenate([heads, shuffled])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(20):
        score_B = model(both).score_B
        loss = torch.nn.functional.softplus(score_B[len(heads) :] - score_B[: len(heads)]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert min(losses[-3:]) < 0.9 * losses[0]


def test_a_checkpoint_comes_back_as_it_was(model, tunes, tmp_path, monkeypatch):
    monkeypatch.setattr(hearing, "Synthesizer", Harmonics)
    stored = dataclasses.asdict(model.config) | {"dilations": list(model.config.dilations)}
    folder = save_checkpoint(
        tmp_path / "heard", Checkpoint("heard", model, Tokenizer(), {"model": stored}), "# Heard"
    )
    found = load_checkpoint(folder)
    assert found.model.config == model.config
    for one, other in zip(
        tensors(scored(found.model, tunes)), tensors(scored(model, tunes)), strict=True
    ):
        assert torch.equal(one, other)


def test_without_the_extra_the_error_says_what_to_install(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "pretty_midi" else found(name, *rest),
    )
    monkeypatch.setitem(__import__("sys").modules, "midirenderer", None)
    with pytest.raises(SeqmelodyError, match=r"seqmelody\[audio\]"):
        build_model(KINDS["STFT"], Tokenizer())
    # What reads notes needs nothing of it.
    build_model(ModelConfig(), Tokenizer())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["spectrogram, CNN", "STFT"])
def test_the_soundfont_is_heard(tunes, kind):
    pytest.importorskip("midirenderer", reason="needs the extra [audio]")
    pytest.importorskip("pretty_midi", reason="needs the extra [audio]")
    torch.manual_seed(0)
    model = build_model(KINDS[kind], Tokenizer()).eval()
    output = scored(model, tunes)
    assert output.score_B.isfinite().all()
    assert output.score_B.std() > 0
    share_BL = output.weight_BL * output.value_BL
    assert torch.allclose(output.score_B, share_BL.sum(1), atol=1e-5)
