"""``evaluate``: all tasks of a checkpoint on a corpus, as a table and as plain values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tabulate import tabulate

from seqmelody.checkpoint import find_checkpoint, load_checkpoint
from seqmelody.config import HELD_OUT_KINDS, TRAINED_KINDS
from seqmelody.corpus import Corpus
from seqmelody.errors import CorpusError
from seqmelody.evaluation.corruption import CorruptionResult, corruption_task
from seqmelody.evaluation.methods import CheckpointMethod, Remembered, method
from seqmelody.evaluation.protocols import UNTRAINED, Method
from seqmelody.evaluation.provenance import check_tokenizer, kinds_trained_on, trained_on
from seqmelody.evaluation.results import known, reason, shown
from seqmelody.evaluation.suite import names_of
from seqmelody.evaluation.transposition import TranspositionResult, transposition_task


@dataclass(frozen=True)
class Report:
    """What a checkpoint reached on a corpus.

    Attributes:
        checkpoint: Its name.
        corpus: Digest of the corpus' content.
        same_corpus: Whether the checkpoint was trained on this corpus' training split.
        kinds_trained_on: Kinds of corruption that its training used; those that training may use,
            where it does not say.
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
    kinds_trained_on: tuple[str, ...]
    split: str
    melodies: int
    copies: int
    seed: int
    corruption: CorruptionResult
    transposition: TranspositionResult

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; ``None`` for a figure that is not known."""
        values = asdict(self)
        values["corruption"]["worst_trained_kind"] = self.corruption.worst
        values["transposition"]["worst"] = self.transposition.worst
        plain: dict[str, Any] = known(values)
        return plain

    def table(self) -> str:
        """The figures for a screen or a Markdown file."""
        rows: list[list[object]] = []
        for kind in (*TRAINED_KINDS, *HELD_OUT_KINDS):
            found = self.corruption.by_kind[kind]
            rows.append(
                [
                    kind,
                    "yes" if kind in self.kinds_trained_on else "never",
                    found.value,
                    found.interval,
                    self.corruption.comparisons[kind],
                ]
            )
        mean = self.corruption.trained_mean
        rows.append(["mean of trained kinds", "", mean.value, mean.interval])
        heads = ["kind of copy", "trained on", "pairwise accuracy", "95 % interval", "comparisons"]
        transposition = self.transposition
        lowest = "not known" if math.isnan(transposition.worst) else f"{transposition.worst:.4f}"
        never = [kind for kind in TRAINED_KINDS if kind not in self.kinds_trained_on]
        aside = (
            [f"of the trained kinds, its training never used: {', '.join(never)}"] if never else []
        )
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
                *aside,
                f"worst trained kind: {self.corruption.worst}",
                "rank correlation of scores under transposition by -6 to +6 semitones, lowest: "
                f"{lowest} (largest change of a score "
                f"{transposition.largest_change:.2g})",
            ]
        )


def evaluate(
    checkpoint: str | Path,
    corpus: str | Path,
    *,
    split: str = "test",
    copies: int = 3,
    seed: int = 0,
    progress: bool = False,
) -> Report:
    """Runs the tasks of a checkpoint that need no labels.

    Args:
        checkpoint: Folder, or ``.ckpt`` of a run.
        corpus: Folder that ``prepare`` wrote, with the checkpoint's tokenizer.
        split: Which split to use.
        copies: Spoiled copies of each kind, for each melody.
        seed: Of the spoiling.
        progress: Show a progress bar.

    Raises:
        CheckpointError: The checkpoint cannot be read.
        UsageError: It gives no scores; a suite can tell how well it finds variants.
        CorpusError: The corpus cannot be read, the split is empty, the tokenizer is another one, or
            the melodies cannot be spoiled.
    """
    scoring = CheckpointMethod(load_checkpoint(find_checkpoint(checkpoint)))
    scoring.checkpoint.require_scores()
    opened = Corpus.open(corpus, tokenizer=scoring.checkpoint.tokenizer)
    return _measure(scoring, opened, split=split, copies=copies, seed=seed, progress=progress)


def evaluate_against(
    report: Report, others: Sequence[str], corpus: str | Path, *, progress: bool = False
) -> dict[str, Report | str]:
    """Measures other methods as a checkpoint was measured: the same melodies, the same copies.

    Args:
        report: What ``evaluate`` found.
        others: Paths of checkpoints and names of baselines, which learn from the training split.
        corpus: The folder that the report is about.
        progress: Show a progress bar.

    Returns:
        By the name of the method what was found, or in a line why it failed.

    Raises:
        CorpusError: The corpus cannot be read.
    """
    opened = Corpus.open(corpus)
    found: dict[str, Report | str] = {}
    # The checkpoint's own name is taken.
    for spec, name in zip(others, names_of([report.checkpoint, *others])[1:], strict=True):
        try:
            other = Remembered(method(spec, opened), name)
            if isinstance(other.method, CheckpointMethod) and spec != UNTRAINED:
                other.method.checkpoint.require_scores()
            check_tokenizer(other, opened)
            found[name] = _measure(
                other,
                opened,
                split=report.split,
                copies=report.copies,
                seed=report.seed,
                progress=progress,
            )
        except Exception as error:  # noqa: BLE001 - the other methods' work must not be lost
            found[name] = reason(error)
    return found


def side_by_side(report: Report, others: Mapping[str, Report | str]) -> str:
    """One table of a checkpoint and other methods, and a line for each that failed."""
    columns = {report.checkpoint: report}
    columns |= {name: each for name, each in others.items() if isinstance(each, Report)}
    rows = [
        [kind, *(shown(each.corruption.by_kind[kind]) for each in columns.values())]
        for kind in (*TRAINED_KINDS, *HELD_OUT_KINDS)
    ]
    rows.append(
        [
            "mean of trained kinds",
            *(shown(each.corruption.trained_mean) for each in columns.values()),
        ]
    )
    worst = [each.transposition.worst for each in columns.values()]
    rows.append(
        ["transposition", *("not known" if math.isnan(each) else f"{each:.3f}" for each in worst)]
    )
    failed = [f"{name} failed: {each}" for name, each in others.items() if isinstance(each, str)]
    return "\n".join(
        [
            "pairwise accuracy by kind of copy, with 95 % intervals; lowest rank correlation of "
            "scores under transposition",
            "",
            tabulate(rows, ["", *columns], tablefmt="github", disable_numparse=True),
            *(["", *failed] if failed else []),
        ]
    )


def _measure(
    scoring: Method, corpus: Corpus, *, split: str, copies: int, seed: int, progress: bool
) -> Report:
    rows = corpus.split(split)
    for needed in (split, "train"):
        if len(corpus.split(needed)) == 0:
            raise CorpusError(f"{corpus.folder}: no melodies in its {needed} split")
    return Report(
        checkpoint=scoring.name,
        corpus=corpus.digest,
        same_corpus=trained_on(scoring) == corpus.digest,
        kinds_trained_on=kinds_trained_on(scoring),
        split=split,
        melodies=len(rows),
        copies=copies,
        seed=seed,
        corruption=corruption_task(
            scoring, corpus, rows, copies=copies, seed=seed, progress=progress
        ),
        transposition=transposition_task(scoring, corpus, rows),
    )
