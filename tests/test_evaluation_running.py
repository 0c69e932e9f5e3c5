from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from rated import prepare_rated, suite_of
from stand_ins import By, ByVectors, mean_pitch

from seqmelody import baselines
from seqmelody.config import HELD_OUT_KINDS, TRAINED_KINDS
from seqmelody.corpus import Corpus
from seqmelody.errors import UsageError
from seqmelody.evaluation import Suite, SuiteReport, run_suite, running
from seqmelody.evaluation.corruption import corruption_task
from seqmelody.evaluation.page import page
from seqmelody.evaluation.selection import for_choosing


@pytest.fixture(scope="module")
def folder(essen_corpus, tmp_path_factory):
    made = tmp_path_factory.mktemp("suite")
    prepare_rated(essen_corpus, made)
    return made


@pytest.fixture(scope="module")
def report(folder, checkpoint_folder) -> SuiteReport:
    return run_suite(Suite.read(suite_of(folder, checkpoint_folder)))


def section(report: SuiteReport, start: str):
    [found] = [each for each in report.sections if each.title.startswith(start)]
    return found


def test_every_method_is_on_every_task_in_the_order_of_the_suite(report):
    assert [each.task for each in report.sections] == [
        *["corruption"] * 2,
        *["ratings"] * 2,
        "detection",
        "stability",
    ]
    for each in report.sections:
        assert [row.method for row in each.rows] == ["untrained", "length", "density"]
        assert list(each.done) == ["untrained", "length", "density"]
    assert report.complete
    assert report.skipped == ()


def test_the_figures_are_those_of_the_tasks(report, folder):
    corpus = Corpus.open(folder / "corpus")
    rows = corpus.split("test")
    length = By(lambda melodies: np.diff(melodies.offsets))
    found = section(report, "Corruption at strength 1,").done["length"].figures()
    expected = corruption_task(length, corpus, rows, copies=1)
    for kind in (*TRAINED_KINDS, *HELD_OUT_KINDS):
        assert found[kind] == expected.by_kind[kind]
    assert found["mean of trained kinds"] == expected.trained_mean
    # Only a checkpoint's score is a log-odds.
    assert "calibration error" not in found
    of_checkpoint = section(report, "Corruption at strength 0.3").done["untrained"].figures()
    assert 0 <= of_checkpoint["calibration error"].value <= 0.5


def test_kinds_that_a_checkpoint_never_met_are_told(report, folder, checkpoint_folder, monkeypatch):
    assert "never trained on" not in section(report, "Corruption at strength 1,").note
    monkeypatch.setattr(running, "kinds_trained_on", lambda method: TRAINED_KINDS[:-1])
    tasks = [{"task": "corruption", "corpus": "songs", "copies": 1}]
    told = run_suite(Suite.read(suite_of(folder, checkpoint_folder, tasks=tasks)))
    assert f"untrained was never trained on {TRAINED_KINDS[-1]}." in told.sections[0].note
    assert "length was never" not in told.sections[0].note


def test_who_was_taught_these_judgements_is_told_but_for_the_test_half(
    folder, checkpoint_folder, monkeypatch
):
    digest = Corpus.open(folder / "corpus").digest
    monkeypatch.setattr(
        running, "judged_on", lambda method: {digest} if method.name == "untrained" else set()
    )
    told = run_suite(Suite.read(suite_of(folder, checkpoint_folder)))
    assert [(each.task, each.settings.get("stimuli"), each.taught) for each in told.sections] == [
        *[("corruption", None, ())] * 2,
        ("ratings", "all", ("untrained",)),
        ("ratings", "test", ()),
        ("detection", None, ("untrained",)),
        ("stability", None, ()),
    ]


