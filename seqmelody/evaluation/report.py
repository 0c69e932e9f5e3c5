"""``evaluate``: all tasks of a checkpoint on a corpus, as a table and as plain values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tabulate import tabulate

from seqmelody.checkpoint import load_checkpoint
from seqmelody.config import HELD_OUT_KINDS, TRAINED_KINDS
from seqmelody.corpus import Corpus
from seqmelody.errors import CorpusError
from seqmelody.evaluation.corruption import CorruptionResult, corruption_task
from seqmelody.evaluation.transposition import TranspositionResult, transposition_task


@dataclass(frozen=True)
class Report:
    """What a checkpoint reached on a corpus.

    Attributes:
        checkpoint: Its name.
        corpus: Digest of the corpus' content.
        same_corpus: Whether the checkpoint was trained on this corpus' training split.
        split: Which split was used.
        melodies: How many melodies that is.
        copies: Spoiled copies of each kind, for each melody.
        seed: Of the spoiling.
        corruption: See ``corruption_task``.
        transposition: See ``transposition_task``.
    """

    checkpoint: str
    corpus: str
    same_corpus: bool
    split: str
    melodies: int
    copies: int
    seed: int
    corruption: CorruptionResult
    transposition: TranspositionResult

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; ``None`` for a correlation that is not known."""
        values = asdict(self)
        values["corruption"]["worst_trained_kind"] = self.corruption.worst
        values["transposition"]["rank_correlation"] = {
            shift: _known(value) for shift, value in self.transposition.rank_correlation.items()
        }
        values["transposition"]["worst"] = _known(self.transposition.worst)
        return values

    def table(self) -> str:
        """The figures for a screen or a Markdown file."""
        rows = []
        for kind in (*TRAINED_KINDS, *HELD_OUT_KINDS):
            found = self.corruption.by_kind[kind]
            rows.append(
                [
                    kind,
                    "never" if kind in HELD_OUT_KINDS else "yes",
                    found.value,
                    f"{found.low:.4f} to {found.high:.4f}",
                    self.corruption.comparisons[kind],
                ]
            )
        mean = self.corruption.trained_mean
        rows.append(["mean of trained kinds", "", mean.value, f"{mean.low:.4f} to {mean.high:.4f}"])
        heads = ["kind of copy", "trained on", "pairwise accuracy", "95 % interval", "comparisons"]
        transposition = self.transposition
        lowest = "not known" if math.isnan(transposition.worst) else f"{transposition.worst:.4f}"
        note = (
            "The checkpoint was trained on the training split of this corpus."
            if self.same_corpus
            else "The checkpoint was not trained on this very corpus; whether the two share melodies "
            "is not known."
        )
        return "\n".join(
            [
                f"{self.checkpoint} on {self.melodies} melodies ({self.split} split), "
                f"{self.copies} copies of each kind, seed {self.seed}",
                note,
                "",
                tabulate(rows, heads, tablefmt="github", floatfmt=".4f"),
                "",
                f"worst trained kind: {self.corruption.worst}",
                "rank correlation of scores under transposition by -6 to +6 semitones, lowest: "
                f"{lowest} (largest change of a score "
                f"{transposition.largest_change:.2g})",
            ]
        )


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def evaluate(
    checkpoint: str | Path,
    corpus: str | Path,
    *,
    split: str = "test",
    copies: int = 3,
    seed: int = 0,
    progress: bool = False,
) -> Report:
    """Runs all tasks.

    Args:
        checkpoint: Folder, or ``.ckpt`` of a run.
        corpus: Folder that ``prepare`` wrote, with the checkpoint's tokenizer.
        split: Which split to use.
        copies: Spoiled copies of each kind, for each melody.
        seed: Of the spoiling.
        progress: Show a progress bar.

    Raises:
        CheckpointError: The checkpoint cannot be read.
        CorpusError: The corpus cannot be read, the split is empty, the tokenizer is another one, or
            the melodies cannot be spoiled.
    """
    loaded = load_checkpoint(checkpoint)
    opened = Corpus.open(corpus, tokenizer=loaded.tokenizer)
    rows = opened.split(split)
    for needed in (split, "train"):
        if len(opened.split(needed)) == 0:
            raise CorpusError(f"{corpus}: no melodies in its {needed} split")
    return Report(
        checkpoint=loaded.name,
        corpus=opened.digest,
        same_corpus=_trained_on(loaded.metrics) == opened.digest,
        split=split,
        melodies=len(rows),
        copies=copies,
        seed=seed,
        corruption=corruption_task(
            loaded.model, opened, rows, copies=copies, seed=seed, progress=progress
        ),
        transposition=transposition_task(loaded.model, opened, rows),
    )


def _trained_on(metrics: Mapping[str, Any]) -> str | None:
    """Digest of the corpus that a checkpoint was trained on, where it says so."""
    training = metrics.get("training")
    return training.get("corpus") if isinstance(training, Mapping) else None
