"""``MelodyFeatures``: the descriptors of the PyPI package melody-features, for tasks with labels.

It gathers those of FANTASTIC (Müllensiefen, 2009), SIMILE (Müllensiefen & Frieler, 2006), jSymbolic
(McKay & Fujinaga, 2006) and the MIDI Toolbox (Eerola & Toiviainen, 2004), and they are what is used
here. Left out are MUST, two of whose features take three quarters of the time of all; IDyOM, which
needs a Lisp system, and which ``ngram`` stands for; and FANTASTIC's features relative to a corpus.
"""

from __future__ import annotations

import logging
import numbers
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from seqmelody.errors import UsageError
from seqmelody.melody import STEPS_PER_QUARTER
from seqmelody.tokens import TokenBatch, Tokens

_PROGRAMS = ("fantastic", "simile", "jsymbolic", "midi_toolbox")
_TEMPO = 120.0
_SECONDS_PER_STEP = 60 / _TEMPO / STEPS_PER_QUARTER
_UNDEFINED = 1e6
"""Ratios to nothing are not finite, or some 1e15; all that is defined is far below."""
# Any melody with intervals and durations of several kinds: it tells which features are numbers.
_PITCHES = (60, 62, 64, 65, 67, 67, 64, 72, 71, 69, 67, 64, 62, 60)
_QUARTERS = (1, 0.5, 0.5, 1, 1, 2, 1, 1.5, 0.5, 1, 1, 1, 1, 2)


class MelodyFeatures:
    """The features of a melody that are single numbers. It takes labels to make a score of them.

    A melody is read at 120 quarter notes a minute, in a key that is estimated. It takes about a
    tenth of a second a melody of fifty notes.

    Attributes:
        features: Names of the columns.

    Raises:
        UsageError: The package melody-features is not installed.
    """

    name = "melody-features"
    features: tuple[str, ...]

    def __init__(self) -> None:
        with _quietly():
            try:
                from melody_features import features
                from melody_features.core.representations import Melody
            except ImportError as error:
                raise UsageError(
                    f"{self.name}: needs a package that is missing ({error}); get it with "
                    "pip install 'seqmelody[baselines]'"
                ) from error
            self._package = features
            self._melody_class = Melody
            end = np.cumsum(_QUARTERS) * 60 / _TEMPO
            found = self._numbers(list(_PITCHES), np.concatenate([[0], end[:-1]]), end)
        self.features = tuple(sorted(found))

    def vectors(self, melodies: TokenBatch) -> NDArray[np.float32]:
        """A column for each of ``features``; 0 where it is not defined for a melody.

        The same melody is worked out once. Shows a progress bar on a terminal.

        Args:
            melodies: Each of at least one note.

        Returns:
            ``(melodies, columns)``.
        """
        rows = np.zeros((len(melodies), len(self.features)))
        known: dict[bytes, int] = {}
        with _quietly():
            for number in tqdm(
                range(len(melodies)), desc=self.name, unit="melody", leave=False, disable=None
            ):
                tokens = melodies[number]
                streams = (tokens.pitch, tokens.duration, tokens.rest)
                key = b"".join(stream.tobytes() for stream in streams)
                before = known.setdefault(key, number)
                rows[number] = rows[before] if before < number else self._row(tokens)
        return rows.astype(np.float32)

    def _row(self, tokens: Tokens) -> list[float]:
        duration = tokens.duration.astype(np.int64)
        after = duration + tokens.rest
        onset = np.cumsum(after) - after
        found = self._numbers(
            tokens.pitch.tolist(),
            onset * _SECONDS_PER_STEP,
            (onset + duration) * _SECONDS_PER_STEP,
        )
        return [found.get(name, 0.0) for name in self.features]

    def _numbers(
        self, pitch: list[int], start: NDArray[np.float64], end: NDArray[np.float64]
    ) -> dict[str, float]:
        """All features of a melody that are numbers, and defined for it.

        Args:
            pitch: MIDI keys, ``(notes,)``.
            start: Seconds, ``(notes,)``.
            end: Seconds, ``(notes,)``.
        """
        melody = self._melody_class.from_notes(pitch, start.tolist(), end.tolist(), tempo=_TEMPO)
        found: dict[str, Any] = {}
        sources = [f"get_{program}_features" for program in _PROGRAMS]
        for source in (*sources, "get_contour_features", "get_lexical_diversity_features"):
            try:
                found.update(getattr(self._package, source)(melody))
            except Exception:  # noqa: BLE001, S112 - one note is too few for some of them
                continue
        return {
            name: float(value)
            for name, value in found.items()
            if isinstance(value, numbers.Real) and abs(float(value)) < _UNDEFINED
        }


@contextmanager
def _quietly() -> Iterator[None]:
    """Keeps the package from reporting each feature that a melody does not have."""
    logger = logging.getLogger("melody_features")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
