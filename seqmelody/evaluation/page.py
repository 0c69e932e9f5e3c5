"""The report of a suite as one HTML file that needs nothing from elsewhere."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from numpy.typing import NDArray

from seqmelody.config import HELD_OUT_KINDS, TRAINED_KINDS
from seqmelody.evaluation import plots
from seqmelody.evaluation.corruption import CorruptionScores
from seqmelody.evaluation.detection import DetectionResult
from seqmelody.evaluation.intervals import Estimate
from seqmelody.evaluation.repeated import RepeatedResult
from seqmelody.evaluation.results import Section, SuiteReport, shown


@dataclass(frozen=True)
class _Asked:
    """What a kind of task asks.

    Attributes:
        title: Of all its sections.
        question: In plain words.
        explanation: What the figures are, and what they say.
        label: Of the axis that they are drawn on.
        told: Which figures to compare the methods by, first of all.
        chance: What a method gets that knows nothing; None where that says nothing.
        less_is_better: Whether the lowest figure is the best.
        bounds: What stands in brackets.
    """

    title: str
    question: str
    explanation: str
    label: str
    told: tuple[str, ...]
    chance: float | None = None
    less_is_better: bool = False
    bounds: str = "95 % intervals"


_ASKED = {
    "corruption": _Asked(
        "Spoiled copies",
        "Does a melody score above a spoiled copy of itself?",
        "Share of comparisons that the original won: 1 is all of them, 0.5 is chance. Training may "
        f"use {len(TRAINED_KINDS)} kinds of spoiling, the trained kinds; {' and '.join(HELD_OUT_KINDS)} "
        "are for testing only. Strength is the share of a melody that was spoiled.",
        "share of comparisons that the original won",
        ("mean of trained kinds", "worst trained kind"),
        0.5,
    ),
    "ratings": _Asked(
        "Ratings",
        "Do scores order melodies as people do?",
        "Spearman's rank correlation (rho) of scores with mean ratings: 1 is the same order, 0 is none "
        "in common. Within systems it is taken among melodies of one maker, and tells whether a score "
        "knows better from worse, and not only who made it.",
        "Spearman's rank correlation with mean ratings",
        ("rho", "mean rho within systems"),
        0.0,
    ),
    "supervised": _Asked(
        "Ratings, learnt",
        "How much of people's ratings can be learnt from what a method measures?",
        "A regression on the method's vectors, or on its score where it has none, predicts the mean "
        "ratings of melodies that it did not learn from: five folds, or each system from all others. "
        "Spearman's rank correlation (rho) of predicted with mean ratings.",
        "Spearman's rank correlation with mean ratings",
        ("rho, 5 folds", "mean rho within systems left out"),
        0.0,
    ),
    "detection": _Asked(
        "People against machines",
        "Do melodies by people score above those by machines?",
        "Area under the ROC curve (AUC): how often a person's melody outscores a machine's; 0.5 is "
        "chance.",
        "area under the ROC curve",
        ("AUC, people against machines",),
        0.5,
    ),
    "stability": _Asked(
        "Stability",
        "Does the order of scores survive changes that leave the music what it is?",
        "Spearman's rank correlation of the scores before and after a change; 1 is the same order. A "
        "plain count such as the length survives all of them, and need not be right for that.",
        "rank correlation with the scores before the change",
        ("durations halved", "first half"),
    ),
    "retrieval": _Asked(
        "Finding variants",
        "Does a melody find the others of its family?",
        "All other melodies are put in the order of how alike they are to the one that asks. Average "
        "precision is the mean, over the others of its family, of the share of the family among all "
        "down to there; its mean over those that ask is MAP. P@1: how often the very first is of the "
        "family. Recall@10: the share of the family among the first ten. 1 is best.",
        "mean over the melodies that ask",
        ("MAP", "P@1"),
    ),
    "probe": _Asked(
        "Labels told",
        "Can a label be told from what a method measures?",
        "By a logistic regression on the method's vectors (linear), and by the commonest label of the "
        "five melodies most alike (5-NN), learnt from other melodies: five folds. Accuracy is the share "
        "of melodies told rightly, balanced accuracy the mean of that over the classes.",
        "share told rightly",
        ("balanced accuracy, linear", "balanced accuracy, 5-NN"),
    ),
    "cost": _Asked(
        "Cost",
        "What does a score cost?",
        "Milliseconds of processor time for a melody, of methods measured in one run; and the "
        "parameters of a checkpoint.",
        "milliseconds a melody",
        ("ms a melody",),
        less_is_better=True,
        bounds="the least and the most of the rounds",
    ),
}
_NOT_DRAWN = re.compile(
    "calibration error|parameters|share of .* told, .*|.*, (seed|training) [0-9]+"
)


def page(report: SuiteReport, *, made: str = "", command: str = "") -> str:
    """The HTML text of a report.

    Args:
        report: What to show.
        made: When it was made, to be shown.
        command: What made it, to be shown.
    """
    environment = Environment(
        loader=PackageLoader("seqmelody.evaluation", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    methods = list(dict.fromkeys(row.method for each in report.sections for row in each.rows))
    looks = {name: number for number, name in enumerate(methods)}
    failures = {
        f"{row.method}: {row.error}": None
        for section in report.sections
        for row in section.rows
        if row.error
    }
    kinds = dict.fromkeys(section.task for section in report.sections)
    return environment.get_template("page.html.jinja").render(
        report=report,
        made=made,
        command=command,
        failures=list(failures),
        groups=[_group(kind, report.sections, looks) for kind in kinds],
        marks={name: plots.mark(look) for name, look in looks.items()},
        shown=shown,
    )


def _group(kind: str, sections: Sequence[Section], looks: Mapping[str, int]) -> dict[str, Any]:
    """What the template shows of all sections of a kind of task."""
    asked = _ASKED[kind]
    parts = []
    for number, section in enumerate(sections):
        if section.task != kind:
            continue
        anchor = f"s{number + 1}"
        figures = {method: result.figures() for method, result in section.done.items()}
        parts.append(
            {
                "section": section,
                "anchor": anchor,
                "figures": figures,
                "names": _names(figures),
                "verdicts": list(_verdicts(asked, figures, section.taught)),
                "plots": [
                    (caption, _embedded(svg, f"{anchor}-{place}-", f"{caption}: {section.title}"))
                    for place, (caption, svg) in enumerate(_plots(section, figures, looks))
                ],
            }
        )
    return {"asked": asked, "anchor": kind, "parts": parts}


def _names(figures: Mapping[str, Mapping[str, Estimate]]) -> list[str]:
    return list(dict.fromkeys(name for found in figures.values() for name in found))


def _verdicts(
    asked: _Asked, figures: Mapping[str, Mapping[str, Estimate]], taught: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Which methods are best by each figure that is known of some, and how sure that is.

    Those that were taught what they are asked do not compete.
    """
    for name in asked.told:
        found = {
            method: each[name]
            for method, each in figures.items()
            if method not in taught and name in each and not math.isnan(each[name].value)
        }
        if not found:
            continue
        value = (min if asked.less_is_better else max)(each.value for each in found.values())
        best = [method for method, each in found.items() if each.value == value]
        sure = _sure(
            [found[method] for method in best],
            {method: each for method, each in found.items() if method not in best},
            asked,
        )
        if taught:
            sure += f"; {', '.join(taught)} left out, having learnt from some of these"
        yield {"figure": name, "best": best, "estimate": found[best[0]], "sure": sure}


