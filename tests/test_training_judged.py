from __future__ import annotations

import dataclasses
import json
import warnings
from pathlib import Path

import lightning as L
import numpy as np
import pytest
import torch
import yaml
from corpora import run_seqmelody
from judged import answers_of, pairs_of, ratings_of, write_csv
from runs import same_weights, small_run, weights_of
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from seqmelody.checkpoint import load_checkpoint
from seqmelody.config import (
    CatchyConfig,
    ContrastConfig,
    OptimizerConfig,
    PreferenceConfig,
    RatingConfig,
    TrainConfig,
)
from seqmelody.corpus import Corpus
from seqmelody.errors import CheckpointError, CorpusError, UsageError
from seqmelody.training.data import Steps
from seqmelody.training.judged import Judged, read_judged
from seqmelody.training.run import train


@pytest.fixture(autouse=True)
def _without_pictures(monkeypatch):
    monkeypatch.setattr("seqmelody.training.run.PianoRolls", lambda corpus: L.Callback())


@pytest.fixture(scope="module")
def files(essen_corpus, tmp_path_factory) -> dict[str, str]:
    """What simulated people said of the songs of Essen."""
    folder = tmp_path_factory.mktemp("said")
    return {
        "rating": str(ratings_of(essen_corpus, folder / "ratings.csv")),
        "raters": str(ratings_of(essen_corpus, folder / "raters.csv", raters=4)),
        "preference": str(pairs_of(essen_corpus, folder / "pairs.csv", ties=True)),
        "catchy": str(answers_of(essen_corpus, folder / "catchy.csv")),
    }


@pytest.fixture
def configured(essen_corpus, files, tmp_path):
    """A small run with all three objectives, and changes."""

    def make(**changes) -> TrainConfig:
        where = str(essen_corpus.folder)
        settings = {
            "rating": RatingConfig(
                where, files["raters"], scale=(1, 7), melodies=8, raters=True, taste_rank=2
            ),
            "preference": PreferenceConfig(where, files["preference"], melodies=8),
            "catchy": CatchyConfig(where, files["catchy"], melodies=8),
        }
        return small_run(essen_corpus, tmp_path / "run", **{**settings, **changes})

    return make


def only(judged: tuple[Judged, ...]) -> Judged:
    [entry] = judged
    return entry


def alone(config: TrainConfig, name: str) -> TrainConfig:
    others = {"rating", "preference", "catchy"} - {name}
    return dataclasses.replace(config, **dict.fromkeys(others))


# What trains


def test_only_the_train_split_trains_and_only_the_validation_split_is_measured(
    configured, essen_corpus
):
    for entry in read_judged(configured(), essen_corpus):
        for said, split in ((entry.train, "train"), (entry.validation, "validation")):
            assert len(said) > 0
            assert np.isin(said.item_NM, essen_corpus.split(split)).all()
    rating = only(read_judged(alone(configured(), "rating"), essen_corpus))
    assert len(np.unique(rating.train.item_NM)) == len(essen_corpus.split("train"))
    assert rating.raters == tuple(f"rater-{number}" for number in range(4))


def labelled_corpus(tune_folder, folder: Path) -> Corpus:
    from seqmelody.corpus.build import prepare

    rows = [
        (path.stem, number % 2, "ab"[number % 2])
        for number, path in enumerate(sorted(tune_folder.iterdir()))
    ]
    labels = write_csv(folder / "labels.csv", "id,fold,maker", rows)
    prepare(tune_folder, folder / "corpus", labels=labels, progress=False)
    return Corpus.open(folder / "corpus")


