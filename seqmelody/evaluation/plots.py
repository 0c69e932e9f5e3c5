"""Plots of a report, as SVG text."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from seqmelody.evaluation.corruption import CALIBRATION_BINS, CorruptionScores, calibration_cases
from seqmelody.evaluation.intervals import Estimate

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#4d4d4d", "#8c6d31")
"""Told apart by the colour-blind as well (Okabe & Ito, 2008); those of methods, in their order."""

_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_LEAST_CASES = 20


def dots(
    figures: Mapping[str, Mapping[str, Estimate]],
    names: Sequence[str],
    label: str,
    looks: Mapping[str, int],
    reference: float | None = None,
) -> str:
    """Figures with their intervals, a line for each name and a mark for each method.

    Args:
        figures: Of each method, by name.
        names: Which to draw, from the top.
        label: What the figures are.
        looks: Number of each method's colour and mark.
        reference: Where chance lies.
    """
    height = 0.8 + len(names) * (0.16 + 0.11 * len(figures))
    figure = Figure(figsize=(7.2, height), layout="constrained")
    axes = figure.add_subplot()
    offsets = np.linspace(-0.3, 0.3, len(figures)) if len(figures) > 1 else [0.0]
    for (method, found), offset in zip(figures.items(), offsets, strict=True):
        here = [place for place, name in enumerate(names) if name in found]
        value = np.array([found[names[place]].value for place in here])
        low = np.array([found[names[place]].low for place in here])
        high = np.array([found[names[place]].high for place in here])
        axes.errorbar(
            value,
            np.array(here) + offset,
            # A figure may lie just outside the interval of a skewed bootstrap.
            xerr=np.maximum(0, [value - low, high - value]),
            linestyle="none",
            markersize=4,
            elinewidth=1,
            label=method,
            **_look(looks[method]),
        )
    if reference is not None:
        axes.axvline(reference, color="#999999", linewidth=0.8, linestyle=":")
    axes.set_yticks(range(len(names)), list(names))
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel(label)
    axes.grid(axis="x", color="#e5e5e5", linewidth=0.6)
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    return _svg(figure)


def reliability(scores: Mapping[str, CorruptionScores], looks: Mapping[str, int]) -> str:
    """How often the side that is said to be more melodic is, against how surely it is said."""
    figure = Figure(figsize=(4.6, 3.6), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0.5, 1], [0.5, 1], color="#999999", linewidth=0.8, linestyle=":")
    for method, found in scores.items():
        bins, confidence, right = calibration_cases(found.differences())
        count = np.bincount(bins, minlength=CALIBRATION_BINS)
        drawn = count >= _LEAST_CASES
        mean_confidence, mean_right = (
            np.bincount(bins, weights=values, minlength=CALIBRATION_BINS)[drawn] / count[drawn]
            for values in (confidence, right)
        )
        axes.plot(mean_confidence, mean_right, markersize=4, label=method, **_look(looks[method]))
    axes.set(xlabel="win probability said", ylabel="share right", xlim=(0.49, 1.01))
    axes.grid(color="#e5e5e5", linewidth=0.6)
    axes.legend(frameon=False, fontsize=8)
    return _svg(figure)


def histograms(
    scores: Mapping[str, Mapping[str, NDArray[np.float64]]], classes: Sequence[str]
) -> str:
    """Scores by class, one panel a method, since each has its own scale.

    Args:
        scores: Of each method, by class.
        classes: In the order of their colours.
    """
    columns = min(3, len(scores))
    lines = -(-len(scores) // columns)
    figure = Figure(figsize=(2.6 * columns + 0.4, 1.7 * lines + 0.5), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for axes, (method, found) in zip(panels, scores.items(), strict=False):
        together = np.concatenate([found[name] for name in classes])
        # A few scores far out would leave the rest one bar.
        low, high = np.quantile(together, [0.005, 0.995]).tolist()
        edges = np.linspace(low, high, 31) if low < high else np.linspace(low - 0.5, low + 0.5, 31)
        for name, colour in zip(classes, COLOURS, strict=False):
            weights = np.full(len(found[name]), 1 / len(found[name]))
            axes.hist(
                np.clip(found[name], edges[0], edges[-1]),
                edges,
                weights=weights,
                color=colour,
                alpha=0.5,
                label=name,
            )
        axes.set_title(method, fontsize=9)
        axes.set_yticks([])
        axes.tick_params(labelsize=7)
    for axes in panels[len(scores) :]:
        axes.set_axis_off()
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return _svg(figure)


def roc(
    scores: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]], looks: Mapping[str, int]
) -> str:
    """ROC curves.

    Args:
        scores: Of each method those of the positives, and those of the negatives.
        looks: Number of each method's colour.
    """
    figure = Figure(figsize=(4.6, 3.6), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="#999999", linewidth=0.8, linestyle=":")
    for method, (positive, negative) in scores.items():
        thresholds = np.unique(np.concatenate([positive, negative]))[::-1]
        hits, alarms = (
            np.concatenate([[0], 1 - np.searchsorted(np.sort(side), thresholds) / len(side)])
            for side in (positive, negative)
        )
        axes.plot(alarms, hits, label=method, color=_colour(looks[method]), linewidth=1.3)
    axes.set(xlabel="machines taken for people", ylabel="people taken for people")
    axes.grid(color="#e5e5e5", linewidth=0.6)
    axes.legend(frameon=False, fontsize=8)
    return _svg(figure)


def _colour(look: int) -> str:
    return COLOURS[look % len(COLOURS)]


def _look(look: int) -> dict[str, Any]:
    return {"color": _colour(look), "marker": _MARKERS[look % len(_MARKERS)]}


def _svg(figure: Figure) -> str:
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    out = io.StringIO()
    # The text stays text, and the same figures give the same file.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "seqmelody"}):
        figure.savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    return text[text.index("<svg") :]
