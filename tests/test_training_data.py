from __future__ import annotations

import dataclasses
import types

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from runs import small_run

from seqmelody.batching import Batch, TrainingBatches
from seqmelody.config import ContrastConfig
from seqmelody.objectives import Contrast
from seqmelody.training.data import ComparisonBatches, CorpusData, Steps, seed_of


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=5))
def test_a_seed_is_drawn_from_all_its_parts(parts):
    seed = seed_of(*parts)
    assert 0 <= seed < 2**63
    assert seed_of(*parts) == seed
    torch.Generator().manual_seed(seed)
    for place in range(len(parts)):
        other = [part + (number == place) for number, part in enumerate(parts)]
        assert seed_of(*other) != seed


@pytest.fixture(scope="module")
def contrast(essen_corpus, tmp_path_factory) -> Contrast:
    return Contrast(small_run(essen_corpus, tmp_path_factory.mktemp("none")).contrast, essen_corpus)


def same(one, other) -> bool:
    """Whether batches, with their copies, are the same."""
    tensors = [[value for part in pair for value in flattened(part)] for pair in (one, other)]
    return len(tensors[0]) == len(tensors[1]) and all(map(torch.equal, *tensors))


def flattened(part) -> list[torch.Tensor]:
    found = []
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        found += flattened(value) if isinstance(value, Batch) else [value]
    return found


def comparisons(corpus, contrast, **options) -> ComparisonBatches:
    return ComparisonBatches(
        TrainingBatches(corpus, corpus.split("train"), 400, steps=9, **options), contrast
    )


def test_a_step_hinges_on_the_seed_and_its_number_alone(essen_corpus, contrast):
    whole = list(comparisons(essen_corpus, contrast))
    batches = comparisons(essen_corpus, contrast, first_step=4)
    tail = list(batches)
    assert len(batches) == len(whole) == 9
    assert len(tail) == 5
    assert all(map(same, whole[4:], tail))
    assert not any(map(same, whole, whole[1:]))
    assert not same(whole[0], next(iter(comparisons(essen_corpus, contrast, seed=1))))


def test_every_step_draws_its_own_kinds(essen_corpus):
    contrast = Contrast(ContrastConfig(copies=8), essen_corpus)
    # One melody a batch, so that the number of draws does not tell the steps apart.
    batches = TrainingBatches(essen_corpus, essen_corpus.split("train"), 1, steps=9)
    drawn = {tuple(pair[1].kind_N.tolist()) for pair in ComparisonBatches(batches, contrast)}
    assert len(drawn) > 6


def test_a_resumable_loader_has_no_state_but_the_step(essen_corpus, contrast):
    batches = Steps(comparisons(essen_corpus, contrast), None, (), steps=2, first_step=0, seed=0)
    before = next(iter(batches))
    batches.load_state_dict(batches.state_dict())
    assert same(next(iter(batches))[:2], before[:2])


def melodies(batches) -> set[tuple[int, ...]]:
    return {
        tuple(pitch_L[:notes])
        for batch in batches
        for pitch_L, notes in zip(batch.pitch_BL.tolist(), batch.length_B.tolist(), strict=True)
    }


def of_split(corpus, name: str) -> set[tuple[int, ...]]:
    return {tuple(corpus.tokens(int(row)).pitch.tolist()) for row in corpus.split(name)}


def test_training_takes_the_training_split_from_the_trainers_step_on(
    essen_corpus, contrast, tmp_path
):
    config = small_run(essen_corpus, tmp_path, steps=20, tokens_per_batch=2000)
    data = CorpusData(config, essen_corpus, contrast)
    data.trainer = types.SimpleNamespace(global_step=17)
    assert len(list(data.train_dataloader())) == 3
    data.trainer.global_step = 0
    seen = melodies(batch for batch, *_ in data.train_dataloader())
    assert seen == of_split(essen_corpus, "train")


def test_validation_takes_the_same_melodies_of_the_validation_split(
    essen_corpus, contrast, tmp_path
):
    validation = of_split(essen_corpus, "validation")
    for most in (7, 10**6):
        config = small_run(essen_corpus, tmp_path, validation_melodies=most)
        data = CorpusData(config, essen_corpus, contrast)
        seen = melodies(data.val_dataloader())
        assert len(seen) == min(most, len(validation))
        assert seen <= validation
        assert melodies(data.val_dataloader()) == seen


def test_training_batches_go_to_the_device_and_validation_batches_stay(
    essen_corpus, contrast, tmp_path
):
    data = CorpusData(small_run(essen_corpus, tmp_path), essen_corpus, contrast)
    pair = next(iter(comparisons(essen_corpus, contrast)))
    moved = data.transfer_batch_to_device(pair, torch.device("meta"), 0)
    assert {tensor.device.type for part in moved for tensor in flattened(part)} == {"meta"}
    assert data.transfer_batch_to_device(pair[0], torch.device("meta"), 0) is pair[0]


@pytest.mark.gpu
def test_training_batches_reach_a_gpu_unchanged(essen_corpus, contrast, tmp_path):
    data = CorpusData(small_run(essen_corpus, tmp_path), essen_corpus, contrast)
    pair = next(iter(comparisons(essen_corpus, contrast)))
    moved = data.transfer_batch_to_device(pair, torch.device("cuda"), 0)
    tensors = [tensor for part in moved for tensor in flattened(part)]
    assert {tensor.device.type for tensor in tensors} == {"cuda"}
    before = [tensor for part in pair for tensor in flattened(part)]
    assert all(torch.equal(one.cpu(), other) for one, other in zip(tensors, before, strict=True))
