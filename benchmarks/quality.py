"""Figures of quality, and of how well results agree: ``consistency``, ``limits``, ``listeners``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.harness import Setting
from benchmarks.reading import command
from benchmarks.rows import Row, told

if TYPE_CHECKING:
    from seqmelody import Scorer


def limits(setting: Setting) -> Iterator[Row]:
    """What the model card warns of: stock phrases across splits, and a dull line that scores high."""
    from seqmelody import Melody, Scorer
    from seqmelody.corpus import Corpus

    opened = Corpus.open(setting.corpus)

    def runs(row: int) -> set[bytes]:
        interval = np.diff(opened.tokens(row).pitch.astype(np.int8))
        return {
            window.tobytes()
            for window in np.lib.stride_tricks.sliding_window_view(
                np.pad(interval, (0, max(0, 16 - len(interval))), constant_values=127), 16
            )
        }

    known = set().union(*(runs(int(row)) for row in opened.split("train")))
    test = opened.split("test")
    shared = sum(not known.isdisjoint(runs(int(row))) for row in test)
    rows = [
        ("test melodies that share 16 intervals in a row with training", f"{shared} of {len(test)}")
    ]
    scorer = Scorer.load(threads=1)
    for notes in (16, 40, 100):
        [found] = scorer.score(Melody(np.arange(notes) * 24, [24] * notes, [60] * notes))
        rows.append((f"percentile of one note repeated {notes} times", f"{found.percentile:.0f}"))
    yield from told("limits", rows)


def listeners(setting: Setting) -> Iterator[Row]:  # noqa: ARG001 - as all of them
    """What a checkpoint gains by knowing a listener, simulated ones with known tastes."""
    from seqmelody.checkpoint import default_checkpoint, load_checkpoint
    from seqmelody.corpus import Corpus
    from seqmelody.evaluation.listeners import listeners_task
    from seqmelody.evaluation.methods import CheckpointMethod

    method = CheckpointMethod(load_checkpoint(default_checkpoint()))
    # Its own, so that the melodies of the test split are none that it was trained on.
    opened = Corpus.open(method.checkpoint.config["corpus"])
    result = listeners_task(
        method, opened, opened.split("test"), whitening=method.checkpoint.whitening
    )
    rows = []
    for prior in ("assumed", "learnt"):
        for count, found in getattr(result, prior).items():
            what = f"{count} ratings, prior {prior}:"
            rows += [
                (f"{what} error of ratings from 1 to 7", str(found.error)),
                (f"{what} less than the consensus' by", str(found.gain)),
                (f"{what} more correlation than the consensus by", str(found.correlation_gain)),
                (f"{what} correlation with the known taste", str(found.taste_recovery)),
            ]
    rows.append(("the most that the embedding allows of the last", str(result.taste_ceiling)))
    yield from told("listeners", rows)


def consistency(setting: Setting) -> Iterator[Row]:
    """Largest difference of a score between ways to compute it, over 500 melodies."""
    from seqmelody import Scorer
    from seqmelody.corpus import Corpus

    files = setting.files()
    files = files[:: max(1, len(files) // 500)]
    together = _scores(Scorer.load(threads=1), files)
    alone = np.concatenate([_scores(Scorer.load(threads=1), [file]) for file in files])
    threaded = _scores(Scorer.load(threads=4), files)
    rows = [
        ("alone against in batches", f"{np.abs(alone - together).max():.1e}"),
        ("1 thread against 4", f"{np.abs(threaded - together).max():.1e}"),
    ]
    corpora = []
    for workers in ("1", "4"):
        out = Path(setting.scratch) / f"corpus-{workers}"
        command(["prepare", str(setting.midi), "--out", str(out), "--workers", workers])
        corpora.append(Corpus.open(out))
    same = corpora[0].digest == corpora[1].digest
    rows.append(("corpus by 1 worker against 4", "identical" if same else "different"))
    yield from told("consistency", rows)


def _scores(scorer: Scorer, files: list[str]) -> np.ndarray:  # type: ignore[type-arg]
    return np.array([found.score for found in scorer.score(files)], dtype=np.float64)
