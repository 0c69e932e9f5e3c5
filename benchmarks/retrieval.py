"""Search in a million melodies, and the similarity of all pairs of 10,000: ``retrieval``.

The melodies are Essen's, and then spoiled copies of them with a twentieth of the notes changed, by one
kind of corruption after the other. The first hundred thousand are embedded. The vectors beyond are
theirs, each moved as spoiling moved another melody's vector, by some share of that: what they are near
to, and in how many directions they spread, is then much as for the real ones, which is not so for
vectors drawn at random. Queries are embeddings of spoiled copies that the index does not hold. The
index is built, opened and asked by the classes that the commands use. A neighbour counts as found if
what was found in its place is as near.

For all pairs, the embeddings are multiplied with each other, and ``rapidfuzz`` compares the melodies by
normalised Levenshtein distance: of the intervals, and in the way that finds most variants, in eleven
keys and with rhythm. Of the alignments, 500 of the melodies are compared with all, and the time is
taken in proportion. Each in one thread. The time to embed is told beside it, and once added.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Measured, Ratio, Setting, Side, interleave
from benchmarks.rows import Row
from benchmarks.side import Rounds

MELODIES = 1_000_000
EMBEDDED = 100_000
PAIRED = 10_000
QUERIES = 300
TOP = 10
GOAL_MS, GOAL_RECALL, GOAL_RATIO = 5.0, 0.99, 500

_NAME = "retrieval"
_KINDS = ("shuffle_durations", "swap_segments", "transpose_tail", "jitter_pitches")
_STRENGTH = 0.05
_BLOCK = 8192
_ALIGNMENTS = {
    "levenshtein-interval": "the plain alignment",
    "levenshtein-sampled": "the strongest alignment",
}
_ALIGNED = 500


def run(setting: Setting) -> Iterator[Row]:
    """Rows of ``retrieval``."""
    here = "benchmarks.retrieval:"
    shared = {"corpus": str(setting.corpus)}
    for count in setting.melodies or (60_000 if setting.quick else MELODIES,):
        settings = {**shared, "count": count, "scratch": str(setting.scratch)}
        found = interleave({"search": Side(f"{here}search", settings, threads=1)}, setting.rounds)
        yield from _search_rows(count, found["search"])
    count = 1000 if setting.quick else PAIRED
    sides = {
        name: Side(f"{here}{name}", {**shared, "count": count}, threads=1)
        for name in ("multiplied", "embedded")
    }
    sides |= {
        name: Side(f"{here}aligned", {**shared, "count": count, "name": name}, threads=1)
        for name in _ALIGNMENTS
    }
    yield from _pair_rows(count, interleave(sides, setting.rounds))


def _search_rows(count: int, measured: Measured) -> Iterator[Row]:
    milliseconds = [1000 / rate for rate in measured.rates]
    processor = [1000 * more["processor"] / QUERIES for more in measured.more]
    recall = measured.more[0]["recall"]
    built = measured.more[0]["built"]
    what = f"a query against {count:,} vectors, warm, one thread"
    figures = {"milliseconds": milliseconds, "processor": processor, "recall": recall, **built}
    yield Row(
        _NAME,
        what,
        f"{statistics.median(milliseconds):.2f} ms ({min(milliseconds):.2f} to "
        f"{max(milliseconds):.2f}), {statistics.median(processor):.2f} ms by the processor's time",
        goal=f"{GOAL_MS:g} ms",
        met=statistics.median(milliseconds) <= GOAL_MS,
        figures=figures,
    )
    yield Row(
        _NAME,
        f"recall@{TOP} of it, {QUERIES} queries",
        f"{recall:.4f}",
        "exact search",
        goal=f"{GOAL_RECALL} or more",
        met=recall >= GOAL_RECALL,
    )
    yield Row(
        _NAME,
        f"the index of {count:,} vectors",
        f"built in {built['build_seconds']:.0f} s ({built['build_processor']:.0f} s by the "
        f"processor's time), {built['bytes'] / 1e6:,.0f} MB, opened in "
        f"{1000 * built['open_seconds']:.0f} ms",
    )


def _pair_rows(count: int, found: dict[str, Measured]) -> Iterator[Row]:
    used = {name: [more["processor"] for more in side.more] for name, side in found.items()}
    both = [a + b for a, b in zip(used["multiplied"], used["embedded"], strict=True)]
    told = {name: statistics.median(seconds) for name, seconds in used.items()}
    for name, called in _ALIGNMENTS.items():
        for what, ours, goal in (
            ("by embeddings at hand", used["multiplied"], GOAL_RATIO),
            ("by embeddings, and embedding", both, None),
        ):
            ratio = Ratio.of(used[name], ours)
            yield Row(
                _NAME,
                f"similarity of all pairs of {count:,} melodies {what}, against {called}",
                f"{statistics.median(ours):.3g} s by the processor's time",
                f"rapidfuzz: {told[name]:.3g} s",
                str(ratio),
                "" if goal is None else f"{goal:g} or more",
                None if goal is None else ratio.median >= goal,
                {"ours": ours, "against": used[name]},
            )


# Sides


def search(rounds: Rounds, corpus: str, count: int, scratch: str) -> None:
    """``MelodyIndex.nearest``, one query at a time."""
    from seqmelody.retrieval import MelodyIndex

    path = Path(scratch) / f"{count}.index"
    queries, built = _build(corpus, count, path)
    started = time.perf_counter()
    index = MelodyIndex.open(path)
    built["open_seconds"] = time.perf_counter() - started
    built["bytes"] = sum(file.stat().st_size for file in path.iterdir())
    recall = _recall(index, np.load(path / "vectors.npy", mmap_mode="r"), queries)
    while rounds.next():
        started, processor = time.perf_counter(), time.process_time()
        for query_E in queries:
            index.nearest(query_E, TOP)
        passed = time.perf_counter() - started
        used = time.process_time() - processor
        rounds.report(QUERIES, passed, processor=used, recall=recall, built=built)


def multiplied(rounds: Rounds, corpus: str, count: int) -> None:
    """All embeddings with all."""
    vector_NE = np.concatenate(list(_embeddings(corpus, count)))
    # As large a part as is written at once; what becomes of it is not our affair.
    part_BN = np.empty((500, count), dtype=np.float32)
    np.matmul(vector_NE[:500], vector_NE.T, out=part_BN)
    while rounds.next():
        started, processor = time.perf_counter(), time.process_time()
        for start in range(0, count, 500):
            np.matmul(vector_NE[start : start + 500], vector_NE.T, out=part_BN)
        passed = time.perf_counter() - started
        rounds.report(count**2, passed, processor=time.process_time() - processor)


def embedded(rounds: Rounds, corpus: str, count: int) -> None:
    """The embeddings themselves."""
    from seqmelody.config import VARIANTS
    from seqmelody.scorer import Scorer

    scorer = Scorer.load(VARIANTS, threads=1)
    melodies = [
        scorer.tokenizer.decode(batch[row])
        for batch in _melodies(corpus, count)
        for row in range(len(batch))
    ]
    scorer.embed(melodies[:500])
    while rounds.next():
        started, processor = time.perf_counter(), time.process_time()
        scorer.embed(melodies)
        passed = time.perf_counter() - started
        rounds.report(count, passed, processor=time.process_time() - processor)


def aligned(rounds: Rounds, corpus: str, count: int, name: str) -> None:
    """Normalised Levenshtein distance; see ``seqmelody.baselines.alignment``."""
    from seqmelody.baselines.alignment import Levenshtein

    alignment = Levenshtein(name)
    melodies: Any = [batch[row] for batch in _melodies(corpus, count) for row in range(len(batch))]
    rows = np.linspace(0, count - 1, min(_ALIGNED, count)).astype(np.int64)

    def seconds(asked: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """By the clock and by the processor."""
        before = np.array([time.perf_counter(), time.process_time()])
        for _ in alignment.similarities(melodies, asked):
            pass
        return np.asarray(np.array([time.perf_counter(), time.process_time()]) - before)

    seconds(rows[:5])
    while rounds.next():
        # All melodies are written as symbols, however few of them are asked about.
        writing = seconds(rows[:0])
        passed, used = writing + (seconds(rows) - writing) * count / len(rows)
        rounds.report(count**2, passed, processor=used)


def _build(corpus: str, count: int, path: Path) -> tuple[np.ndarray[Any, Any], dict[str, float]]:
    """Writes an index; gives queries that are not in it, and how long that took."""
    from seqmelody.retrieval.building import IndexWriter

    embedded = min(count, EMBEDDED) + QUERIES
    real_NE = np.concatenate(list(_embeddings(corpus, embedded)))
    random = np.random.default_rng(0)
    held_out = np.zeros(embedded, dtype=bool)
    held_out[random.choice(embedded, QUERIES, replace=False)] = True
    queries_QE, real_NE = real_NE[held_out], real_NE[~held_out]
    blocks = itertools.chain(
        np.array_split(real_NE, max(1, len(real_NE) // _BLOCK)),
        _moved(corpus, real_NE, held_out, count - len(real_NE), random),
    )
    started, processor = time.perf_counter(), time.process_time()
    with IndexWriter(
        path,
        checkpoint="benchmark",
        fingerprint="0" * 16,
        size=real_NE.shape[1],
        tokenizer=None,
    ) as writer:
        for vector_RE in blocks:
            names = [""] * len(vector_RE)
            writer.add(names, names, vector_RE)
    return queries_QE, {
        "build_seconds": time.perf_counter() - started,
        "build_processor": time.process_time() - processor,
    }


def _moved(
    corpus: str,
    real_NE: np.ndarray[Any, Any],
    held_out: np.ndarray[Any, Any],
    count: int,
    random: np.random.Generator,
) -> Iterator[np.ndarray[Any, Any]]:
    """Vectors moved as spoiling moved others."""
    from seqmelody.corpus import Corpus

    songs = len(Corpus.open(corpus))
    # Which song a row is of: the rows come round by round.
    song_N = np.flatnonzero(~held_out) % songs
    by_song = np.argsort(song_N, kind="stable")
    start_S = np.searchsorted(song_N[by_song], np.arange(songs + 1))
    last = len(song_N) - 1
    while count > 0:
        size = min(count, _BLOCK)
        song_R = random.integers(0, songs, size)
        first_R, versions_R = start_S[song_R], np.diff(start_S)[song_R]
        from_R, to_R = (
            by_song[np.minimum(first_R + random.integers(0, np.maximum(versions_R, 1)), last)]
            for _ in range(2)
        )
        share_R1 = random.uniform(0.3, 1, (size, 1)).astype(np.float32)
        base_R = random.integers(0, len(real_NE), size)
        yield real_NE[base_R] + share_R1 * (real_NE[to_R] - real_NE[from_R])
        count -= size


def _recall(index: Any, vector_NE: np.ndarray[Any, Any], queries: np.ndarray[Any, Any]) -> float:
    """Share of the nearest that are found, against comparing all."""
    found = 0
    for query_E in queries:
        least = np.partition(vector_NE @ query_E, -TOP)[-TOP]
        found += int(np.count_nonzero(index.nearest(query_E, TOP)[1] >= least - 1e-6))
    return found / (TOP * len(queries))


def _embeddings(corpus: str, count: int) -> Iterator[np.ndarray[Any, Any]]:
    """The embeddings of melodies, in their order."""
    from seqmelody.config import VARIANTS
    from seqmelody.scorer import Scorer

    scorer = Scorer.load(VARIANTS, threads=1)
    for batch in _melodies(corpus, count):
        yield scorer.embed([scorer.tokenizer.decode(batch[row]) for row in range(len(batch))])


def _melodies(corpus: str, count: int) -> Iterator[Any]:
    """So many melodies' streams: the songs, and then spoiled copies of them, round by round."""
    import torch

    from seqmelody.batching import gather
    from seqmelody.corpus import Corpus
    from seqmelody.corruption import Corruptor
    from seqmelody.tokens import TokenBatch

    opened = Corpus.open(corpus)
    corruptor = Corruptor(opened, _KINDS)
    generator = torch.Generator().manual_seed(0)
    for turn in itertools.count():
        for start in range(0, len(opened), _BLOCK):
            rows = np.arange(start, min(start + _BLOCK, len(opened), start + count))
            if not rows.size:
                return
            streams = opened.token_batch(rows)
            if turn:
                copy = corruptor.corrupt(
                    gather(streams, np.arange(len(rows))),
                    _KINDS[turn % len(_KINDS)],
                    generator,
                    strength=_STRENGTH,
                )
                there = copy.mask_BL.numpy()
                streams = TokenBatch(
                    copy.pitch_BL.numpy()[there].astype(np.uint8),
                    copy.duration_BL.numpy()[there].astype(np.uint16),
                    copy.rest_BL.numpy()[there].astype(np.uint16),
                    streams.offsets,
                    streams.clipped_durations,
                    streams.clipped_rests,
                )
            yield streams
            count -= len(rows)
