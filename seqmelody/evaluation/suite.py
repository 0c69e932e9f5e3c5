"""``Suite``: which methods are measured on which tasks, as a YAML file says.

``configs/evaluation.yaml``, ``configs/evaluation-ablation.yaml`` and
``configs/evaluation-embeddings.yaml`` are examples with all that there is. Nothing here imports torch, so that mistakes are answered at once.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

import yaml
from jsonargparse import ArgumentParser

from seqmelody.config import HELD_OUT_KINDS, TRAINED_KINDS, checkpoint_name
from seqmelody.errors import UsageError
from seqmelody.evaluation.tasks import (
    ALL,
    CHOICES,
    FOLDS,
    TASKS,
    RatingsConfig,
    RatingsTaskConfig,
    SupervisedConfig,
    TaskConfig,
)


@dataclass(frozen=True)
class Suite:
    """Methods, what they are measured on, and how.

    Attributes:
        methods: By the name that tables use: a baseline's name, a checkpoint's path, or the paths of
            several trainings, whose figures are put together.
        corpora: Folders by name.
        tasks: In the order of the report.
        ratings: Files of ratings by name.
        learn_from: Name of the corpus whose training split baselines learn from, if they learn; the
            first of the corpora if not said.
    """

    methods: dict[str, tuple[str, ...]]
    corpora: dict[str, str]
    tasks: tuple[TaskConfig, ...]
    ratings: dict[str, RatingsConfig] = field(default_factory=dict)
    learn_from: str = ""

    @classmethod
    def read(cls, path: str | Path) -> Suite:
        """Reads a YAML file.

        Raises:
            UsageError: It cannot be read, has a key that there is not or lacks one, or a value is
                not what it should be.
        """
        try:
            with Path(path).open(encoding="utf-8") as file:
                stored = yaml.safe_load(file)
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise UsageError(f"{path}: cannot be read ({error})") from error
        try:
            return cls._of(stored)
        except UsageError as error:
            raise UsageError(f"{path}: {error}") from error

    @classmethod
    def _of(cls, stored: Any) -> Suite:
        _check_keys(cls, stored, "the suite")
        methods, corpora = stored["methods"], stored["corpora"]
        if not isinstance(stored.get("learn_from") or "", str):
            raise UsageError("learn_from: the name of a corpus")
        if (
            not isinstance(corpora, dict)
            or not corpora
            or not _texts([*corpora, *corpora.values()])
        ):
            raise UsageError("corpora: a folder for each name")
        ratings = stored.get("ratings") or {}
        if not isinstance(ratings, dict):
            raise UsageError("ratings: a table of settings for each name")
        tasks = stored["tasks"]
        if not isinstance(tasks, list) or not tasks:
            raise UsageError("tasks: a list of tables of settings")
        suite = cls(
            methods=_methods(methods),
            corpora=corpora,
            tasks=tuple(_task(values, f"tasks[{place}]") for place, values in enumerate(tasks)),
            ratings={
                name: _build(RatingsConfig, values, f"ratings.{name}")
                for name, values in ratings.items()
            },
            learn_from=stored.get("learn_from") or next(iter(corpora)),
        )
        suite._check_names()
        return suite

    def _check_names(self) -> None:
        """Raises ``UsageError`` where something names what is not listed."""
        used: list[tuple[str, str, Mapping[str, Any]]] = [
            ("learn_from", self.learn_from, self.corpora)
        ]
        for name, ratings in self.ratings.items():
            used.append((f"ratings.{name}: corpus", ratings.corpus, self.corpora))
        for place, task in enumerate(self.tasks):
            if isinstance(task, RatingsTaskConfig | SupervisedConfig):
                used.append((f"tasks[{place}]: ratings", task.ratings, self.ratings))
            else:
                used.append((f"tasks[{place}]: corpus", task.corpus, self.corpora))
            chosen = getattr(task, "methods", ())
            used += [(f"tasks[{place}]: methods", name, self.methods) for name in chosen]
        for where, name, known in used:
            if name not in known:
                raise UsageError(f"{where}: no {name!r}; there are {', '.join(known) or 'none'}")
        for place, task in enumerate(self.tasks):
            if isinstance(task, RatingsTaskConfig | SupervisedConfig):
                halves = self.ratings[task.ratings].number is not None
                if task.stimuli != ALL and not halves:
                    raise UsageError(
                        f"tasks[{place}]: stimuli {task.stimuli!r} needs the key 'number' at "
                        f"ratings.{task.ratings}"
                    )


def _methods(stored: Any) -> dict[str, tuple[str, ...]]:
    """Methods by name; a path, or a table of one name and the paths of its trainings, is an entry."""
    kinds = "checkpoints, baselines, and tables such as 'gru: [run-1, run-2]'"
    wrong = UsageError(f"methods: a list of {kinds}")
    if not isinstance(stored, list) or not stored:
        raise wrong
    alone = [entry for entry in stored if isinstance(entry, str)]
    names = iter(names_of(alone))
    methods: dict[str, tuple[str, ...]] = {}
    for entry in stored:
        wrong = UsageError(f"methods: {entry!r} is none of a list of {kinds}")
        if isinstance(entry, str):
            name, paths = next(names), [entry]
        elif isinstance(entry, dict) and len(entry) == 1:
            ((name, paths),) = entry.items()
            if not isinstance(name, str) or not isinstance(paths, list) or not paths:
                raise wrong
        else:
            raise wrong
        if not _texts(paths):
            raise wrong
        if name in methods:
            raise UsageError(f"methods: {name} occurs twice")
        if len(set(paths)) < len(paths):
            raise UsageError(f"methods: {name} names a training twice")
        methods[name] = tuple(paths)
    return methods


def names_of(specs: Sequence[str]) -> list[str]:
    """Short names of methods: a run's name or the last part of a path, where no other has it."""
    short = [checkpoint_name(spec) for spec in specs]
    return [
        name if short.count(name) == 1 else spec for name, spec in zip(short, specs, strict=True)
    ]


