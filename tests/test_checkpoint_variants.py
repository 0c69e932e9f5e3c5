"""The checkpoint that ships for finding variants: what it does, and what it refuses."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from tunes import TUNES

from seqmelody import Scorer
from seqmelody.checkpoint import find_checkpoint, load_checkpoint
from seqmelody.cli import main
from seqmelody.config import DEFAULT, VARIANTS
from seqmelody.errors import CheckpointError, UsageError
from seqmelody.midi import write_midi
from seqmelody.retrieval import MelodyIndex
from seqmelody.scorer import MelodyReward
from seqmelody.scorer.adaptation import adapt

TUNE = TUNES["freude"]


@pytest.fixture(scope="module")
def scorer():
    return Scorer.load(VARIANTS)


@pytest.mark.parametrize("method", ["score", "rank", "iter_scores"])
def test_it_gives_no_scores(scorer, method):
    with pytest.raises(UsageError, match="gives no scores"):
        getattr(scorer, method)([TUNE])


def test_what_needs_scores_refuses_it(scorer, tmp_path):
    with pytest.raises(UsageError, match="gives no scores"):
        scorer.explain(TUNE)
    with pytest.raises(UsageError, match="gives no scores"):
        MelodyReward(scorer.checkpoint)
    ratings = tmp_path / "ratings.csv"
    ratings.write_text("path,score\na.mid,3\n")
    with pytest.raises(UsageError, match="gives no scores"):
        adapt(find_checkpoint(VARIANTS), ratings, tmp_path / "out", listener="me")


def test_its_embeddings_hardly_hinge_on_key_and_tell_tunes_apart(scorer):
    assert scorer.similarity(TUNE, TUNE.transpose(5)) > 0.999
    vectors = scorer.embed(list(TUNES.values()))
    cosine = vectors @ vectors.T
    assert np.abs(cosine[~np.eye(len(cosine), dtype=bool)]).mean() < 0.5


def test_a_name_means_what_ships_even_beside_a_folder_of_that_name(tmp_path, monkeypatch):
    shipped = find_checkpoint(VARIANTS)
    monkeypatch.chdir(tmp_path)
    (tmp_path / VARIANTS).mkdir()
    assert find_checkpoint(VARIANTS) == shipped
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        find_checkpoint("nowhere")
    assert load_checkpoint(find_checkpoint(DEFAULT)).gives_scores


def test_index_and_search_take_it_of_themselves(tmp_path, monkeypatch, capsys):
    folder = tmp_path / VARIANTS
    folder.mkdir()
    for name, melody in TUNES.items():
        write_midi(melody, folder / f"{name}.mid")
    monkeypatch.chdir(tmp_path)
    assert main(["index", VARIANTS, "--out", "tunes.index"]) == 0
    query = str(folder / "freude.mid")
    capsys.readouterr()
    assert main(["search", "tunes.index", query, "--top", "1", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert "freude" in json.dumps(found)
    [answer] = MelodyIndex.open(tmp_path / "tunes.index").search(query, top=1)
    assert answer.hits[0].similarity == pytest.approx(1.0, abs=1e-4)


def test_a_map_of_it_is_coloured_by_length(tmp_path, tune_folder):
    pytest.importorskip("sklearn")
    out = tmp_path / "map.html"
    assert main(["map", str(tune_folder), "--checkpoint", VARIANTS, "--out", str(out)]) == 0
    assert out.stat().st_size > 10_000


def test_an_evaluation_of_scores_leaves_it_out(scorer, essen_corpus, tmp_path, capsys):
    suite = tmp_path / "suite.yaml"
    suite.write_text(
        f"methods: [{find_checkpoint(VARIANTS)}, length]\n"
        f"corpora: {{essen: {essen_corpus.folder}}}\n"
        "tasks: [{task: corruption, corpus: essen, kinds: [shuffle_notes]}]\n"
    )
    assert main(["evaluate", "--suite", str(suite)]) == 0
    assert "was not trained to score" in capsys.readouterr().out


def test_the_weights_read_with_torch_alone_are_finite():
    state = load_checkpoint(find_checkpoint(VARIANTS)).model.state_dict()
    assert all(torch.isfinite(weight).all() for weight in state.values())
