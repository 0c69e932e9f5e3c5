"""``Levenshtein``: how alike melodies are by the edits that turn one into the other.

The distance counts inserted, left out and exchanged symbols (Levenshtein, 1966), over the length of
the longer melody; rapidfuzz computes it. Which symbols a melody is written in makes the difference:

- ``levenshtein-pitch``: height above the last note, which in folk song is mostly the tonic.
- ``levenshtein-interval``: steps from note to note. No key is needed, but a changed note costs two
  edits.
- ``levenshtein-transposed``: height above the median pitch, in that of eleven keys, up to five
  semitones on either side, in which the two agree best (after Mäkinen, Navarro & Ukkonen, 2005, who
  try all keys). No tonic has to be guessed.
- ``levenshtein-sampled``: the same, and a note is written twice if its length is nearer to two of the
  melody's commonest lengths, or above, so that rhythm counts. Tempo does not.

The two last are by far the best on the tune families of Dutch folk song, where of one pair of variants
in four the last notes do not correspond.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqmelody.errors import UsageError
from seqmelody.tokens import TokenBatch, Tokens

_KEYS = tuple(range(-5, 6))
"""Semitones between the median pitches of two variants, in nearly all pairs of a tune family."""
_LONGEST = 2
_MELODIES_AT_ONCE = 64
_PAIRED_AT_ONCE = 16
"""Few, so that hardly any pair is compared twice."""
_LOWEST = 256
"""Added to a symbol to make it a character: any number above 127 and the widest shift would do."""


def above_the_last(melody: Tokens) -> NDArray[np.int64]:
    """Semitones above the last note, ``(notes,)``."""
    pitch = melody.pitch.astype(np.int64)
    return np.asarray(pitch - pitch[-1])


def intervals(melody: Tokens) -> NDArray[np.int64]:
    """Semitones from each note to the next, ``(notes - 1,)``."""
    pitch = melody.pitch.astype(np.int64)
    return pitch[1:] - pitch[:-1]


def above_the_median(melody: Tokens) -> NDArray[np.int64]:
    """Semitones above the median of the time that pitches sound, ``(notes,)``."""
    pitch = melody.pitch.astype(np.int64)
    time = np.bincount(pitch, weights=melody.duration).cumsum()
    return np.asarray(pitch - np.searchsorted(time, time[-1] / 2))


def sampled(melody: Tokens) -> NDArray[np.int64]:
    """Semitones above the median, long notes twice, ``(symbols,)``."""
    time = melody.duration.astype(np.int64) + melody.rest
    commonest = np.bincount(time).argmax()
    times = np.clip(np.rint(time / commonest), 1, _LONGEST).astype(np.int64)
    return np.repeat(above_the_median(melody), times)


@dataclass(frozen=True)
class _Writing:
    """How melodies become texts."""

    symbols: Callable[[Tokens], NDArray[np.int64]]
    shifts: tuple[int, ...] = (0,)


_WRITINGS = {
    "levenshtein-pitch": _Writing(above_the_last),
    "levenshtein-interval": _Writing(intervals),
    "levenshtein-transposed": _Writing(above_the_median, _KEYS),
    "levenshtein-sampled": _Writing(sampled, _KEYS),
}
LEVENSHTEIN = tuple(_WRITINGS)
"""Names of the ways to write a melody."""


class Levenshtein:
    """One less the normalised edit distance of two melodies. It has no vectors and no score.

    Args:
        name: One of ``LEVENSHTEIN``.

    Raises:
        UsageError: rapidfuzz is not installed.
    """

    def __init__(self, name: str) -> None:
        try:
            from rapidfuzz.distance import Levenshtein as Distance
            from rapidfuzz.process import cdist
        except ImportError as error:
            raise UsageError(f"{name}: needs rapidfuzz; pip install 'seqmelody[search]'") from error
        self.name = name
        self._writing = _WRITINGS[name]
        self._all_pairs = cdist
        self._scorer = Distance.normalized_similarity

    def among(self, melodies: TokenBatch) -> NDArray[np.float32]:
        """How alike some melodies are, each two of them compared once, ``(melodies, melodies)``."""
        written = [self._writing.symbols(melodies[row]) for row in range(len(melodies))]
        texts = [_text(symbols) for symbols in written]
        found = np.zeros((len(texts), len(texts)), dtype=np.float32)
        for start in range(0, len(texts), _PAIRED_AT_ONCE):
            some = slice(start, start + _PAIRED_AT_ONCE)
            found[some, start:] = self._best(written[some], texts[start:])
        # A melody moved up beside another is that one moved down beside it.
        return np.asarray(np.maximum(found, found.T))

    def similarities(
        self, melodies: TokenBatch, rows: NDArray[np.int64]
    ) -> Iterator[NDArray[np.float32]]:
        """How alike some of the melodies and all of them are: 1 if their symbols are the same.

        Args:
            melodies: All.
            rows: Which of them are asked about.

        Yields:
            For the next rows, ``(rows, melodies)``.
        """
        written = [self._writing.symbols(melodies[row]) for row in range(len(melodies))]
        texts = [_text(symbols) for symbols in written]
        for start in range(0, len(rows), _MELODIES_AT_ONCE):
            yield self._best(
                [written[row] for row in rows[start : start + _MELODIES_AT_ONCE]], texts
            )

    def _best(
        self, asked: Sequence[NDArray[np.int64]], texts: Sequence[str]
    ) -> NDArray[np.float32]:
        """How alike melodies are in the key in which they agree best, ``(asked, texts)``."""
        best = np.zeros((len(asked), len(texts)), dtype=np.float32)
        for shift in self._writing.shifts:
            moved = [_text(symbols + shift) for symbols in asked]
            found = self._all_pairs(moved, texts, scorer=self._scorer, dtype=np.float32, workers=1)
            np.maximum(best, found, out=best)
        return best


def _text(symbols: NDArray[np.int64]) -> str:
    """A character for each symbol; rapidfuzz is quicker with text than with numbers."""
    return (symbols + _LOWEST).astype("<u4").tobytes().decode("utf-32-le")