def test_only_the_kinds_asked_for_are_measured(folder, checkpoint_folder, report):
    kinds = ["markov_1", "uniform_pitches"]
    tasks = [{"task": "corruption", "corpus": "songs", "copies": 1, "kinds": kinds}]
    told = run_suite(Suite.read(suite_of(folder, checkpoint_folder, tasks=tasks))).sections[0]
    assert told.headlines == ("mean of trained kinds", "worst trained kind")
    for found in (result.figures() for result in told.done.values()):
        assert set(kinds) < set(found)
        assert "jitter_pitches" not in found
        mean = (found["markov_1"].value + found["uniform_pitches"].value) / 2
        assert found["mean of trained kinds"].value == pytest.approx(mean, abs=0.02)


def test_trainings_are_one_row_with_the_mean_of_their_figures(folder, checkpoint_folder):
    tasks = [
        {"task": "corruption", "corpus": "songs", "copies": 1},
        {"task": "cost", "corpus": "songs"},
    ]
    methods = ["length", "density", {"both": ["length", "density"]}]
    report = run_suite(
        Suite.read(suite_of(folder, checkpoint_folder, tasks=tasks, methods=methods))
    )
    assert report.complete
    quality, cost = report.sections
    assert [row.method for row in quality.rows] == ["length", "density", "both"]
    found = {name: result.figures() for name, result in quality.done.items()}
    head = quality.headlines[0]
    mean = (found["length"][head].value + found["density"][head].value) / 2
    assert found["both"][head].value == pytest.approx(mean)
    assert found["both"][f"{head}, training 2"] == found["density"][head]
    assert "Of several trainings: both; figures are their means" in quality.note
    assert all(row.result.figures()["ms a melody"].value > 0 for row in cost.rows)


def test_a_pattern_chooses_melodies(folder, checkpoint_folder):
    corpus = Corpus.open(folder / "corpus")
    rows = corpus.split("test")
    first = corpus.column("path")[rows[0]]
    tasks = [
        {"task": "stability", "corpus": "songs", "where": {"path": pattern}}
        for pattern in ("*", first, "nothing*")
    ]
    tasks.append({"task": "stability", "corpus": "songs", "where": {"colour": "*"}})
    told = run_suite(Suite.read(suite_of(folder, checkpoint_folder, tasks=tasks)))
    every, one = told.sections
    assert f"{len(rows)} melodies" in every.title
    assert f"path {first}, 1 melodies" in one.title
    assert "with path nothing*" in told.skipped[0]
    assert "no column 'colour'" in told.skipped[1]


def test_stimuli_for_choosing_are_two_of_five(report):
    assert for_choosing(np.arange(1, 11)).tolist() == [True] + [False] * 3 + [True] * 2 + [
        False
    ] * 3 + [True]
    assert "all 120 stimuli" in section(report, "Ratings, liked: all").title
    assert "test half, 72 stimuli" in section(report, "Ratings, liked: test").title
    assert "raters' agreement allows: 0.9" in section(report, "Ratings, liked: all").note


def test_the_same_is_on_screen_in_json_and_in_csv(report):
    screen = report.table()
    written = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    lines = list(csv.DictReader(io.StringIO(report.to_csv())))
    assert len(written["sections"]) == len(report.sections)
    count = 0
    for each, stored in zip(report.sections, written["sections"], strict=True):
        assert each.title in screen
        assert stored["title"] == each.title
        for row in each.rows:
            figures = row.result.figures()
            told = stored["methods"][row.method]["figures"]
            assert list(told) == list(figures)
            for name, found in figures.items():
                value = None if np.isnan(found.value) else found.value
                assert told[name]["value"] == value
                line = lines[count]
                assert (line["method"], line["figure"]) == (row.method, name)
                assert line["value"] == ("" if value is None else repr(value))
                count += 1
            for name in each.headlines:
                if not np.isnan(figures[name].value):
                    assert f"{figures[name].value:.3f} ({figures[name].low:.3f} to" in screen
    assert count == len(lines)


