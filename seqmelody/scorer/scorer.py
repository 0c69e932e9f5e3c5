"""``Scorer``: melodies in; scores, embeddings and reasons out.

    scorer = Scorer.load()
    scorer.score(["a.mid", "folder/", "archive.zip"])

Items are read a chunk at a time, so that memory does not grow with their number, while the model
works on the chunk before. On a CPU each thread takes a whole batch: for models of this size that is
faster than to share out each operation, and does not stall where cores are busy.

Shapes: B melodies in a batch, L notes of the longest, E embedding size.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from seqmelody.batching import Batch, gather
from seqmelody.checkpoint import Checkpoint, default_checkpoint, find_checkpoint, load_checkpoint
from seqmelody.errors import UsageError
from seqmelody.familiarity import Familiarity
from seqmelody.melody import STEPS_PER_QUARTER
from seqmelody.midi import MelodyLine
from seqmelody.model import ModelOutput
from seqmelody.scorer.chunk import ReadChunk
from seqmelody.scorer.comparing import comparable, comparable_notes
from seqmelody.scorer.items import CHUNK_NOTES, Item, ItemReader, Items
from seqmelody.scorer.meaning import Meaning
from seqmelody.scorer.pipeline import Forward, Outputs, ScoredChunk, run
from seqmelody.scorer.ranking import Candidates, Ranking, Selection
from seqmelody.scorer.results import Explanation, NoteEmbeddings, Preferred, Score
from seqmelody.tokens import Tokenizer

_THREADS_OF_A_GPU = 2
"""One thread keeps the device busy while the other reads."""
_CHUNK_NOTES_WITH_VECTORS = 32_768
"""A vector of each note of a chunk is at hand, twice at times: with 128 numbers 17 MB."""


class Scorer:
    """Scores, embeds and explains melodies with one checkpoint.

    Wherever a method takes items, an item is a path, folder or archive (walked: one result for
    each MIDI file in it), the bytes of a MIDI file, an open binary file, a
    ``miditoolkit.MidiFile``, a ``MidiSource``, a ``Melody``, or a ``Corpus`` or ``CorpusRows`` of
    it (one result for each row). A single item may stand for a list of one.

    Args:
        checkpoint: The model, its tokenizer, and what its scores mean.
        device: Where the model runs.
        threads: Batches worked on at once on a CPU; ``torch.get_num_threads()`` by default.
        line: Which line of a MIDI file is the melody.
        listener: Name of a listener whom the checkpoint knows: every ``Score`` then has a
            ``rating``, and ``rank`` orders by it.

    Raises:
        UsageError: The checkpoint knows no such listener; or there is no such device, or
            ``threads`` is below 1.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        device: str | torch.device = "cpu",
        threads: int | None = None,
        line: MelodyLine = MelodyLine(),
        listener: str | None = None,
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
        self._meaning = Meaning(checkpoint, listener)
        self._familiarity = Familiarity(checkpoint.statistic_ranges)
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
        listener: str | None = None,
    ) -> Scorer:
        """A scorer with a checkpoint from disk.

        Args:
            checkpoint: A checkpoint folder or a ``.ckpt`` file, or the name of one that ships with
                the package; by default ``melodic``.
            device: As for the class.
            threads: As for the class.
            line: As for the class.
            listener: As for the class.

        Raises:
            CheckpointError: It cannot be read.
            UsageError: As for the class.
        """
        path = default_checkpoint() if checkpoint is None else find_checkpoint(checkpoint)
        return cls(
            load_checkpoint(path), device=device, threads=threads, line=line, listener=listener
        )

    @property
    def tokenizer(self) -> Tokenizer:
        """What the model reads; a corpus must have been written with the same."""
        return self.checkpoint.tokenizer

    @property
    def knows_intervals(self) -> bool:
        """Whether scores come with intervals."""
        return self.checkpoint.model.head.posterior is not None

    @property
    def knows_ratings(self) -> bool:
        """Whether scores come with a listener's ratings."""
        return self._meaning.knows_ratings

    @property
    def knows_catchy(self) -> bool:
        """Whether scores come with the chance that people say yes to a melody."""
        return self._meaning.knows_catchy

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
        self.checkpoint.require_scores()
        return self._iter_scores(items, progress)

    def _iter_scores(self, items: Items, progress: bool) -> Iterator[Score]:
        for chunk in self.chunks(items, progress=progress):
            yield from self._meaning.scores(chunk)

    def chunks(self, items: Items, *, progress: bool = False) -> Iterator[ScoredChunk]:
        """What the model computes, in chunks of up to 4,096 melodies as they come.

        The embeddings are the model's own, which a listener's taste lies in, and not yet comparable;
        see ``embed``.

        Args:
            items: See the class.
            progress: Show a progress bar on standard error.

        Raises:
            CorpusError: As for ``score``.
            TypeError: As for ``score``.
        """
        return self._run(self._reader(items), self._forward, progress)

    def rank(
        self,
        items: Items,
        *,
        top: int | None = None,
        threshold: float | None = None,
        percentile: float | None = None,
        distinct: float | None = None,
        without_warnings: bool = False,
        progress: bool = False,
    ) -> list[Score]:
        """Scores of melodies, best first, then the items that could not be read; see ``score``.

        Args:
            items: See the class.
            top: Only so many melodies, the best.
            threshold: Only melodies that score this or higher.
            percentile: Only melodies that at least so many percent of the training melodies score
                below.
            distinct: 1 leaves out melodies that repeat an earlier one, in whatever key. Below 1,
                it also leaves out those whose ``similarity`` to a better melody that is kept is
                this or higher.
            without_warnings: Only melodies that no warning is given for.
            progress: Show progress bars on standard error.

        Raises:
            UsageError: A value makes no sense, or the checkpoint knows of no percentiles or no
                whitening where they are needed.
        """
        wanted = Selection(top, threshold, percentile, distinct, without_warnings)
        return self.ranking(items, wanted, progress=progress).scores

    def ranking(self, items: Items, wanted: Selection, *, progress: bool = False) -> Ranking:
        """As ``rank``, with each one's place among the items, and what became of the others.

        Args:
            items: See the class.
            wanted: Which are kept.
            progress: As for ``rank``.

        Raises:
            UsageError: As for ``rank``.
        """
        self.checkpoint.require_scores()
        if wanted.percentile is not None and not self.checkpoint.score_quantiles.size:
            raise UsageError(
                f"checkpoint {self.checkpoint.name!r} knows of no percentiles; give a threshold"
            )
        if wanted.compares and not self.checkpoint.compares:
            raise UsageError(
                f"checkpoint {self.checkpoint.name!r} does not know how embeddings are spread, and "
                "so cannot tell melodies that are alike; use a released checkpoint folder, or "
                "distinct 1"
            )
        candidates = Candidates(wanted)
        for chunk in self.chunks(items, progress=progress):
            vector_NE = self._comparable(chunk) if wanted.compares else None
            candidates.add(chunk, self._meaning.scores(chunk), vector_NE)
        return candidates.ranking(progress=progress)

    def embed(self, items: Items, *, progress: bool = False) -> NDArray[np.float32]:
        """Unit vectors of melodies, in the order of the items, ``(melodies, E)``.

        The dot product of two rows says how alike the melodies are, as ``similarity`` does. Where the
        checkpoint knows how its model's embeddings are spread, these are whitened (see
        ``Whitening``): as the model gives them, those of any two real melodies are nearly the same.
        ``iter_embeddings`` goes on past an item that cannot be read.

        Args:
            items: See the class.
            progress: Show a progress bar on standard error.

        Raises:
            InputError: An item cannot be read: no row could stand for it.
            CorpusError: A corpus was written with another tokenizer.
            TypeError: An item is of a kind that is not known.
        """
        chunks = [np.zeros((0, self.embedding_size), dtype=np.float32)]
        for chunk in self.chunks(items, progress=progress):
            failed = next(filter(None, chunk.read.errors), None)
            if failed is not None:
                raise failed
            chunks.append(self._comparable(chunk))
        return np.concatenate(chunks)

    def iter_embeddings(
        self, items: Items, *, progress: bool = False
    ) -> Iterator[tuple[Score, NDArray[np.float32] | None]]:
        """Scores and unit vectors as they come; no vector where an item cannot be read.

        See ``score`` and ``embed``.
        """
        for chunk in self.chunks(items, progress=progress):
            scores = self._meaning.scores(chunk)
            for score, embedding_E in zip(scores, self._comparable(chunk), strict=True):
                yield score, embedding_E if score.error is None else None

    def iter_note_embeddings(
        self, items: Items, *, progress: bool = False
    ) -> Iterator[tuple[Score, NoteEmbeddings | None]]:
        """Scores, and what the melodies' unit vectors are made of, as they come.

        See ``iter_embeddings``; chunks are smaller, since a note's vector is as long as a melody's.
        """
        reader = self._reader(items, _CHUNK_NOTES_WITH_VECTORS)
        for chunk in self._run(reader, self._forward_notes, progress):
            scores, vector_NE = self._meaning.scores(chunk), self._comparable(chunk)
            for row, score in enumerate(scores):
                notes = chunk.notes.get(row)
                yield score, None if notes is None else NoteEmbeddings(vector_NE[row], *notes)

    def similarity(self, a: Item, b: Item) -> float:
        """How alike two melodies are: the cosine of their embeddings, -1 to 1; see ``embed``.

        Raises:
            InputError: One cannot be read.
            ValueError: One is a folder, archive or corpus of several melodies.
        """
        a_1E, b_1E = (
            comparable(self._forward(self._only(item)[1]).embedding_BE, self.checkpoint.whitening)
            for item in (a, b)
        )
        return float(np.clip((a_1E * b_1E).sum(), -1.0, 1.0))

    def preference(self, a: Item, b: Item) -> Preferred:
        """Which of two melodies people would prefer, for a checkpoint that learnt preferences.

        Raises:
            UsageError: The checkpoint has learnt none.
            InputError: One cannot be read.
            ValueError: One is a folder, archive or corpus of several melodies.
        """
        score_a, score_b = (float(self._forward(self._only(item)[1]).score_B[0]) for item in (a, b))
        return self._meaning.preferred(score_a, score_b)

    def explain(self, item: Item) -> Explanation:
        """Each note's share of the score of one melody.

        Raises:
            InputError: It cannot be read.
            ValueError: It is a folder, archive or corpus of several melodies.
        """
        self.checkpoint.require_scores()
        read, batch = self._only(item)
        output = self._output(batch)
        whole = read.melodies
        melody = self.tokenizer.decode(read.tokens[0]) if whole is None else whole[0]
        weight = output.weight_BL[0].double().cpu().numpy()
        value = output.value_BL[0].double().cpu().numpy()
        return Explanation(
            score=self._meaning.scores(ScoredChunk(read, *_arrays(output)[:3], notes={}))[0],
            onset_quarters=melody.onset / STEPS_PER_QUARTER,
            duration_quarters=melody.duration / STEPS_PER_QUARTER,
            pitch=melody.pitch.astype(np.int16),
            weight=weight,
            value=value,
            share=weight * value,
        )

    def _only(self, item: Item) -> tuple[ReadChunk, Batch]:
        """The one melody of an item."""
        reader = self._reader([item])
        reader.draw(1)
        read = reader.read(2)
        assert read is not None  # whatever holds no melody gives a row with an error
        if read.errors[0] is not None:
            raise read.errors[0]
        if len(read) > 1:
            raise ValueError(f"{item!r} holds several melodies; this takes one")
        return read, gather(read.tokens, np.zeros(1, dtype=np.int64))

    def _reader(self, items: Items, chunk_notes: int = CHUNK_NOTES) -> ItemReader:
        return ItemReader(items, self.tokenizer, self.line, self._familiarity, chunk_notes)

    def _run(self, reader: ItemReader, forward: Forward, progress: bool) -> Iterator[ScoredChunk]:
        chunks = run(reader, forward, self.embedding_size, self._threads)
        if not progress:
            yield from chunks
            return
        from tqdm import tqdm

        with tqdm(unit=" melodies", leave=False) as bar:
            for chunk in chunks:
                bar.update(len(chunk.read))
                yield chunk

    def _comparable(self, chunk: ScoredChunk) -> NDArray[np.float32]:
        """The comparable embeddings of a chunk, ``(N, E)``; NaN where there is an error."""
        vector_NE: NDArray[np.float32] = chunk.embedding_NE.copy()
        readable = np.array([error is None for error in chunk.read.errors], dtype=bool)
        vector_NE[readable] = comparable(vector_NE[readable], self.checkpoint.whitening)
        return vector_NE

    def _forward(self, batch: Batch) -> Outputs:
        """See ``pipeline.Forward``."""
        return _arrays(self._output(batch))

    @torch.inference_mode()
    def _forward_notes(self, batch: Batch) -> Outputs:
        """The same, with the notes' vectors."""
        output, vector_BLE = self._model.with_note_vectors(batch.to(self.device))
        found = _arrays(output)
        weight_BL = output.weight_BL.cpu().numpy()
        note_BLE = comparable_notes(
            found.embedding_BE, weight_BL, vector_BLE.cpu().numpy(), self.checkpoint.whitening
        )
        return found._replace(notes=(weight_BL, note_BLE))

    @torch.inference_mode()
    def _output(self, batch: Batch) -> ModelOutput:
        output: ModelOutput = self._model(batch.to(self.device))
        return output


def _arrays(output: ModelOutput) -> Outputs:
    sd_B = torch.full_like(output.score_B, torch.nan) if output.sd_B is None else output.sd_B
    return Outputs(
        output.score_B.cpu().numpy(), output.embedding_BE.cpu().numpy(), sd_B.cpu().numpy()
    )
