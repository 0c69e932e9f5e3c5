"""Runs a suite: every method on every task; what fails or is missing stops nothing else."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

import seqmelody
from seqmelody.config import TRAINED_KINDS
from seqmelody.corpus import Corpus
from seqmelody.errors import CorpusError, SeqmelodyError
from seqmelody.evaluation.corruption import (
    CalibratedCorruption,
    corruption_result,
    corruption_scores,
)
from seqmelody.evaluation.cost import CostResult, cost_task, mean_cost, some_of
from seqmelody.evaluation.detection import detection_task
from seqmelody.evaluation.methods import (
    CheckpointMethod,
    Method,
    Remembered,
    check_tokenizer,
    judged_on,
    kinds_trained_on,
    method,
    trained_on,
)
from seqmelody.evaluation.ratings import Stimuli, ratings_task, stimuli_of
from seqmelody.evaluation.repeated import RepeatedResult
from seqmelody.evaluation.results import Result, Row, Section, SuiteReport, reason
from seqmelody.evaluation.stability import stability_task
from seqmelody.evaluation.suite import (
    ALL,
    DEVELOPMENT,
    TASKS,
    TEST,
    CorruptionConfig,
    CostConfig,
    DetectionConfig,
    RatingsTaskConfig,
    Suite,
    SupervisedConfig,
    TaskConfig,
)
from seqmelody.evaluation.supervised import SupervisedResult, supervised_task
from seqmelody.judgements import Ratings

_Measure = Callable[[Remembered], Row]


@dataclass(frozen=True, eq=False)
class _Rated:
    """Ratings found in their corpus.

    Attributes:
        corpus: Where the stimuli are.
        stimuli: All of them.
        for_choosing: Which are for choosing, ``(stimuli,)``; None where nobody numbers them.
        warnings: What is odd about the file.
    """

    corpus: Corpus
    stimuli: Stimuli
    for_choosing: NDArray[np.bool_] | None
    warnings: tuple[str, ...]

    def chosen(self, stimuli: str) -> NDArray[np.bool_]:
        """Which stimuli a task is about, ``(stimuli,)``."""
        if stimuli == ALL or self.for_choosing is None:
            return np.ones(len(self.stimuli), dtype=bool)
        return self.for_choosing if stimuli == DEVELOPMENT else ~self.for_choosing


def for_choosing(number: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which numbered stimuli are for choosing among methods; the others are for reporting."""
    return np.asarray(number % 5 < 2)


def run_suite(suite: Suite, *, progress: bool = False) -> SuiteReport:
    """Measures every method on every task.

    A corpus or file of ratings that cannot be read is told of in a line, and its tasks are
    skipped; a method that fails is a row that says so.

    Args:
        suite: What to measure.
        progress: Show progress bars.
    """
    return _Run(suite, progress).report()


