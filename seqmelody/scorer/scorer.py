"""``Scorer``: melodies in; scores, embeddings and reasons out.

    scorer = Scorer.load()
    scorer.score(["a.mid", "folder/", "archive.zip"])

Items are read a chunk at a time, so that memory does not grow with their number; within a chunk
they are sorted by length, batched by a budget of notes, and put back in order. Which melodies share
a batch does not change a result. On a CPU each thread takes a whole batch: for models of this size
that is faster than to share out each operation, and does not stall where cores are busy.

Shapes: B melodies in a batch, L notes of the longest, E embedding size.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from seqmelody.batching import bucket, collate
from seqmelody.checkpoint import Checkpoint, default_checkpoint, load_checkpoint
from seqmelody.errors import UsageError
from seqmelody.melody import STEPS_PER_QUARTER
from seqmelody.midi import MelodyLine
from seqmelody.model import ModelOutput
from seqmelody.scorer.items import MAX_NOTES, Item, Items, ReadItem, read_items
from seqmelody.scorer.results import Explanation, Score
from seqmelody.tokens import Tokenizer, Tokens

__all__ = ["MAX_NOTES", "Scorer"]

_CHUNK_MELODIES = 1024
_CHUNK_NOTES = 262_144
_NOTES_PER_BATCH = 4096

_Row: TypeAlias = tuple[ReadItem, float, NDArray[np.float32] | None]


class Scorer:
    """Scores, embeds and explains melodies with one checkpoint.

    Wherever a method takes items, an item is a path, folder or archive (walked: one result for
    each MIDI file in it), the bytes of a MIDI file, an open binary file, a
    ``miditoolkit.MidiFile``, a ``MidiSource``, a ``Melody``, or a ``Corpus`` (one result for each
    row). A single item may stand for a list of one.

    Args:
        checkpoint: The model, its tokenizer, and what its scores mean.
        device: Where the model runs.
        threads: Batches worked on at once on a CPU; ``torch.get_num_threads()`` by default.
        line: Which line of a MIDI file is the melody.

    Raises:
        UsageError: There is no such device, or ``threads`` is below 1.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        device: str | torch.device = "cpu",
        threads: int | None = None,
        line: MelodyLine = MelodyLine(),
    ) -> None:
        if threads is not None and threads < 1:
            raise UsageError(f"threads must be at least 1, not {threads}")
        try:
            self.device = torch.device(device)
            self._model = checkpoint.model.to(self.device)
        except (RuntimeError, AssertionError) as error:
            reason = str(error).splitlines()[0]
            raise UsageError(f"device {str(device)!r} cannot be used: {reason}") from error
        self.checkpoint = checkpoint
        self.line = line
        # A GPU is filled by one batch at a time.
        self._threads = (threads or torch.get_num_threads()) if self.device.type == "cpu" else 1

    @classmethod
    def load(
        cls,
        checkpoint: str | os.PathLike[str] | None = None,
        *,
        device: str | torch.device = "cpu",
        threads: int | None = None,
        line: MelodyLine = MelodyLine(),
    ) -> Scorer:
        """A scorer with a checkpoint from disk.

        Args:
            checkpoint: A checkpoint folder or a ``.ckpt`` file; by default the one that ships with
                the package.
            device: As for the class.
            threads: As for the class.
            line: As for the class.

        Raises:
            CheckpointError: It cannot be read.
            UsageError: As for the class.
        """
        path = default_checkpoint() if checkpoint is None else Path(checkpoint)
        return cls(load_checkpoint(path), device=device, threads=threads, line=line)

    @property
    def tokenizer(self) -> Tokenizer:
        """What the model reads; a corpus must have been written with the same."""
        return self.checkpoint.tokenizer

    @property
    def embedding_size(self) -> int:
        """E, the length of a melody's vector."""
        return self.checkpoint.model.config.embedding_size

    def score(self, items: Items, *, progress: bool = False) -> list[Score]:
        """Scores of melodies, in the order of the items.

        An item that cannot be read becomes a ``Score`` with an ``error``.

        Args:
            items: See the class.
            progress: Show a progress bar on standard error.

        Raises:
            CorpusError: A corpus was written with another tokenizer.
            TypeError: An item is of a kind that is not known.
        """
        return list(self.iter_scores(items, progress=progress))

    def iter_scores(self, items: Items, *, progress: bool = False) -> Iterator[Score]:
        """Scores of melodies as they come, for more than fit into memory; see ``score``."""
        for read, score, _ in self._run(items, progress):
            yield self._score(read, score)

    def rank(self, items: Items, *, progress: bool = False) -> list[Score]:
        """Scores of melodies, best first, then the items that could not be read; see ``score``."""
        scores = self.score(items, progress=progress)
        return sorted(scores, key=lambda row: math.inf if row.error else -row.score)

    def embed(self, items: Items, *, progress: bool = False) -> NDArray[np.float32]:
        """Unit vectors of melodies, in the order of the items, ``(melodies, E)``.

        The dot product of two rows is their cosine similarity. ``iter_embeddings`` goes on past an
        item that cannot be read.

        Args:
            items: See the class.
            progress: Show a progress bar on standard error.

        Raises:
            InputError: An item cannot be read: no row could stand for it.
            CorpusError: A corpus was written with another tokenizer.
            TypeError: An item is of a kind that is not known.
        """
        rows = []
        for read, _, embedding_E in self._run(items, progress):
            if embedding_E is None:
                raise _error(read)
            rows.append(embedding_E)
        return np.stack(rows) if rows else np.zeros((0, self.embedding_size), dtype=np.float32)

    def iter_embeddings(
        self, items: Items, *, progress: bool = False
    ) -> Iterator[tuple[Score, NDArray[np.float32] | None]]:
        """Scores and unit vectors as they come; no vector where an item cannot be read.

        See ``score``.
        """
        for read, score, embedding_E in self._run(items, progress):
            yield self._score(read, score), embedding_E

    def similarity(self, a: Item, b: Item) -> float:
        """How alike two melodies are: the cosine of their embeddings, -1 to 1.

        Raises:
            InputError: One cannot be read.
            ValueError: One is a folder, archive or corpus of several melodies.
        """
        a_1E, b_1E = (self._forward([self._only(item)[1]]).embedding_BE for item in (a, b))
        return float((a_1E * b_1E).sum().clamp(-1.0, 1.0))

    def explain(self, item: Item) -> Explanation:
        """Each note's share of the score of one melody.

        Raises:
            InputError: It cannot be read.
            ValueError: It is a folder, archive or corpus of several melodies.
        """
        read, tokens = self._only(item)
        output = self._forward([tokens])
        melody = read.melody if read.melody is not None else self.tokenizer.decode(tokens)
        weight = output.weight_BL[0].double().numpy()
        value = output.value_BL[0].double().numpy()
        return Explanation(
            score=self._score(read, float(output.score_B[0])),
            onset_quarters=melody.onset / STEPS_PER_QUARTER,
            duration_quarters=melody.duration / STEPS_PER_QUARTER,
            pitch=melody.pitch.astype(np.int16),
            weight=weight,
            value=value,
            share=weight * value,
        )

    def _only(self, item: Item) -> tuple[ReadItem, Tokens]:
        """The one melody of an item."""
        found = read_items([item], self.tokenizer, self.line)
        read = next(found)
        if read.tokens is None:
            raise _error(read)
        if next(found, None) is not None:
            raise ValueError(f"{item!r} holds several melodies; this takes one")
        return read, read.tokens

    def _score(self, read: ReadItem, score: float) -> Score:
        if read.tokens is None:
            return Score(read.path, math.nan, None, 0, error=read.error)
        percentile = self.checkpoint.percentile(score)
        return Score(read.path, score, percentile, len(read.tokens), read.warnings)

    def _run(self, items: Items, progress: bool) -> Iterator[_Row]:
        """Reads and scores, in order, with NaN and no embedding for what cannot be read."""
        with ExitStack() as stack:
            pool = None
            if self._threads > 1:
                # One batch a thread, so an operation must not spread over threads of its own.
                pool = stack.enter_context(
                    ThreadPoolExecutor(self._threads, "scorer", torch.set_num_threads, (1,))
                )
            bar = stack.enter_context(tqdm(unit=" melodies", disable=not progress, leave=False))
            for chunk in _chunks(read_items(items, self.tokenizer, self.line)):
                for row in self._run_chunk(chunk, pool):
                    bar.update()
                    yield row

    def _run_chunk(self, chunk: Sequence[ReadItem], pool: ThreadPoolExecutor | None) -> list[_Row]:
        rows: list[_Row] = [(read, math.nan, None) for read in chunk]
        # Places in the chunk, and streams, of what was read.
        places = [place for place, read in enumerate(chunk) if read.tokens is not None]
        streams = [read.tokens for read in chunk if read.tokens is not None]
        lengths = np.array([len(tokens) for tokens in streams], dtype=np.int64)
        batches = bucket(lengths, _NOTES_PER_BATCH, window=max(1, len(lengths)))
        # The long ones first: no thread is left with the longest when the others are done.
        batches.reverse()
        batched = [[streams[index] for index in batch] for batch in batches]
        # What is alone in its chunk is not worth a thread.
        spread = map if pool is None or len(batches) == 1 else pool.map
        for batch, output in zip(batches, spread(self._forward, batched), strict=True):
            score_B = output.score_B.tolist()
            for index, score, embedding_E in zip(
                batch, score_B, output.embedding_BE.numpy(), strict=True
            ):
                rows[places[index]] = (chunk[places[index]], score, embedding_E)
        return rows

    @torch.inference_mode()
    def _forward(self, melodies: Sequence[Tokens]) -> ModelOutput:
        """Runs the model on one batch; the result lies on the CPU."""
        output = self._model(collate(melodies).to(self.device))
        return ModelOutput(
            score_B=output.score_B.cpu(),
            embedding_BE=output.embedding_BE.cpu(),
            weight_BL=output.weight_BL.cpu(),
            value_BL=output.value_BL.cpu(),
        )


def _chunks(items: Iterable[ReadItem]) -> Iterator[list[ReadItem]]:
    """Cuts a stream of melodies where a chunk has many of them, or many notes."""
    chunk: list[ReadItem] = []
    notes = 0
    for item in items:
        chunk.append(item)
        notes += len(item.tokens) if item.tokens is not None else 0
        if len(chunk) >= _CHUNK_MELODIES or notes >= _CHUNK_NOTES:
            yield chunk
            chunk, notes = [], 0
    if chunk:
        yield chunk


def _error(read: ReadItem) -> Exception:
    assert read.error is not None  # an item has either streams or an error
    return read.error
