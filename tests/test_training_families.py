"""Tune families in a run: what a step sees, what is measured, and whole runs."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from judged import write_csv
from melody_batches import together
from runs import same_weights, small_run, weights_of

from seqmelody.baselines.alignment import Levenshtein
from seqmelody.batching import corpus_batch
from seqmelody.checkpoint import load_checkpoint
from seqmelody.config import ContrastConfig, FamilyConfig
from seqmelody.corpus import Corpus
from seqmelody.corpus.build import prepare
from seqmelody.errors import UsageError
from seqmelody.midi import write_midi
from seqmelody.tokens import Tokens
from seqmelody.training.families import Families
from seqmelody.training.run import train
from seqmelody.training.sharing import Scores
from seqmelody.variation import Variation

SETTINGS = FamilyConfig(column="family", families=8, members=3, singles=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, essen_corpus):
    """Sixty tunes of Essen in three variants each, and twenty without a family."""
    folder = tmp_path_factory.mktemp("families")
    rows = np.flatnonzero(essen_corpus.notes <= 60)[:80]
    originals = corpus_batch(essen_corpus, rows)
    variation = Variation(tokenizer=essen_corpus.tokenizer)
    generator = torch.Generator().manual_seed(0)
    labels = []
    for voice in range(3):
        batch = originals if voice == 0 else variation.vary(originals, generator)
        for tune in range(len(rows) if voice == 0 else 60):
            notes = slice(int(batch.length_B[tune]))
            tokens = Tokens(
                pitch=batch.pitch_BL[tune, notes].numpy().astype(np.uint8),
                duration=batch.duration_BL[tune, notes].numpy().astype(np.uint16),
                rest=batch.rest_BL[tune, notes].numpy().astype(np.uint16),
            )
            name = f"tune{tune:02}-{voice}"
            write_midi(essen_corpus.tokenizer.decode(tokens), folder / f"{name}.mid")
            labels.append((name, f"family{tune:02}" if tune < 60 else ""))
    write_csv(folder / "labels.csv", "id,family", labels)
    return folder


@pytest.fixture(scope="module")
def corpus(folder, tmp_path_factory) -> Corpus:
    out = tmp_path_factory.mktemp("corpora") / "families.corpus"
    prepare([folder], out, labels=folder / "labels.csv", together="family", workers=1)
    return Corpus.open(out)


def by_name(corpus: Corpus, vectors: np.ndarray):
    """A model that knows each melody by its streams, and gives it the vector of its row."""
    known = {corpus.tokens(row).pitch.tobytes(): row for row in range(len(corpus))}

    def embed(batch):
        rows = [
            known[
                batch.pitch_BL[row, : int(batch.length_B[row])].numpy().astype(np.uint8).tobytes()
            ]
            for row in range(len(batch))
        ]
        return Scores(torch.zeros(len(batch)), torch.from_numpy(vectors[rows]))

    return embed


def test_a_step_sees_families_and_twice_each_melody_without_one(corpus):
    seen = Families(SETTINGS, corpus).draw(7)
    _, counts = np.unique(seen.family_B.numpy(), return_counts=True)
    assert len(counts) == SETTINGS.families + SETTINGS.singles
    assert (counts[: SETTINGS.families] >= 3).all()
    assert (counts[SETTINGS.families :] == 2).all()
    assert sum(len(piece) for piece in seen.pieces) == len(seen.family_B)


def test_without_variation_the_melodies_are_the_corpus_own_and_of_the_train_split(corpus):
    unvaried = dataclasses.replace(SETTINGS, variation=0.0)
    seen = Families(unvaried, corpus).draw(3)
    train = {corpus.tokens(row).pitch.tobytes(): row for row in corpus.split("train").tolist()}
    names = corpus.column("family")
    families = seen.family_B.tolist()
    found: dict[int, set[str | None]] = {}
    for piece in seen.pieces:
        for row in range(len(piece)):
            pitch = piece.pitch_BL[row, : int(piece.length_B[row])].numpy().astype(np.uint8)
            found.setdefault(families.pop(0), set()).add(names[train[pitch.tobytes()]])
    assert all(len(here) == 1 for here in found.values())
    named = [name for here in found.values() for name in here if name is not None]
    assert len(named) == len(set(named)) >= SETTINGS.families


def test_a_step_hinges_on_its_seed_alone(corpus):
    one, other = Families(SETTINGS, corpus), Families(SETTINGS, corpus)
    other.draw(1)
    for a, b in zip(one.draw(5).pieces, other.draw(5).pieces, strict=True):
        assert torch.equal(a.pitch_BL, b.pitch_BL)
        assert torch.equal(a.duration_BL, b.duration_BL)
    lengths = [torch.cat([piece.length_B for piece in one.draw(seed).pieces]) for seed in (5, 6)]
    assert lengths[0].tolist() != lengths[1].tolist()


def test_alignment_compares_the_melodies_before_they_are_varied(corpus):
    pytest.importorskip("rapidfuzz")
    plain, varied = (
        Families(dataclasses.replace(SETTINGS, alignment=1.0, variation=strength), corpus).draw(2)
        for strength in (0.0, 1.0)
    )
    expected = [
        Tokens(
            piece.pitch_BL[row, :length].numpy().astype(np.uint8),
            piece.duration_BL[row, :length].numpy().astype(np.uint16),
            piece.rest_BL[row, :length].numpy().astype(np.uint16),
        )
        for piece in plain.pieces
        for row, length in enumerate(piece.length_B.tolist())
    ]
    found = plain.aligned_BB.numpy()
    alignment = Levenshtein("levenshtein-sampled")
    np.testing.assert_allclose(found, alignment.among(together(*expected)))
    # The same melodies, in the order of the lengths that variation has given them.
    np.testing.assert_allclose(np.sort(varied.aligned_BB.numpy().ravel()), np.sort(found.ravel()))
    assert Families(SETTINGS, corpus).draw(2).aligned_BB is None


def test_what_is_measured_is_how_relatives_of_the_validation_split_are_found(corpus):
    names = [str(name) for name in corpus.column("family")]
    number = np.unique(names, return_inverse=True)[1]
    families = Families(SETTINGS, corpus)
    assert families.measure(by_name(corpus, np.eye(number.max() + 1)[number])) == {"map": 1.0}
    blind = np.random.default_rng(0).normal(size=(len(corpus), 64))
    assert families.measure(by_name(corpus, blind))["map"] < 0.6


def test_families_in_two_splits_are_refused(folder, tmp_path):
    prepare([folder], tmp_path / "c", labels=folder / "labels.csv", workers=1)
    with pytest.raises(UsageError, match="--together family"):
        Families(SETTINGS, Corpus.open(tmp_path / "c"))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"column": "tune"}, "no such column"), ({"families": 500}, "families with two melodies")],
)
def test_settings_that_do_not_fit_the_corpus_are_refused(corpus, changes, reason):
    with pytest.raises(UsageError, match=reason):
        Families(dataclasses.replace(SETTINGS, **changes), corpus)


def test_a_run_learns_families_and_resumes_to_the_same_weights(corpus, tmp_path, monkeypatch):
    settings = {"family": SETTINGS, "contrast": ContrastConfig(weight=0)}
    whole = train(small_run(corpus, tmp_path / "whole", **settings), progress=False)
    config = small_run(corpus, tmp_path / "parts", **settings)
    draw, calls = Families.draw, []

    def interrupted(self, seed):
        calls.append(seed)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return draw(self, seed)

    monkeypatch.setattr(Families, "draw", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(config, progress=False)
    monkeypatch.undo()
    resumed = train(config, resume=True, progress=False)
    assert same_weights(weights_of(whole), weights_of(resumed))
    metrics = json.loads((whole / "metrics.json").read_text())
    assert 0 < metrics["validation"]["family"]["map"] <= 1
    assert metrics["training"]["family_corpus"] == corpus.digest


def test_a_checkpoint_of_families_alone_has_no_scores_and_compares_as_it_is(corpus, tmp_path):
    settings = {"family": SETTINGS, "contrast": ContrastConfig(weight=0)}
    checkpoint = load_checkpoint(train(small_run(corpus, tmp_path, **settings), progress=False))
    assert checkpoint.whitening is None
    assert not checkpoint.score_quantiles.size
    with torch.inference_mode():
        scores = checkpoint.model(corpus_batch(corpus, np.arange(3))).score_B
    assert scores.tolist() == [0, 0, 0]


def test_families_and_contrast_can_be_learnt_together(corpus, tmp_path):
    checkpoint = load_checkpoint(
        train(small_run(corpus, tmp_path, family=SETTINGS), progress=False)
    )
    assert checkpoint.score_quantiles.size
    assert {"mean", "family"} <= checkpoint.metrics["validation"].keys()
