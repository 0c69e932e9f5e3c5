from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from seqmelody.config import HELD_OUT_KINDS, TRAINED_KINDS
from seqmelody.corpus.build import prepare
from seqmelody.errors import CheckpointError, CorpusError
from seqmelody.evaluation import Report, evaluate
from seqmelody.evaluation.intervals import Estimate
from seqmelody.evaluation.plots import dots
from seqmelody.evaluation.report import side_by_side
from seqmelody.melody import Melody
from seqmelody.midi import write_midi
from seqmelody.tokens import Tokenizer

KINDS = (*TRAINED_KINDS, *HELD_OUT_KINDS)
LOOKS = {"one": 0, "two": 1}


@pytest.fixture(scope="module")
def report(checkpoint_folder, essen_corpus) -> Report:
    return evaluate(checkpoint_folder, essen_corpus.folder, copies=2)


def test_a_report_says_what_was_measured_on_what(report, essen_corpus):
    assert report.checkpoint == "untrained"
    assert report.corpus == essen_corpus.digest
    assert (report.split, report.copies, report.seed) == ("test", 2, 0)
    assert report.melodies == len(essen_corpus.split("test"))
    assert not report.same_corpus


def test_the_figures_survive_json(report):
    read = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert read["melodies"] == report.melodies
    for kind in KINDS:
        found = report.corruption.by_kind[kind]
        written = read["corruption"]["by_kind"][kind]
        assert written == {"value": found.value, "low": found.low, "high": found.high}
        assert read["corruption"]["comparisons"][kind] == report.corruption.comparisons[kind]
    assert read["corruption"]["trained_mean"]["value"] == report.corruption.trained_mean.value
    assert read["corruption"]["worst_trained_kind"] == report.corruption.worst
    correlations = report.transposition.rank_correlation
    assert read["transposition"]["rank_correlation"] == {
        str(shift): value for shift, value in correlations.items()
    }
    assert read["transposition"]["worst"] == report.transposition.worst


def test_the_table_has_a_row_for_each_kind_and_says_which_were_never_trained_on(report):
    lines = report.table().splitlines()
    rows = {line.split("|")[1].strip(): line for line in lines if line.startswith("|")}
    for kind in KINDS:
        _, _, trained, value, interval, comparisons, _ = map(str.strip, rows[kind].split("|"))
        found = report.corruption.by_kind[kind]
        assert trained == ("never" if kind in HELD_OUT_KINDS else "yes")
        assert value == f"{found.value:.4f}"
        assert interval == f"{found.low:.4f} to {found.high:.4f}"
        assert int(comparisons) == report.corruption.comparisons[kind]
    assert f"{report.corruption.trained_mean.value:.4f}" in rows["mean of trained kinds"]
    assert "untrained on" in lines[0]


def test_a_figure_without_an_interval_stands_alone(report):
    alone = Estimate(0.75, float("nan"), float("nan"))
    corruption = dataclasses.replace(
        report.corruption, by_kind=dict.fromkeys(KINDS, alone), trained_mean=alone
    )
    changed = dataclasses.replace(report, corruption=corruption)
    assert "0.7500" in changed.table()
    assert "nan" not in changed.table()
    assert "0.750" in side_by_side(changed, {})
    assert "nan" not in side_by_side(changed, {})
    read = json.loads(json.dumps(changed.to_dict(), allow_nan=False))
    expected = {"value": 0.75, "low": None, "high": None}
    assert read["corruption"]["trained_mean"] == expected
    assert read["corruption"]["by_kind"][KINDS[0]] == expected
    drawn = dots({"one": {"figure": alone}, "two": {"figure": alone}}, ["figure"], "share", LOOKS)
    assert "<svg" in drawn
    assert "nan" not in drawn


def test_a_kind_that_the_checkpoint_never_met_is_told(report):
    assert report.kinds_trained_on == TRAINED_KINDS
    assert "its training never used" not in report.table()
    less = dataclasses.replace(report, kinds_trained_on=TRAINED_KINDS[1:])
    [row] = [line for line in less.table().splitlines() if line.startswith(f"| {TRAINED_KINDS[0]}")]
    assert "| never " in row
    assert f"its training never used: {TRAINED_KINDS[0]}" in less.table()


def test_the_same_call_gives_the_same_report_and_another_split_another(
    report, checkpoint_folder, essen_corpus
):
    assert evaluate(checkpoint_folder, essen_corpus.folder, copies=2) == report
    other = evaluate(checkpoint_folder, essen_corpus.folder, copies=2, split="validation")
    assert other.corruption != report.corruption


def corpus_of(folder, melodies, **options):
    for number, melody in enumerate(melodies):
        write_midi(melody, folder / f"{number}.mid")
    prepare(folder, folder / "corpus", progress=False, **options)
    return folder / "corpus"


def random_melody(seed: int) -> Melody:
    random = np.random.default_rng(seed)
    return Melody(np.arange(20) * 24, np.full(20, 24), random.integers(60, 72, size=20))


def test_what_cannot_be_evaluated_is_named(checkpoint_folder, essen_corpus, tmp_path):
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        evaluate(tmp_path / "nothing", essen_corpus.folder)
    with pytest.raises(CorpusError, match="no such folder"):
        evaluate(checkpoint_folder, tmp_path / "nothing")
    one = corpus_of(tmp_path, [random_melody(0)])
    with pytest.raises(CorpusError, match="no melodies in its test split"):
        evaluate(checkpoint_folder, one)


def test_a_corpus_of_another_tokenizer_is_refused(checkpoint_folder, tmp_path):
    tokenizer = Tokenizer(max_duration_steps=96)
    other = corpus_of(tmp_path, map(random_melody, range(3)), tokenizer=tokenizer)
    with pytest.raises(CorpusError, match=tokenizer.fingerprint):
        evaluate(checkpoint_folder, other)


def test_figures_that_a_tiny_corpus_cannot_give_are_left_open(checkpoint_folder, tune_corpus):
    # One melody has no rank correlation with itself.
    report = evaluate(checkpoint_folder, tune_corpus.folder, copies=1)
    assert report.melodies == 1
    read = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert read["transposition"]["worst"] is None
    assert "not known" in report.table()


def test_melodies_that_cannot_be_spoiled_are_named(checkpoint_folder, tmp_path):
    # Notes all alike: no kind but the Markov chains changes such a melody.
    drones = [Melody(np.arange(n) * n, np.full(n, n), np.full(n, 60)) for n in range(16, 22)]
    corpus = corpus_of(tmp_path, drones)
    with pytest.raises(CorpusError, match="shuffle_notes"):
        evaluate(checkpoint_folder, corpus)
