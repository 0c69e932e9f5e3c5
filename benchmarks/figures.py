"""Draws the plots of docs/answers.md from what its commands wrote.

    python -m benchmarks.figures --ablation ablation.json --sound sound.json \
        --targets fine-tuning.json --fourier fixed-*.json learned-*.json --out docs/figures

Each option draws one plot, so that any of them may be left out. ``--ablation`` and ``--sound`` take
what ``seqmelody evaluate --suite configs/evaluation-ablation.yaml --json FILE`` and the same of
``evaluation-sound.yaml`` wrote, ``--targets`` what ``python -m benchmarks fine-tuning --json FILE``
wrote, and ``--fourier`` what ``seqmelody fourier --json FILE`` wrote, a file for each size and kind
of permutation. Marks and lines differ in form as well as in colour, and stand on white.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.fourier import PUBLISHED
from benchmarks.harness import BenchmarkError
from seqmelody.evaluation.intervals import Estimate
from seqmelody.evaluation.plots import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LABELS = {
    "cnn-gru": "CNN + GRU",
    "gru": "GRU",
    "cnn": "CNN",
    "transformer": "Transformer",
    "bag": "bag of notes",
    "ngram": "n-gram model",
    "sound-contrast-0": "notes",
    "sound-spectrogram-0": "log-mel, 2-D CNN",
    "sound-stft-0": "sound, fixed STFT",
    "sound-filterbank-0": "sound, learned\nfilter bank",
    "sound-butterfly-0": "sound, butterfly\nfrom random",
    "sound-butterfly-exact-0": "sound, butterfly\nfrom the FFT",
}
"""What the methods of the suites are called in the plots; others keep their names."""

DPI = 100

_ACCURACY = "mean of trained kinds"
_GREY = "#666666"


@dataclass(frozen=True)
class Panel:
    """Figures of one kind, a line for each method.

    Attributes:
        label: What they are.
        series: By name; of each the figures by method.
        chance: Where what knows nothing lies.
        amount: Whether the axis begins at 0.
    """

    label: str
    series: Mapping[str, Mapping[str, Estimate]]
    chance: float | None = None
    amount: bool = False


def ablation(path: Path) -> Figure:
    """Networks of equal size: corruption, ratings, and cost."""
    report = _read(path)
    essen = _section(path, report, "corruption", corpus="essen")
    ratings = _section(path, report, "ratings")
    learnt = _section(path, report, "supervised")
    cost = _section(path, report, "cost")
    return _panels(
        [
            Panel("accuracy, nine kinds", {"": _figures(essen, _ACCURACY)}),
            Panel("accuracy, retrograde", {"": _figures(essen, "retrograde")}),
            Panel("rho, ratings\nnever seen", {"": _figures(ratings, "rho")}),
            Panel("rho, ratings learnt\nfrom vectors", {"": _figures(learnt, "rho, 5 folds")}),
            Panel("ms a melody", {"": _figures(cost, "ms a melody")}, amount=True),
        ]
    )


def sound(path: Path) -> Figure:
    """Models that hear beside one that reads: accuracy on new and on known melodies, and cost."""
    report = _read(path)
    test = _section(path, report, "corruption", split="test")
    train = _section(path, report, "corruption", split="train")
    cost = _section(path, report, "cost")
    accuracy = {
        "melodies of the test split": _figures(test, _ACCURACY),
        "melodies trained on": _figures(train, _ACCURACY),
    }
    segments = {
        "melodies of the test split": _figures(test, "swap_segments"),
        "melodies trained on": _figures(train, "swap_segments"),
    }
    return _panels(
        [
            Panel("accuracy, nine kinds", accuracy, chance=0.5),
            Panel("accuracy, segments swapped", segments, chance=0.5),
            Panel("ms a melody", {"": _figures(cost, "ms a melody")}, amount=True),
        ]
    )


def targets(path: Path) -> Figure:
    """Regression, ranking and classification, on the same folds."""
    labels = {
        "five folds: rho, mean of the folds": "rho, five folds",
        "five folds: mean rho within systems": "rho within systems",
    }
    found: dict[str, dict[str, Estimate]] = {label: {} for label in labels.values()}
    for row in _read(path).get("rows", []):
        target, _, what = row["what"].partition(", ")
        if row["benchmark"] == "fine-tuning" and what in labels:
            found[labels[what]][target] = _estimate(row["figures"])
    if not all(found.values()):
        raise BenchmarkError(f"{path}: has no rows of the benchmark fine-tuning")
    return _panels([Panel(label, {"": figures}, chance=0) for label, figures in found.items()])


def fourier(paths: Sequence[Path]) -> Figure:
    """Error of what was learned, by size, and time beside a dense product and ``torch.fft``."""
    reports = [_read(path) for path in paths]
    for path, report in zip(paths, reports, strict=True):
        if "permutation" not in report:
            raise BenchmarkError(f"{path}: is not of seqmelody fourier")
    reports.sort(key=lambda report: int(report["n"]))
    figure = _figure(8, 3.4)
    error, time = figure.subplots(1, 2)
    kinds = {
        "bit-reversal": ("bit reversal built in", COLOURS[0], "o"),
        "learned": ("permutation learned", COLOURS[1], "s"),
    }
    for kind, (label, colour, marker) in kinds.items():
        mine = [report for report in reports if report["permutation"] == kind]
        worst = [(report["n"], max(run["rmse"] for run in report["runs"])) for report in mine]
        each = [(report["n"], run["rmse"]) for report in mine for run in report["runs"]]
        error.plot(*_columns(each), marker, color=colour, markersize=3, alpha=0.4)
        error.plot(*_columns(worst), marker + "-", color=colour, label=f"{label}: worst")
    sizes = sorted({report["n"] for report in reports})
    published = [(n, PUBLISHED[n]) for n in sizes if n in PUBLISHED]
    error.plot(*_columns(published), "^--", color=COLOURS[2], label="published, learned")
    error.set(ylabel="RMSE of the matrix entries")

    for key, label, look, colour in (
        ("butterfly", "butterfly", "o-", COLOURS[3]),
        ("dense", "dense product", "s--", COLOURS[6]),
        ("library", "torch.fft", "^:", COLOURS[7]),
    ):
        # The permutation costs the same however it was come by; other programs only add to a time.
        taken = [
            (n, 1e3 * min(report["cost"][key] for report in reports if report["n"] == n))
            for n in sizes
        ]
        time.plot(*_columns(taken), look, color=colour, label=label)
    time.set(ylabel="ms for 256 vectors")
    for axes in (error, time):
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xticks(sizes, sizes)
        axes.set_xlabel("N")
        axes.grid(color="#dddddd", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1))
    return figure


def main(argv: Sequence[str] | None = None) -> None:
    """Draws the plots that were asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("ablation", "sound", "targets"):
        parser.add_argument(f"--{name}", type=Path, metavar="FILE.json")
    parser.add_argument("--fourier", type=Path, nargs="+", metavar="FILE.json")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    args = parser.parse_args(argv)
    drawn: dict[str, Callable[[Any], Figure]]
    drawn = {"ablation": ablation, "sound": sound, "targets": targets, "fourier": fourier}
    asked = {name: getattr(args, name) for name in drawn if getattr(args, name) is not None}
    if not asked:
        parser.error(f"nothing to draw: give {', '.join('--' + name for name in drawn)}")
    args.out.mkdir(parents=True, exist_ok=True)
    for name, given in asked.items():
        try:
            figure = drawn[name](given)
        except BenchmarkError as error:
            parser.error(str(error))
        out = args.out / f"{name}.png"
        figure.savefig(out, dpi=DPI)
        print(out)


