"""The map as one HTML file that needs nothing from elsewhere.

The page's parts lie in ``parts/``: a template, a style sheet and scripts, which are written into the
file as they are. A content security policy lets the browser run these scripts only, and ask for
nothing.

Shapes: N melodies, K neighbours of each.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray

from seqmelody.map.colours import CLASSES, Classes, Scale
from seqmelody.map.neighbours import Neighbours
from seqmelody.map.packing import packed
from seqmelody.melody import STEPS_PER_QUARTER
from seqmelody.tokens import Tokens

SCRIPTS = (
    "data.js",
    "places.js",
    "dots.js",
    "view.js",
    "gestures.js",
    "roll.js",
    "player.js",
    "legend.js",
    "main.js",
)
MAX_SHOWN_NOTES = 4096
"""The page holds no more of a melody: a file of hours would be as large as all others."""
_COLOURS_OF_A_SCALE = 24


@dataclass(frozen=True, eq=False)
class MapContent:
    """What a map shows.

    Attributes:
        ids: What the melodies are called.
        titles: What they are called besides, where that is known.
        tokens: Their notes.
        score_N: Their scores; NaN, all of them, where the model gives none.
        place_N2: Where they lie.
        neighbours: Who is nearest to whom.
        label: What they are coloured by at first; ``None`` for the score.
    """

    ids: Sequence[str]
    titles: Sequence[str | None] | None
    tokens: Sequence[Tokens]
    score_N: NDArray[np.float64]
    place_N2: NDArray[np.float64]
    neighbours: Neighbours
    label: Classes | Scale | None


def page(content: MapContent, *, title: str, about: Sequence[str] = ()) -> str:
    """The HTML text of a map.

    Args:
        content: What it shows.
        title: Its title.
        about: Short remarks, such as the checkpoint's name.
    """
    environment = Environment(
        loader=PackageLoader("seqmelody.map", "parts"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, *scripts = (_part(name) for name in ("page.css", *SCRIPTS))
    return environment.get_template("page.html.jinja").render(
        title=title,
        about=about,
        melodies=len(content.ids),
        style=style,
        scripts=scripts,
        script_hashes=[_hash(text) for text in scripts],
        style_hash=_hash(style),
        # Base64 and names of types.
        data=Markup(packed(_values(content))),  # noqa: S704
    )


def _part(name: str) -> Markup:
    # A file of this package.
    return Markup((files("seqmelody.map") / "parts" / name).read_text("utf-8"))  # noqa: S704


def _hash(text: str) -> str:
    """What a content security policy calls a script or style."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _values(content: MapContent) -> dict[str, Any]:
    """What ``data.js`` expects."""
    shown = [
        (part.pitch[:MAX_SHOWN_NOTES], part.duration[:MAX_SHOWN_NOTES], part.rest[:MAX_SHOWN_NOTES])
        for part in content.tokens
    ]
    pitch, duration, rest = (np.concatenate(parts) for parts in zip(*shown, strict=True))
    x_N, y_N = _quantized(content.place_N2).T
    score = Scale.of("score", content.score_N.tolist())
    values = {
        "about": {
            "names": list(content.ids),
            "titles": None if content.titles is None else [each or "" for each in content.titles],
            "stepsPerQuarter": STEPS_PER_QUARTER,
            "scale": _scale_colours(),
            "score": None
            if np.isnan(content.score_N).all()
            else {"name": "score", "ends": score.ends},
            "label": _label(content.label),
            "neighbours": content.neighbours.row_NK.shape[1],
        },
        "x": x_N,
        "y": y_N,
        "score": content.score_N.astype("<f4"),
        "notes": np.array([len(part) for part in content.tokens], dtype="<i4"),
        "shown": np.array([len(pitch) for pitch, _, _ in shown], dtype="<i4"),
        "pitch": pitch.astype("u1"),
        "duration": duration.astype("<u2"),
        "rest": rest.astype("<u2"),
        "neighbour": content.neighbours.row_NK.astype("<i4").ravel(),
        "percent": np.rint(100 * content.neighbours.cosine_NK).astype("i1").ravel(),
    }
    if isinstance(content.label, Classes):
        values["label"] = content.label.index_N.astype("<i4")
    elif content.label is not None:
        values["label"] = content.label.value_N.astype("<f4")
    return values


def _label(label: Classes | Scale | None) -> dict[str, Any] | None:
    if label is None:
        return None
    if isinstance(label, Scale):
        return {"name": label.name, "ends": label.ends}
    # A single other class takes the place that all others would share.
    own = len(label.labels) if len(label.labels) <= CLASSES else CLASSES - 1
    return {"name": label.name, "labels": label.labels, "own": own}


def _quantized(place_N2: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Places in a square, 0 to 65535, as far apart across as upwards, in the middle."""
    low_2, high_2 = place_N2.min(0), place_N2.max(0)
    size = max(float((high_2 - low_2).max()), 1e-12)
    middle_N2 = (place_N2 - (low_2 + high_2) / 2) / size + 0.5
    place_N2 = np.rint(np.clip(middle_N2, 0, 1) * np.iinfo(np.uint16).max)
    return place_N2.astype(np.uint16)


def _scale_colours() -> dict[str, list[str]]:
    """Colours from low to high, for a light and for a dark ground.

    Viridis can be told apart by people who see fewer colours, and in grey; the end that would be lost
    on the ground is left out, and what is high stands out most.
    """
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    def colours(start: float, stop: float) -> list[str]:
        points = np.linspace(start, stop, _COLOURS_OF_A_SCALE)
        return [to_hex(colour) for colour in colormaps["viridis"](points)]

    return {"light": colours(0.88, 0.0), "dark": colours(0.22, 1.0)}
