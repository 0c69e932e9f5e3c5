"""A map as a browser shows it."""

from __future__ import annotations

import os

import numpy as np
import pytest
from test_evaluation_page_browser import CHROMIUM, QUIET, contrast, luminance
from test_map_page import EVIL
from tunes import TUNES

from seqmelody.map import MapContent, colouring, nearest, page
from seqmelody.tokens import Tokenizer

pytest.importorskip("playwright", reason="playwright is not installed")

NARROW = {"width": 400, "height": 800}
WIDE = {"width": 1280, "height": 900}
NAMES = [*TUNES, EVIL]
MELODIES = [*TUNES.values(), TUNES["freude"].transpose(2)]
COUNTRIES = ["FR", "FR", "DE", "GB", None, "DE"]
# Left to right in the order of the names, each at a height of its own.
PLACES = np.array([[0, 5], [2, 3], [4, 1], [6, 4], [8, 2], [10, 6]], dtype=float)


def made() -> str:
    random = np.random.default_rng(0)
    vectors = random.standard_normal((6, 8)).astype(np.float32)
    # The last is a variant of the third.
    vectors[5] = vectors[2] + 0.1
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    content = MapContent(
        ids=NAMES,
        titles=["", "", "Ode an die Freude", "", "", EVIL],
        tokens=[Tokenizer().encode(melody) for melody in MELODIES],
        score_N=np.linspace(-1, 1.5, 6),
        place_N2=PLACES,
        neighbours=nearest(vectors),
        label=colouring("country", COUNTRIES),
    )
    return page(content, title="tunes", about=["checkpoint untrained"])


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> str:
    file = tmp_path_factory.mktemp("map") / "map.html"
    file.write_text(made(), encoding="utf-8")
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


@pytest.fixture
def opened(browser, address):
    """Opens the page; every one of its tabs must stay silent and ask for nothing."""
    tabs = []

    def run(size=WIDE, scheme="light"):
        tab = browser.new_page()
        tab.set_viewport_size(size)
        tab.emulate_media(color_scheme=scheme)
        wrong, asked = [], []
        tab.on("console", lambda message: wrong.append(message.text))
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
        tab.on("request", lambda found: asked.append(found.url))
        tab.goto(address)
        tab.wait_for_selector("body[data-ready]")
        tabs.append((tab, wrong, asked))
        return tab

    yield run
    for tab, wrong, asked in tabs:
        tab.close()
        assert wrong == []
        assert asked == [address]


def spot(tab, name: str) -> tuple[float, float]:
    """Where on the screen a melody lies."""
    box = tab.locator("#map").bounding_box()
    low, high = PLACES.min(0), PLACES.max(0)
    # As the page says: upwards, in the middle of the largest square within a margin.
    size = max(min(box["width"], box["height"]) - 52, 50)
    x, y = (PLACES[NAMES.index(name)] - (low + high) / 2) / (high - low).max() * size
    return box["x"] + box["width"] / 2 + x, box["y"] + box["height"] / 2 - y


def chosen(tab) -> str | None:
    return tab.inner_text("#chosen-name") if tab.locator("#chosen").is_visible() else None


def playing(tab) -> str | None:
    number = tab.evaluate("document.body.dataset.playing")
    pressed = tab.get_attribute("#play", "aria-pressed")
    assert pressed == ("false" if number is None else "true")
    return None if number is None else NAMES[int(number)]


def shown(tab) -> int:
    return int(tab.get_attribute("#map", "data-shown"))


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("name", ["freude", EVIL])
def test_pointing_shows_name_label_score_and_every_note(opened, size, name):
    tab = opened(size)
    assert not tab.locator("#hover").is_visible()
    tab.mouse.move(*spot(tab, name))
    tab.wait_for_selector("#hover:visible")
    assert tab.inner_text("#hover .name") == name
    notes = len(MELODIES[NAMES.index(name)])
    assert tab.inner_text("#hover .facts") == (
        f"country: DE · score {-1 + 0.5 * NAMES.index(name):.2f} · {notes} notes"
    )
    drawn = tab.locator("#hover .roll rect.note")
    assert drawn.count() == notes
    # High notes stand above low ones, and later ones further right.
    boxes = drawn.evaluate_all(
        "all => all.map(each => [each.x.baseVal.value, each.y.baseVal.value])"
    )
    x, y = np.array(boxes).T
    melody = MELODIES[NAMES.index(name)]
    assert (np.diff(x) > 0).all()
    assert np.corrcoef(y, melody.pitch)[0, 1] == pytest.approx(-1)
    box, card = tab.locator("#map").bounding_box(), tab.locator("#hover").bounding_box()
    assert card["x"] >= box["x"]
    assert card["x"] + card["width"] <= box["x"] + box["width"]
    x, y = spot(tab, name)
    tab.mouse.move(x, y - 60 if y > box["height"] / 2 else y + 60)
    tab.wait_for_selector("#hover", state="hidden")


