"""Each figure: a function that measures on Essen and gives rows of (what, value)."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from seqmelody import Melody, Scorer
from seqmelody.checkpoint import default_checkpoint, load_checkpoint
from seqmelody.corpus import Corpus
from seqmelody.evaluation import evaluate

RUNS = 3
Rows = list[tuple[str, str]]


def essen(data: Path) -> tuple[Path, Path]:
    """The Essen folk songs as MIDI and as a corpus, got and prepared if need be."""
    midi, corpus = data / "essen", data / "essen.corpus"
    if not midi.is_dir():
        _command("corpus", "essen", "--out", str(midi))
    if not corpus.is_dir():
        _command("prepare", str(midi), "--out", str(corpus))
    return midi, corpus


def accuracy(midi: Path, corpus: Path) -> Rows:  # noqa: ARG001 - all figures are called alike
    """Pairwise accuracy and transposition of the shipped checkpoint, on the test split."""
    report = evaluate(default_checkpoint(), corpus, progress=sys.stderr.isatty())
    rows = [("mean pairwise accuracy, trained kinds", str(report.corruption.trained_mean))]
    worst = report.corruption.worst
    rows.append((f"worst trained kind ({worst})", str(report.corruption.by_kind[worst])))
    rows += [
        (f"never trained: {kind}", str(report.corruption.by_kind[kind]))
        for kind in ("retrograde", "markov_3")
    ]
    lowest = report.transposition.worst
    rows.append(("lowest rank correlation, transposed by -6..+6", f"{lowest:.4f}"))
    return rows


def limits(midi: Path, corpus: Path) -> Rows:  # noqa: ARG001
    """What the model card warns of: stock phrases across splits, and a dull line that scores high."""
    opened = Corpus.open(corpus)

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
    return rows


def prepare(midi: Path, corpus: Path) -> Rows:  # noqa: ARG001
    """Wall time of the command, process start included."""
    with tempfile.TemporaryDirectory() as scratch:
        out = str(Path(scratch) / "corpus")
        seconds = _timed("prepare", str(midi), "--out", out, "--workers", "2")
    return [("prepare of Essen's files, 2 workers", seconds)]


def score(midi: Path, corpus: Path) -> Rows:  # noqa: ARG001
    """Wall time of the command, process start included."""
    return [("score of Essen's files", _timed("score", str(midi), "--format", "json"))]


def training(midi: Path, corpus: Path) -> Rows:  # noqa: ARG001
    """How long the shipped checkpoint's run took, as the run itself recorded it."""
    seconds = load_checkpoint(default_checkpoint()).metrics["training"]["seconds"]
    return [("training run of the shipped checkpoint", f"{seconds / 60:.1f} min (recorded)")]


def consistency(midi: Path, corpus: Path) -> Rows:  # noqa: ARG001
    """Largest difference of a score between ways to compute it, over 500 melodies."""
    files = sorted(midi.rglob("*.mid"))[:: len(list(midi.rglob("*.mid"))) // 500]
    together = _scores(Scorer.load(threads=1), files)
    alone = np.concatenate([_scores(Scorer.load(threads=1), [file]) for file in files])
    threaded = _scores(Scorer.load(threads=4), files)
    rows = [
        ("alone against in batches", f"{np.abs(alone - together).max():.1e}"),
        ("1 thread against 4", f"{np.abs(threaded - together).max():.1e}"),
    ]
    with tempfile.TemporaryDirectory() as scratch:
        corpora = []
        for workers in ("1", "4"):
            out = Path(scratch) / workers
            _command("prepare", str(midi), "--out", str(out), "--workers", workers)
            corpora.append(Corpus.open(out))
        same = corpora[0].digest == corpora[1].digest
    rows.append(("corpus by 1 worker against 4", "identical" if same else "different"))
    return rows


def _scores(scorer: Scorer, files: list[Path]) -> np.ndarray:  # type: ignore[type-arg]
    return np.array([found.score for found in scorer.score(files)], dtype=np.float64)


def _timed(*arguments: str) -> str:
    seconds = []
    for _ in range(RUNS):
        start = time.perf_counter()
        _command(*arguments)
        seconds.append(time.perf_counter() - start)
    return (
        f"{statistics.median(seconds):.1f} s "
        f"(median of {RUNS}, {min(seconds):.1f} to {max(seconds):.1f})"
    )


def _command(*arguments: str) -> None:
    # Exit code 1 says that some inputs failed, which a corpus may have.
    done = subprocess.run(
        [sys.executable, "-m", "seqmelody", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        env=os.environ,
    )
    if done.returncode not in (0, 1):
        raise RuntimeError(f"seqmelody {' '.join(arguments)}: {done.stderr.strip()}")


FIGURES: dict[str, Callable[[Path, Path], Rows]] = {
    "accuracy": accuracy,
    "consistency": consistency,
    "limits": limits,
    "prepare": prepare,
    "score": score,
    "training": training,
}
"""All figures, by the name that the command takes."""
