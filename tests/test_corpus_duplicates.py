from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tunes import TUNES

from seqmelody.corpus import duplicates
from seqmelody.corpus.duplicates import exact_duplicates, join, near_duplicate_groups
from seqmelody.melody import Melody


def random_melody(seed: int, notes: int = 60) -> np.ndarray:
    """A tune that moves like a folk song, and is no copy of another."""
    steps = np.random.default_rng(seed).choice(
        [-7, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 7],
        notes,
        p=[0.02, 0.05, 0.05, 0.08, 0.17, 0.12, 0.1, 0.12, 0.13, 0.06, 0.04, 0.04, 0.02],
    )
    return (60 + np.cumsum(steps) % 24).astype(np.uint8)


def groups_of(pitches, folder, batch=5):
    """Groups of some melodies, handed over a few at a time."""
    digests = np.array(
        [
            np.frombuffer(hashlib.blake2b(p.tobytes(), digest_size=16).digest(), "<u8")
            for p in pitches
        ]
    )
    batches = [
        (
            np.concatenate(pitches[start : start + batch]),
            np.array([p.size for p in pitches[start : start + batch]]),
        )
        for start in range(0, len(pitches), batch)
    ]
    notes = sum(p.size for p in pitches)
    return near_duplicate_groups(batches, digests, notes, folder)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40))
def test_exact_duplicates_point_to_the_first(values):
    digests = np.array([(value // 2, value % 2) for value in values], dtype=np.uint64)
    first = exact_duplicates(digests)
    assert first.tolist() == [values.index(value) for value in values]


@given(
    st.integers(1, 30).flatmap(
        lambda size: st.tuples(
            st.just(size),
            st.lists(st.lists(st.tuples(*[st.integers(0, size - 1)] * 2), max_size=30), max_size=3),
        )
    )
)
def test_join_finds_the_components(case):
    size, rounds = case
    linked = np.arange(size, dtype=np.int32)
    expected = list(range(size))
    for links in rounds:
        pairs = np.array(links, dtype=np.int32).reshape(-1, 2)
        linked = join(linked, pairs[:, 0], pairs[:, 1])
        for one, other in links:
            low, high = sorted((expected[one], expected[other]))
            expected = [low if name == high else name for name in expected]
    assert linked.tolist() == expected


def test_distinct_songs_stay_apart(tmp_path):
    pitches = [melody.pitch.astype(np.uint8) for melody in TUNES.values()]
    pitches += [random_melody(seed) for seed in range(200)]
    assert groups_of(pitches, tmp_path).tolist() == list(range(len(pitches)))


def variants(melody: Melody) -> dict[str, np.ndarray]:
    pitch = melody.pitch.astype(np.uint8)
    middle = pitch.size // 2
    changed = pitch.copy()
    changed[middle] += 2
    return {
        "transposed": pitch + 5,
        "note changed": changed,
        "note added": np.insert(pitch, middle, pitch[middle] + 2),
        "notes repeated": np.repeat(pitch, 1 + np.arange(pitch.size) % 2),
        "first half": pitch[: middle + 8],
        "within a longer one": np.concatenate([random_melody(107), pitch, random_melody(108)]),
    }


@pytest.mark.parametrize("kind", variants(TUNES["greensleeves"]))
def test_variants_share_a_group(kind, tmp_path):
    others = [random_melody(seed) for seed in range(20)]
    original = TUNES["greensleeves"]
    pitches = [original.pitch.astype(np.uint8), *others, variants(original)[kind]]
    found = groups_of(pitches, tmp_path)
    assert found[0] == found[-1] == 0
    assert np.unique(found).size == len(pitches) - 1


@pytest.mark.parametrize("reference_notes", [600, 150, 40, 1])
def test_variants_share_a_group_in_a_large_corpus_too(reference_notes, tmp_path, monkeypatch):
    # Runs of 9, 10, 11 and 14 intervals: what tells them apart must reach beyond the eighth.
    monkeypatch.setattr(duplicates, "_REFERENCE_NOTES", reference_notes)
    original = TUNES["greensleeves"].pitch.astype(np.uint8)
    others = [random_melody(seed) for seed in range(30)]
    found = groups_of([original, *others, original + 3], tmp_path)
    assert found.tolist() == [*range(31), 0]


def test_a_run_is_its_last_interval_too(tmp_path, monkeypatch):
    monkeypatch.setattr(duplicates, "_REFERENCE_NOTES", 1)
    part = random_melody(3, 16)
    # Runs of eight that leave out the last note are many, those of twelve few.
    one, other = part.copy(), part.copy()
    one[-1], other[-1] = part[-2] + 1, part[-2] + 2
    pitches = [np.tile(one, 8), np.tile(other, 8)]
    assert groups_of(pitches, tmp_path).tolist() == [0, 1]


def test_trills_and_drones_are_no_kinship(tmp_path):
    trill = np.tile(np.array([60, 62], dtype=np.uint8), 12)
    drone = np.full(20, 60, dtype=np.uint8)
    pitches = [
        np.concatenate([part, random_melody(seed, 20)])
        for seed, part in enumerate([trill, trill, drone, drone])
    ]
    assert groups_of(pitches, tmp_path).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("copies", [3, 40, 300])
def test_however_many_copies_form_one_group(copies, tmp_path):
    tune = random_melody(1)
    pitches = []
    for number in range(copies):
        copy = tune.copy()
        copy[number % tune.size] += 1 + number // tune.size
        pitches.append(copy)
    assert np.unique(groups_of(pitches, tmp_path)).size == 1


@settings(max_examples=30)
@given(st.randoms(use_true_random=False))
def test_groups_do_not_hang_on_order_batches_or_partitions(tmp_path_factory, random):
    songs = [random_melody(seed, 40) for seed in range(12)]
    # Kin in chains: each shares with the next what it does not share with the one after.
    songs += [
        np.concatenate([random_melody(k, 30), random_melody(k + 1, 30)]) for k in range(50, 56)
    ]
    order = list(range(len(songs)))
    random.shuffle(order)
    folder = tmp_path_factory.mktemp("runs")
    expected = groups_of(songs, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "_PARTITION_RUNS", random.randint(50, 2000))
        found = groups_of([songs[row] for row in order], folder, batch=random.randint(1, 7))
    assert np.unique(expected).size == 13
    # The same partition of the songs, whatever the groups' numbers.
    assert len(set(zip(expected[order].tolist(), found.tolist(), strict=True))) == 13
    assert not list(folder.iterdir())
    first = np.unique(found, return_index=True)[1]
    assert (np.diff(first) > 0).all()