@pytest.mark.parametrize("leave_out", ["fold=1", "maker=b"])
def test_rows_that_are_left_out_neither_train_nor_validate(tune_folder, tmp_path, leave_out):
    corpus = labelled_corpus(tune_folder, tmp_path)
    said = write_csv(tmp_path / "r.csv", "id,score", [(id_, 3) for id_ in corpus.column("id")])
    config = RatingConfig(str(corpus.folder), str(said), leave_out=leave_out)
    run = small_run(corpus, tmp_path / "run", rating=config)
    entry = only(read_judged(run, corpus))
    used = np.concatenate([entry.train.item_NM, entry.validation.item_NM]).ravel()
    assert set(np.asarray(corpus.column("fold"))[used]) == {0}
    assert np.isin(used, entry.ratings.row).all()
    for wrong, error in (("fold=7", UsageError), ("maker=c", UsageError), ("x=1", CorpusError)):
        other = dataclasses.replace(run, rating=dataclasses.replace(config, leave_out=wrong))
        with pytest.raises(error, match=r"no row of|no column 'x'"):
            read_judged(other, corpus)


def test_a_draw_hinges_on_its_seed_alone_and_holds_all_that_was_said_of_a_melody(
    configured, essen_corpus
):
    rating, preference, catchy = read_judged(configured(), essen_corpus)
    for entry, melodies, said in ((rating, 8, 32), (preference, None, 4), (catchy, 8, 8)):
        one, again, other = (entry.draw(seed) for seed in (1, 1, 2))
        assert len(one.judgements) == said
        if melodies is not None:
            assert len(one.melodies) == melodies
        assert torch.equal(one.melodies.pitch_BL, again.melodies.pitch_BL)
        assert torch.equal(one.judgements.value_N, again.judgements.value_N)
        assert one.melodies.pitch_BL.shape != other.melodies.pitch_BL.shape or not torch.equal(
            one.melodies.pitch_BL, other.melodies.pitch_BL
        )


def test_what_was_said_stays_with_its_melody(configured, essen_corpus, files, tmp_path):
    """Ratings that are the number of notes, of melodies drawn at random."""
    ids, notes = essen_corpus.column("id"), essen_corpus.notes
    said = write_csv(tmp_path / "n.csv", "id,score", zip(ids, notes, strict=True))
    config = RatingConfig(str(essen_corpus.folder), str(said), melodies=20)
    entry = only(read_judged(alone(configured(rating=config), "rating"), essen_corpus))
    drawn = entry.draw(3)
    length_N = drawn.melodies.length_B[drawn.judgements.item_NM[:, 0]]
    assert length_N.tolist() == drawn.judgements.value_N.tolist()


def test_steps_begin_anywhere_and_draw_the_same(configured, essen_corpus):
    judged = read_judged(configured(), essen_corpus)
    whole = Steps(None, None, judged, steps=6, first_step=0, seed=1)
    tail = Steps(None, None, judged, steps=6, first_step=4, seed=1)
    assert len(whole) == len(tail) == 6
    steps, last = list(whole), list(tail)
    assert (len(steps), len(last)) == (6, 2)
    for (_, _, _, *one), (_, _, _, *other) in zip(steps[4:], last, strict=True):
        for a, b in zip(one, other, strict=True):
            assert torch.equal(a.melodies.pitch_BL, b.melodies.pitch_BL)
    # Each objective draws its own.
    rating, _, catchy = steps[0][3:]
    assert rating.melodies.pitch_BL.shape != catchy.melodies.pitch_BL.shape


@pytest.mark.parametrize(
    ("text", "changes", "reason"),
    [
        ("id,score\nnobody,3\n", {}, "none of its melodies is in"),
        ("id,score\n{0},3\n", {"raters": True}, "rating.raters is set, but no rater is named"),
        ("id,score\n{0},9\n", {"scale": (1.0, 7.0)}, "lies outside the scale"),
        ("id,score\n{1},3\n", {}, "nothing in it is about melodies of the train split"),
    ],
)
def test_what_cannot_train_is_one_line(configured, essen_corpus, tmp_path, text, changes, reason):
    ids = essen_corpus.column("id")
    train_row, test_row = (essen_corpus.split(name)[0] for name in ("train", "test"))
    path = tmp_path / "wrong.csv"
    path.write_text(text.format(ids[train_row], ids[test_row]))
    config = RatingConfig(str(essen_corpus.folder), str(path), **changes)
    with pytest.raises(UsageError, match=rf"wrong\.csv: .*{reason}") as raised:
        read_judged(configured(rating=config), essen_corpus)
    assert "\n" not in str(raised.value)


