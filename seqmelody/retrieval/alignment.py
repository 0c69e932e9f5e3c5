"""``align``: the passage that two melodies share, note by note, whatever key and tempo each is in.

The local alignment of T. F. Smith and M. S. Waterman, "Identification of common molecular
subsequences", Journal of Molecular Biology 147 (1981), with a linear cost of gaps. It is computed for
every transposition, and for both melodies as notated and one of them in halved values, and the best is
kept: an ornament that one melody lacks then costs a gap, where an alignment of intervals would take
the note after it for another as well. Transpositions that cannot win, by the pitches that the two have
in common, are left out; the result is the same.

Shapes: N notes of the query, M of the hit, K settings (transposition and scale of time).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqmelody.tokens import PITCHES, Tokens

SAME_PITCH, SAME_RHYTHM, OTHER_PITCH, GAP = 1, 2, -2, -2
"""What a pair of notes counts that agree in pitch, what it counts more if they agree in time, what a
pair counts that differs in pitch, and what a note counts that the other melody lacks: about the
log-odds of variants that agree in four notes of five, against melodies that meet by chance."""
CHANCE_SCORE = 20
"""Below this, a passage is no evidence: of unrelated melodies of about 50 notes, one pair in ten
(Dutch) to thirty (Essen) has a better one; of variants of a tune, about six pairs in seven have."""
TIME_SCALES = (Fraction(1), Fraction(2), Fraction(1, 2))
"""How many times as long the notes of the hit may be; the same tune is notated either way."""
LARGEST_TABLE = 1 << 22
"""Pairs of notes up to which melodies are aligned, such as two melodies of 2,048: seconds, and 16 MB."""
_SETTINGS_AT_ONCE = 16

_INTERVALS = (
    "unison",
    "minor second",
    "major second",
    "minor third",
    "major third",
    "fourth",
    "tritone",
    "fifth",
    "minor sixth",
    "major sixth",
    "minor seventh",
    "major seventh",
)


@dataclass(frozen=True, eq=False)
class Alignment:
    """The passage that a query and a hit share.

    Attributes:
        pairs: Places of notes that stand for each other, from 0: the query's, the hit's;
            ``(pairs, 2)`` int64, both columns rising. Notes between them that the other melody
            lacks are in no pair.
        same_pitch: Which pairs agree in pitch, but for the transposition, ``(pairs,)`` bool.
        same_rhythm: Which of those agree in time as well, from their beginning to that of the next
            note, but for the scale of time, ``(pairs,)`` bool.
        transposition: Semitones by which the hit lies higher than the query.
        time_scale: How many times as long the hit's notes are.
        score: Of the alignment.
    """

    pairs: NDArray[np.int64]
    same_pitch: NDArray[np.bool_]
    same_rhythm: NDArray[np.bool_]
    transposition: int
    time_scale: Fraction
    score: int

    @property
    def query_notes(self) -> slice:
        """The passage in the query."""
        return slice(int(self.pairs[0, 0]), int(self.pairs[-1, 0]) + 1)

    @property
    def hit_notes(self) -> slice:
        """The passage in the hit."""
        return slice(int(self.pairs[0, 1]), int(self.pairs[-1, 1]) + 1)

    @property
    def alike(self) -> int:
        """Pairs that agree in pitch."""
        return int(np.count_nonzero(self.same_pitch))

    @property
    def length(self) -> int:
        """Pairs, and notes between them that the other melody lacks."""
        (first, first_hit), (last, last_hit) = self.pairs[0], self.pairs[-1]
        return int(last - first + last_hit - first_hit + 2) - len(self.pairs)

    @property
    def identity(self) -> float:
        """Share of the passage that agrees in pitch, 0 to 1."""
        return self.alike / self.length

    @property
    def by_chance(self) -> bool:
        """Whether unrelated melodies share as much now and then; see ``CHANCE_SCORE``."""
        return self.score < CHANCE_SCORE

    def describe(self) -> str:
        """The passage in words, its notes counted from 1.

        For example ``notes 5-20 ~ notes 13-28, up a fourth, 14 of 16 alike``.
        """
        places = " ~ ".join(
            f"notes {notes.start + 1}-{notes.stop}" for notes in (self.query_notes, self.hit_notes)
        )
        words = [places, transposition_name(self.transposition)]
        if self.time_scale != 1:
            words.append("in doubled values" if self.time_scale > 1 else "in halved values")
        words.append(f"{self.alike} of {self.length} alike")
        if self.by_chance:
            words.append("no more than chance gives")
        return ", ".join(words)


def align(query: Tokens, hit: Tokens) -> Alignment:
    """The best local alignment of two melodies; one pair of notes at least.

    Of alignments with equal scores, that with the smaller transposition is taken, and one without a
    change of time.

    Args:
        query: A melody.
        hit: Another one.

    Raises:
        ValueError: A melody is empty, or they are too long for a table of ``LARGEST_TABLE`` pairs.
    """
    if not len(query) or not len(hit):
        raise ValueError("a melody without notes cannot be aligned")
    if len(query) * len(hit) > LARGEST_TABLE:
        raise ValueError(
            f"melodies of {len(query):,} and {len(hit):,} notes are too long to be aligned"
        )
    best, score = _best_setting(query, hit)
    table = np.zeros((len(query) + 1, len(hit) + 1), dtype=np.int32)
    pair_score = _PairScores(query, hit, [best])
    for row in range(len(query)):
        table[row + 1] = _next_row(table[row][None], pair_score(row))[0]
    pairs = _trace_back(table, pair_score)
    transposition, time_scale = best
    (query_at, hit_at), length = pairs.T, _lengths(query)
    same_pitch = hit.pitch[hit_at].astype(np.int64) - query.pitch[query_at] == transposition
    same_length = length[query_at] * time_scale.numerator == (
        _lengths(hit)[hit_at] * time_scale.denominator
    )
    return Alignment(pairs, same_pitch, same_pitch & same_length, transposition, time_scale, score)


def transposition_name(semitones: int) -> str:
    """An interval in words, as in ``up a fourth``, ``down 2 octaves and a minor third``."""
    if semitones == 0:
        return "at the same pitch"
    octaves, rest = divmod(abs(semitones), 12)
    parts = []
    if octaves:
        parts.append("an octave" if octaves == 1 else f"{octaves} octaves")
    if rest:
        parts.append(f"a {_INTERVALS[rest]}")
    return f"{'up' if semitones > 0 else 'down'} {' and '.join(parts)}"


_Setting = tuple[int, Fraction]


class _PairScores:
    """What each pair of notes counts, in some settings, a row at a time."""

    def __init__(self, query: Tokens, hit: Tokens, settings: list[_Setting]) -> None:
        by_K = np.array([by for by, _ in settings], dtype=np.int64)
        up_K = np.array([scale.numerator for _, scale in settings], dtype=np.int64)
        down_K = np.array([scale.denominator for _, scale in settings], dtype=np.int64)
        self._pitch_NK = query.pitch.astype(np.int64)[:, None] + by_K
        self._length_NK = _lengths(query)[:, None] * up_K
        self._hit_pitch_M = hit.pitch.astype(np.int64)
        self._hit_length_KM = _lengths(hit) * down_K[:, None]

    def __call__(self, row: int) -> NDArray[np.int32]:
        """Of one note of the query with each of the hit's, ``(K, M)``."""
        same_pitch_KM = self._hit_pitch_M == self._pitch_NK[row][:, None]
        same_length_KM = self._hit_length_KM == self._length_NK[row][:, None]
        score_KM = np.where(same_pitch_KM, SAME_PITCH + SAME_RHYTHM * same_length_KM, OTHER_PITCH)
        return score_KM.astype(np.int32)