def _sure(best: Sequence[Estimate], others: Mapping[str, Estimate], asked: _Asked) -> str:
    """How sure it is that some methods are better than others, and than chance."""
    # Not known if that of one is not.
    low = float(np.min([each.low for each in best]))
    high = float(np.max([each.high for each in best]))
    if math.isnan(low) or math.isnan(high):
        return "no interval is known"
    near = [
        method
        for method, each in others.items()
        # An interval that is not known may lie anywhere.
        if not (each.low > high if asked.less_is_better else each.high < low)
    ]
    if near:
        sure = f"not clearly ahead of {', '.join(near)}"
    elif others:
        sure = "clearly ahead of all others"
    else:
        sure = "no other to compare with" if len(best) == 1 else "all alike"
    if asked.chance is not None and low <= asked.chance:
        sure += "; not clearly better than chance"
    return sure


def _plots(
    section: Section, figures: Mapping[str, Mapping[str, Estimate]], looks: Mapping[str, int]
) -> list[tuple[str, str]]:
    """Captions and drawings."""
    drawn = []
    asked = _ASKED[section.task]
    names = [
        name
        for name in _names(figures)
        if not _NOT_DRAWN.fullmatch(name)
        and any(name in found and not math.isnan(found[name].value) for found in figures.values())
    ]
    if names:
        caption = f"All figures, with {asked.bounds}"
        if asked.chance is not None:
            caption += "; dotted: chance"
        svg = plots.dots(figures, names, asked.label, looks, asked.chance)
        drawn.append((caption, svg))
    spoiled = {
        row.method: row.detail for row in section.rows if isinstance(row.detail, CorruptionScores)
    }
    sure = {
        method: each for method, each in spoiled.items() if "calibration error" in figures[method]
    }
    if sure:
        drawn.append(
            (
                "Reliability: win probability, the logistic function of the difference of two "
                "scores, against what happened (trained kinds; bins with 20 cases or more); dotted: "
                "as it should be",
                plots.reliability(sure, looks),
            )
        )
    if spoiled:
        sides = {method: (each.original, _copies(each)) for method, each in spoiled.items()}
        drawn.append(
            (
                "Scores of originals and of their copies (trained kinds)",
                plots.histograms(sides, ("originals", "copies"), looks),
            )
        )
    told = {}
    for method, result in section.done.items():
        # Scores of single melodies are those of the first of several trainings.
        first = result.found[0] if isinstance(result, RepeatedResult) else result
        if isinstance(first, DetectionResult):
            told[method] = (first.people, first.machines)
    if told:
        drawn.append(("ROC curves; dotted: chance", plots.roc(told, looks)))
        drawn.append(
            (
                "Scores of melodies by people and by machines",
                plots.histograms(told, ("people", "machines"), looks),
            )
        )
    return drawn


def _copies(scores: CorruptionScores) -> NDArray[np.float64]:
    copies: NDArray[np.float64] = np.concatenate(
        [scores.copies[kind].ravel() for kind in TRAINED_KINDS if kind in scores.copies]
    )
    return copies[~np.isnan(copies)]


def _embedded(svg: str, prefix: str, description: str) -> Markup:
    """A drawing as a part of the page, where names must not occur twice."""
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{prefix}", svg)
    about = f'<svg role="img" aria-label="{escape(description)}" '
    # Drawn here from numbers; the names in it are escaped by Matplotlib.
    return Markup(svg.replace("<svg ", about, 1))  # noqa: S704
