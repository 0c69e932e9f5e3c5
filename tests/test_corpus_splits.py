from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqmelody.corpus.splits import assign_splits


@st.composite
def corpora(draw):
    """Groups from 0 without gaps, and digests that differ."""
    sizes = draw(st.lists(st.integers(1, 12), min_size=1, max_size=30))
    groups = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    digests = np.random.default_rng(draw(st.integers(0, 999))).permutation(2**10)[: groups.size]
    return groups, digests.astype(np.uint64)


@given(corpora(), st.integers(-(2**70), 2**70))
def test_no_group_straddles(corpus, seed):
    groups, digests = corpus
    split = assign_splits(groups, digests, seed)
    for group in np.unique(groups):
        assert np.unique(split[groups == group]).size == 1


@given(corpora(), st.integers(0, 99), st.randoms(use_true_random=False))
def test_order_and_group_numbers_change_nothing(corpus, seed, random):
    groups, digests = corpus
    order = list(range(groups.size))
    random.shuffle(order)
    names = list(range(int(groups.max()) + 1))
    random.shuffle(names)
    renamed = np.array(names)[groups]
    expected = assign_splits(groups, digests, seed)[order]
    assert np.array_equal(assign_splits(renamed[order], digests[order], seed), expected)


@given(corpora())
def test_none_is_empty_with_three_groups(corpus):
    groups, digests = corpus
    split = assign_splits(groups, digests, 0)
    assert (split == 0).any()
    # Of two groups, one is for training and one for test: validation goes without.
    assert len(np.unique(split)) == min(3, len(np.unique(groups)))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_sizes_are_exact_where_small_groups_allow(seed):
    random = np.random.default_rng(seed)
    sizes = np.minimum(random.zipf(2.5, 5000), 50)
    groups = np.repeat(np.arange(sizes.size), sizes)
    digests = random.integers(0, 2**63, groups.size, dtype=np.uint64)
    counts = np.bincount(assign_splits(groups, digests, seed), minlength=3)
    tenth = round(groups.size / 10)
    assert counts.tolist() == [groups.size - 2 * tenth, tenth, tenth]


def test_held_out_melodies_are_drawn_evenly_from_all_sizes_of_group():
    random = np.random.default_rng(0)
    sizes = np.repeat([1, 2, 5], [20_000, 5_000, 2_000])
    groups = np.repeat(np.arange(sizes.size), sizes)
    digests = random.integers(0, 2**63, groups.size, dtype=np.uint64)
    split = assign_splits(groups, digests, 0)
    for size in (1, 2, 5):
        share = (split[sizes[groups] == size] != 0).mean()
        assert share == pytest.approx(0.2, abs=0.02)


def test_another_seed_gives_other_splits():
    groups = np.arange(1000)
    digests = np.random.default_rng(0).integers(0, 2**63, 1000, dtype=np.uint64)
    one, other = (assign_splits(groups, digests, seed) for seed in (0, 1))
    # Two independent draws of a tenth share about a hundredth.
    assert ((one == 2) & (other == 2)).sum() < 30


def test_more_melodies_move_few():
    random = np.random.default_rng(0)
    digests = random.integers(0, 2**63, 5100, dtype=np.uint64)
    before = assign_splits(np.arange(5000), digests[:5000], 0)
    after = assign_splits(np.arange(5100), digests, 0)[:5000]
    assert (before != after).mean() < 0.02
