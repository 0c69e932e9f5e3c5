"""What a suite found: sections, one a task, of rows, one a method; as table, JSON and CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from tabulate import tabulate

from seqmelody.errors import SeqmelodyError
from seqmelody.evaluation.intervals import Estimate


class Result(Protocol):
    """What a task found for a method."""

    @property
    def headlines(self) -> tuple[str, ...]:
        """Names of the figures to show first."""
        ...

    def figures(self) -> dict[str, Estimate]:
        """All figures by name."""
        ...


@runtime_checkable
class Detail(Protocol):
    """What is too much for tables."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        ...


@dataclass(frozen=True, eq=False)
class Row:
    """A method on a task.

    Attributes:
        method: Its name.
        result: What was found; None if the method failed, or has nothing that the task measures.
        error: Why it failed; empty if it did not.
        lacks: What a method that did not fail lacks to be measured.
        detail: What only plots are drawn from, or only JSON holds (a ``Detail``).
    """

    method: str
    result: Result | None = None
    error: str = ""
    lacks: str = ""
    detail: Any = None


@dataclass(frozen=True, eq=False)
class Section:
    """A task.

    Attributes:
        task: Which kind of task.
        title: What is measured on what.
        note: What to know of it.
        rows: One a method, in the order of the suite.
        settings: The suite's settings of the task.
        taught: Methods that may have learnt from the very judgements or families that they are asked
            about.
    """

    task: str
    title: str
    note: str
    rows: tuple[Row, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    taught: tuple[str, ...] = ()

    @property
    def done(self) -> dict[str, Result]:
        """Results of the methods that did not fail."""
        return {row.method: row.result for row in self.rows if row.result is not None}

    @property
    def headlines(self) -> tuple[str, ...]:
        """Names of the figures to show first."""
        return next((result.headlines for result in self.done.values()), ())

    def cells(self) -> list[list[str]]:
        """The method and its headline figures; the reason in place of them where it has none."""
        lines = []
        for row in self.rows:
            if row.result is None:
                lines.append([row.method, f"failed: {row.error}" if row.error else row.lacks])
            else:
                figures = row.result.figures()
                lines.append([row.method, *(shown(figures[name]) for name in self.headlines)])
        return lines

    def all_cells(self) -> list[list[str]]:
        """A line a figure, a column a method; those that failed are left out."""
        found = {name: result.figures() for name, result in self.done.items()}
        names = dict.fromkeys(name for figures in found.values() for name in figures)
        return [
            [name, *(shown(figures[name]) if name in figures else "" for figures in found.values())]
            for name in names
        ]


@dataclass(frozen=True, eq=False)
class SuiteReport:
    """What a suite found.

    Attributes:
        sections: One a task (and strength).
        skipped: What could not be measured at all, a line each.
        versions: Of the package and of what computes.
    """

    sections: tuple[Section, ...]
    skipped: tuple[str, ...]
    versions: dict[str, str]

    @property
    def complete(self) -> bool:
        """Whether nothing was skipped and no method failed."""
        failed = any(row.error for section in self.sections for row in section.rows)
        return not self.skipped and not failed

    def table(self) -> str:
        """The headline figures for a screen or a Markdown file."""
        parts = []
        for section in self.sections:
            heads = ["method", *section.headlines]
            lines = [section.title]
            if section.note:
                lines.append(section.note)
            parts.append(
                "\n".join([*lines, "", tabulate(section.cells(), heads, tablefmt="github")])
            )
        parts += [f"skipped: {line}" for line in self.skipped]
        return "\n\n".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; ``None`` for a figure that is not known."""
        return {
            "versions": self.versions,
            "skipped": list(self.skipped),
            "sections": [
                {
                    "task": section.task,
                    "title": section.title,
                    "note": section.note,
                    "settings": section.settings,
                    "methods": {
                        row.method: {
                            "error": row.error,
                            **({"lacks": row.lacks} if row.lacks else {}),
                        }
                        if row.result is None
                        else {
                            "figures": {
                                name: {
                                    "value": known(found.value),
                                    "low": known(found.low),
                                    "high": known(found.high),
                                }
                                for name, found in row.result.figures().items()
                            },
                            **(
                                {"detail": row.detail.to_dict()}
                                if isinstance(row.detail, Detail)
                                else {}
                            ),
                        }
                        for row in section.rows
                    },
                }
                for section in self.sections
            ],
        }

    def to_csv(self) -> str:
        """A line for each figure of each method; an empty cell for a figure that is not known."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["task", "title", "method", "figure", "value", "low", "high", "error"])
        writer.writerows(self._lines())
        return out.getvalue()

    def _lines(self) -> Iterator[list[Any]]:
        for section in self.sections:
            for row in section.rows:
                about = [section.task, section.title, row.method]
                if row.result is None:
                    yield [*about, "", "", "", "", row.error]
                    continue
                for name, found in row.result.figures().items():
                    figures = (found.value, found.low, found.high)
                    yield [*about, name, *map(known, figures), ""]


def shown(found: Estimate) -> str:
    """A figure and its interval, if it has one, in few characters."""
    if math.isnan(found.value):
        return "not known"
    if math.isnan(found.low):
        return f"{found.value:,.0f}" if abs(found.value) >= 1000 else f"{found.value:.3f}"
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"


def reason(error: Exception) -> str:
    """Why a method failed, in one line; of what is no error of the package, its kind as well."""
    line = " ".join(str(error).split())
    return line if isinstance(error, SeqmelodyError) else f"{type(error).__name__}: {line}"


def known(value: Any) -> Any:
    """The same, in dictionaries too, with ``None`` for each number that is not known."""
    if isinstance(value, dict):
        return {name: known(entry) for name, entry in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