def test_a_click_plays_and_another_stops(opened):
    tab = opened()
    assert chosen(tab) is None
    tab.mouse.click(*spot(tab, "freude"))
    assert (chosen(tab), playing(tab)) == ("freude", "freude")
    assert tab.locator("#chosen .roll rect.note").count() == len(TUNES["freude"])
    # The first notes are E E F G.
    for key in ("E4", "F4", "G4"):
        tab.wait_for_function(
            "key => document.querySelector('#sounding').textContent === key", arg=key
        )
    assert tab.locator("#chosen .note.sounding").count() == 1
    tab.mouse.click(*spot(tab, "freude"))
    assert (chosen(tab), playing(tab)) == ("freude", None)
    assert tab.locator(".note.sounding").count() == 0
    tab.click("#play")
    assert playing(tab) == "freude"
    tab.mouse.click(*spot(tab, "greensleeves"))
    assert (chosen(tab), playing(tab)) == ("greensleeves", "greensleeves")
    tab.keyboard.press("Escape")
    assert (chosen(tab), playing(tab)) == ("greensleeves", None)
    tab.keyboard.press("Escape")
    assert chosen(tab) is None


def test_a_melody_ends_by_itself(opened):
    tab = opened()
    tab.mouse.click(*spot(tab, "frere-jacques"))
    # As quick as it gets; it begins anew.
    tab.fill("#tempo", "240")
    assert playing(tab) == "frere-jacques"
    tab.wait_for_selector("body:not([data-playing])")
    assert playing(tab) is None


def test_the_nearest_melodies_are_those_of_the_embeddings_and_can_be_clicked(opened):
    tab = opened()
    tab.mouse.click(*spot(tab, "freude"))
    rows = tab.locator("#nearest button")
    assert rows.count() == len(NAMES) - 1
    assert EVIL in rows.first.inner_text()
    figures = [float(text) for text in tab.locator("#nearest .figure").all_inner_texts()]
    assert figures == sorted(figures, reverse=True)
    assert figures[0] > 0.8
    rows.first.click()
    assert (chosen(tab), playing(tab)) == (EVIL, EVIL)
    assert "freude" in tab.locator("#nearest button").first.inner_text()


def test_classes_can_be_hidden(opened):
    tab = opened()
    labels = tab.locator("#legend .key .text").all_inner_texts()
    assert labels == ["DE", "FR", "GB", "no country"]
    assert tab.locator("#legend .key .figure").all_inner_texts() == ["2", "2", "1", "1"]
    assert shown(tab) == 6
    button = tab.locator("#legend .key li button").first
    button.click()
    tab.mouse.move(5, 5)
    assert (shown(tab), button.get_attribute("aria-pressed")) == (4, "false")
    # What is hidden can be neither pointed at nor clicked.
    tab.mouse.click(*spot(tab, "freude"))
    assert chosen(tab) is None
    tab.click("text=Show all")
    assert shown(tab) == 6
    tab.locator("#legend .key li button").nth(2).click(modifiers=["Shift"])
    tab.mouse.move(5, 5)
    assert shown(tab) == 1


def test_colours_change_between_label_and_score(opened):
    tab = opened()
    assert tab.locator("#legend .by button").all_inner_texts() == ["country", "score"]
    tab.mouse.click(*spot(tab, "freude"))
    colour = "getComputedStyle(document.querySelector('#chosen .note')).fill"
    before = tab.evaluate(colour)
    tab.locator("#legend .by button").nth(1).click()
    assert tab.locator("#legend .bar").is_visible()
    assert tab.locator("#legend li").count() == 0
    assert tab.evaluate(colour) != before


