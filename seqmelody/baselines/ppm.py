"""Prediction by partial match: what comes next, learnt from all contexts up to some length.

A distribution is the mean of what followed a context and of the distribution after the context
that is one element shorter, down to all symbols being as likely. The shorter context has the
weight t / (n + t), where n symbols followed the context, t of them different: escape method C
(Moffat, 1990) of Cleary & Witten (1984), interpolated as by Pearce & Wiggins (2004).

Shapes: N events, A symbols, K elements of the longest context.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NOTHING = -1
"""An element of a context before a melody begins: the context ends there."""


class LongTerm:
    """A model of many melodies: the distribution after each of their contexts, as one table.

    Args:
        symbol: What each event is, ``(N,)``, 0 to A - 1.
        history: The context of each event, the nearest element first, ``(K, N)``, 0 to
            ``elements`` - 1, or ``NOTHING`` from some element on.
        symbols: A.
        elements: How many different elements there are.
        update_exclusion: Count in a context only what followed none of the longer ones (Moffat,
            1990), so that the counts of short contexts are of contexts, not of events.
    """

    def __init__(
        self,
        symbol: NDArray[np.int64],
        history: NDArray[np.int64],
        symbols: int,
        elements: int,
        *,
        update_exclusion: bool = False,
    ) -> None:
        self._elements = elements
        contexts = self._number(history)
        # Each context's distribution from that of the one shorter: shortest first.
        pairs = _counted_pairs(symbol, contexts, self._keys, symbols, elements, update_exclusion)
        shorter = np.full((1, symbols), 1 / symbols)
        tables = []
        for depth, (pair, count) in enumerate(pairs):
            keys = self._keys[depth]
            of = pair // symbols
            total = np.bincount(of, weights=count, minlength=len(keys))
            different = np.bincount(of, minlength=len(keys))
            table = shorter[keys // elements] if depth else shorter
            table = table * (different / (total + different))[:, None]
            table.reshape(-1)[pair] += count / (total + different)[of]
            tables.append(table.astype(np.float32))
            shorter = table
        self._first_row = np.cumsum([0, *map(len, tables)])
        self.probability = np.concatenate(tables)
        """After each context, ``(contexts, A)``; each row sums to 1."""

    def _number(self, history: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Numbers the contexts of each length, and keeps what finds them again.

        Returns:
            For each length from 0 to K: the context of each event, ``NOTHING`` where it is shorter.
        """
        context = np.zeros(history.shape[1], dtype=np.int64)
        contexts = [context]
        # A context is known by the one shorter and its furthest element, as one number.
        self._keys = [np.zeros(1, dtype=np.int64)]
        for element in history:
            there = (element != NOTHING) & (context != NOTHING)
            key, number = np.unique(
                (context * self._elements + element)[there], return_inverse=True
            )
            context = np.full_like(context, NOTHING)
            context[there] = number
            contexts.append(context)
            self._keys.append(key)
        return contexts

    def rows(self, history: NDArray[np.int64]) -> NDArray[np.int64]:
        """The row of ``probability`` for the longest context of each event that is known.

        Args:
            history: As for the constructor, ``(K, N)``.
        """
        row = np.zeros(history.shape[1], dtype=np.int64)
        left = np.arange(history.shape[1])
        context = np.zeros(history.shape[1], dtype=np.int64)
        for first_row, keys, element in zip(
            self._first_row[1:], self._keys[1:], history, strict=False
        ):
            if not len(keys):
                break
            here = element[left]
            wanted = context * self._elements + here
            place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
            found = (keys[place] == wanted) & (here != NOTHING)
            left, context = left[found], place[found]
            row[left] = first_row + context
        return row


