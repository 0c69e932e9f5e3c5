"""Collections of melodies that can be searched: an index on disk, and the passages of its hits."""

from __future__ import annotations

from seqmelody.retrieval.alignment import Alignment, align, transposition_name
from seqmelody.retrieval.index import MelodyIndex
from seqmelody.retrieval.results import Answer, Hit

__all__ = ["Alignment", "Answer", "Hit", "MelodyIndex", "align", "transposition_name"]
