"""Chunks of items through the model, the next one being read meanwhile.

A chunk's melodies are sorted by length, batched by a budget of notes, and put back in order. The
batches of a chunk and the reading of the next one are jobs for a few threads, in such an order that
none of them ever waits for the next chunk. Which melodies share a batch does not change a result.

Shapes: B melodies in a batch, L notes of the longest, N rows in a chunk, E embedding size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from seqmelody.batching import Batch, bucket, gather
from seqmelody.scorer.chunk import ReadChunk
from seqmelody.scorer.items import ItemReader
from seqmelody.tokens import TokenBatch

FIRST_CHUNK, LARGEST_CHUNK = 256, 4096
"""Melodies in the first chunk, so that the model starts soon, and most of a chunk: the larger, the
less of its batches is padding. Each is twice as large as the one before."""
NOTES_PER_BATCH = 4096

Result = TypeVar("Result")


class Outputs(NamedTuple):
    """What the model says of a batch.

    Attributes:
        score_B: Scores.
        embedding_BE: Embeddings, as the model gives them.
        sd_B: Standard deviations of the scores; NaN where they are not known.
        notes: Weights of the notes ``(B, L)`` and their comparable vectors ``(B, L, E)``, where
            they are asked for.
    """

    score_B: NDArray[np.float32]
    embedding_BE: NDArray[np.float32]
    sd_B: NDArray[np.float32]
    notes: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None


Forward: TypeAlias = Callable[[Batch], Outputs]


@dataclass(frozen=True, eq=False)
class ScoredChunk:
    """Some items with what the model says of them.

    Attributes:
        read: The items.
        score_N: Their scores; NaN where there is an error.
        embedding_NE: Their embeddings, as the model gives them; NaN where there is an error.
        sd_N: Standard deviations of the scores; NaN where there is an error, or none is known.
        notes: Weights ``(L,)`` and comparable vectors ``(L, E)`` of each one's notes, by row; none
            where there is an error, or they were not asked for.
    """

    read: ReadChunk
    score_N: NDArray[np.float32]
    embedding_NE: NDArray[np.float32]
    sd_N: NDArray[np.float32]
    notes: dict[int, tuple[NDArray[np.float32], NDArray[np.float32]]]


def run(
    reader: ItemReader, forward: Forward, embedding_size: int, threads: int
) -> Iterator[ScoredChunk]:
    """Reads and scores, in order.

    Args:
        reader: Gives the chunks.
        forward: Called by several threads at once.
        embedding_size: E.
        threads: How many work; with 1 all happens in the caller's, as it comes.
    """
    size = FIRST_CHUNK
    reader.draw(size)
    chunk = reader.read(size)
    # A single batch is not worth the threads.
    few = chunk is None or (len(_batches(chunk)) <= 1 and not reader.draw(1))
    executor: Executor = _InTurn()
    threads_before = torch.get_num_threads()
    if threads > 1 and not few:
        # One batch a thread, so an operation must not spread over threads of its own.
        executor = ThreadPoolExecutor(threads, "scorer", torch.set_num_threads, (1,))
    under_way: _UnderWay | None = None
    try:
        while chunk is not None:
            size = min(2 * size, LARGEST_CHUNK)
            # Submitted before the batches: one thread reads while the others begin with them.
            reading = executor.submit(reader.read, size) if reader.draw(size) else None
            submitted = _submit(chunk, forward, executor)
            # The chunk before is waited for only now that there is work beyond it.
            if under_way is not None:
                yield _finished(under_way, embedding_size)
            under_way = submitted
            chunk = reading.result() if reading is not None else None
        if under_way is not None:
            yield _finished(under_way, embedding_size)
    finally:
        executor.shutdown(cancel_futures=True)
        if not isinstance(executor, _InTurn):
            # What a thread of the pool set for itself, threads to come would take over.
            torch.set_num_threads(threads_before)


@dataclass(frozen=True)
class _UnderWay:
    """A chunk whose batches are with the model."""

    read: ReadChunk
    batches: list[NDArray[np.int64]]
    results: list[Future[Outputs]]


def _submit(read: ReadChunk, forward: Forward, executor: Executor) -> _UnderWay:
    batches = _batches(read)
    return _UnderWay(
        read,
        batches,
        [executor.submit(_forward, forward, read.tokens, rows) for rows in batches],
    )


def _finished(chunk: _UnderWay, embedding_size: int) -> ScoredChunk:
    """Waits for the results of a chunk, and puts them in order."""
    score_N, sd_N = np.full((2, len(chunk.read)), np.nan, dtype=np.float32)
    embedding_NE = np.full((len(chunk.read), embedding_size), np.nan, dtype=np.float32)
    notes = {}
    length_N = np.diff(chunk.read.tokens.offsets)
    for rows, future in zip(chunk.batches, chunk.results, strict=True):
        found = future.result()
        score_N[rows], embedding_NE[rows], sd_N[rows] = (
            found.score_B,
            found.embedding_BE,
            found.sd_B,
        )
        if found.notes is not None:
            for row, weight_L, vector_LE in zip(rows.tolist(), *found.notes, strict=True):
                here = slice(int(length_N[row]))
                notes[row] = weight_L[here], vector_LE[here]
    return ScoredChunk(chunk.read, score_N, embedding_NE, sd_N, notes)


def _batches(read: ReadChunk) -> list[NDArray[np.int64]]:
    """The rows that have no error, in batches of like length."""
    rows = np.array([row for row, error in enumerate(read.errors) if error is None], dtype=np.int64)
    notes = np.diff(read.tokens.offsets)[rows]
    batches = [rows[batch] for batch in bucket(notes, NOTES_PER_BATCH, window=max(1, rows.size))]
    # The long ones first: no thread is left with the longest when the others are done.
    return batches[::-1]


def _forward(forward: Forward, tokens: TokenBatch, rows: NDArray[np.int64]) -> Outputs:
    return forward(gather(tokens, rows))


class _InTurn(Executor):
    """Runs what is submitted at once, in the caller's thread."""

    def submit(
        self, function: Callable[..., Result], /, *args: Any, **kwargs: Any
    ) -> Future[Result]:
        """As ``Executor.submit``; what the function raises is raised here."""
        future: Future[Result] = Future()
        future.set_result(function(*args, **kwargs))
        return future
