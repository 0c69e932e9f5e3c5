"""What the network learns of people's ratings, where it was not taught them: ``fine-tuning``.

Each of five fifths of the rated excerpts, and each system that made some, is left out in turn; the
run of configs/rated.yaml, made shorter (two thirds of the steps at twice the learning rate, and for
contrast a few melodies of a tenth of Essen in each step), learns from the others, but for a tenth that a corpus keeps for validation, and is then asked
about those. Its settings were not searched. The same
ratings are learnt from in three ways, each with its own objective: as they are (regression), as
pairs of which one was rated higher (ranking), and as yes or no, the upper third against the lower
(classification). Trains 25 networks, which takes about half an hour of one core.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml
from numpy.typing import NDArray

from benchmarks.harness import ROOT, BenchmarkError, Setting, tell
from benchmarks.reading import command
from benchmarks.rows import Row

if TYPE_CHECKING:
    from seqmelody.corpus import Corpus
    from seqmelody.evaluation.ratings import Stimuli

FOLDS = 5
STEPS = 400
LEARNING_RATE = 1e-3
TOKENS = 128
EVERY = 10
PAIRS = 2000
"""Of the excerpts to learn from, drawn anew for each network."""
TARGETS = ("regression", "ranking", "classification")


def run(setting: Setting) -> Iterator[Row]:
    """Spearman's rank correlation with the mean ratings, by target."""
    from seqmelody.corpus import Corpus
    from seqmelody.evaluation.ratings import follow, stimuli_of
    from seqmelody.judgements import Ratings

    config = yaml.safe_load((ROOT / "configs" / "rated.yaml").read_text(encoding="utf-8"))
    told = config["rating"]
    labels = ROOT / told["labels"]
    if not labels.is_file():
        raise BenchmarkError(f"{labels}: not there; the file configs/rated.yaml says what it is")
    corpus = Corpus.open(_prepare(labels, setting.scratch))
    songs = setting.scratch / "songs.corpus"
    command(["prepare", *setting.files(EVERY), "--out", str(songs)])
    ratings = Ratings.read(labels, corpus, column=told["column"])
    stimuli = stimuli_of(corpus, ratings, "system")
    fold = np.array([int(corpus.column("fold")[row]) for row in stimuli.rows.tolist()])

    def asked(target: str, column: str, value: str) -> NDArray[np.float64]:
        """What a network says of all excerpts that did not learn from those with this value."""
        name = f"{target}-{column}-{value}"
        tell(f"  {name}")
        out = setting.scratch / name
        learnt = _learnt(corpus, stimuli, column, value)
        settings = _settings(config, target, corpus, stimuli[learnt], out)
        settings["corpus"] = str(songs)
        settings |= {"steps": 20 if setting.quick else STEPS, "tokens_per_batch": TOKENS}
        settings["optimizer"] = {**settings["optimizer"], "learning_rate": LEARNING_RATE}
        # Nothing is chosen by validation here.
        settings |= {"validate_every": settings["steps"], "validation_melodies": 50}
        for objective in ("rating", "preference", "catchy"):
            if objective in settings:
                settings[objective]["leave_out"] = f"{column}={value}"
        file = setting.scratch / f"{name}.yaml"
        file.write_text(yaml.safe_dump(settings), encoding="utf-8")
        command(["train", "--config", str(file)])
        scores = _scores(out / "checkpoint", corpus, stimuli)
        # Each network has a zero and a unit of its own: those of what it learnt from.
        return (scores - scores[learnt].mean()) / scores[learnt].std()

    for target in TARGETS[:1] if setting.quick else TARGETS:
        predicted = np.zeros(len(stimuli))
        for number in range(FOLDS):
            here = fold == number
            predicted[here] = asked(target, "fold", str(number))[here]
        found = follow(predicted, stimuli, fold)
        yield _row(f"{target}, five folds: rho, mean of the folds", found.overall)
        yield _row(f"{target}, five folds: mean rho within systems", found.within)
        if target != TARGETS[0]:
            continue
        unseen = np.zeros(len(stimuli))
        for system in stimuli.names():
            here = stimuli.systems == system
            unseen[here] = asked(target, "system", system)[here]
        left_out = follow(unseen, stimuli)
        yield _row(f"{target}, one system left out: mean rho within systems", left_out.within)


def _prepare(labels: Path, scratch: Path) -> Path:
    """The rated excerpts as a corpus that knows of each its system and its fold."""
    with labels.open(encoding="utf-8", newline="") as file:
        rows = {row["stimulus"]: row for row in csv.DictReader(file)}
    table = scratch / "excerpts.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "system", "fold"])
        for stimulus, row in rows.items():
            writer.writerow([row["path"], row["system"], int(stimulus) % FOLDS])
    out = scratch / "excerpts.corpus"
    lines = ["--line", "skyline", "--min-notes", "3", "--max-notes", "5000"]
    command(["prepare", str(labels.parent), "--out", str(out), "--labels", str(table), *lines])
    return out


def _learnt(corpus: Corpus, stimuli: Stimuli, column: str, value: str) -> NDArray[np.bool_]:
    """The excerpts that lack this value, and are no near-duplicates of one that has it."""
    entries = corpus.column(column)
    left = np.array([str(entries[row]) == value for row in stimuli.rows.tolist()])
    return ~np.isin(stimuli.groups, stimuli.groups[left])


def _settings(
    config: Mapping[str, Any], target: str, corpus: Corpus, learnt: Stimuli, out: Path
) -> dict[str, Any]:
    """The run of configs/rated.yaml with another target."""
    told = config["rating"]
    shared = {
        "corpus": str(corpus.folder),
        "weight": told["weight"],
        "melodies": told["melodies"],
    }
    settings = {name: value for name, value in config.items() if name != "rating"}
    settings |= {"out": str(out), "init": str(ROOT / config["init"])}
    labels = out.with_suffix(".csv")
    if target == "regression":
        named = {"labels": str(ROOT / told["labels"]), "column": told["column"]}
        return settings | {"rating": shared | named | {"scale": told["scale"]}}
    ids = [str(corpus.column("id")[row]) for row in learnt.rows.tolist()]
    if target == "ranking":
        first, second = np.random.default_rng(0).integers(len(ids), size=(2, PAIRS))
        apart = learnt.mean[first] - learnt.mean[second]
        winner, loser = np.where(apart > 0, first, second), np.where(apart > 0, second, first)
        pairs = np.unique(np.column_stack([winner, loser])[apart != 0], axis=0)
        rows = [("winner", "loser"), *((ids[a], ids[b]) for a, b in pairs.tolist())]
        objective = "preference"
    else:
        low, high = np.quantile(learnt.mean, [1 / 3, 2 / 3])
        kept = [
            (i, mean >= high)
            for i, mean in zip(ids, learnt.mean, strict=True)
            if mean >= high or mean <= low
        ]
        rows = [("id", "catchy"), *((name, str(int(yes))) for name, yes in kept)]
        objective = "catchy"
    with labels.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return settings | {objective: shared | {"labels": str(labels)}}


def _scores(checkpoint: Path, corpus: Corpus, stimuli: Stimuli) -> NDArray[np.float64]:
    from seqmelody.checkpoint import load_checkpoint
    from seqmelody.evaluation.methods import CheckpointMethod, Remembered

    method = Remembered(CheckpointMethod(load_checkpoint(checkpoint)))
    return method.scores(corpus.token_batch(stimuli.rows))


def _row(what: str, found: Any) -> Row:
    return Row(
        "fine-tuning",
        what,
        str(found),
        figures={"value": found.value, "low": found.low, "high": found.high},
    )