def _task(values: Any, where: str) -> TaskConfig:
    if not isinstance(values, dict) or str(values.get("task")) not in TASKS:
        given = "" if not isinstance(values, dict) or "task" not in values else values["task"]
        found = f", not {given!r}" if given else ""
        raise UsageError(f"{where}: needs 'task', one of {', '.join(TASKS)}{found}")
    config = TASKS[values["task"]]
    settings = {key: value for key, value in values.items() if key != "task"}
    return _build(config, settings, f"{where} ({values['task']})")


_Config = TypeVar("_Config")


def _build(config: type[_Config], values: Any, where: str) -> _Config:
    """The settings in a table."""
    _check_keys(config, values, where)
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(config)
    try:
        settings = parser.parse_object(values).as_dict()
    except argparse.ArgumentError as error:
        raise UsageError(f"{where}: {' '.join(str(error).split())}") from error
    for key, choices in CHOICES.items():
        if settings.get(key, choices[0]) not in choices:
            raise UsageError(
                f"{where}: {key} is one of {', '.join(choices)}, not {settings[key]!r}"
            )
    if not _texts([*settings.get("where", {}).values()]):
        raise UsageError(f"{where}: where is a pattern for each column")
    for key, least in (("copies", 1), ("seeds", 1), ("least", FOLDS), ("most", FOLDS)):
        if settings.get(key, least) < least:
            raise UsageError(f"{where}: {key} must be at least {least}, not {settings[key]}")
    for kind in settings.get("kinds", ()):
        if kind not in (*TRAINED_KINDS, *HELD_OUT_KINDS):
            raise UsageError(
                f"{where}: kinds are {', '.join((*TRAINED_KINDS, *HELD_OUT_KINDS))}, not {kind!r}"
            )
    if set(settings.get("kinds", TRAINED_KINDS)).isdisjoint(TRAINED_KINDS):
        raise UsageError(f"{where}: kinds must hold one of {', '.join(TRAINED_KINDS)}")
    for strength in settings.get("strengths", ()):
        if not 0 < strength <= 1:
            raise UsageError(f"{where}: strengths lie above 0 and up to 1, not {strength}")
    return config(**settings)


def _check_keys(config: Any, values: Any, where: str) -> None:
    if not isinstance(values, Mapping):
        raise UsageError(f"{where}: a table of settings is needed")
    known = {each.name: each for each in fields(config)}
    for key in values:
        if key not in known:
            raise UsageError(f"{where}: no key {key!r}; there are {', '.join(known)}")
    for key, each in known.items():
        if key not in values and each.default is MISSING and each.default_factory is MISSING:
            raise UsageError(f"{where}: key {key!r} is missing")


def _texts(values: list[Any]) -> bool:
    return all(isinstance(value, str) for value in values)