class _Run:
    """A suite under way."""

    def __init__(self, suite: Suite, progress: bool) -> None:
        self.suite = suite
        self.progress = progress
        self.skipped: list[str] = []
        self.corpora: dict[str, Corpus] = {}
        self.rated: dict[str, _Rated] = {}
        self.methods: dict[str, tuple[Remembered, ...] | str] = {}
        """The trainings of each by its name; the reason in place of one that cannot be had."""

    def report(self) -> SuiteReport:
        self._open()
        with tqdm(
            total=len(self.suite.methods)
            * sum(
                len(getattr(task, "strengths", [1])) for task in self.suite.tasks if self._can(task)
            ),
            desc="tasks",
            disable=not self.progress,
        ) as bar:
            self._make_methods(bar)
            sections = []
            for place, task in enumerate(self.suite.tasks):
                if self._can(task):
                    try:
                        sections += list(self._sections(task, bar))
                    except SeqmelodyError as error:
                        self.skipped.append(f"tasks[{place}]: {error}")
        return SuiteReport(
            sections=tuple(sections),
            skipped=tuple(self.skipped),
            versions={
                "seqmelody": seqmelody.__version__,
                "torch": str(torch.__version__),
                "numpy": np.__version__,
                "python": platform.python_version(),
            },
        )

    def _open(self) -> None:
        for name, folder in self.suite.corpora.items():
            try:
                self.corpora[name] = Corpus.open(folder)
            except SeqmelodyError as error:
                self.skipped.append(f"corpus {name}: {error}")
        for name, about in self.suite.ratings.items():
            if about.corpus not in self.corpora:
                continue  # told of above
            corpus = self.corpora[about.corpus]
            try:
                found = Ratings.read(about.path, corpus, column=about.column)
                stimuli = stimuli_of(corpus, found, about.system)
                choosing = None
                if about.number is not None:
                    choosing = for_choosing(_numbers(corpus, about.number, stimuli.rows))
                self.rated[name] = _Rated(corpus, stimuli, choosing, found.warnings)
            except SeqmelodyError as error:
                self.skipped.append(f"ratings {name}: {error}")

    def _make_methods(self, bar: tqdm[NoReturn]) -> None:
        corpus = self.corpora.get(self.suite.learn_from)
        for name, specs in self.suite.methods.items():
            bar.set_postfix_str(f"getting {name}")
            try:
                self.methods[name] = tuple(
                    Remembered(
                        method(spec, corpus), name if len(specs) == 1 else f"{name} ({spec})"
                    )
                    for spec in specs
                )
            except Exception as error:  # noqa: BLE001 - the other methods' work must not be lost
                self.methods[name] = reason(error)

    def _can(self, task: TaskConfig) -> bool:
        """Whether a task's data were found."""
        if isinstance(task, RatingsTaskConfig | SupervisedConfig):
            return task.ratings in self.rated
        return task.corpus in self.corpora

    def _sections(self, task: TaskConfig, bar: tqdm[NoReturn]) -> Iterator[Section]:
        if isinstance(task, RatingsTaskConfig | SupervisedConfig):
            rated = self.rated[task.ratings]
            yield self._section(task, rated.corpus, *self._with_ratings(task, rated), bar)
            return
        corpus = self.corpora[task.corpus]
        where = {} if isinstance(task, DetectionConfig) else task.where
        rows = _rows(corpus, task.split, where)
        split = "all splits" if task.split == ALL else f"{task.split} split"
        only = "".join(f", {column} {pattern}" for column, pattern in where.items())
        data = f"{task.corpus}: {split}{only}, {len(rows)} melodies"
        if isinstance(task, CorruptionConfig):
            for strength in task.strengths:
                measure = self._corruption(task, corpus, rows, strength)
                title = f"Corruption at strength {strength:g}, {data}"
                note = "How often a melody outscores a spoiled copy of itself."
                yield self._section(task, corpus, title, note, measure, bar)
        elif isinstance(task, DetectionConfig):
            people = ", ".join(task.people)
            title = f"People against machines, {data}"
            note = f"People are those whose {task.column} is {people}."
            measure = _plain(
                lambda each: detection_task(each, corpus, rows, task.column, task.people)
            )
            yield self._section(task, corpus, title, note, measure, bar)
        elif isinstance(task, CostConfig):
            title = f"Cost, {data}"
            note = (
                f"Processor time of a score, of tokens at hand, of {len(some_of(rows))} of them; in "
                "brackets the least and the most of the rounds."
            )
            measure = _plain(lambda each: cost_task(_scoring(each), corpus, rows))
            yield self._section(task, corpus, title, note, measure, bar)
        else:
            title = f"Stability, {data}"
            note = "Rank correlation of scores before and after a change."
            measure = _plain(lambda each: stability_task(each, corpus, rows))
            yield self._section(task, corpus, title, note, measure, bar)

    def _corruption(
        self, task: CorruptionConfig, corpus: Corpus, rows: NDArray[np.int64], strength: float
    ) -> _Measure:
        def measure(each: Remembered) -> Row:
            scores = corruption_scores(
                each,
                corpus,
                rows,
                kinds=task.kinds,
                strength=strength,
                copies=task.copies,
                seed=task.seed,
                progress=self.progress,
            )
            # A baseline's score has a scale of its own, and says nothing of probabilities.
            log_odds = isinstance(each.method, CheckpointMethod)
            error = scores.calibration_error() if log_odds else None
            return Row(
                each.name, CalibratedCorruption(corruption_result(scores), error), detail=scores
            )

        return measure

    def _with_ratings(
        self, task: RatingsTaskConfig | SupervisedConfig, rated: _Rated
    ) -> tuple[str, str, _Measure]:
        """Title, note and measure of a task with ratings."""
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
            return f"Ratings, {data}", note, measure
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
                progress=self.progress,
            )

        return f"Ratings learnt by {task.regression}, {data}", note, _plain(supervised)

    def _section(
        self,
        task: TaskConfig,
        corpus: Corpus,
        title: str,
        note: str,
        measure: _Measure,
        bar: tqdm[NoReturn],
    ) -> Section:
        rows = []
        trained_here, taught_here = [], []
        for name, trainings in self.methods.items():
            bar.set_postfix_str(f"{name}: {title.partition(',')[0].lower()}")
            if isinstance(trainings, str):
                rows.append(Row(name, error=trainings))
            elif not isinstance(task, SupervisedConfig) and not all(
                each.has_scores for each in trainings
            ):
                rows.append(Row(name))
            else:
                try:
                    for each in trainings:
                        check_tokenizer(each, corpus)
                    rows.append(_together(name, task, [measure(each) for each in trainings]))
                except Exception as error:  # noqa: BLE001 - as where methods are made
                    rows.append(Row(name, error=reason(error)))
                if any(trained_on(each) == corpus.digest for each in trainings):
                    trained_here.append(name)
                if any(corpus.digest in judged_on(each) for each in trainings):
                    taught_here.append(name)
            bar.update()
        if isinstance(task, CorruptionConfig):
            note += self._kinds_not_trained_on(task.kinds)
        if trained_here:
            note += f" Trained on the training split of this corpus: {', '.join(trained_here)}."
        if taught_here:
            note += (
                f" Taught by people's judgements of this corpus: {', '.join(taught_here)}; only what "
                "it left out is a test of it."
            )
        repeated = [
            row.method
            for row in rows
            if row.result is not None and len(self.suite.methods[row.method]) > 1
        ]
        if repeated:
            note += f" Of several trainings: {', '.join(repeated)}; figures are their means"
            if not isinstance(task, CostConfig):
                note += (
                    ", intervals tell of other melodies and of other trainings, and what is drawn "
                    "melody by melody is of the first"
                )
            note += "."
        kind = next(name for name, config in TASKS.items() if isinstance(task, config))
        # The test half is what a run can leave out; of all else it may have learnt.
        asks_people = isinstance(task, RatingsTaskConfig | SupervisedConfig | DetectionConfig)
        may_know = asks_people and getattr(task, "stimuli", ALL) != TEST
        taught = tuple(taught_here) if may_know else ()
        return Section(kind, title, note, tuple(rows), asdict(task), taught)

    def _kinds_not_trained_on(self, kinds: Sequence[str]) -> str:
        """Says which checkpoints never met some of the kinds that are called trained."""
        told = []
        for name, trainings in self.methods.items():
            if not isinstance(trainings, str) and isinstance(trainings[0].method, CheckpointMethod):
                missing = [
                    kind
                    for kind in TRAINED_KINDS
                    if kind in kinds
                    and any(kind not in kinds_trained_on(each) for each in trainings)
                ]
                if missing:
                    told.append(f" {name} was never trained on {', '.join(missing)}.")
        return "".join(told)


