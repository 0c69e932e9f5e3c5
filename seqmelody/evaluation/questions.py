"""What a task asks of each method, and what there is to know of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from seqmelody.corpus import Corpus
from seqmelody.evaluation.corruption import (
    CalibratedCorruption,
    corruption_result,
    corruption_scores,
)
from seqmelody.evaluation.cost import cost_task, some_of
from seqmelody.evaluation.detection import detection_task
from seqmelody.evaluation.methods import CheckpointMethod, Remembered
from seqmelody.evaluation.probe import Labelled, probe_task
from seqmelody.evaluation.protocols import Method
from seqmelody.evaluation.ratings import ratings_task
from seqmelody.evaluation.results import Result, Row
from seqmelody.evaluation.retrieval import Pool, retrieval_task
from seqmelody.evaluation.selection import Rated, rows_of
from seqmelody.evaluation.stability import stability_task
from seqmelody.evaluation.supervised import SupervisedResult, supervised_task
from seqmelody.evaluation.tasks import (
    ALL,
    DEVELOPMENT,
    CorruptionConfig,
    CostConfig,
    DetectionConfig,
    ProbeConfig,
    RatingsTaskConfig,
    RetrievalConfig,
    StabilityConfig,
    SupervisedConfig,
)
from seqmelody.objectives.metrics import RECALL_AT

Measure: TypeAlias = Callable[[Remembered], Row]
CorpusTask: TypeAlias = (
    CorruptionConfig
    | DetectionConfig
    | StabilityConfig
    | CostConfig
    | RetrievalConfig
    | ProbeConfig
)


@dataclass(frozen=True)
class Question:
    """What is asked of each method.

    Attributes:
        title: What is measured on what.
        note: What to know of it.
        measure: Asks a method.
    """

    title: str
    note: str
    measure: Measure


def questions(task: CorpusTask, corpus: Corpus, *, progress: bool = False) -> Iterator[Question]:
    """What a task asks, one question after the other.

    Args:
        task: Its settings.
        corpus: The corpus that they name.
        progress: Show progress bars.

    Raises:
        CorpusError: The corpus does not hold what the task needs.
        SeqmelodyError: A package is missing.
    """
    where = {} if isinstance(task, DetectionConfig) else task.where
    rows = rows_of(corpus, task.split, where)
    split = "all splits" if task.split == ALL else f"{task.split} split"
    only = "".join(f", {column} {pattern}" for column, pattern in where.items())
    data = f"{task.corpus}: {split}{only}, {len(rows)} melodies"
    if isinstance(task, CorruptionConfig):
        for strength in task.strengths:
            measure = _corruption(task, corpus, rows, strength, progress)
            title = f"Corruption at strength {strength:g}, {data}"
            note = "How often a melody outscores a spoiled copy of itself."
            yield Question(title, note, measure)
    elif isinstance(task, DetectionConfig):
        people = ", ".join(task.people)
        title = f"People against machines, {data}"
        note = f"People are those whose {task.column} is {people}."
        measure = _plain(lambda each: detection_task(each, corpus, rows, task.column, task.people))
        yield Question(title, note, measure)
    elif isinstance(task, CostConfig):
        title = f"Cost, {data}"
        note = (
            f"Processor time of a score, of tokens at hand, of {len(some_of(rows))} of them; in "
            "brackets the least and the most of the rounds."
        )
        measure = _plain(lambda each: cost_task(_scoring(each), corpus, rows))
        yield Question(title, note, measure)
    elif isinstance(task, RetrievalConfig):
        pool = Pool.of(corpus, rows, task.label)
        title = f"Retrieval by {task.label}, {data}"
        yield Question(title, _about_pool(pool), _retrieval(pool))
    elif isinstance(task, ProbeConfig):
        about = Labelled.of(
            corpus,
            rows,
            task.label,
            without=task.without,
            least=task.least,
            most=task.most,
            together=task.together,
        )
        title = f"{task.label} told, {data.rpartition(', ')[0]}"
        note = _about_labels(about, task)
        yield Question(title, note, _plain(lambda each: probe_task(each, about)))
    else:
        title = f"Stability, {data}"
        note = "Rank correlation of scores before and after a change."
        measure = _plain(lambda each: stability_task(each, corpus, rows))
        yield Question(title, note, measure)


def question_of_ratings(
    task: RatingsTaskConfig | SupervisedConfig, rated: Rated, *, progress: bool = False
) -> Question:
    """What a task with ratings asks.

    Args:
        task: Its settings.
        rated: The ratings.
        progress: Show progress bars.
    """
    chosen = rated.chosen(task.stimuli)
    about = rated.stimuli[chosen]
    which = "all" if task.stimuli == ALL else f"{task.stimuli} half,"
    data = f"{task.ratings}: {which} {len(about)} stimuli"
    most = [about.ceiling(within=within) for within in (False, True)]
    ceilings = ["not known" if np.isnan(each) else f"{each:.2f}" for each in most]
    note = (
        "Spearman's rho with mean ratings; the most that the raters' agreement allows: "
        f"{ceilings[0]} over all stimuli and {ceilings[1]} within systems."
    )
    note = " ".join([note, *(f"{warning}." for warning in rated.warnings)])
    if isinstance(task, RatingsTaskConfig):
        measure = _plain(lambda each: ratings_task(each, rated.corpus, about))
        return Question(f"Ratings, {data}", note, measure)
    # What is for choosing may be learnt from when others are reported, never the reverse.
    learnt = about if task.stimuli == DEVELOPMENT else rated.stimuli
    reported = None if task.stimuli == DEVELOPMENT else chosen

    def supervised(each: Remembered) -> SupervisedResult:
        return supervised_task(
            each,
            rated.corpus,
            learnt,
            regression=task.regression,
            seeds=task.seeds,
            reported=reported,
            progress=progress,
        )

    return Question(f"Ratings learnt by {task.regression}, {data}", note, _plain(supervised))


def _corruption(
    task: CorruptionConfig,
    corpus: Corpus,
    rows: NDArray[np.int64],
    strength: float,
    progress: bool,
) -> Measure:
    def measure(each: Remembered) -> Row:
        scores = corruption_scores(
            each,
            corpus,
            rows,
            kinds=task.kinds,
            strength=strength,
            copies=task.copies,
            seed=task.seed,
            progress=progress,
        )
        # A baseline's score has a scale of its own, and says nothing of probabilities.
        log_odds = isinstance(each.method, CheckpointMethod)
        error = scores.calibration_error() if log_odds else None
        return Row(each.name, CalibratedCorruption(corruption_result(scores), error), detail=scores)

    return measure


def _about_pool(pool: Pool) -> str:
    """What to know of a retrieval."""
    note = (
        f"{len(pool.queries)} melodies of {pool.families} families with two or more are asked for the "
        f"others of their family, among all {len(pool.rows)} but the one that asks. Means over those "
        f"that ask: average precision (MAP), whether the first found is right (P@1), share of the "
        f"family among the first {RECALL_AT}. Intervals: whole families were drawn."
    )
    if pool.copied:
        note += (
            f" {pool.copied} have a copy in their family that is the same up to transposition; with "
            "copies left out, such are neither searched nor asked for."
        )
    return note


def _about_labels(about: Labelled, task: ProbeConfig) -> str:
    """What to know of a probe."""
    together = (
        "near-duplicates"
        if task.together is None
        else (f"near-duplicates, and what shares {task.together},")
    )
    return (
        f"{len(about.label)} melodies of {len(about.classes)} classes ({', '.join(about.classes)}): those "
        f"with {task.least} or more, at most {task.most} drawn of each. Always the commonest: accuracy "
        f"{about.commonest:.3f}, balanced {1 / len(about.classes):.3f}. Five folds, {together} in one; "
        "intervals: such groups were drawn."
    )


def _retrieval(pool: Pool) -> Measure:
    def measure(each: Remembered) -> Row:
        result, by_family = retrieval_task(each, pool)
        return Row(each.name, result, detail=by_family)

    return measure


def _scoring(each: Remembered) -> Method:
    """What does the work of a method that has scores."""
    assert isinstance(each.method, Method)
    return each.method


def _plain(task: Callable[[Remembered], Result]) -> Measure:
    return lambda each: Row(each.name, task(each))