def test_a_suite_gives_the_same_report_again(report, folder, checkpoint_folder):
    again = run_suite(Suite.read(suite_of(folder, checkpoint_folder)))
    assert again.to_dict() == report.to_dict()


def test_a_method_that_fails_is_one_row_and_the_others_run(folder, checkpoint_folder, monkeypatch):
    def make(name, corpus):
        if name == "length":
            raise UsageError("length: needs a package that is missing")
        if name == "density":
            return By(lambda melodies: 1 / 0, "density")
        return ByVectors(lambda melodies: mean_pitch(melodies)[:, None], name)

    monkeypatch.setattr(baselines, "make", make)
    path = suite_of(
        folder,
        checkpoint_folder,
        methods=["length", "density", "pitch-classes", "nowhere/gone", str(checkpoint_folder)],
        tasks=[{"task": "ratings", "ratings": "liked"}],
    )
    report = run_suite(Suite.read(path))
    assert not report.complete
    [found] = report.sections
    errors = {row.method: row.error for row in found.rows}
    assert errors["length"] == "length: needs a package that is missing"
    assert errors["density"] == "ZeroDivisionError: division by zero"
    assert errors["gone"].startswith("nowhere/gone: no such checkpoint")
    # To have vectors and no score is no failure.
    assert errors["pitch-classes"] == errors["untrained"] == ""
    assert list(found.done) == ["untrained"]
    screen = report.table()
    assert "failed: ZeroDivisionError: division by zero" in screen
    assert "has vectors, no score" in screen
    told = report.to_dict()["sections"][0]["methods"]
    assert told["length"] == {"error": errors["length"]}
    assert errors["length"] in report.to_csv()


def test_what_is_missing_is_a_line_and_its_tasks_are_skipped(folder, checkpoint_folder):
    path = suite_of(
        folder,
        checkpoint_folder,
        corpora={"songs": str(folder / "corpus"), "gone": str(folder / "gone")},
        ratings={
            "lost": {"path": str(folder / "lost.csv"), "corpus": "songs"},
            "on gone": {"path": str(folder / "ratings.csv"), "corpus": "gone"},
        },
        tasks=[
            {"task": "corruption", "corpus": "gone"},
            {"task": "ratings", "ratings": "lost"},
            {"task": "ratings", "ratings": "on gone"},
            {"task": "detection", "corpus": "songs", "column": "maker", "people": ["*-Orig"]},
        ],
    )
    report = run_suite(Suite.read(path))
    assert not report.complete
    [gone, lost] = report.skipped
    assert gone.startswith(f"corpus gone: {folder / 'gone'}: no such folder")
    assert lost.startswith(f"ratings lost: {folder / 'lost.csv'}")
    assert [each.task for each in report.sections] == ["detection"]
    assert f"skipped: {gone}" in report.table()


def test_numbers_that_are_none_are_told(folder, checkpoint_folder):
    about = {"path": str(folder / "ratings.csv"), "corpus": "songs", "column": "liked"}
    path = suite_of(
        folder,
        checkpoint_folder,
        methods=["length"],
        ratings={"liked": {**about, "number": "maker"}},
        tasks=[{"task": "ratings", "ratings": "liked"}],
    )
    report = run_suite(Suite.read(path))
    [line] = report.skipped
    assert "column 'maker' is no whole number for each of the rated melodies" in line
    assert report.sections == ()


def test_without_a_corpus_to_learn_from_checkpoints_still_run(folder, checkpoint_folder):
    path = suite_of(
        folder,
        checkpoint_folder,
        corpora={"songs": str(folder / "corpus"), "gone": str(folder / "gone")},
        learn_from="gone",
        ratings={},
        tasks=[{"task": "stability", "corpus": "songs"}],
    )
    [found] = run_suite(Suite.read(path)).sections
    assert list(found.done) == ["untrained"]
    assert found.rows[1].error == "length: no corpus to learn from"


