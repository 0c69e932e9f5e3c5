"""Scoring, in notes a second: padding not counted.

- *ours*: ``Scorer.score`` of a corpus, with its defaults: streams that lie ready, in its own batches
  and its own threads, one result for each melody;
- *the model alone*: our model on ready batches, bucketed by length and padded beforehand, a batch a
  core at a time: what is left is the model, and the least that any way to call it takes;
- *from files*: ``Scorer.score`` of the paths of Essen's files, read and scored;
- *the plain loop*: ``benchmarks.reference`` with the same weights, ``eval`` and ``no_grad``, on the
  melodies as they come, each batch padded to its longest, in torch's default threads;
- *the plain model, bucketed*: the same on batches bucketed by length, which tells how much of the
  difference is the batches and how much the model's code.

The plain sides take every fourth melody, since they are slow.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.harness import Setting, Side, interleave
from benchmarks.reading import command_row
from benchmarks.rows import Row, compared
from benchmarks.side import Rounds
from seqmelody.config import usable_cores

NOTES_PER_BATCH = 4096
SLOW_SHARE = 4
HERE = "benchmarks.inference:"


def run(setting: Setting) -> Iterator[Row]:
    """Rows of ``inference``."""
    corpus = {"corpus": str(setting.corpus)}
    some = {**corpus, "every": SLOW_SHARE * (4 if setting.quick else 1)}
    sides = {
        "ours": Side(f"{HERE}scorer", corpus),
        "the model alone": alone_side(setting),
        "the plain PyTorch loop": Side(f"{HERE}plain", {**some, "bucketed": False}),
        "the plain model, bucketed": Side(f"{HERE}plain", {**some, "bucketed": True}),
    }
    found = interleave(sides, setting.rounds)
    what = f"inference on {setting.cores} cores, `Scorer.score` of a corpus"
    ours = found["ours"]
    for other, goal in (("the plain PyTorch loop", 2.0), ("the plain model, bucketed", None)):
        yield compared("inference", what, ours, other, found[other], "notes/s", goal)
    yield compared(
        "inference",
        "our model alone on ready batches",
        found["the model alone"],
        "the plain model, bucketed",
        found["the plain model, bucketed"],
        "notes/s",
    )


def run_score(setting: Setting) -> Iterator[Row]:
    """Rows of ``score``."""
    sides = {
        "from files": Side(f"{HERE}files", {"files": setting.files(4 if setting.quick else 1)}),
        "the model alone": alone_side(setting),
    }
    found = interleave(sides, setting.rounds)
    files, alone = found["from files"], found["the model alone"]
    what = f"score of Essen's files on {setting.cores} cores, `Scorer.score` of paths"
    yield compared("score", what, files, "the model alone on ready batches", alone, "notes/s", 0.8)
    melodies = [
        more["melodies"] / seconds for more, seconds in zip(files.more, files.seconds, strict=True)
    ]
    middle = statistics.median(melodies)
    yield Row(
        "score",
        what,
        f"{middle:,.0f} melodies/s ({min(melodies):,.0f} to {max(melodies):,.0f})",
        goal="5,000 melodies/s",
        met=middle >= 5000,
        figures={"ours": melodies, "unit": "melodies/s", "goal": 5000},
    )
    yield command_row(setting, "score", ["score", str(setting.midi), "--format", "json"], out=False)


def alone_side(setting: Setting) -> Side:
    """Our model on ready batches of a corpus."""
    share = SLOW_SHARE if setting.quick else 1
    return Side(f"{HERE}alone", {"corpus": str(setting.corpus), "every": share})


# Sides


def scorer(rounds: Rounds, corpus: str, device: str = "cpu") -> None:
    """``Scorer.score`` of a corpus."""
    from seqmelody import Scorer
    from seqmelody.corpus import Corpus

    opened = Corpus.open(corpus)
    ours = Scorer.load(device=device)
    ours.score(opened)
    notes = int(opened.notes.sum())
    while rounds.next():
        with rounds.measured(notes):
            ours.score(opened)


def files(rounds: Rounds, files: list[str]) -> None:
    """``Scorer.score`` of paths."""
    from seqmelody import Scorer

    ours = Scorer.load()
    found = ours.score(files)
    notes = sum(score.notes for score in found)
    while rounds.next():
        with rounds.measured(notes, melodies=len(found)):
            ours.score(files)


def alone(rounds: Rounds, corpus: str, every: int) -> None:
    """Our model on ready batches, one a core at a time."""
    import torch

    from seqmelody.checkpoint import default_checkpoint, load_checkpoint

    model = load_checkpoint(default_checkpoint()).model.eval()
    batches = _bucketed(corpus, every)
    # The long ones first, so that no core ends up alone with the longest.
    batches.reverse()
    notes = sum(int(batch.length_B.sum()) for batch in batches)

    @torch.inference_mode()
    def score(batch: Any) -> Any:
        return model(batch).score_B

    cores = usable_cores()
    with ThreadPoolExecutor(cores, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        list(pool.map(score, batches))
        while rounds.next():
            with rounds.measured(notes):
                list(pool.map(score, batches))


def plain(
    rounds: Rounds,
    corpus: str,
    every: int,
    bucketed: bool,
    device: str = "cpu",
) -> None:
    """The plain model, in a loop over batches."""
    import torch

    from benchmarks.reference import PlainConvGRU
    from seqmelody.batching import collate
    from seqmelody.checkpoint import default_checkpoint, load_checkpoint

    checkpoint = load_checkpoint(default_checkpoint())
    model = PlainConvGRU(checkpoint.model.config, checkpoint.tokenizer)
    model.load_weights(checkpoint.model.state_dict()).eval().to(device)
    melodies = _melodies(corpus, every)
    notes = sum(map(len, melodies))
    size = max(1, round(NOTES_PER_BATCH * len(melodies) / notes))
    ready = _bucketed(corpus, every) if bucketed else None

    @torch.no_grad()
    def score_all() -> list[Any]:
        scores = []
        if ready is not None:
            return [model(batch.to(device)).score_B.cpu() for batch in ready]
        for start in range(0, len(melodies), size):
            batch = collate(melodies[start : start + size])
            scores.append(model(batch.to(device)).score_B.cpu())
        return scores

    score_all()
    while rounds.next():
        with rounds.measured(notes):
            score_all()


def _melodies(corpus: str, every: int) -> list[Any]:
    """Streams of a share of a corpus, in the order of its rows."""
    from seqmelody.corpus import Corpus

    opened = Corpus.open(corpus)
    return [opened.tokens(row) for row in range(0, len(opened), every)]


def _bucketed(corpus: str, every: int) -> list[Any]:
    """Padded batches of melodies of like length, short ones first."""
    import numpy as np

    from seqmelody.batching import bucket, collate

    melodies: Sequence[Any] = _melodies(corpus, every)
    lengths = np.array([len(tokens) for tokens in melodies])
    rows = bucket(lengths, NOTES_PER_BATCH, window=len(lengths))
    return [collate([melodies[row] for row in batch]) for batch in rows]
