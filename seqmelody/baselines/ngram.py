"""``NGram``: how little a melody surprises a variable-order Markov model, in the manner of IDyOM.

Pearce (2005), The construction and evaluation of statistical models of melodic structure in music
perception and composition. As there: viewpoints, prediction by partial match, a long-term model of
the corpus and a short-term one of the melody at hand, combined by the entropy of their
distributions. Unlike there: contexts are bounded, the long-term model does not learn from the
melodies it predicts, and the settings are those that suit the validation split of Essen.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seqmelody.baselines.ppm import NOTHING, LongTerm, combine, short_term
from seqmelody.baselines.viewpoints import ANCHORS, VIEWPOINTS, Events
from seqmelody.corpus import Corpus
from seqmelody.tokens import TokenBatch

LARGEST_TRAINING = 500_000
"""Notes that are learnt from at most, so that time and memory stay bounded for any corpus."""
ORDER = 6
"""Elements of the longest context: the anchor, and five values."""
BIAS = 0.25
"""How much more the surer model weighs; see ``combine``."""
_BLOCK_NOTES = 32_768
"""Melodies are predicted together up to this many notes: a distribution for each note is held."""


class NGram:
    """Scores a melody by minus its mean information content per note, in bits.

    Args:
        corpus: Its training split is learnt, or melodies of it up to half a million notes.
        order: Elements of the longest context.
        update_exclusion: See ``LongTerm``.
        short_term: Whether to learn from each melody too as it goes on.

    Raises:
        CorpusError: The corpus has no training split.
        ValueError: The order is below 1.
    """

    name = "ngram"

    def __init__(
        self,
        corpus: Corpus,
        *,
        order: int = ORDER,
        update_exclusion: bool = True,
        short_term: bool = True,
    ) -> None:
        if order < 1:
            raise ValueError(f"the order must be at least 1, not {order}")
        melodies = corpus.training_sample(LARGEST_TRAINING)
        self._models = {
            name: ViewpointModel(
                events(melodies),
                order=order,
                update_exclusion=update_exclusion,
                short_term=short_term,
            )
            for name, events in VIEWPOINTS.items()
        }

    def scores(self, melodies: TokenBatch) -> NDArray[np.float64]:
        """Minus the bits that a note costs on average, ``(melodies,)``; higher is more expected."""
        total = np.add.reduce(list(self.information_content(melodies).values()))
        return np.asarray(-_mean(total, melodies.offsets))

    def vectors(self, melodies: TokenBatch) -> NDArray[np.float32]:
        """Mean, standard deviation, largest and smallest information content of each viewpoint.

        Returns:
            ``(melodies, 4 * viewpoints)``.
        """
        columns = []
        first = melodies.offsets[:-1]
        for content in self.information_content(melodies).values():
            mean = _mean(content, melodies.offsets)
            from_mean = (content - np.repeat(mean, np.diff(melodies.offsets))) ** 2
            columns += [
                mean,
                np.sqrt(_mean(from_mean, melodies.offsets)),
                np.maximum.reduceat(content, first),
                np.minimum.reduceat(content, first),
            ]
        return np.stack(columns, axis=1).astype(np.float32)

    def information_content(self, melodies: TokenBatch) -> dict[str, NDArray[np.float64]]:
        """Bits that each note costs from each viewpoint, ``(notes,)`` each."""
        return {
            name: self._models[name].information_content(events(melodies))
            for name, events in VIEWPOINTS.items()
        }


class ViewpointModel:
    """The long-term and the short-term model of one viewpoint.

    Args:
        events: What to learn.
        order: Elements of the longest context.
        update_exclusion: See ``LongTerm``.
        short_term: Whether to learn from each melody too as it goes on.
    """

    def __init__(
        self, events: Events, *, order: int, update_exclusion: bool, short_term: bool
    ) -> None:
        self._order = order
        self._update_exclusion = update_exclusion
        self._short_term = short_term
        # One symbol for each value of the corpus, and one for all others.
        self._values = np.unique(events.value)
        self._symbols = len(self._values) + 1
        # An element of a context is an anchor, a symbol, or the beginning of a melody.
        self._elements = max(self._symbols + 1, ANCHORS)
        symbol, history = self._encode(events)
        self._long = LongTerm(
            symbol, history, self._symbols, self._elements, update_exclusion=update_exclusion
        )

    def _encode(self, events: Events) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Symbol and history of each event, as ``LongTerm`` takes them."""
        value, anchor, offsets = events
        place = np.minimum(np.searchsorted(self._values, value), len(self._values) - 1)
        symbol = np.where(self._values[place] == value, place, len(self._values))
        reach = np.arange(len(value)) - np.repeat(offsets[:-1], np.diff(offsets))
        history = [anchor]
        for lag in range(1, self._order):
            before = np.where(reach >= lag, np.roll(symbol, lag), NOTHING)
            # That a melody begins is part of a context; nothing is before it.
            history.append(np.where(reach == lag - 1, self._symbols, before))
        return symbol, np.array(history)

    def distributions(self, events: Events) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The symbol of each event, and the distribution before it, ``(notes, A)``."""
        symbol, history = self._encode(events)
        probability = self._long.probability[self._long.rows(history)]
        if self._short_term:
            within = short_term(
                symbol,
                history,
                np.repeat(np.arange(len(events.offsets) - 1), np.diff(events.offsets)),
                self._symbols,
                self._elements,
                update_exclusion=self._update_exclusion,
            )
            probability = combine(probability, within, BIAS)
        return symbol, probability

    def information_content(self, events: Events) -> NDArray[np.float64]:
        """Bits that each event costs, ``(notes,)``."""
        value, anchor, offsets = events
        content = np.empty(len(value))
        start = 0
        while start + 1 < len(offsets):
            enough = int(np.searchsorted(offsets, offsets[start] + _BLOCK_NOTES))
            stop = min(max(enough, start + 1), len(offsets) - 1)
            here = slice(int(offsets[start]), int(offsets[stop]))
            block = Events(
                value[here],
                anchor[here],
                offsets[start : stop + 1] - offsets[start],
            )
            symbol, probability = self.distributions(block)
            content[here] = -np.log2(probability[np.arange(len(symbol)), symbol])
            start = stop
        return content


def _mean(values: NDArray[np.float64], offsets: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(np.add.reduceat(values, offsets[:-1]) / np.diff(offsets))