def test_learning_from_ratings_tells_people_apart_by_half(folder, checkpoint_folder):
    pytest.importorskip("sklearn")
    tasks = [
        {"task": "supervised", "ratings": "liked", "stimuli": half, "seeds": 1}
        for half in ("dev", "test")
    ]
    path = suite_of(folder, checkpoint_folder, methods=["length"], tasks=tasks)
    report = run_suite(Suite.read(path))
    assert report.complete
    assert [each.rows[0].result.stimuli for each in report.sections] == [48, 72]


LIKENESS = [
    {"task": "retrieval", "corpus": "songs", "label": "maker", "split": "all"},
    {"task": "retrieval", "corpus": "songs", "label": "maker"},
    {"task": "probe", "corpus": "songs", "label": "maker", "split": "all", "least": 20, "most": 20},
]


@pytest.fixture(scope="module")
def likeness(folder, checkpoint_folder) -> SuiteReport:
    pytest.importorskip("sklearn")
    pytest.importorskip("rapidfuzz")
    methods = [str(checkpoint_folder), "length", "histogram", "levenshtein-pitch"]
    tasks = [*LIKENESS, {**LIKENESS[1], "methods": ["histogram"]}]
    with pytest.MonkeyPatch.context() as patch:
        digest = Corpus.open(folder / "corpus").digest
        patch.setattr(
            running, "families_learnt", lambda each: digest if each.name == "untrained" else None
        )
        return run_suite(
            Suite.read(suite_of(folder, checkpoint_folder, methods=methods, tasks=tasks))
        )


def test_melodies_are_compared_by_whoever_can(likeness):
    assert likeness.complete
    assert [each.task for each in likeness.sections] == [*["retrieval"] * 2, "probe", "retrieval"]
    for each in likeness.sections[:3]:
        assert list(each.done) == ["untrained", "histogram", "levenshtein-pitch"]
        assert each.cells()[1] == ["length", "has a score, nothing to compare melodies by"]
    assert [row.method for row in likeness.sections[3].rows] == ["histogram"]
    assert "120 melodies of 4 families" in likeness.sections[0].note
    assert "80 melodies of 4 classes (A-Orig, B-Orig, GAN, RNN)" in likeness.sections[2].note
    assert "balanced 0.250" in likeness.sections[2].note
    found = likeness.sections[2].done["levenshtein-pitch"].figures()
    assert np.isnan(found["accuracy, linear"].value)
    assert 0 <= found["accuracy, 5-NN"].value <= 1
    assert "not known" in likeness.table()


def test_each_family_is_in_json_and_in_no_table(likeness):
    written = json.loads(json.dumps(likeness.to_dict(), allow_nan=False))
    told = written["sections"][0]["methods"]
    families = told["histogram"]["detail"]["families"]
    assert sorted(families) == ["A-Orig", "B-Orig", "GAN", "RNN"]
    mean = np.average(
        [each["MAP"] for each in families.values()],
        weights=[each["queries"] for each in families.values()],
    )
    assert told["histogram"]["figures"]["MAP"]["value"] == pytest.approx(mean)
    assert told["length"] == {
        "error": "",
        "lacks": "has a score, nothing to compare melodies by",
    }
    assert "A-Orig" not in likeness.sections[0].note + likeness.to_csv().partition("probe")[0]


def test_who_learnt_the_families_competes_on_the_test_split_only(likeness):
    assert [each.taught for each in likeness.sections] == [
        ("untrained",),
        (),
        ("untrained",),
        (),
    ]
    told = "Learnt which melodies of the training split of this corpus are of one family: untrained"
    assert f"{told}; only the test split is a test of it." in likeness.sections[0].note
    assert f"{told}." in likeness.sections[1].note
    assert told not in likeness.sections[3].note
    text = " ".join(page(likeness).split())
    assert "untrained left out, having learnt from some of these" in text
    assert text.count("<svg") == 4