def test_the_search_finds_names_and_titles_without_accents(opened):
    tab = opened()
    tab.keyboard.press("Tab")
    while tab.evaluate("document.activeElement.id") != "search":
        tab.keyboard.press("Tab")
    tab.keyboard.type("ÓDE AN")
    assert tab.inner_text("#found") == "1 found"
    assert shown(tab) == 1
    assert tab.locator("#results button").count() == 1
    tab.keyboard.press("Enter")
    assert (chosen(tab), playing(tab)) == ("freude", "freude")
    tab.keyboard.press("Escape")
    assert (tab.input_value("#search"), playing(tab)) == ("ÓDE AN", None)
    tab.keyboard.press("Escape")
    assert (tab.input_value("#search"), shown(tab)) == ("", 6)
    tab.fill("#search", "no such name")
    assert tab.inner_text("#found") == "0 found"
    assert shown(tab) == 0


def test_arrow_keys_go_from_melody_to_melody(opened):
    tab = opened()
    tab.focus("#map")
    tab.keyboard.press("ArrowRight")
    first = chosen(tab)
    assert first is not None
    assert playing(tab) is None
    seen = [first]
    for _ in range(5):
        tab.keyboard.press("ArrowRight")
        seen.append(chosen(tab))
    places = [NAMES.index(name) for name in seen]
    assert places == sorted(places)
    assert places[-1] > places[0]
    tab.keyboard.press("ArrowLeft")
    assert NAMES.index(chosen(tab)) < places[-1]
    tab.keyboard.press("Enter")
    assert playing(tab) == chosen(tab)
    tab.keyboard.press("Enter")
    assert playing(tab) is None


def test_wheel_buttons_and_drags_zoom_and_move(opened):
    tab = opened()
    x, y = spot(tab, "freude")
    tab.mouse.move(x, y)
    tab.mouse.wheel(0, -600)
    # What the mouse is on stays where it is.
    tab.mouse.move(x + 3, y)
    tab.wait_for_selector("#hover:visible")
    assert tab.inner_text("#hover .name") == "freude"
    tab.mouse.down()
    tab.mouse.move(x + 103, y + 40, steps=5)
    tab.mouse.up()
    # A drag is no click.
    assert chosen(tab) is None
    tab.mouse.move(x + 100, y + 40)
    tab.wait_for_selector("#hover:visible")
    assert tab.inner_text("#hover .name") == "freude"
    tab.click("#zoom-all")
    tab.mouse.move(x, y)
    tab.wait_for_selector("#hover:visible")
    assert tab.inner_text("#hover .name") == "freude"


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_nothing_is_wider_than_the_screen(opened, size):
    tab = opened(size)
    tab.mouse.click(*spot(tab, EVIL))
    tab.fill("#search", "e")
    assert tab.evaluate("document.documentElement.scrollWidth") == size["width"]
    outside = tab.eval_on_selector_all(
        "body *:not(svg *):not(.scrolled *):not(.text *)",
        """(all, width) => all
            .filter(each => each.getBoundingClientRect().right > width + 0.5)
            .map(each => each.outerHTML.slice(0, 80))""",
        size["width"],
    )
    assert outside == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_dots_stand_out_from_their_ground(opened, scheme):
    tab = opened(scheme=scheme)
    tab.mouse.click(*spot(tab, "freude"))
    tab.fill("#search", "e")
    colours = tab.eval_on_selector_all(
        "h1, h2, h3, p, label, output, .text, .figure, #legend .by [aria-pressed=false]",
        "all => [...new Set(all.map(each => getComputedStyle(each).color))]",
    )
    panel = tab.evaluate("getComputedStyle(document.querySelector('aside')).backgroundColor")
    # The least that WCAG 2.2 asks for, level AA: of text, and of what is drawn.
    assert len(colours) >= 2
    assert min(contrast(colour, panel) for colour in colours) >= 4.5
    assert (luminance(panel) > 0.5) == (scheme == "light")
    dots = tab.evaluate(
        """() => {
            const probe = document.createElement('i');
            document.body.append(probe);
            const colours = [...Array(12).keys()].map(k => `var(--c${k})`).concat('var(--ground)')
                .map(colour => { probe.style.color = colour; return getComputedStyle(probe).color; });
            probe.remove();
            return colours;
        }"""
    )
    ground = dots.pop()
    assert len(set(dots)) == 12
    assert min(contrast(colour, ground) for colour in dots) >= 3


def test_a_page_without_its_unpacker_says_so(browser, address):
    tab = browser.new_page()
    tab.add_init_script("delete window.DecompressionStream")
    tab.goto(address)
    tab.wait_for_selector("#trouble:visible")
    assert "too old" in tab.inner_text("#trouble")
    tab.close()
