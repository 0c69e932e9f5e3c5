"""What a ``Scorer`` says of a melody."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqmelody.errors import InputError


@dataclass(frozen=True)
class Score:
    """What the model says of one item.

    Attributes:
        path: The item's path, with ``!member`` behind an archive; for an object without a path,
            what it is and its place among the items, as in ``<MidiFile 2>``.
        score: Higher is more melodic; it has no unit. NaN for an item that could not be read.
        percentile: Share of the training melodies that score lower, in percent; ``None`` where
            there is no score, or where the checkpoint does not know.
        notes: Length of the melody; 0 for an item that could not be read.
        warnings: What to know before the score is trusted.
        error: Why the item could not be read.
        rating: What the scorer's listener would rate it, where it has one; not cut at the ends of
            the listener's scale.
        interval: From where to where the score of another training of the model would lie, brought
            to the same mean and scale, nine times in ten. It says how much of the score is chance,
            not whether people agree with it. ``None`` where there is no score, or the checkpoint
            does not know.
        catchy: Probability that a person who is asked says yes, it is catchy (or whatever the
            question was), 0 to 1; ``None`` where there is no score, or the checkpoint has learnt no
            such answers.
    """

    path: str
    score: float
    percentile: float | None
    notes: int
    warnings: tuple[str, ...] = ()
    error: InputError | None = None
    rating: float | None = None
    interval: tuple[float, float] | None = None
    catchy: float | None = None


@dataclass(frozen=True, eq=False)
class NoteEmbeddings:
    """What a melody's embedding is made of.

    ``embedding`` is ``weight @ vector``. So the similarity of the melody and another is a sum over
    notes as well, and a note's share of it is ``weight * (vector @ other)``, where ``other`` is the
    other's embedding.

    Attributes:
        embedding: Of the melody, a unit vector, ``(E,)``.
        weight: How much each note counts, ``(notes,)``; sums to 1.
        vector: What each note says, ``(notes, E)``, not at unit length. Zeros where the model heard
            nothing of a note, whose weight is then 0; only models of sound have such notes.
    """

    embedding: NDArray[np.float32]
    weight: NDArray[np.float32]
    vector: NDArray[np.float32]


@dataclass(frozen=True)
class Preferred:
    """Which of two melodies people prefer; the three probabilities add up to 1.

    How much a difference of scores counts was fitted to choices between melodies that were not
    trained on, where there were enough (``training.listeners``); how often people are undecided is
    as learnt in training.

    Attributes:
        a: That a person prefers the first.
        b: That a person prefers the second.
        neither: That a person is undecided; 0 where those it was learnt from never were.
    """

    a: float
    b: float
    neither: float


@dataclass(frozen=True, eq=False)
class Explanation:
    """Which notes earned a score.

    Attributes:
        score: Of the whole melody.
        onset_quarters: When each note begins, counted from the first, ``(notes,)``.
        duration_quarters: How long it sounds, ``(notes,)``.
        pitch: MIDI keys, ``(notes,)``.
        weight: How much each note counts, ``(notes,)``; sums to 1.
        value: What each note says, on the scale of the score, ``(notes,)``.
        share: ``weight * value``, ``(notes,)``; sums to the score.
    """

    score: Score
    onset_quarters: NDArray[np.float64]
    duration_quarters: NDArray[np.float64]
    pitch: NDArray[np.int16]
    weight: NDArray[np.float64]
    value: NDArray[np.float64]
    share: NDArray[np.float64]
