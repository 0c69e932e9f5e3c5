"""Rows of the table: what was measured, against what, and whether the goal is met."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tabulate import tabulate

from benchmarks.harness import Measured, Ratio

COLUMNS = ("benchmark", "what", "ours", "against", "ratio (min to max)", "goal", "met")


@dataclass
class Row:
    """One row.

    Attributes:
        benchmark: Name of the benchmark: ``python -m benchmarks NAME`` measures it.
        what: What was measured.
        ours: The figure, with its unit.
        against: What it was compared with, and the figure of that.
        ratio: Of the two, with its spread over the rounds.
        goal: What is aimed for.
        met: Whether it is; ``None`` where there is no goal or nothing was measured.
        figures: The numbers behind the texts, for the JSON.
    """

    benchmark: str
    what: str
    ours: str = ""
    against: str = ""
    ratio: str = ""
    goal: str = ""
    met: bool | None = None
    figures: dict[str, Any] = field(default_factory=dict)

    def cells(self) -> list[str]:
        """As ``COLUMNS``."""
        met = {None: "", True: "yes", False: "no"}[self.met]
        cells = [self.benchmark, self.what, self.ours, self.against, self.ratio, self.goal, met]
        return [cell.replace("|", "\\|") for cell in cells]


def compared(
    benchmark: str,
    what: str,
    ours: Measured,
    against: str,
    theirs: Measured,
    unit: str,
    goal: float | None = None,
) -> Row:
    """A row of two rates, and how many times as fast ours is.

    Args:
        benchmark: Its name.
        what: What ours is.
        ours: Our side.
        against: What theirs is.
        theirs: Their side.
        unit: Of the rates, as in ``notes/s``.
        goal: Least ratio to reach.
    """
    ratio = Ratio.of(ours.rates, theirs.rates)
    return Row(
        benchmark,
        what,
        f"{_rounded(ours.rate)} {unit}",
        f"{against}: {_rounded(theirs.rate)} {unit}",
        str(ratio),
        "" if goal is None else f"{goal:g} or more",
        None if goal is None else ratio.median >= goal,
        {
            "ours": ours.rates,
            "against": theirs.rates,
            "unit": unit,
            "ratio": dataclasses.asdict(ratio),
            "goal": goal,
        },
    )


def told(benchmark: str, rows: Sequence[tuple[str, str]]) -> list[Row]:
    """Rows of a figure alone."""
    return [Row(benchmark, what, value) for what, value in rows]


def markdown(rows: Sequence[Row], machine: Mapping[str, str]) -> str:
    """The table, and under it the machine and the versions."""
    table = tabulate(
        [row.cells() for row in rows], COLUMNS, tablefmt="github", disable_numparse=True
    )
    return f"{table}\n\n" + "\n".join(f"- {name}: {value}" for name, value in machine.items())


def _rounded(rate: float) -> str:
    """Three figures that mean something."""
    return f"{rate:,.0f}" if rate >= 1000 else f"{rate:.3g}"