def _best_setting(query: Tokens, hit: Tokens) -> tuple[_Setting, int]:
    """The setting with the best alignment, and its score."""
    bound = _bounds(query, hit)
    likely = sorted(bound, key=lambda by: (-bound[by], abs(by), by))
    settings = [(by, scale) for by in likely for scale in TIME_SCALES]
    best, best_key = settings[0], (0, 0, 0, 0)
    for start in range(0, len(settings), _SETTINGS_AT_ONCE):
        some = settings[start : start + _SETTINGS_AT_ONCE]
        # No later one has a higher bound; one as high may have the smaller transposition.
        if bound[some[0][0]] < best_key[0]:
            break
        pair_score = _PairScores(query, hit, some)
        last_KM = np.zeros((len(some), len(hit) + 1), dtype=np.int32)
        highest_K = np.zeros(len(some), dtype=np.int32)
        for row in range(len(query)):
            last_KM = _next_row(last_KM, pair_score(row))
            np.maximum(highest_K, last_KM.max(1), out=highest_K)
        for (by, scale), highest in zip(some, highest_K.tolist(), strict=True):
            key = (highest, -abs(by), by, -TIME_SCALES.index(scale))
            if key > best_key:
                best, best_key = (by, scale), key
    return best, best_key[0]


def _bounds(query: Tokens, hit: Tokens) -> dict[int, int]:
    """What an alignment can count at most, by transposition: as if all notes of a pitch met."""
    ours, theirs = (np.bincount(tokens.pitch, minlength=PITCHES) for tokens in (query, hit))
    by_all = np.unique(np.subtract.outer(np.flatnonzero(theirs), np.flatnonzero(ours))).tolist()
    met = {
        by: np.minimum(ours[max(0, -by) : PITCHES - by], theirs[max(0, by) : PITCHES + by]).sum()
        for by in by_all
    }
    return {by: int(count) * (SAME_PITCH + SAME_RHYTHM) for by, count in met.items()}


def _next_row(before_KM: NDArray[np.int32], score_KM: NDArray[np.int32]) -> NDArray[np.int32]:
    """The row of the table under another; column 0 is that before the hit's first note.

    A cell depends on the one to its left. With a linear cost of gaps that is a running maximum of
    what each column would give without it, less the gaps from there on.
    """
    row_KM = np.maximum(before_KM + GAP, 0)
    np.maximum(row_KM[:, 1:], before_KM[:, :-1] + score_KM, out=row_KM[:, 1:])
    slope_M = GAP * np.arange(row_KM.shape[1], dtype=np.int32)
    return np.maximum.accumulate(row_KM - slope_M, axis=1) + slope_M


def _trace_back(table: NDArray[np.int32], pair_score: _PairScores) -> NDArray[np.int64]:
    """The pairs of an alignment with the best score, in rising order."""
    row, column = (int(place) for place in np.unravel_index(np.argmax(table), table.shape))
    pairs: list[tuple[int, int]] = []
    while table[row, column] > 0:
        here = table[row, column]
        if here == table[row - 1, column - 1] + pair_score(row - 1)[0, column - 1]:
            row, column = row - 1, column - 1
            pairs.append((row, column))
        elif here == table[row - 1, column] + GAP:
            row -= 1
        else:
            column -= 1
    return np.array(pairs[::-1], dtype=np.int64).reshape(-1, 2)


def _lengths(tokens: Tokens) -> NDArray[Any]:
    """Steps from each note's beginning to the next one's; of the last, how long it sounds."""
    return tokens.duration.astype(np.int64) + tokens.rest
