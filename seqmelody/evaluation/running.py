"""Runs a suite: every method on every task; what fails or is missing stops nothing else."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import NoReturn

import numpy as np
import torch
from tqdm import tqdm

import seqmelody
from seqmelody.config import TRAINED_KINDS
from seqmelody.corpus import Corpus
from seqmelody.errors import SeqmelodyError
from seqmelody.evaluation.cost import CostResult, mean_cost
from seqmelody.evaluation.methods import CheckpointMethod, Remembered, method
from seqmelody.evaluation.provenance import (
    check_tokenizer,
    families_learnt,
    judged_on,
    kinds_trained_on,
    trained_on,
    trained_to_score,
)
from seqmelody.evaluation.questions import Question, question_of_ratings, questions
from seqmelody.evaluation.ratings import stimuli_of
from seqmelody.evaluation.repeated import RepeatedResult
from seqmelody.evaluation.results import Row, Section, SuiteReport, reason
from seqmelody.evaluation.selection import Rated, for_choosing, numbers_of
from seqmelody.evaluation.suite import Suite
from seqmelody.evaluation.tasks import (
    ALL,
    TASKS,
    TEST,
    CorruptionConfig,
    CostConfig,
    DetectionConfig,
    ProbeConfig,
    RatingsTaskConfig,
    RetrievalConfig,
    SupervisedConfig,
    TaskConfig,
)
from seqmelody.judgements import Ratings


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
        self.rated: dict[str, Rated] = {}
        self.methods: dict[str, tuple[Remembered, ...] | str] = {}
        """The trainings of each by its name; the reason in place of one that cannot be had."""

    def report(self) -> SuiteReport:
        self._open()
        with tqdm(
            total=sum(
                len(self._methods_of(task)) * len(getattr(task, "strengths", [1]))
                for task in self.suite.tasks
                if self._can(task)
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
                    choosing = for_choosing(numbers_of(corpus, about.number, stimuli.rows))
                self.rated[name] = Rated(corpus, stimuli, choosing, found.warnings)
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

    def _methods_of(self, task: TaskConfig) -> tuple[str, ...]:
        """Names of the methods that a task asks, in the suite's order."""
        chosen = getattr(task, "methods", ())
        return tuple(name for name in self.suite.methods if not chosen or name in chosen)

    def _sections(self, task: TaskConfig, bar: tqdm[NoReturn]) -> Iterator[Section]:
        if isinstance(task, RatingsTaskConfig | SupervisedConfig):
            rated = self.rated[task.ratings]
            question = question_of_ratings(task, rated, progress=self.progress)
            yield self._section(task, rated.corpus, question, bar)
            return
        corpus = self.corpora[task.corpus]
        for question in questions(task, corpus, progress=self.progress):
            yield self._section(task, corpus, question, bar)

    def _section(
        self,
        task: TaskConfig,
        corpus: Corpus,
        question: Question,
        bar: tqdm[NoReturn],
    ) -> Section:
        note = question.note
        rows = []
        trained_here, taught_here, families_here = [], [], []
        for name in self._methods_of(task):
            trainings = self.methods[name]
            bar.set_postfix_str(f"{name}: {question.title.partition(',')[0].lower()}")
            if isinstance(trainings, str):
                rows.append(Row(name, error=trainings))
            elif lacks := next(filter(None, (_lacks(task, each) for each in trainings)), ""):
                rows.append(Row(name, lacks=lacks))
            else:
                try:
                    for each in trainings:
                        check_tokenizer(each, corpus)
                    rows.append(
                        _together(name, task, [question.measure(each) for each in trainings])
                    )
                except Exception as error:  # noqa: BLE001 - as where methods are made
                    rows.append(Row(name, error=reason(error)))
                if any(trained_on(each) == corpus.digest for each in trainings):
                    trained_here.append(name)
                if any(corpus.digest in judged_on(each) for each in trainings):
                    taught_here.append(name)
                if any(families_learnt(each) == corpus.digest for each in trainings):
                    families_here.append(name)
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
        # The test half is what a run can leave out; of all else it may have learnt.
        asks_people = isinstance(task, RatingsTaskConfig | SupervisedConfig | DetectionConfig)
        may_know = asks_people and getattr(task, "stimuli", ALL) != TEST
        taught = tuple(taught_here) if may_know else ()
        if families_here and isinstance(task, RetrievalConfig | ProbeConfig):
            note += (
                " Learnt which melodies of the training split of this corpus are of one family: "
                f"{', '.join(families_here)}"
            )
            note += "." if task.split == TEST else "; only the test split is a test of it."
            # What is left to be tested on has families of its own.
            taught = () if task.split == TEST else tuple(families_here)
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
        return Section(kind, question.title, note, tuple(rows), asdict(task), taught)

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


def _lacks(task: TaskConfig, each: Remembered) -> str:
    """Why a method has nothing that a task measures; empty where it has."""
    if isinstance(task, RetrievalConfig | ProbeConfig):
        return "" if each.compares else "has a score, nothing to compare melodies by"
    has = "vectors" if each.has_vectors else "similarities"
    if isinstance(task, SupervisedConfig):
        return "" if each.has_vectors or each.has_scores else f"has {has}, no vectors"
    if not each.has_scores:
        return f"has {has}, no score"
    return "" if trained_to_score(each) else "was not trained to score"


def _together(name: str, task: TaskConfig, rows: list[Row]) -> Row:
    """One row of those of several trainings; what is drawn melody by melody is of the first."""
    if len(rows) == 1:
        return rows[0]
    results = tuple(row.result for row in rows if row.result is not None)
    costs = tuple(result for result in results if isinstance(result, CostResult))
    # Shares and areas, or correlations.
    shares = CorruptionConfig | DetectionConfig | RetrievalConfig | ProbeConfig
    span = (0.0, 1.0) if isinstance(task, shares) else (-1.0, 1.0)
    together = mean_cost(costs) if costs else RepeatedResult(results, span)
    return Row(name, together, detail=rows[0].detail)
