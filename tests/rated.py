"""A corpus whose melodies have makers, numbers and ratings, and a suite that measures on it."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import yaml
from stand_ins import mean_pitch

from seqmelody.corpus import Corpus, prepare
from seqmelody.evaluation.ratings import Stimuli

MAKERS = ("A-Orig", "B-Orig", "RNN", "GAN")
RATERS = 3


def prepare_rated(essen: Corpus, folder: Path) -> Corpus:
    """The corpus again, with a column for the maker and one for the number; and ``ratings.csv``.

    People like what is high: a rating is the mean pitch and some noise.
    """
    ids = essen.column("id")
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "maker", "number"])
        writer.writerows([name, MAKERS[row % 4], row + 1] for row, name in enumerate(ids[:120]))
    prepare(
        essen.folder.parent / "midi.zip",
        folder / "corpus",
        labels=folder / "labels.csv",
        progress=False,
    )
    height = mean_pitch(essen.token_batch(np.arange(120)))
    random = np.random.default_rng(0)
    with (folder / "ratings.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "liked"])
        for name, pitch in zip(ids[:120], height.tolist(), strict=True):
            writer.writerows([name, pitch + random.normal()] for _ in range(RATERS))
    return Corpus.open(folder / "corpus")


def suite_of(folder: Path, checkpoint: Path, **changes) -> Path:
    """A suite with every task, written as a file; ``changes`` are to its keys."""
    rated = {"ratings": "liked"}
    values = {
        "methods": [str(checkpoint), "length", "density"],
        "corpora": {"songs": str(folder / "corpus")},
        "ratings": {
            "liked": {
                "path": str(folder / "ratings.csv"),
                "corpus": "songs",
                "column": "liked",
                "system": "maker",
                "number": "number",
            }
        },
        "tasks": [
            {"task": "corruption", "corpus": "songs", "copies": 1, "strengths": [0.3, 1.0]},
            {"task": "ratings", **rated},
            {"task": "ratings", **rated, "stimuli": "test"},
            {"task": "detection", "corpus": "songs", "column": "maker", "people": ["*-Orig"]},
            {"task": "stability", "corpus": "songs"},
        ],
    }
    path = folder / "suite.yaml"
    path.write_text(yaml.safe_dump({**values, **changes}))
    return path


def stimuli(mean: np.ndarray, systems: list[str], **changes) -> Stimuli:
    """Stimuli in rows 0, 1, ... that three raters rated, no two of them alike."""
    count = len(mean)
    values = {
        "rows": np.arange(count),
        "mean": np.asarray(mean, dtype=float),
        "raters": np.full(count, RATERS),
        "variance": 0.0,
        "groups": np.arange(count),
        "systems": np.array(systems, dtype=np.str_),
    }
    return Stimuli(**{**values, **changes})