def _counted_pairs(
    symbol: NDArray[np.int64],
    contexts: list[NDArray[np.int64]],
    keys: list[NDArray[np.int64]],
    symbols: int,
    elements: int,
    update_exclusion: bool,
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """For each length of context: the pairs of context and symbol, and how often each counts."""
    counted = []
    longer = np.zeros(0, dtype=np.int64)
    ends = np.ones(len(symbol), dtype=np.bool_)
    for depth in reversed(range(len(contexts))):
        there = contexts[depth] != NOTHING
        pair = contexts[depth] * symbols + symbol
        # With exclusion: one for each longer context that the symbol followed, and the events that
        # have none.
        pair = np.concatenate([longer, pair[there & ends]]) if update_exclusion else pair[there]
        pair, count = np.unique(pair, return_counts=True)
        counted.append((pair, count))
        longer = keys[depth][pair // symbols] // elements * symbols + pair % symbols
        ends = ~there
    return counted[::-1]


def short_term(
    symbol: NDArray[np.int64],
    history: NDArray[np.int64],
    member: NDArray[np.int64],
    symbols: int,
    elements: int,
    *,
    update_exclusion: bool = False,
) -> NDArray[np.float32]:
    """The distribution before each event, from the events before it in its melody alone.

    Args:
        symbol: What each event is, in order, ``(N,)``.
        history: The context of each event, as for ``LongTerm``, ``(K, N)``.
        member: The melody of each event, rising, ``(N,)``.
        symbols: A.
        elements: How many different elements there are.
        update_exclusion: See ``LongTerm``.

    Returns:
        ``(N, A)``; each row sums to 1.
    """
    probability = np.full((len(symbol), symbols), 1 / symbols, dtype=np.float32)
    contexts = [_numbered(member)]
    for element in history:
        there = (element != NOTHING) & (contexts[-1] != NOTHING)
        context = np.full_like(member, NOTHING)
        context[there] = _numbered((contexts[-1] * elements + element)[there])
        contexts.append(context)
    for depth, context in enumerate(contexts):
        counts = np.ones(len(symbol), dtype=np.bool_)
        if update_exclusion and depth + 1 < len(contexts):
            # What followed a longer context before is not counted again after this one.
            there = np.flatnonzero(contexts[depth + 1] != NOTHING)
            longer = contexts[depth + 1][there] * symbols + symbol[there]
            counts[there] = False
            counts[there[np.unique(longer, return_index=True)[1]]] = True
        # Events after the same context stand together, in order. A context met once tells nothing.
        event = np.flatnonzero(context != NOTHING)
        event = event[np.bincount(context[event])[context[event]] > 1]
        if not event.size:
            break
        event = event[np.argsort(context[event], kind="stable")]
        begins = np.flatnonzero(np.diff(context[event], prepend=NOTHING))
        met = np.diff(begins, append=event.size)
        # Counts of what came before each event in its context, as running sums.
        count = np.zeros((event.size + 1, symbols), dtype=np.float32)
        count[np.arange(1, event.size + 1), symbol[event]] = counts[event]
        np.cumsum(count, axis=0, out=count)
        count = count[:-1] - np.repeat(count[begins], met, axis=0)
        known = np.ones(event.size, dtype=np.bool_)
        known[begins] = False
        count, rows = count[known], event[known]
        different = (count > 0).sum(1, keepdims=True, dtype=np.float32)
        count += different * probability[rows]
        count /= count.sum(1, keepdims=True)
        probability[rows] = count
    return probability


def _numbered(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each key by its rank among the different ones."""
    return np.unique(keys, return_inverse=True)[1].astype(np.int64)


def combine(
    first: NDArray[np.float32], second: NDArray[np.float32], bias: float
) -> NDArray[np.float32]:
    """Two distributions as their weighted geometric mean: the surer one weighs more (Pearce, 2005).

    A weight is the entropy, as a share of the highest there is, to the power of ``-bias``.

    Args:
        first: ``(N, A)``.
        second: ``(N, A)``.
        bias: 0 for equal weights.
    """
    logs = [np.log(probability) for probability in (first, second)]
    entropies = [
        -np.einsum("na,na->n", probability, log)
        for probability, log in zip((first, second), logs, strict=True)
    ]
    # What the highest entropy is does not matter, since only the ratio of the weights does.
    lowest = np.float32(1e-6)
    surer = np.log(np.maximum(entropies[1], lowest) / np.maximum(entropies[0], lowest))
    share = 1 / (1 + np.exp(np.clip(-np.float32(bias) * surer[:, None], -80, 80)))
    mixed = np.exp(share * logs[0] + (1 - share) * logs[1])
    return np.asarray(mixed / mixed.sum(1, keepdims=True))
