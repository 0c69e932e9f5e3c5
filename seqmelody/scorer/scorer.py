"""``Scorer``: melodies in; scores, embeddings and reasons out.

    scorer = Scorer.load()
    scorer.score(["a.mid", "folder/", "archive.zip"])

Items are read a chunk at a time, so that memory does not grow with their number, while the model
works on the chunk before. On a CPU each thread takes a whole batch: for models of this size that is
faster than to share out each operation, and does not stall where cores are busy.

Shapes: B melodies in a batch, L notes of the longest, E embedding size.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from seqmelody.batching import Batch, gather
from seqmelody.checkpoint import Checkpoint, default_checkpoint, load_checkpoint
from seqmelody.errors import UsageError
from seqmelody.melody import STEPS_PER_QUARTER
from seqmelody.midi import MelodyLine
from seqmelody.model import ModelOutput
from seqmelody.scorer.chunk import ReadChunk
from seqmelody.scorer.items import Item, ItemReader, Items
from seqmelody.scorer.pipeline import ScoredChunk, run
from seqmelody.scorer.results import Explanation, Score
from seqmelody.tokens import Tokenizer

_THREADS_OF_A_GPU = 2
"""One thread keeps the device busy while the other reads."""


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
        on_cpu = self.device.type == "cpu"
        self._threads = (threads or torch.get_num_threads()) if on_cpu else _THREADS_OF_A_GPU

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
        """Scores of melodies as they come, for more than fit into memory; see ``score``.

        They come in chunks of up to 4,096. Where the iterable of the items raises, the chunks at
        hand are lost.
        """
        for chunk in self._run(items, progress):
            yield from self._scores(chunk.read, chunk.score_N)

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
        chunks = [np.zeros((0, self.embedding_size), dtype=np.float32)]
        for chunk in self._run(items, progress):
            failed = next(filter(None, chunk.read.errors), None)
            if failed is not None:
                raise failed
            chunks.append(chunk.embedding_NE)
        return np.concatenate(chunks)

    def iter_embeddings(
        self, items: Items, *, progress: bool = False
    ) -> Iterator[tuple[Score, NDArray[np.float32] | None]]:
        """Scores and unit vectors as they come; no vector where an item cannot be read.

        See ``score``.
        """
        for chunk in self._run(items, progress):
            scores = self._scores(chunk.read, chunk.score_N)
            for score, embedding_E in zip(scores, chunk.embedding_NE, strict=True):
                yield score, embedding_E if score.error is None else None

    def similarity(self, a: Item, b: Item) -> float:
        """How alike two melodies are: the cosine of their embeddings, -1 to 1.

        Raises:
            InputError: One cannot be read.
            ValueError: One is a folder, archive or corpus of several melodies.
        """
        a_1E, b_1E = (self._forward(self._only(item)[1])[1] for item in (a, b))
        return float(np.clip((a_1E * b_1E).sum(), -1.0, 1.0))

    def explain(self, item: Item) -> Explanation:
        """Each note's share of the score of one melody.

        Raises:
            InputError: It cannot be read.
            ValueError: It is a folder, archive or corpus of several melodies.
        """
        read, batch = self._only(item)
        output = self._output(batch)
        whole = read.melodies
        melody = self.tokenizer.decode(read.tokens[0]) if whole is None else whole[0]
        weight = output.weight_BL[0].double().cpu().numpy()
        value = output.value_BL[0].double().cpu().numpy()
        return Explanation(
            score=self._scores(read, output.score_B.cpu().numpy())[0],
            onset_quarters=melody.onset / STEPS_PER_QUARTER,
            duration_quarters=melody.duration / STEPS_PER_QUARTER,
            pitch=melody.pitch.astype(np.int16),
            weight=weight,
            value=value,
            share=weight * value,
        )

    def _only(self, item: Item) -> tuple[ReadChunk, Batch]:
        """The one melody of an item."""
        reader = ItemReader([item], self.tokenizer, self.line)
        reader.draw(1)
        read = reader.read(2)
        assert read is not None  # whatever holds no melody gives a row with an error
        if read.errors[0] is not None:
            raise read.errors[0]
        if len(read) > 1:
            raise ValueError(f"{item!r} holds several melodies; this takes one")
        return read, gather(read.tokens, np.zeros(1, dtype=np.int64))

    def _scores(self, read: ReadChunk, score_N: NDArray[np.float32]) -> list[Score]:
        percentile_N = self.checkpoint.percentile(score_N)
        notes_N = np.diff(read.tokens.offsets)
        rows = zip(
            read.paths,
            score_N.tolist(),
            [None] * len(read) if percentile_N is None else percentile_N.tolist(),
            notes_N.tolist(),
            read.warnings,
            read.errors,
            strict=True,
        )
        return [
            Score(path, score, percentile, notes, warnings)
            if error is None
            else Score(path, math.nan, None, 0, error=error)
            for path, score, percentile, notes, warnings, error in rows
        ]

    def _run(self, items: Items, progress: bool) -> Iterator[ScoredChunk]:
        reader = ItemReader(items, self.tokenizer, self.line)
        chunks = run(reader, self._forward, self.embedding_size, self._threads)
        if not progress:
            yield from chunks
            return
        from tqdm import tqdm

        with tqdm(unit=" melodies", leave=False) as bar:
            for chunk in chunks:
                bar.update(len(chunk.read))
                yield chunk

    def _forward(self, batch: Batch) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Scores ``(B,)`` and embeddings ``(B, E)``."""
        output = self._output(batch)
        return output.score_B.cpu().numpy(), output.embedding_BE.cpu().numpy()

    @torch.inference_mode()
    def _output(self, batch: Batch) -> ModelOutput:
        output: ModelOutput = self._model(batch.to(self.device))
        return output
