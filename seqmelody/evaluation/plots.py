"""Plots of a report, as SVG text."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from seqmelody.evaluation.corruption import CALIBRATION_BINS, CorruptionScores, calibration_cases
from seqmelody.evaluation.intervals import Estimate

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#4d4d4d", "#661100")
"""Told apart by the colour-blind as well (Okabe & Ito, 2008); those of methods, in their order."""

_MARKERS = {"o": "●", "s": "■", "^": "▲", "D": "◆", "v": "▼", "P": "✚", "X": "✖", "*": "★"}
"""Matplotlib's names, and how they are written in text."""
_LEAST_CASES = 20
_WIDTH = 4.6
"""Of all drawings, in inches: on a phone's screen they shrink by a sixth, and stay legible."""
_TEXT = 8
_LABEL_CHARACTERS = 24
_LEGEND_COLUMNS = 3

_TwoSides: TypeAlias = tuple[NDArray[np.float64], NDArray[np.float64]]


def mark(look: int) -> tuple[str, str]:
    """Colour of a method, and its mark as a character."""
    return _colour(look), _MARKERS[_marker(look)]


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
    labels = [textwrap.fill(name, _LABEL_CHARACTERS, break_on_hyphens=False) for name in names]
    legend = 0.15 * -(-len(figures) // _LEGEND_COLUMNS)
    height = 0.6 + legend + len(names) * max(0.32, 0.14 + 0.08 * len(figures))
    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    axes = figure.add_subplot()
    # Marks of one figure stand closer to each other than to those of the next.
    reach = 0.36 - 0.36 / (len(figures) + 1)
    offsets = np.linspace(-reach, reach, len(figures)) if len(figures) > 1 else [0.0]
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
            markersize=3.5,
            elinewidth=1,
            label=method,
            **_look(looks[method]),
        )
    if reference is not None:
        axes.axvline(reference, color="#666666", linewidth=1, linestyle=":")
    for place in range(0, len(names), 2):
        axes.axhspan(place - 0.5, place + 0.5, color="#f3f3f3", linewidth=0, zorder=0)
    axes.set_yticks(range(len(names)), labels)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel(label, loc="right")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    _legend(figure)
    return _svg(figure)


def reliability(scores: Mapping[str, CorruptionScores], looks: Mapping[str, int]) -> str:
    """How often the side that is said to be more melodic is, against how surely it is said."""
    figure = Figure(figsize=(_WIDTH, 3.6), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0.5, 1], [0.5, 1], color="#666666", linewidth=1, linestyle=":")
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
    _legend(figure)
    return _svg(figure)


def histograms(
    scores: Mapping[str, _TwoSides], sides: tuple[str, str], looks: Mapping[str, int]
) -> str:
    """Scores of two sides, one panel a method, since each has its own scale.

    Args:
        scores: Of each method those of the one side and those of the other.
        sides: What they are; the first is filled with the method's colour, the second an outline.
        looks: Number of each method's colour.
    """
    columns = min(2, len(scores))
    lines = -(-len(scores) // columns)
    figure = Figure(figsize=(_WIDTH, 1.5 * lines + 0.6), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for axes, (method, found) in zip(panels, scores.items(), strict=False):
        # A few scores far out would leave the rest one bar.
        low, high = np.quantile(np.concatenate(found), [0.005, 0.995]).tolist()
        edges = np.linspace(low, high, 31) if low < high else np.linspace(low - 0.5, low + 0.5, 31)
        filled, outline = (
            np.histogram(np.clip(side, edges[0], edges[-1]), edges)[0] / len(side) for side in found
        )
        axes.stairs(filled, edges, fill=True, color=_colour(looks[method]), alpha=0.6)
        axes.stairs(outline, edges, color="black", linewidth=1)
        axes.set_title(method, fontsize=_TEXT + 1)
        axes.set_yticks([])
        axes.tick_params(labelsize=_TEXT)
    for axes in panels[len(scores) :]:
        axes.set_axis_off()
    figure.supxlabel("score", fontsize=_TEXT + 1)
    figure.supylabel("share of melodies", fontsize=_TEXT + 1)
    keys = [Patch(color="#999999"), Patch(facecolor="none", edgecolor="black")]
    _legend(figure, keys, sides)
    return _svg(figure)


def roc(scores: Mapping[str, _TwoSides], looks: Mapping[str, int]) -> str:
    """ROC curves.

    Args:
        scores: Of each method those of the positives, and those of the negatives.
        looks: Number of each method's colour and mark.
    """
    figure = Figure(figsize=(_WIDTH, 3.6), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="#666666", linewidth=1, linestyle=":")
    for method, (positive, negative) in scores.items():
        thresholds = np.unique(np.concatenate([positive, negative]))[::-1]
        hits, alarms = (
            np.concatenate([[0], 1 - np.searchsorted(np.sort(side), thresholds) / len(side)])
            for side in (positive, negative)
        )
        axes.plot(
            alarms,
            hits,
            label=method,
            linewidth=1.3,
            markersize=4,
            # A few marks along the curve, not one for each melody.
            markevery=0.1,
            **_look(looks[method]),
        )
    axes.set(xlabel="machines taken for people", ylabel="people taken for people")
    axes.grid(color="#e5e5e5", linewidth=0.6)
    _legend(figure)
    return _svg(figure)


def _colour(look: int) -> str:
    return COLOURS[look % len(COLOURS)]


def _marker(look: int) -> str:
    # After a round of the colours each has another mark.
    return list(_MARKERS)[(look + look // len(COLOURS)) % len(_MARKERS)]


def _look(look: int) -> dict[str, Any]:
    return {"color": _colour(look), "marker": _marker(look)}


def _legend(figure: Figure, *sides: Any) -> None:
    """Above the axes, where it hides nothing."""
    figure.legend(
        *sides,
        loc="outside upper center",
        ncols=_LEGEND_COLUMNS,
        frameon=False,
        fontsize=_TEXT,
    )


def _svg(figure: Figure) -> str:
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    out = io.StringIO()
    # The text stays text, and the same figures give the same file.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "seqmelody"}):
        figure.savefig(
            out, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type"))
        )
    text = out.getvalue()
    return text[text.index("<svg") :]
