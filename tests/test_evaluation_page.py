from __future__ import annotations

import re
from dataclasses import dataclass
from html.parser import HTMLParser

import pytest
from rated import prepare_rated, suite_of

from seqmelody.evaluation import Suite, run_suite
from seqmelody.evaluation.intervals import Estimate
from seqmelody.evaluation.page import page
from seqmelody.evaluation.results import Row, Section, SuiteReport


class Reader(HTMLParser):
    """Collects what a test looks at; sees to it that what opens is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: dict[str, int] = {}
        self.addresses: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag, attributes):
        self.seen[tag] = self.seen.get(tag, 0) + 1
        self.addresses += [
            value for name, value in attributes if name in ("src", "href", "xlink:href")
        ]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def report(essen_corpus, tmp_path_factory, checkpoint_folder):
    folder = tmp_path_factory.mktemp("page")
    prepare_rated(essen_corpus, folder)
    methods = [str(checkpoint_folder), "length", "<gone>"]
    return run_suite(Suite.read(suite_of(folder, checkpoint_folder, methods=methods)))


@pytest.fixture(scope="module")
def html(report) -> str:
    return page(report)


@pytest.fixture(scope="module")
def read(html) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    return reader


def test_the_page_is_whole_and_needs_nothing_from_elsewhere(html, read):
    assert read.open == []
    assert all(address.startswith("#") for address in read.addresses)
    assert not {"script", "link", "iframe"} & set(read.seen)
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)


def test_the_page_holds_the_figures_of_the_table(report, read):
    text = " ".join(" ".join(read.text).split())
    for section in report.sections:
        assert section.title in text
        for cells in (*section.cells(), *section.all_cells()):
            for cell in cells:
                assert " ".join(cell.split()) in text
    # Names are text, never markup.
    assert "<gone>" in text
    assert "gone" not in read.seen


def test_each_kind_of_task_has_its_plots(report, read):
    plots = {"corruption": 3, "ratings": 1, "detection": 3, "stability": 1}
    assert read.seen["svg"] == sum(plots[section.task] for section in report.sections)
    assert read.seen["figcaption"] == read.seen["svg"]


def test_the_page_says_when_and_how_it_was_made(report):
    text = page(report, made="2026-01-31 12:00 UTC", command="seqmelody evaluate --suite <a>.yaml")
    assert "2026-01-31 12:00 UTC" in text
    assert "seqmelody evaluate --suite &lt;a&gt;.yaml" in text
    assert "<dt>Date</dt>" not in page(report)


def measured(task: str, taught: tuple[str, ...] = (), **figures: Estimate) -> str:
    """The text of a page about one task; the names of its methods are those of the figures."""
    name = {"corruption": "mean of trained kinds", "ratings": "rho", "cost": "ms a melody"}[task]
    rows = tuple(Row(method, Result(name, found)) for method, found in figures.items())
    section = Section(task, "a title", "a note", rows, taught=taught)
    report = SuiteReport((section,), (), {"python": "3"})
    reader = Reader()
    reader.feed(page(report))
    return " ".join(" ".join(reader.text).split())


@dataclass(frozen=True)
class Result:
    """One figure."""

    name: str
    found: Estimate

    @property
    def headlines(self) -> tuple[str, ...]:
        return (self.name,)

    def figures(self) -> dict[str, Estimate]:
        return {self.name: self.found}


def test_the_best_is_named_and_how_sure_that_is():
    good, near = Estimate(0.9, 0.8, 0.95), Estimate(0.85, 0.7, 0.9)
    poor = Estimate(0.4, 0.3, 0.5)
    assert "clearly ahead of all others" in measured("corruption", one=good, two=poor)
    assert "not clearly ahead of two" in measured("corruption", one=good, two=near, three=poor)
    assert "not clearly ahead of two, three" in measured(
        "corruption", one=good, two=near, three=near
    )
    assert "all alike" in measured("corruption", one=good, two=good)
    assert "better than chance" not in measured("corruption", one=good)
    # Chance is a half of comparisons, and no correlation.
    assert "not clearly better than chance" in measured("corruption", one=poor)
    assert "not clearly better than chance" not in measured("ratings", one=poor)
    # What costs less is better.
    cost = measured("cost", dear=good, cheap=poor)
    assert "■ cheap 0.400 (0.300 to 0.500) clearly ahead of all others" in cost


def test_what_was_taught_the_answers_does_not_compete():
    good, poor = Estimate(0.9, 0.8, 0.95), Estimate(0.4, 0.3, 0.5)
    told = measured("ratings", taught=("pupil",), pupil=good, other=poor)
    assert "other 0.400 (0.300 to 0.500)" in told
    assert "pupil left out, having learnt from some of these" in told
    assert "left out" not in measured("ratings", pupil=good, other=poor)


def test_what_is_not_known_is_said_in_words():
    nothing = float("nan")
    alone, unknown = Estimate(0.75, nothing, nothing), Estimate(nothing, nothing, nothing)
    text = measured("corruption", one=alone, two=Estimate(0.6, 0.5, 0.7), three=unknown)
    assert "0.750 no interval is known" in text
    assert "not known" in text
    assert "not clearly ahead of one" in measured(
        "corruption", one=Estimate(0.7, nothing, nothing), two=Estimate(0.8, 0.75, 0.85)
    )
    assert not re.search(r"\bnan\b", text, re.IGNORECASE)


def test_the_same_report_gives_the_same_page(report, html):
    assert page(report) == html
