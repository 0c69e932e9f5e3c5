from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import figures


def estimate(value: float, reach: float | None = 0.05) -> dict[str, float | None]:
    if reach is None:
        return {"value": value, "low": None, "high": None}
    return {"value": value, "low": value - reach, "high": value + reach}


def section(task: str, found: dict[str, dict[str, dict]], **settings: str) -> dict:
    methods = {name: {"figures": entry} for name, entry in found.items()}
    return {"task": task, "title": task, "settings": settings, "methods": methods}


def saved(path, content) -> str:
    path.write_text(json.dumps(content), encoding="utf-8")
    return str(path)


@pytest.fixture
def sound(tmp_path):
    def accuracy(value):
        return {"mean of trained kinds": estimate(value), "swap_segments": estimate(0.6)}

    known = {"sound-contrast-0": accuracy(0.99), "sound-stft-0": accuracy(0.95)}
    new = {"sound-contrast-0": accuracy(0.98), "sound-stft-0": accuracy(0.8)}
    cost = {name: {"ms a melody": estimate(1.0, None)} for name in new}
    sections = [
        section("corruption", known, split="train"),
        section("corruption", new, split="test"),
        section("cost", cost, split="test"),
    ]
    return saved(tmp_path / "sound.json", {"sections": sections})


@pytest.fixture
def ablation(tmp_path):
    names = ("cnn-gru", "mine")
    accuracy = {"mean of trained kinds": estimate(0.9), "retrograde": estimate(0.8)}
    other = {"mean of trained kinds": estimate(0.1), "retrograde": estimate(0.1)}
    sections = [
        section("corruption", dict.fromkeys(names, other), corpus="ryan", split="all"),
        section("corruption", dict.fromkeys(names, accuracy), corpus="essen", split="test"),
        section("ratings", {key: {"rho": estimate(0.4)} for key in names}),
        section("supervised", {key: {"rho, 5 folds": estimate(0.4)} for key in names}),
        section("cost", {key: {"ms a melody": estimate(0.7)} for key in names}),
    ]
    return saved(tmp_path / "ablation.json", {"sections": sections})


@pytest.fixture
def targets(tmp_path):
    rows = [
        {"benchmark": "fine-tuning", "what": f"{target}, {what}", "figures": estimate(value)}
        for target, value in (("regression", 0.5), ("ranking", 0.4))
        for what in ("five folds: rho, mean of the folds", "five folds: mean rho within systems")
    ]
    rows.append({"benchmark": "training", "what": "speed, of all", "figures": {}})
    return saved(tmp_path / "fine-tuning.json", {"rows": rows})


@pytest.fixture
def fourier(tmp_path):
    cost = {"vectors": 256, "butterfly": 3e-4, "dense": 1e-5, "library": 2e-5}
    return [
        saved(
            tmp_path / f"{kind}-{n}.json",
            {"n": n, "permutation": kind, "cost": cost, "runs": [{"rmse": r} for r in errors]},
        )
        for kind, errors in (("bit-reversal", [1e-9, 3e-9]), ("learned", [5e-9]))
        for n in (16, 8)
    ]


def test_each_option_draws_one_plot(sound, ablation, targets, fourier, tmp_path, capsys):
    out = tmp_path / "new" / "figures"
    given = ["--sound", sound, "--ablation", ablation, "--targets", targets, "--fourier", *fourier]
    figures.main([*given, "--out", str(out)])
    drawn = [out / f"{name}.png" for name in ("ablation", "sound", "targets", "fourier")]
    assert sorted(out.iterdir()) == sorted(drawn)
    assert capsys.readouterr().out.splitlines() == [str(path) for path in drawn]
    for path in drawn:
        content = path.read_bytes()
        assert content.startswith(b"\x89PNG")
        assert len(content) < 60_000


def test_sound_tells_new_melodies_from_those_trained_on(sound):
    accuracy, segments, cost = figures.sound(Path(sound)).axes
    named = [text.get_text() for text in accuracy.get_yticklabels()]
    assert named == ["notes", "sound, fixed STFT"]
    # The first at the top.
    assert accuracy.get_ylim() == (1.5, -0.5)
    drawn = {one.get_label(): list(one.lines[0].get_xdata()) for one in accuracy.containers}
    assert drawn == {"melodies of the test split": [0.98, 0.8], "melodies trained on": [0.99, 0.95]}
    assert [list(one.lines[0].get_xdata()) for one in segments.containers] == [[0.6, 0.6]] * 2
    # Without an interval the figure still stands.
    assert list(cost.containers[0].lines[0].get_xdata()) == [1.0, 1.0]


def test_ablation_is_of_the_corpus_that_was_trained_on(ablation):
    axes = figures.ablation(Path(ablation)).axes
    named = [text.get_text() for text in axes[0].get_yticklabels()]
    assert named == ["CNN + GRU", "mine"]
    drawn = [list(each.containers[0].lines[0].get_xdata()) for each in axes]
    assert drawn == [[value] * 2 for value in (0.9, 0.8, 0.4, 0.4, 0.7)]


def test_targets_are_those_of_the_benchmark(targets):
    for axes in figures.targets(Path(targets)).axes:
        assert list(axes.containers[0].lines[0].get_xdata()) == [0.5, 0.4]


def test_fourier_shows_the_worst_seed_by_size(fourier):
    error, time = figures.fourier([Path(path) for path in fourier]).axes
    drawn = {line.get_label(): list(line.get_ydata()) for line in error.lines}
    assert drawn["bit reversal built in: worst"] == [3e-9, 3e-9]
    assert drawn["permutation learned: worst"] == [5e-9, 5e-9]
    assert drawn["published, learned"] == [3.1e-6, 4.6e-6]
    assert [list(line.get_xdata()) for line in time.lines] == [[8, 16]] * 3
    assert list(time.lines[0].get_ydata()) == pytest.approx([0.3, 0.3])


def test_what_cannot_be_drawn_is_refused(sound, fourier, tmp_path, capsys):
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    out = ["--out", str(tmp_path)]
    for given, why in (
        ([], "nothing to draw"),
        (["--ablation", str(tmp_path / "gone.json")], "gone.json: cannot be read"),
        (["--ablation", str(tmp_path / "broken.json")], "broken.json: is no JSON"),
        (["--ablation", sound], "sound.json: has no section corruption essen"),
        (["--targets", sound], "sound.json: has no rows of the benchmark fine-tuning"),
        (["--fourier", sound], "sound.json: is not of seqmelody fourier"),
    ):
        with pytest.raises(SystemExit, match="2"):
            figures.main([*given, *out])
        assert why in capsys.readouterr().err
