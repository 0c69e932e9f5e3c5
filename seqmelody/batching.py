"""``Batch``: padded token streams on tensors, and the order in which a corpus is batched.

Shapes: B melodies in a batch, L notes of the longest of them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqmelody.tokens import TokenBatch, Tokens

if TYPE_CHECKING:
    # Scoring a file needs no corpus, whose libraries take a while to load.
    from seqmelody.corpus import Corpus, Streams


@dataclass(frozen=True)
class Batch:
    """Token streams of several melodies, padded with zeros at the end.

    Attributes:
        pitch_BL: MIDI keys, int64.
        duration_BL: Grid steps, int64; at least 1 on notes.
        rest_BL: Grid steps of silence after each note, int64; 0 after the last.
        length_B: Notes in each melody, int64; at least 1.
    """

    pitch_BL: Tensor
    duration_BL: Tensor
    rest_BL: Tensor
    length_B: Tensor

    def __len__(self) -> int:
        return self.length_B.shape[0]

    @cached_property
    def mask_BL(self) -> Tensor:
        """True on notes, False on padding."""
        position_L = torch.arange(self.pitch_BL.shape[1], device=self.length_B.device)
        return position_L < self.length_B[:, None]

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on another device."""
        return Batch(
            self.pitch_BL.to(device, non_blocking=True),
            self.duration_BL.to(device, non_blocking=True),
            self.rest_BL.to(device, non_blocking=True),
            self.length_B.to(device, non_blocking=True),
        )

    def pin_memory(self) -> Batch:
        """The same batch in page-locked memory, from where a GPU fetches it while the CPU goes on."""
        return Batch(
            self.pitch_BL.pin_memory(),
            self.duration_BL.pin_memory(),
            self.rest_BL.pin_memory(),
            self.length_B.pin_memory(),
        )

    def __getitem__(self, rows: Tensor | slice) -> Batch:
        """Some of the rows, by index, mask or slice; the padding stays as wide as it was."""
        return Batch(
            self.pitch_BL[rows], self.duration_BL[rows], self.rest_BL[rows], self.length_B[rows]
        )

    def trimmed(self) -> Batch:
        """The same without padding behind the longest melody."""
        if len(self) == 0:
            return self
        width = int(self.length_B.max())
        return Batch(
            self.pitch_BL[:, :width],
            self.duration_BL[:, :width],
            self.rest_BL[:, :width],
            self.length_B,
        )

    @classmethod
    def concatenate(cls, batches: Sequence[Batch]) -> Batch:
        """One batch of the rows of several, which are padded to the same width."""
        return cls(
            torch.cat([batch.pitch_BL for batch in batches]),
            torch.cat([batch.duration_BL for batch in batches]),
            torch.cat([batch.rest_BL for batch in batches]),
            torch.cat([batch.length_B for batch in batches]),
        )


def collate(melodies: Sequence[Tokens]) -> Batch:
    """Pads the streams of some melodies to the longest of them.

    Raises:
        ValueError: There is no melody, or one is empty.
    """
    if not melodies or min(map(len, melodies)) == 0:
        raise ValueError("a batch needs at least one melody, and each at least one note")
    length_B = np.array([len(tokens) for tokens in melodies], dtype=np.int64)
    return _pad(
        np.concatenate([tokens.pitch for tokens in melodies]),
        np.concatenate([tokens.duration for tokens in melodies]),
        np.concatenate([tokens.rest for tokens in melodies]),
        length_B,
    )


def _pad(
    pitch: NDArray[np.uint8],
    duration: NDArray[np.uint16],
    rest: NDArray[np.uint16],
    length_B: NDArray[np.int64],
) -> Batch:
    mask_BL = np.arange(length_B.max()) < length_B[:, None]

    def padded(stream: NDArray[np.uint8] | NDArray[np.uint16]) -> Tensor:
        out_BL = np.zeros(mask_BL.shape, dtype=np.int64)
        out_BL[mask_BL] = stream
        return torch.from_numpy(out_BL)

    return Batch(padded(pitch), padded(duration), padded(rest), torch.from_numpy(length_B))


def gather(streams: Streams | TokenBatch, rows: NDArray[np.int64]) -> Batch:
    """Some rows of flat streams as one batch, padded to the longest."""
    start_B = streams.offsets[rows]
    length_B = (streams.offsets[rows + 1] - start_B).astype(np.int64)
    # Position of every note in the flat streams: each row's start, counted up to its end.
    first_B = np.cumsum(length_B) - length_B
    index = np.arange(length_B.sum()) + np.repeat(start_B - first_B, length_B)
    return _pad(streams.pitch[index], streams.duration[index], streams.rest[index], length_B)


