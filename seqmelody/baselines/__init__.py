"""Methods that a user would otherwise pick, to compare a checkpoint with.

A baseline scores melodies as a checkpoint does, ``scores(melodies)``, higher for more melodic, or
gives each a row of features for tasks with labels, ``vectors(melodies)``, or says how alike
melodies are, ``similarities(melodies, rows)``; or several of these.
Melodies have at least one note.
"""

from __future__ import annotations

from typing import TypeAlias

from seqmelody.baselines.alignment import LEVENSHTEIN, Levenshtein
from seqmelody.baselines.counts import Density, Length, PitchClasses
from seqmelody.baselines.histograms import Histogram, Intervals
from seqmelody.baselines.melody_features import MelodyFeatures
from seqmelody.baselines.ngram import NGram
from seqmelody.baselines.statistics import NoteStatistics
from seqmelody.corpus import Corpus
from seqmelody.errors import UsageError

Baseline: TypeAlias = (
    Length
    | Density
    | PitchClasses
    | NGram
    | NoteStatistics
    | MelodyFeatures
    | Histogram
    | Intervals
    | Levenshtein
)

BASELINES = {
    "length": "the number of notes",
    "density": "notes per quarter note",
    "pitch-classes": "minus the number of different pitch classes",
    "ngram": "minus the mean information content per note, of a PPM model in the manner of IDyOM",
    "note-statistics": "some 25 hand-made features, for tasks with labels",
    "melody-features": "features of FANTASTIC, SIMILE, jSymbolic and the MIDI Toolbox, for tasks "
    "with labels",
    "histogram": "how long each pitch above the last note sounds, to compare melodies by",
    "intervals": "how often each interval occurs, to compare melodies by",
    "levenshtein-pitch": "edit distance of pitches above the last note",
    "levenshtein-interval": "edit distance of intervals",
    "levenshtein-transposed": "edit distance of pitches in the key in which two melodies agree best",
    "levenshtein-sampled": "the same with long notes written twice",
}
"""What each baseline scores by, what its vectors are, or how it compares melodies."""


def make(name: str, corpus: Corpus) -> Baseline:
    """The baseline of a name.

    Args:
        name: One of ``BASELINES``.
        corpus: What it learns from, if it learns: the training split.

    Raises:
        CorpusError: It learns, and the corpus has no training split.
        UsageError: No baseline of that name, or it needs a package that is missing.
    """
    if name == "length":
        return Length()
    if name == "density":
        return Density()
    if name == "pitch-classes":
        return PitchClasses()
    if name == "ngram":
        return NGram(corpus)
    if name == "note-statistics":
        return NoteStatistics()
    if name == "melody-features":
        return MelodyFeatures()
    if name == "histogram":
        return Histogram()
    if name == "intervals":
        return Intervals()
    if name in LEVENSHTEIN:
        return Levenshtein(name)
    raise UsageError(f"no baseline is called {name!r}; there are {', '.join(BASELINES)}")


__all__ = ["BASELINES", "Baseline", "make"]
