from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from rated import prepare_rated, suite_of

from seqmelody.evaluation import Suite, run_suite
from seqmelody.evaluation.page import page


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


def test_the_same_report_gives_the_same_page(report, html):
    assert page(report) == html
