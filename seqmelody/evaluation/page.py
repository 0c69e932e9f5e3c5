"""The report of a suite as one HTML file that needs nothing from elsewhere."""

from __future__ import annotations

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from seqmelody.config import TRAINED_KINDS
from seqmelody.evaluation import plots
from seqmelody.evaluation.corruption import CorruptionScores
from seqmelody.evaluation.detection import DetectionResult
from seqmelody.evaluation.results import Section, SuiteReport, shown

_CHANCE = {"corruption": 0.5, "ratings": 0.0, "supervised": 0.0, "detection": 0.5}
_LABELS = {
    "corruption": "share of comparisons that the original won",
    "ratings": "Spearman's rank correlation with mean ratings",
    "supervised": "Spearman's rank correlation with mean ratings",
    "detection": "area under the ROC curve",
    "stability": "rank correlation with the scores before the change",
}
_NOT_DRAWN = ("calibration error", "rho, 5 folds, seed")


def page(report: SuiteReport) -> str:
    """The HTML text of a report."""
    environment = Environment(
        loader=PackageLoader("seqmelody.evaluation", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    methods = list(dict.fromkeys(row.method for each in report.sections for row in each.rows))
    looks = {name: number for number, name in enumerate(methods)}
    sections = [{"section": each, "plots": _plots(each, looks)} for each in report.sections]
    template = environment.get_template("page.html.jinja")
    return template.render(report=report, sections=sections, shown=shown)


def _plots(section: Section, looks: dict[str, int]) -> list[tuple[str, Markup]]:
    """Captions and drawings."""
    done = section.done
    if not done:
        return []
    drawn = []
    figures = {method: result.figures() for method, result in done.items()}
    names = [
        name
        for name in dict.fromkeys(name for found in figures.values() for name in found)
        if not name.startswith(_NOT_DRAWN)
        and any(name in found and not np.isnan(found[name].value) for found in figures.values())
    ]
    if names:
        chance = _CHANCE.get(section.task)
        label = _LABELS[section.task]
        drawn.append(
            ("All figures, with 95 % intervals", plots.dots(figures, names, label, looks, chance))
        )
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
                "scores, against what happened (trained kinds; bins with 20 cases or more)",
                plots.reliability(sure, looks),
            )
        )
    if spoiled:
        drawn.append(
            (
                "Scores of originals and of their copies (trained kinds)",
                plots.histograms(
                    {method: _by_class(each) for method, each in spoiled.items()},
                    ("originals", "copies"),
                ),
            )
        )
    told = {method: each for method, each in done.items() if isinstance(each, DetectionResult)}
    if told:
        sides = {method: (each.people, each.machines) for method, each in told.items()}
        drawn.append(("ROC curves", plots.roc(sides, looks)))
        drawn.append(
            (
                "Scores of melodies by people and by machines",
                plots.histograms(
                    {
                        method: {"people": each.people, "machines": each.machines}
                        for method, each in told.items()
                    },
                    ("people", "machines"),
                ),
            )
        )
    # Drawn here from numbers; the names in them are escaped by Matplotlib.
    return [(caption, Markup(svg)) for caption, svg in drawn]  # noqa: S704


def _by_class(scores: CorruptionScores) -> dict[str, np.ndarray]:
    copies = np.concatenate([scores.copies[kind].ravel() for kind in TRAINED_KINDS])
    return {"originals": scores.original, "copies": copies[~np.isnan(copies)]}
