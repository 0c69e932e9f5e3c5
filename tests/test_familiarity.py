from __future__ import annotations

import numpy as np
import pytest

from seqmelody.corpus import Corpus
from seqmelody.familiarity import COMPARED, Familiarity, statistic_ranges
from seqmelody.melody import Melodies, Melody
from seqmelody.note_statistics import STATISTICS, note_statistics
from seqmelody.tokens import TokenBatch, Tokenizer


def batch_of(*melodies: Melody) -> TokenBatch:
    parts = [Tokenizer().encode(melody) for melody in melodies]
    offsets = np.cumsum([0, *(len(part) for part in parts)]).astype(np.int64)
    none = np.zeros(len(parts), dtype=np.int64)
    streams = [
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("pitch", "duration", "rest")
    ]
    return TokenBatch(*streams, offsets, clipped_durations=none, clipped_rests=none)


def split_of(corpus: Corpus, name: str) -> TokenBatch:
    return batch_of(*(corpus.tokenizer.decode(corpus.tokens(row)) for row in corpus.split(name)))


@pytest.fixture(scope="module")
def ranges(larger_essen_corpus) -> dict[str, tuple[float, float]]:
    return statistic_ranges(larger_essen_corpus)


def test_what_is_compared_is_a_statistic_that_exists(ranges):
    assert set(COMPARED) <= set(STATISTICS)
    assert set(ranges) == set(COMPARED)
    assert all(low <= high for low, high in ranges.values())


def test_a_range_leaves_out_a_thousandth_at_either_end(larger_essen_corpus, ranges):
    values = note_statistics(split_of(larger_essen_corpus, "train"))
    for name, (low, high) in ranges.items():
        column = values[:, STATISTICS.index(name)]
        assert column.min() <= low
        assert column.max() >= high
        outside = ((column < low - 1e-6) | (column > high + 1e-6)).mean()
        assert outside <= 0.004


def test_the_ranges_of_a_split_without_melodies_are_none(tune_corpus, monkeypatch):
    monkeypatch.setattr(
        tune_corpus, "split", lambda name: np.zeros(0, dtype=np.int64), raising=True
    )
    assert statistic_ranges(tune_corpus) == {}


def test_blocks_do_not_change_the_ranges(larger_essen_corpus, ranges, monkeypatch):
    from seqmelody import familiarity

    monkeypatch.setattr(familiarity, "_ROWS_AT_ONCE", 100)
    assert statistic_ranges(larger_essen_corpus) == ranges


def test_few_melodies_of_the_same_kind_are_told_and_noise_always_is(larger_essen_corpus, ranges):
    familiarity = Familiarity(ranges)
    real = split_of(larger_essen_corpus, "test")
    assert len(familiarity.warnings(real)) <= 0.03 * len(real)
    random = np.random.default_rng(0)
    for low, high in ((0, 128), (36, 85)):
        noise = TokenBatch(
            random.integers(low, high, real.pitch.size).astype(np.uint8),
            real.duration,
            real.rest,
            real.offsets,
            real.clipped_durations,
            real.clipped_rests,
        )
        assert len(familiarity.warnings(noise)) == len(noise)


def test_a_real_phrase_over_and_over_is_told_and_real_melodies_are_not(larger_essen_corpus, ranges):
    familiarity = Familiarity({"repeated_4grams": ranges["repeated_4grams"]})
    real = split_of(larger_essen_corpus, "test")
    assert len(familiarity.warnings(real)) <= 0.01 * len(real)
    tokenizer = larger_essen_corpus.tokenizer
    rows = larger_essen_corpus.split("test")[:40]
    tunes = [tokenizer.decode(larger_essen_corpus.tokens(row)) for row in rows]
    for length, times in ((8, 6), (12, 8), (16, 40)):
        loops = [looped(tune[:length], times) for tune in tunes]
        assert len(familiarity.warnings(batch_of(*loops))) == len(loops)
        assert (familiarity.distance(batch_of(*loops)) > 0).all()
    # Twice, as songs are sung, is no loop.
    twice = [looped(tune, 2) for tune in tunes]
    assert len(familiarity.warnings(batch_of(*twice))) <= 2