def test_an_answer_between_yes_and_no_is_refused(configured, essen_corpus, tmp_path):
    path = write_csv(tmp_path / "c.csv", "id,catchy", [(essen_corpus.column("id")[0], 0.5)])
    config = CatchyConfig(str(essen_corpus.folder), str(path))
    with pytest.raises(UsageError, match=r"c\.csv: catchy must be 0 or 1, not 0\.5"):
        read_judged(configured(catchy=config), essen_corpus)


# Whole runs


@pytest.fixture(scope="module")
def finished(essen_corpus, files, tmp_path_factory) -> Path:
    """The folder of a run with all objectives that was never stopped."""
    out = tmp_path_factory.mktemp("judged") / "run"
    where = str(essen_corpus.folder)
    config = small_run(
        essen_corpus,
        out,
        rating=RatingConfig(
            where, files["raters"], scale=(1, 7), melodies=8, raters=True, taste_rank=2
        ),
        preference=PreferenceConfig(where, files["preference"], melodies=8),
        catchy=CatchyConfig(where, files["catchy"], melodies=8),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("seqmelody.training.run.PianoRolls", lambda corpus: L.Callback())
        train(config, progress=False)
    return out


def test_a_run_with_all_objectives_logs_and_releases_what_each_learnt(finished):
    log = EventAccumulator(str(finished / "logs"), size_guidance={"scalars": 0})
    log.Reload()
    scalars = set(log.Tags()["scalars"])
    assert {
        "train/loss",
        "train/accuracy",
        *(f"train/{name}_loss" for name in ("rating", "preference", "catchy")),
        "validation/rating_spearman",
        "validation/rating_rmse",
        "validation/preference_accuracy",
        "validation/catchy_auc",
        "validation/catchy_ece",
    } <= scalars
    loaded = load_checkpoint(finished / "checkpoint")
    listeners = loaded.listeners
    assert set(listeners.listeners) == {f"rater-{number}" for number in range(4)}
    assert (listeners.rating.low, listeners.rating.high) == (1.0, 7.0)
    assert listeners.rating.directions.shape == (2, 8)
    assert set(listeners.catchy) == {"offset", "scale"}
    assert listeners.preference["tie"] > 0
    measured = json.loads((finished / "checkpoint" / "metrics.json").read_text())["validation"]
    assert set(measured["rating"]) == {"spearman", "rmse"}
    assert set(measured["preference"]) == {"accuracy"}
    assert set(measured["catchy"]) == {"auc", "ece"}
    # The loss is the weighted sum.
    values = {tag: [event.value for event in log.Scalars(tag)] for tag in scalars}
    assert values["train/loss"][0] > values["train/rating_loss"][0]


def test_a_resumed_run_ends_as_one_that_never_stopped(configured, finished, monkeypatch):
    config = configured()
    steps_of = Steps.__iter__

    def iterate(self):
        for step, batch in enumerate(steps_of(self), start=self.first_step):
            if step == 8:
                raise MemoryError
            yield batch

    with monkeypatch.context() as patch:
        patch.setattr(Steps, "__iter__", iterate)
        with pytest.raises(MemoryError):
            train(config, progress=False)
    state = load_checkpoint(next(Path(config.out, "resumable").iterdir()))
    assert state.listeners is None
    released = train(config, resume=True, progress=False)
    assert same_weights(weights_of(released), weights_of(finished / "checkpoint"))
    for name in ("listeners.json", "scores.json"):
        assert (released / name).read_text() == (finished / "checkpoint" / name).read_text()


def test_a_run_is_not_resumed_on_other_judgements(configured, finished, files, essen_corpus):
    where = Path(files["raters"])
    before = where.read_text()
    try:
        ratings_of(essen_corpus, where, raters=4, seed=1)
        config = dataclasses.replace(configured(), out=str(finished))
        with pytest.raises(CheckpointError, match="learnt from other judgements"):
            train(config, resume=True, progress=False)
    finally:
        where.write_text(before)


def test_without_contrast_a_run_learns_from_people_and_begins_where_it_is_told(
    configured, finished, files, essen_corpus, tmp_path
):
    config = alone(
        configured(
            rating=RatingConfig(str(essen_corpus.folder), files["rating"], melodies=32),
            contrast=ContrastConfig(weight=0.0),
            init=str(finished / "checkpoint"),
            steps=60,
            validate_every=60,
            optimizer=OptimizerConfig(learning_rate=1e-2, warmup_steps=4),
        ),
        "rating",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        released = train(config, progress=False)
    log = EventAccumulator(f"{config.out}/logs", size_guidance={"scalars": 0})
    log.Reload()
    assert "train/accuracy" not in log.Tags()["scalars"]
    assert "validation/accuracy" in log.Tags()["scalars"]
    assert all(event.value > 0 for event in log.Scalars("train/tokens_per_second"))
    loss = [event.value for event in log.Scalars("train/loss")]
    # A score that says nothing of the ratings stays at a half.
    assert np.mean(loss[-10:]) < 0.4
    metrics = json.loads((released / "metrics.json").read_text())
    assert metrics["validation"]["rating"]["spearman"] > 0.5


@pytest.mark.parametrize("threads", [2, 3])
def test_objectives_begin_with_the_threads_of_the_run(configured, monkeypatch, threads):
    class BegunError(Exception):
        pass

    def begin(self, score) -> None:
        assert torch.get_num_threads() == threads
        raise BegunError

    before = torch.get_num_threads()
    monkeypatch.setattr(Judged, "begin", begin)
    try:
        torch.set_num_threads(1)
        with pytest.raises(BegunError):
            train(configured(threads=threads), progress=False)
    finally:
        torch.set_num_threads(before)


def test_a_checkpoint_of_another_model_is_no_beginning(configured, finished):
    config = configured(init=str(finished / "checkpoint"))
    model = dataclasses.replace(config.model, hidden_size=9)
    with pytest.raises(UsageError, match=r"init .*other settings \(hidden_size 8\)"):
        train(dataclasses.replace(config, model=model), progress=False)
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        train(configured(init="nowhere"), progress=False)


def test_the_weights_begin_as_those_of_the_checkpoint(configured, finished):
    config = alone(configured(), "rating")
    config = dataclasses.replace(
        config,
        init=str(finished / "checkpoint"),
        steps=1,
        validate_every=1,
        model=dataclasses.replace(config.model, dropout=0.3),
        optimizer=OptimizerConfig(learning_rate=1e-12),
    )
    released = train(config, progress=False)
    before, after = weights_of(finished / "checkpoint"), weights_of(released)
    assert before.keys() == after.keys()
    for name, value in before.items():
        torch.testing.assert_close(after[name], value, atol=1e-6, rtol=0)


@pytest.mark.slow
def test_two_processes_learn_what_one_does(configured):
    config = configured(steps=6, validate_every=6, log_every=1, validation_melodies=4)
    # Each process draws its own dropout.
    model = dataclasses.replace(config.model, dropout=0.0, feature_dropout=0.0)
    runs = []
    for devices in (1, 2):
        out = f"{config.out}-{devices}"
        path = Path(f"{out}.yaml")
        run = dataclasses.replace(config, model=model, out=out, devices=devices)
        path.write_text(yaml.safe_dump(run.to_dict()))
        done = run_seqmelody("train", "--config", path)
        assert done.returncode == 0, done.stderr
        log = EventAccumulator(f"{out}/logs", size_guidance={"scalars": 0})
        log.Reload()
        runs.append(log)
    for tag in (
        *("train/loss", "train/rating_loss", "train/preference_loss", "train/catchy_loss"),
        *("validation/rating_spearman", "validation/rating_rmse", "validation/catchy_ece"),
    ):
        one, two = ([event.value for event in log.Scalars(tag)] for log in runs)
        assert two == pytest.approx(one, rel=1e-3), tag
    one, two = (load_checkpoint(f"{config.out}-{devices}/checkpoint") for devices in (1, 2))
    assert two.listeners.rating.offset == pytest.approx(one.listeners.rating.offset, rel=1e-3)
