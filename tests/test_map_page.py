from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from html.parser import HTMLParser

import numpy as np
import pytest
from tunes import TUNES

from seqmelody.map import MapContent, Scale, colouring, nearest, page
from seqmelody.map.page import MAX_SHOWN_NOTES
from seqmelody.melody import Melody
from seqmelody.tokens import Tokenizer

EVIL = "</script><img src=x onerror=alert(1)><!--"


def content(names=tuple(TUNES), melodies=None, label=None, titles=None) -> MapContent:
    random = np.random.default_rng(0)
    vectors = random.standard_normal((len(names), 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return MapContent(
        ids=names,
        titles=titles,
        tokens=[Tokenizer().encode(melody) for melody in melodies or TUNES.values()],
        score_N=np.linspace(-1, 1, len(names)),
        place_N2=random.standard_normal((len(names), 2)),
        neighbours=nearest(vectors),
        label=label,
    )


class Elements(HTMLParser):
    """The elements of a page, and the text in its scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.tags and data.strip():
            self.texts.append((self.tags[-1][0], data))


def unpacked(text: str) -> dict:
    """What the page's script will read."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    kinds = {
        "Uint8Array": "u1",
        "Int8Array": "i1",
        "Uint16Array": "<u2",
        "Int32Array": "<i4",
        "Float32Array": "<f4",
    }
    values = {}
    for name, each in json.loads(found.group(1)).items():
        data = zlib.decompress(base64.b64decode(each["data"]))
        kind = kinds.get(each["type"])
        values[name] = json.loads(data) if kind is None else np.frombuffer(data, kind)
    return values


def test_all_of_it_is_in_the_page():
    values = unpacked(page(content(), title="tunes"))
    about = values["about"]
    assert about["names"] == list(TUNES)
    assert values["notes"].tolist() == [len(melody) for melody in TUNES.values()]
    assert values["shown"].tolist() == values["notes"].tolist()
    end = 0
    for melody in TUNES.values():
        here = slice(end, end := end + len(melody))
        streams = (values[name][here] for name in ("pitch", "duration", "rest"))
        read = Melody.from_streams(*streams)
        assert read.pitch.tolist() == melody.pitch.tolist()
        assert read.onset.tolist() == melody.onset.tolist()
        assert read.duration.tolist() == melody.duration.tolist()
    assert values["score"] == pytest.approx([-1, -0.5, 0, 0.5, 1])
    neighbours = content().neighbours
    assert values["neighbour"].tolist() == neighbours.row_NK.ravel().tolist()
    assert values["percent"] / 100 == pytest.approx(neighbours.cosine_NK.ravel(), abs=0.006)


def test_places_keep_their_shape_in_the_middle_of_a_square():
    given = content()
    values = unpacked(page(given, title="tunes"))
    shown = np.stack([values["x"], values["y"]], 1) / 65535
    size = np.ptp(given.place_N2, axis=0).max()
    assert np.ptp(shown, axis=0).max() == pytest.approx(1)
    assert shown - shown.mean(0) == pytest.approx(
        (given.place_N2 - given.place_N2.mean(0)) / size, abs=1e-4
    )
    assert (shown.min(0) + shown.max(0)) / 2 == pytest.approx([0.5, 0.5], abs=1e-4)


def test_no_name_can_break_the_page():
    label = colouring(EVIL, [EVIL, "b", None, EVIL, "b"])
    names = [EVIL, *list(TUNES)[1:]]
    plain, evil = (
        page(content(names=each, label=by, titles=each), title=title, about=[title])
        for each, by, title in ((tuple(TUNES), None, "t"), (names, label, EVIL))
    )
    # The very same elements, and nothing in them that was not there.
    assert [tag for tag, _ in Elements(evil).tags] == [tag for tag, _ in Elements(plain).tags]
    assert EVIL not in evil
    assert "<img" not in evil
    about = unpacked(evil)["about"]
    assert about["names"][0] == about["titles"][0] == about["label"]["name"] == EVIL
    assert set(about["label"]["labels"]) == {EVIL, "b"}


def test_the_browser_is_told_to_ask_for_nothing_and_to_run_nothing_else():
    text = page(content(), title="tunes")
    found = Elements(text)
    (policy,) = (
        attrs["content"]
        for _, attrs in found.tags
        if attrs.get("http-equiv") == "Content-Security-Policy"
    )
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    inline = re.findall(r"<(script|style)>(.*?)</\1>", text, re.DOTALL)
    assert len(inline) > 5
    for _, part in inline:
        digest = base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert not [attrs for _, attrs in found.tags if "src" in attrs or "style" in attrs]
    links = [attrs["href"] for _, attrs in found.tags if "href" in attrs]
    assert links == ["data:,"]


def test_8000_melodies_make_a_page_of_a_few_megabytes():
    random = np.random.default_rng(0)
    many = 8000
    tokens = [
        Tokenizer().encode(
            Melody.from_streams(
                random.integers(55, 80, 55), random.choice([6, 12, 24], 55), np.zeros(55, int)
            )
        )
        for _ in range(many)
    ]
    rows = random.integers(0, many, (many, 10)).astype(np.int32)
    given = content(names=[f"tune {number}" for number in range(5)])
    neighbours = type(given.neighbours)(rows, np.full((many, 10), 0.5, np.float32))
    text = page(
        MapContent(
            [f"folder/tune {number}" for number in range(many)],
            None,
            tokens,
            random.standard_normal(many),
            random.standard_normal((many, 2)),
            neighbours,
            None,
        ),
        title="many",
    )
    # Of random notes, which music never is.
    assert len(text) < 2e6


def test_of_a_very_long_melody_the_page_has_the_beginning():
    long = Melody.from_streams(
        [60, 62] * MAX_SHOWN_NOTES, [24] * 2 * MAX_SHOWN_NOTES, [0] * 2 * MAX_SHOWN_NOTES
    )
    values = unpacked(page(content(melodies=[long, *list(TUNES.values())[1:]]), title="long"))
    assert values["notes"][0] == 2 * MAX_SHOWN_NOTES
    assert values["shown"][0] == MAX_SHOWN_NOTES
    assert values["pitch"].size == values["shown"].sum()


def test_labels_are_ordered_by_how_many_have_them():
    label = colouring("region", ["b", "a", "c", "a", None, "c", "d"])
    assert label.labels == ["a", "c", "b", "d"]
    assert label.index_N.tolist() == [2, 0, 1, 0, -1, 1, 3]
    assert label.unlabelled == 1


@pytest.mark.parametrize(("kinds", "own"), [(1, 1), (12, 12), (13, 11), (40, 11)])
def test_twelve_classes_have_colours_and_the_rest_share_one(kinds, own):
    label = colouring("kind", [f"kind {number}" for number in range(kinds)])
    names = [f"n{number}" for number in range(kinds)] if kinds > 2 else ["n0", "n1", "n2"]
    melodies = [TUNES["freude"]] * len(names)
    if kinds == 1:
        label = colouring("kind", ["one"] * 3)
    about = unpacked(page(content(names=names, melodies=melodies, label=label), title="t"))["about"]
    assert about["label"]["own"] == own
    assert len(about["label"]["labels"]) == kinds


def test_numbers_of_many_values_make_a_scale_whose_ends_leave_odd_ones_out():
    years = [*range(1700, 1900), 9999, None, float("nan"), float("inf")]
    label = colouring("year", years)
    assert isinstance(label, Scale)
    assert label.unlabelled == 3
    low, high = label.ends
    assert 1700 <= low < 1710
    assert 1890 < high < 1900
    values = unpacked(
        page(content(names=["a"] * 204, melodies=[TUNES["freude"]] * 204, label=label), title="t")
    )
    assert values["label"][:2].tolist() == [1700, 1701]
    assert np.isnan(values["label"][-3:]).all()


def test_numbers_of_few_values_are_classes():
    label = colouring("half", [2, 1, 2, 1, 1, None])
    assert label.labels == ["1", "2"]
    assert colouring("meter", [0.75, 1.0, 0.75]).labels == ["0.75", "1"]


def test_scores_that_are_all_the_same_make_a_scale_too():
    assert Scale.of("score", [1.5, 1.5, 1.5]).ends == (1.5, 1.5)
    assert colouring("none", [None, None, None]).labels == []
