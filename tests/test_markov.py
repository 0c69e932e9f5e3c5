from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import seeds

from seqmelody.markov import MarkovChain

# A note as a chain sees it: pitch above the final, duration, rest.
Note = tuple[int, int, int]
START = None

melodies = st.lists(
    st.lists(
        st.tuples(st.integers(60, 63), st.sampled_from([12, 24]), st.sampled_from([0, 12])),
        min_size=1,
        max_size=12,
    ),
    min_size=1,
    max_size=5,
)


def chain_of(order: int, corpus: list[list[Note]]) -> MarkovChain:
    notes = np.array([note for melody in corpus for note in melody])
    offsets = np.cumsum([0, *map(len, corpus)])
    return MarkovChain(
        order,
        notes[:, 0].astype(np.uint8),
        notes[:, 1].astype(np.uint16),
        notes[:, 2].astype(np.uint16),
        offsets,
    )


def sampled(chain: MarkovChain, melodies: int, notes: int, seed: int) -> list[list[Note]]:
    streams = chain.sample(melodies, notes, torch.Generator().manual_seed(seed))
    for stream in streams:
        assert stream.shape == (melodies, notes)
        assert stream.dtype == torch.int64
    return [
        list(zip(*row, strict=True)) for row in zip(*(s.tolist() for s in streams), strict=True)
    ]


def heights(melody: list[Note]) -> list[Note]:
    return [(pitch - melody[-1][0], duration, rest) for pitch, duration, rest in melody]


def transitions(order: int, corpus: list[list[Note]]) -> dict[tuple, Counter]:
    """How often each note, and whether it ended its melody, followed each context."""
    found: dict[tuple, Counter] = defaultdict(Counter)
    for melody in map(heights, corpus):
        for place, note in enumerate(melody):
            context = (START,) * max(0, order - place) + tuple(
                melody[max(0, place - order) : place]
            )
            found[context][note, place == len(melody) - 1] += 1
    return found


@settings(max_examples=50)
@given(corpus=melodies, order=st.integers(1, 3), seed=seeds)
def test_a_walk_goes_only_where_the_corpus_went(corpus, order, seed):
    known = transitions(order, corpus)
    begin = (START,) * order
    for walk in sampled(chain_of(order, corpus), melodies=4, notes=30, seed=seed):
        # Whether a note ended a melody cannot be seen, so all that it may mean is followed.
        contexts = {begin}
        for note in walk:
            contexts = {
                begin if ended else (*context, note)[1:]
                for context in contexts
                for ended in (False, True)
                if known[context][note, ended]
            }
            assert contexts


@pytest.mark.parametrize("order", [1, 2, 3])
def test_one_melody_without_repeats_comes_over_and_over(order):
    melody = [(60, 24, 0), (62, 12, 0), (64, 12, 12), (65, 48, 0), (67, 24, 0)]
    [walk] = sampled(chain_of(order, [melody]), melodies=1, notes=13, seed=0)
    assert walk == (heights(melody) * 3)[:13]


@pytest.mark.parametrize("order", [1, 2])
def test_notes_follow_as_often_as_in_the_corpus(order):
    corpus = [
        [(60, 24, 0), (62, 24, 0), (64, 24, 0), (60, 24, 0)],
        [(60, 24, 0), (62, 24, 0), (60, 24, 0), (62, 24, 0), (60, 24, 0)],
        [(67, 24, 0), (62, 24, 0), (64, 12, 0), (60, 24, 0)],
        [(60, 24, 0), (62, 24, 0), (64, 24, 0), (62, 24, 0), (60, 24, 0)],
    ]
    known = transitions(order, corpus)
    counted: dict[tuple, Counter] = defaultdict(Counter)
    # Walks are so short that none begins anew: every melody has four notes or more.
    for walk in sampled(chain_of(order, corpus), melodies=20_000, notes=4, seed=0):
        for place, note in enumerate(walk):
            context = (START,) * max(0, order - place) + tuple(walk[max(0, place - order) : place])
            counted[context][note] += 1
    compared = 0
    for context, successors in counted.items():
        total = successors.total()
        of_corpus = Counter()
        for (note, _), count in known[context].items():
            of_corpus[note] += count
        if len(of_corpus) < 2:
            continue
        compared += 1
        for note, count in of_corpus.items():
            share = count / of_corpus.total()
            # Five standard errors.
            error = 5 * (share * (1 - share) / total) ** 0.5
            assert successors[note] / total == pytest.approx(share, abs=error)
    assert compared >= 2


def test_another_seed_is_another_walk():
    corpus = [[(pitch, 24, 0) for pitch in (60, 62, 60, 64, 60, 65, 60)]]
    chain = chain_of(1, corpus)
    assert sampled(chain, 3, 50, seed=1) == sampled(chain, 3, 50, seed=1)
    assert sampled(chain, 3, 50, seed=1) != sampled(chain, 3, 50, seed=2)


def test_transposed_melodies_are_the_same_states():
    tune = [(60, 24, 0), (64, 12, 0), (62, 24, 0)]
    higher = [(pitch + 7, duration, rest) for pitch, duration, rest in tune]
    for walk in sampled(chain_of(2, [tune, higher]), melodies=20, notes=6, seed=0):
        assert walk == heights(tune) * 2


def test_an_order_below_one_and_a_corpus_without_melodies_are_refused():
    with pytest.raises(ValueError, match="at least 1, not 0"):
        chain_of(0, [[(60, 24, 0)]])
    nothing = np.zeros(0)
    with pytest.raises(ValueError, match="at least one melody"):
        MarkovChain(
            1,
            nothing.astype(np.uint8),
            nothing.astype(np.uint16),
            nothing.astype(np.uint16),
            np.zeros(1, dtype=np.int64),
        )
