from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqmelody.baselines.ppm import NOTHING, LongTerm, combine, short_term

SYMBOLS = 4
ORDER = 3
melodies = st.lists(
    st.lists(st.integers(0, SYMBOLS - 1), min_size=1, max_size=14), min_size=1, max_size=5
)


def events(melodies: list[list[int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Symbols, histories and melodies, of melodies end to end; a beginning is ``SYMBOLS``."""
    history = []
    for melody in melodies:
        for place in range(len(melody)):
            before = [*reversed(melody[:place]), SYMBOLS]
            history.append((before + [NOTHING] * ORDER)[:ORDER])
    member = np.repeat(np.arange(len(melodies)), [len(melody) for melody in melodies])
    return np.concatenate(melodies), np.array(history).T, member


class Plain:
    """PPM with escape C, interpolated, with dictionaries of counts: as slow as it is simple."""

    def __init__(self, update_exclusion: bool) -> None:
        self.counts: dict[tuple, Counter] = defaultdict(Counter)
        self.update_exclusion = update_exclusion

    @staticmethod
    def contexts(history: list[int]) -> list[tuple]:
        """The longest first."""
        known = [element for element in history if element != NOTHING]
        return [tuple(known[:length]) for length in reversed(range(len(known) + 1))]

    def learn(self, history: list[int], symbol: int) -> None:
        for context in self.contexts(history):
            new = symbol not in self.counts[context]
            self.counts[context][symbol] += 1
            if self.update_exclusion and not new:
                break

    def distribution(self, history: list[int]) -> np.ndarray:
        found = np.full(SYMBOLS, 1 / SYMBOLS)
        for context in reversed(self.contexts(history)):
            if counts := self.counts.get(context):
                seen = np.array([counts[symbol] for symbol in range(SYMBOLS)])
                found = (seen + len(counts) * found) / (seen.sum() + len(counts))
        return found


@settings(max_examples=60)
@given(known=melodies, new=melodies, update_exclusion=st.booleans())
def test_the_long_term_model_is_ppm_with_escape_c(known, new, update_exclusion):
    symbol, history, _ = events(known)
    model = LongTerm(symbol, history, SYMBOLS, SYMBOLS + 1, update_exclusion=update_exclusion)
    plain = Plain(update_exclusion)
    for context, follows in zip(history.T.tolist(), symbol.tolist(), strict=True):
        plain.learn(context, follows)
    _, history, _ = events(new)
    found = model.probability[model.rows(history)]
    expected = [plain.distribution(context) for context in history.T.tolist()]
    np.testing.assert_allclose(found, expected, atol=1e-6)


@settings(max_examples=60)
@given(melodies=melodies, update_exclusion=st.booleans())
def test_the_short_term_model_knows_what_came_before_in_the_melody(melodies, update_exclusion):
    symbol, history, member = events(melodies)
    found = short_term(
        symbol, history, member, SYMBOLS, SYMBOLS + 1, update_exclusion=update_exclusion
    )
    expected = []
    for melody in range(len(melodies)):
        plain = Plain(update_exclusion)
        for place in np.flatnonzero(member == melody):
            expected.append(plain.distribution(history[:, place].tolist()))
            plain.learn(history[:, place].tolist(), int(symbol[place]))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_what_cleary_and_witten_would_expect():
    # After a: b twice and c once, so 3 + 2 parts; the rest is as without a context.
    symbol, history, _ = events([[0, 1, 0, 1, 0, 2]])
    model = LongTerm(symbol, history[:1], 3, SYMBOLS + 1)
    no_context = (np.array([3, 2, 1]) + 3 / 3) / (6 + 3)
    after_a = model.probability[model.rows(np.array([[0]]))[0]]
    np.testing.assert_allclose(after_a, (np.array([0, 2, 1]) + 2 * no_context) / 5, atol=1e-6)


distributions = st.lists(st.floats(1e-4, 1), min_size=SYMBOLS, max_size=SYMBOLS).map(
    lambda parts: (np.array([parts]) / sum(parts)).astype(np.float32)
)


@given(first=distributions, second=distributions, bias=st.floats(0, 8))
def test_combining_gives_a_distribution_and_favours_neither_side(first, second, bias):
    mixed = combine(first, second, bias)
    assert mixed.sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(mixed, combine(second, first, bias), atol=1e-5)
    np.testing.assert_allclose(combine(first, first, bias), first, atol=1e-5)


def test_without_bias_the_mean_is_the_plain_geometric_one():
    first = np.array([[0.9, 0.05, 0.03, 0.02]], dtype=np.float32)
    second = np.full((1, 4), 0.25, dtype=np.float32)
    plain = np.sqrt(first * second)
    np.testing.assert_allclose(combine(first, second, 0), plain / plain.sum(), atol=1e-6)
    # With it, the surer one comes through.
    assert combine(first, second, 4)[0, 0] > combine(first, second, 1)[0, 0] > plain[0, 0]


def test_a_model_that_is_certain_breaks_nothing():
    certain = np.array([[1 - 3e-38, 1e-38, 1e-38, 1e-38]], dtype=np.float32)
    even = np.full((1, 4), 0.25, dtype=np.float32)
    for bias in (0.25, 7):
        assert np.isfinite(combine(certain, even, bias)).all()
        np.testing.assert_allclose(combine(even, certain, bias), combine(certain, even, bias))