def corpus_batch(corpus: Corpus, rows: NDArray[np.int64]) -> Batch:
    """Some rows of a corpus as one batch, gathered from its memory map."""
    return gather(corpus.streams(), rows)


def bucket(
    lengths: NDArray[np.integer[Any]],
    tokens_per_batch: int,
    order: NDArray[np.int64] | None = None,
    window: int = 4096,
) -> list[NDArray[np.int64]]:
    """Cuts melodies into batches of like length, none above a budget of padded tokens.

    Sorting happens within windows of the given order, so that a shuffled order stays random
    across batches while little of a batch is padding. A melody longer than the budget is a batch
    of its own.

    Args:
        lengths: Notes of each melody, ``(melodies,)``.
        tokens_per_batch: Most notes of a batch, padding counted.
        order: Indices into ``lengths`` in the order to visit; as they are by default.
        window: Melodies sorted together.

    Returns:
        Indices into ``lengths``, one array a batch.
    """
    order = np.arange(len(lengths)) if order is None else order
    batches: list[NDArray[np.int64]] = []
    for start in range(0, len(order), window):
        chunk = order[start : start + window]
        chunk = chunk[np.argsort(lengths[chunk], kind="stable")]
        rising = lengths[chunk].tolist()
        first = 0
        while first < len(chunk):
            end = _end_of_batch(rising, first, tokens_per_batch)
            batches.append(chunk[first:end])
            first = end
    return batches


def _end_of_batch(rising: list[int], first: int, tokens_per_batch: int) -> int:
    """The end of the largest batch that begins at ``first``, found by bisection.

    Args:
        rising: Lengths of melodies in rising order.
        first: Index into it.
        tokens_per_batch: Most notes of a batch, padding counted.
    """
    # No more fit than if all were as short as the first.
    most = first + max(1, tokens_per_batch // rising[first])
    return bisect_right(
        range(len(rising)),
        tokens_per_batch,
        lo=first + 1,
        hi=min(most, len(rising)),
        key=lambda last: (last + 1 - first) * rising[last],
    )


class TrainingBatches:
    """The batches of a training run, from any step on.

    Batch ``k`` of a run depends on the seed and on ``k`` alone, never on what was drawn before, so
    that a run that resumes at step ``k`` sees what it would have seen. Each pass over the rows is
    shuffled anew.

    Args:
        corpus: Where the melodies are.
        rows: Which of them, ``(melodies,)``.
        tokens_per_batch: Most notes of a batch, padding counted.
        steps: How many batches a run has.
        first_step: Where to begin.
        seed: Of the shuffling.

    Raises:
        ValueError: There are no rows.
    """

    def __init__(
        self,
        corpus: Corpus,
        rows: NDArray[np.int64],
        tokens_per_batch: int,
        steps: int,
        first_step: int = 0,
        seed: int = 0,
    ) -> None:
        if len(rows) == 0:
            raise ValueError("there are no melodies to train on")
        self.corpus = corpus
        self.rows = rows
        self.tokens_per_batch = tokens_per_batch
        self.steps = steps
        self.first_step = first_step
        self.seed = seed

    def __len__(self) -> int:
        """Batches of the whole run, those before ``first_step`` counted."""
        return self.steps

    def __iter__(self) -> Iterator[Batch]:
        step, number = 0, 0
        while step < self.steps:
            batches = self._shuffled_pass(number)
            for rows in batches[max(0, self.first_step - step) : self.steps - step]:
                yield corpus_batch(self.corpus, self.rows[rows])
            step += len(batches)
            number += 1

    def _shuffled_pass(self, number: int) -> list[NDArray[np.int64]]:
        """The batches of one pass, as indices into ``rows``."""
        random = np.random.default_rng([self.seed, number])
        order = random.permutation(len(self.rows))
        batches = bucket(self.corpus.notes[self.rows], self.tokens_per_batch, order)
        return [batches[index] for index in random.permutation(len(batches))]


class OrderedBatches:
    """Some rows of a corpus in batches of like length, the same way every time.

    Args:
        corpus: Where the melodies are.
        rows: Which of them, ``(melodies,)``.
        tokens_per_batch: Most notes of a batch, padding counted. The default is for scoring, where
            nothing is kept for gradients.
    """

    def __init__(
        self, corpus: Corpus, rows: NDArray[np.int64], tokens_per_batch: int = 8192
    ) -> None:
        self.corpus = corpus
        self.batches = [
            rows[batch]
            for batch in bucket(corpus.notes[rows], tokens_per_batch, window=max(1, len(rows)))
        ]

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        for rows in self.batches:
            yield corpus_batch(self.corpus, rows)
