"""Judgements for tests: files of them, and what is learnt of them."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch

from seqmelody.corpus import Corpus
from seqmelody.objectives.judged import JudgedObjective, Judgements


def write_csv(path: Path, header: str, rows: Iterable[Sequence[object]]) -> Path:
    """A CSV file; the header is given as one word with commas."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header.split(","), *rows])
    return path


def lengths(corpus: Corpus) -> np.ndarray:
    """Something that a model can learn to hear: how long a melody is, standardised."""
    notes = np.log(corpus.notes.astype(float))
    return (notes - notes.mean()) / notes.std()


def ratings_of(corpus: Corpus, path: Path, *, raters: int = 0, seed: int = 0) -> Path:
    """Ratings from 1 to 7 that follow the length, three a melody, or one by each rater."""
    random = np.random.default_rng(seed)
    truth = 4 + lengths(corpus)
    rows = []
    for id_, value in zip(corpus.column("id"), truth, strict=True):
        for number in range(raters or 3):
            said = round(float(np.clip(value + random.normal(scale=0.5), 1, 7)), 1)
            rows.append((id_, said, f"rater-{number}")[: 3 if raters else 2])
    return write_csv(path, "id,score,rater" if raters else "id,score", rows)


def answers_of(corpus: Corpus, path: Path) -> Path:
    """Yes to the longer half."""
    said = (lengths(corpus) > 0).astype(int)
    return write_csv(path, "id,catchy", zip(corpus.column("id"), said, strict=True))


def pairs_of(corpus: Corpus, path: Path, *, ties: bool = False) -> Path:
    """Each melody against the one before it: the longer one wins; every fifth pair is a tie."""
    ids, truth = corpus.column("id"), lengths(corpus)
    rows = []
    for number, (one, other) in enumerate(zip(range(len(ids)), range(1, len(ids)), strict=False)):
        winner, loser = (one, other) if truth[one] > truth[other] else (other, one)
        rows.append((ids[winner], ids[loser], int(ties and number % 5 == 0)))
    return write_csv(path, "winner,loser,tie", rows)


def minimise(objective: JudgedObjective, score_B: torch.Tensor, said: Judgements) -> None:
    """Finds the parameters of least loss."""
    optimizer = torch.optim.LBFGS(
        objective.parameters(), max_iter=200, line_search_fn="strong_wolfe"
    )

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        total = objective(score_B, None, said)
        total.backward()
        return total

    optimizer.step(loss)