def _scoring(each: Remembered) -> Method:
    """What does the work of a method that has scores."""
    assert isinstance(each.method, Method)
    return each.method


def _together(name: str, task: TaskConfig, rows: list[Row]) -> Row:
    """One row of those of several trainings; what is drawn melody by melody is of the first."""
    if len(rows) == 1:
        return rows[0]
    results = tuple(row.result for row in rows if row.result is not None)
    costs = tuple(result for result in results if isinstance(result, CostResult))
    # Shares and areas, or correlations.
    span = (0.0, 1.0) if isinstance(task, CorruptionConfig | DetectionConfig) else (-1.0, 1.0)
    together = mean_cost(costs) if costs else RepeatedResult(results, span)
    return Row(name, together, detail=rows[0].detail)


def _plain(task: Callable[[Remembered], Result]) -> _Measure:
    return lambda each: Row(each.name, task(each))


def _numbers(corpus: Corpus, column: str, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Whole numbers of some melodies."""
    values = np.asarray(corpus.column(column))[rows]
    # Missing whole numbers make a column of floats; in text there is no number at all.
    if values.dtype.kind not in "if" or (values != np.rint(values)).any():
        raise CorpusError(
            f"{corpus.folder}: column {column!r} is no whole number for each of the rated melodies"
        )
    return values.astype(np.int64)


def _rows(corpus: Corpus, split: str, where: Mapping[str, str]) -> NDArray[np.int64]:
    rows = np.arange(len(corpus)) if split == ALL else corpus.split(split)
    for column, pattern in where.items():
        if column not in corpus.columns:
            raise CorpusError(
                f"{corpus.folder}: no column {column!r}; there are {', '.join(corpus.columns)}"
            )
        values = corpus.column(column)
        rows = rows[[fnmatchcase(str(values[row]), pattern) for row in rows.tolist()]]
    if len(rows) == 0:
        what = "".join(f" with {column} {pattern}" for column, pattern in where.items())
        raise CorpusError(f"{corpus.folder}: no melodies in its {split} split{what}")
    return rows
