"""A map of melodies: embeddings projected to two dimensions, and a page that shows them."""

from __future__ import annotations

from seqmelody.map.colours import Classes, Scale, colouring
from seqmelody.map.neighbours import Neighbours, nearest
from seqmelody.map.page import MapContent, page
from seqmelody.map.projection import project, require_projection
from seqmelody.map.reading import Entry, read_entries

__all__ = [
    "Classes",
    "Entry",
    "MapContent",
    "Neighbours",
    "Scale",
    "colouring",
    "nearest",
    "page",
    "project",
    "read_entries",
    "require_projection",
]