def _panels(panels: Sequence[Panel]) -> Figure:
    """Panels beside each other that share the methods, the first of them at the top."""
    methods = list(dict.fromkeys(name for p in panels for s in p.series.values() for name in s))
    named = [name for name in panels[0].series if name]
    figure = _figure(2.2 + 2.1 * len(panels), 0.9 + 0.2 * bool(named) + 0.34 * len(methods))
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        _dots(axes, panel, methods)
        axes.set_yticks(range(len(methods)))
        axes.set_yticklabels([])
        axes.set_ylim(len(methods) - 0.5, -0.5)
    figure.axes[0].set_yticklabels([LABELS.get(name, name) for name in methods])
    if named:
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=2, frameon=False)
    return figure


def _dots(axes: Axes, panel: Panel, methods: Sequence[str]) -> None:
    reach = 0.16 if len(panel.series) > 1 else 0.0
    offsets = np.linspace(-reach, reach, len(panel.series))
    looks = zip(("o", "D"), (COLOURS[0], COLOURS[1]), strict=True)
    for (name, figures), offset, (marker, colour) in zip(
        panel.series.items(), offsets, looks, strict=False
    ):
        place = np.array([methods.index(method) for method in figures])
        value, low, high = np.array([(e.value, e.low, e.high) for e in figures.values()]).T
        axes.errorbar(
            value,
            place + offset,
            # A figure may lie just outside the interval of a skewed bootstrap.
            xerr=np.fmax(0, [value - low, high - value]),
            fmt=marker,
            color=colour,
            markersize=4,
            elinewidth=1.2,
            label=name,
        )
    if panel.chance is not None:
        axes.axvline(panel.chance, color=_GREY, linewidth=1, linestyle=":")
    for line in range(0, len(methods), 2):
        axes.axhspan(line - 0.5, line + 0.5, color="#f3f3f3", linewidth=0, zorder=0)
    if panel.amount:
        axes.set_xlim(left=0)
    axes.locator_params(axis="x", nbins=4)
    axes.set_xlabel(panel.label)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _read(path: Path) -> Any:
    """What a command wrote.

    Raises:
        BenchmarkError: It cannot be read.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BenchmarkError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError:
        raise BenchmarkError(f"{path}: is no JSON") from None


def _section(path: Path, report: Any, task: str, **settings: str) -> Any:
    """The first section of a task, and of its settings.

    Raises:
        BenchmarkError: There is none.
    """
    for section in report.get("sections", []):
        if section["task"] == task and settings.items() <= section["settings"].items():
            return section
    wanted = " ".join([task, *settings.values()])
    raise BenchmarkError(f"{path}: has no section {wanted}; give a report of the suite")


def _figures(section: Any, name: str) -> dict[str, Estimate]:
    """One figure of each method that has it.

    Raises:
        BenchmarkError: None has it.
    """
    found = {
        method: _estimate(found["figures"][name])
        for method, found in section["methods"].items()
        if name in found["figures"]
    }
    if not found:
        raise BenchmarkError(f"section {section['title']}: no method has the figure {name}")
    return found


def _estimate(stored: Any) -> Estimate:
    # What has no interval has null there.
    return Estimate(
        *(float("nan" if stored[k] is None else stored[k]) for k in ("value", "low", "high"))
    )


if __name__ == "__main__":
    main()