def looped(phrase: Melody, times: int) -> Melody:
    """A phrase over and over, with another last note."""
    pitch, duration, rest = (
        np.tile(getattr(phrase, name), times) for name in ("pitch", "duration", "rest")
    )
    pitch[-1] = phrase.pitch[0] + 1
    return Melody.from_streams(pitch, duration, rest)


def melody(pitches: list[int], steps: int = 24) -> Melody:
    return Melody.from_streams(pitches, [steps] * len(pitches), [0] * len(pitches))


@pytest.mark.parametrize(
    "odd",
    [
        melody([60] * 40),
        melody([60, 67] * 20),
        melody([48, 84] * 20),
        melody(list(range(30, 90))),
        melody([60, 62, 64]),
        melody([60, 62, 64, 65, 67, 65, 64, 62] * 40),
    ],
    ids=["one note", "two notes", "leaps", "chromatic", "three notes", "loop"],
)
def test_what_is_no_melody_is_told(odd, ranges):
    assert len(Familiarity(ranges).warnings(batch_of(odd))) == 1


def test_the_statistic_furthest_outside_is_named_with_its_range():
    familiarity = Familiarity({"mean_interval": (0.6, 5.1), "pitch_range": (3.0, 60.0)})
    calm, wild = melody([60, 62, 64, 62] * 5), melody([60, 70] * 10)
    assert familiarity.warnings(batch_of(calm, wild)) == {
        1: "unlike the training melodies: mean interval 10 semitones (theirs: 0.6 to 5.1)"
    }
    far = melody([20, 100] * 10)
    (said,) = familiarity.warnings(batch_of(far)).values()
    assert "mean interval 80 semitones" in said


def test_the_distance_is_in_widths_and_nought_within_the_margin():
    familiarity = Familiarity({"largest_interval": (0, 1), "mean_interval": (0.0, 4.0)})
    steady = [melody([60, 60 + size] * 10) for size in (4, 6, 8)]
    assert familiarity.distance(batch_of(*steady)).tolist() == pytest.approx([0, 0.5, 1])
    close = Melody.from_streams([60, 64] * 10 + [69], [24] * 21, [0] * 21)
    assert familiarity.distance(batch_of(close)).tolist() == [0]


def test_where_all_were_alike_a_little_off_is_not_far():
    familiarity = Familiarity({"on_grid": (1.0, 1.0)})
    onsets = Melody.from_streams([60, 62] * 10, [24] * 18 + [25, 24], [0] * 20)
    assert 0 < familiarity.distance(batch_of(onsets))[0] < 2


@pytest.mark.parametrize("ranges_of", [{}, {"no_such_statistic": (0.0, 1.0)}])
def test_without_ranges_nothing_is_told(ranges_of):
    odd = batch_of(melody([0, 127] * 9))
    assert Familiarity(ranges_of).warnings(odd) == {}
    assert Familiarity(ranges_of).distance(odd).tolist() == [0]


def test_no_melodies_and_melodies_without_notes_are_no_trouble(ranges):
    familiarity = Familiarity(ranges)
    none = Tokenizer().encode_all(Melodies.of(melody([60])))
    empty = TokenBatch(
        *(stream[:0] for stream in (none.pitch, none.duration, none.rest)),
        *(np.zeros(size, dtype=np.int64) for size in (3, 2, 2)),
    )
    assert familiarity.distance(empty).shape == (2,)
    no_rows = TokenBatch(
        *(stream[:0] for stream in (none.pitch, none.duration, none.rest)),
        *(np.zeros(size, dtype=np.int64) for size in (1, 0, 0)),
    )
    assert familiarity.warnings(no_rows) == {}
    assert familiarity.distance(no_rows).shape == (0,)
