"""The page of a report as a browser shows it."""

from __future__ import annotations

import os
import shutil
from itertools import pairwise

import pytest
from rated import prepare_rated, suite_of

from seqmelody.evaluation import Suite, run_suite
from seqmelody.evaluation.page import page

pytest.importorskip("playwright", reason="playwright is not installed")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
NARROW = {"width": 400, "height": 800}
WIDE = {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def address(essen_corpus, tmp_path_factory, checkpoint_folder) -> str:
    folder = tmp_path_factory.mktemp("page")
    prepare_rated(essen_corpus, folder)
    methods = [str(checkpoint_folder), "length", "density", "<gone>"]
    report = run_suite(Suite.read(suite_of(folder, checkpoint_folder, methods=methods)))
    file = folder / "report.html"
    command = f"seqmelody evaluate --suite {'a-long-name-' * 10}.yaml --html report.html"
    file.write_text(page(report, made="2026-01-31 12:00 UTC", command=command), encoding="utf-8")
    return file.as_uri()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("chromium"),
            executable_path=CHROMIUM,
            args=list(QUIET),
            # What a desktop's session would have the browser talk to.
            env={name: text for name, text in os.environ.items() if not name.startswith("DBUS")},
        )
        # A machine may be busy with other things.
        context.set_default_timeout(120_000)
        yield context
        context.close()


@pytest.fixture(params=[WIDE, NARROW], ids=["wide", "narrow"])
def shown(request, browser, address):
    """The page, and what went wrong or was asked for while it opened."""
    tab = browser.new_page()
    tab.set_viewport_size(request.param)
    wrong, asked = [], []
    tab.on("console", lambda message: wrong.append(message.text))
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on("request", lambda found: asked.append(found.url))
    tab.goto(address)
    yield tab, wrong, asked
    tab.close()


def test_the_page_opens_in_silence_and_asks_for_nothing_else(shown, address):
    _, wrong, asked = shown
    assert wrong == []
    assert asked == [address]


def test_nothing_is_wider_than_the_screen(shown):
    tab, _, _ = shown
    tab.eval_on_selector_all("details", "all => all.forEach(each => { each.open = true })")
    width = tab.viewport_size["width"]
    assert tab.evaluate("document.documentElement.scrollWidth") == width
    # What is wider has a box of its own to be scrolled in.
    outside = tab.eval_on_selector_all(
        "body *:not(svg *)",
        """(all, width) => all
            .filter(each => !each.parentElement.closest('.wide'))
            .filter(each => each.getBoundingClientRect().right > width + 0.5)
            .map(each => each.outerHTML.slice(0, 80))""",
        width,
    )
    assert outside == []


def test_every_table_and_plot_can_be_seen(shown):
    tab, _, _ = shown
    tables, drawings, folded = (tab.locator(name) for name in ("table", "figure svg", "details"))
    assert tables.count() > drawings.count() > 5
    for number in range(folded.count()):
        folded.nth(number).locator("summary").click()
    for found in (tables, drawings):
        for number in range(found.count()):
            assert found.nth(number).is_visible()
            box = found.nth(number).bounding_box()
            assert box["width"] > 150
            assert box["height"] > 40


def test_text_in_plots_is_large_enough_to_read(shown):
    tab, _, _ = shown
    heights = tab.eval_on_selector_all(
        "figure svg text", "all => all.map(each => each.getBoundingClientRect().height)"
    )
    assert len(heights) > 50
    assert min(heights) > 8


def test_links_lead_to_what_they_name(shown):
    tab, _, _ = shown
    links = tab.locator("a")
    assert links.count() > 10
    seen = set()
    for number in range(links.count()):
        link = links.nth(number)
        target = tab.locator(f'[id="{link.get_attribute("href")[1:]}"]')
        assert target.count() == 1
        if (name := link.get_attribute("href")) not in seen:
            seen.add(name)
            link.click()
            assert tab.evaluate("location.hash") == name
            assert target.text_content() == link.text_content()
            assert tab.evaluate(
                "id => { const top = document.getElementById(id).getBoundingClientRect().top;"
                " return top >= -1 && top < innerHeight }",
                name[1:],
            )


def test_headings_are_in_order_and_drawings_are_described(shown):
    tab, _, _ = shown
    levels = tab.eval_on_selector_all(
        "h1, h2, h3, h4, h5, h6", "all => all.map(each => Number(each.tagName[1]))"
    )
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all(tab.eval_on_selector_all("svg", "all => all.map(each => each.ariaLabel)"))
    names = tab.eval_on_selector_all("[id]", "all => all.map(each => each.id)")
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("preference", ["light", "dark"])
def test_text_stands_out_from_its_ground(browser, address, preference):
    tab = browser.new_page()
    tab.emulate_media(color_scheme=preference)
    tab.goto(address)
    colours = tab.eval_on_selector_all(
        "p, th, td, small, a, dt, dd, figcaption, summary",
        "all => [...new Set(all.map(each => getComputedStyle(each).color))]",
    )
    ground = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    tab.close()
    assert len(colours) > 2
    # The least that WCAG 2.2 asks for, level AA.
    assert min(contrast(colour, ground) for colour in colours) >= 4.5
    assert (luminance(ground) > 0.5) == (preference == "light")


def test_it_prints_without_what_cannot_be_used_on_paper(browser, address):
    tab = browser.new_page()
    tab.goto(address)
    tab.emulate_media(media="print")
    assert not tab.locator("nav").is_visible()
    assert not tab.locator("details").first.is_visible()
    assert tab.locator("figure svg").first.is_visible()
    pdf = tab.pdf(format="A4")
    tab.close()
    assert pdf.startswith(b"%PDF")


def luminance(colour: str) -> float:
    """Relative luminance of a colour such as ``rgb(0, 0, 0)``."""
    parts = [int(text) / 255 for text in colour.strip("rgba()").split(",")[:3]]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)
