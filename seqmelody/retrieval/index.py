"""``MelodyIndex``: a collection of melodies in which those near a melody are found.

    index = MelodyIndex.build("tunes/", "tunes.index", Scorer.load())
    index = MelodyIndex.open("tunes.index")
    for answer in index.search("whistled.mid", top=5, align=True):
        for hit in answer.hits:
            print(hit.similarity, hit.path, hit.alignment and hit.alignment.describe())

Shapes: N melodies, Q queries, E embedding size.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqmelody.checkpoint import Checkpoint, find_checkpoint
from seqmelody.config import VARIANTS
from seqmelody.corpus import Corpus
from seqmelody.embeddings import Embeddings
from seqmelody.errors import CheckpointError, InputError, UsageError
from seqmelody.melody import Melody
from seqmelody.retrieval.alignment import LARGEST_TABLE, align
from seqmelody.retrieval.building import (
    CorpusNotes,
    IndexWriter,
    unit_vectors,
    write_embeddings,
    write_items,
)
from seqmelody.retrieval.format import GRAPH_FILE, TWINS_FILE, VECTORS_FILE, Header, damaged
from seqmelody.retrieval.melodies import StoredMelodies
from seqmelody.retrieval.neighbours import Neighbours
from seqmelody.retrieval.results import Answer, Hit
from seqmelody.scorer import Items, Scorer
from seqmelody.scorer.comparing import comparable
from seqmelody.tokens import Tokenizer, Tokens

FEWEST_NOTES = 4
"""A query of fewer notes is refused: two intervals occur in nearly every melody."""
_SAME = 1.0 - 1e-5
"""From this cosine on, embeddings are equal but for rounding."""
_NEARLY_SAME = 0.999
"""Below this cosine, melodies are not the same: their notes need not be compared."""


class MelodyIndex:
    """Melodies with their embeddings, read from disk as they are needed.

    Everything large is memory-mapped: opening takes no longer for a million melodies than for a
    thousand. An index is tied to the checkpoint whose embeddings it holds.

    Attributes:
        folder: Where it lies.
        checkpoint: Name of the checkpoint that made the embeddings.
        fingerprint: ``Checkpoint.fingerprint`` of it.
        embedding_size: E.
        tokenizer: Encodes the melodies' notes; ``None`` where the index has none, because it was
            built from embeddings alone.
    """

    folder: Path
    checkpoint: str
    fingerprint: str
    embedding_size: int
    tokenizer: Tokenizer | None

    def __init__(self, folder: Path, header: Header) -> None:
        """Use ``MelodyIndex.open`` or ``MelodyIndex.build``."""
        self.folder = folder
        self.checkpoint = header.checkpoint
        self.fingerprint = header.fingerprint
        self.embedding_size = header.embedding_size
        self.tokenizer = header.tokenizer
        self._melodies = StoredMelodies(folder, header.melodies, header.tokenizer is not None)
        try:
            self._vector_NE = np.load(folder / VECTORS_FILE, mmap_mode="r").view(np.ndarray)
        except (OSError, ValueError) as error:
            raise damaged(folder, VECTORS_FILE, f"cannot be read ({error})") from error
        if self._vector_NE.shape != (header.melodies, header.embedding_size):
            raise damaged(folder, VECTORS_FILE, f"is of shape {self._vector_NE.shape}")
        self._neighbours = Neighbours(self._vector_NE)
        if header.graph:
            try:
                self._neighbours = Neighbours.open(
                    self._vector_NE, folder / GRAPH_FILE, folder / TWINS_FILE
                )
            except ValueError as error:
                raise damaged(folder, GRAPH_FILE, f"cannot be read ({error})") from error

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> MelodyIndex:
        """Opens an index.

        Raises:
            CorpusError: There is none, it is damaged, or another version of the package wrote it.
            UsageError: It is so large that it needs ``usearch``, which is not installed.
        """
        return cls(Path(folder), Header.read(Path(folder)))

    @classmethod
    def build(
        cls,
        items: Items,
        out: str | os.PathLike[str],
        scorer: Scorer,
        *,
        failed: Callable[[InputError], None] | None = None,
        progress: bool = False,
    ) -> MelodyIndex:
        """Embeds melodies, and writes an index of them.

        The index appears when it is whole; an older one in its place is replaced.

        Args:
            items: As for ``Scorer``.
            out: Folder of the index.
            scorer: Its checkpoint makes the embeddings.
            failed: Told of each item that cannot be read, which then is left out; by default the
                first one ends the building.
            progress: Show a progress bar on standard error.

        Raises:
            InputError: An item cannot be read, and ``failed`` was not given.
            SeqmelodyError: No melody could be read.
            UsageError: Something else than an index is at ``out``, or it cannot be written to; or
                there are so many melodies that ``usearch`` is needed, which is not installed.
        """
        with IndexWriter(
            out,
            checkpoint=scorer.checkpoint.name,
            fingerprint=scorer.checkpoint.fingerprint,
            size=scorer.embedding_size,
            tokenizer=scorer.tokenizer,
        ) as writer:
            write_items(writer, scorer, items, failed=failed or _raise, progress=progress)
        return cls.open(out)

    @classmethod
    def from_embeddings(
        cls,
        embeddings: str | os.PathLike[str],
        out: str | os.PathLike[str],
        *,
        notes: Corpus | None = None,
    ) -> MelodyIndex:
        """Writes an index of a file of embeddings.

        Args:
            embeddings: What 'seqmelody embed' wrote.
            out: As for ``build``.
            notes: The corpus that was embedded; without it the index has no notes, so that its
                hits can be neither aligned nor written as MIDI.

        Raises:
            InputError: The file cannot be read, or does not say which checkpoint it is from; or a
                number in it is not finite.
            SeqmelodyError: As for ``build``.
            UsageError: As for ``build``; or a melody is not in the corpus.
        """
        opened = Embeddings.open(Path(embeddings))
        if opened.checkpoint is None or opened.fingerprint is None:
            raise InputError(
                str(opened.path),
                "does not say which checkpoint it is from; make it again with 'seqmelody embed'",
            )
        with IndexWriter(
            out,
            checkpoint=opened.checkpoint,
            fingerprint=opened.fingerprint,
            size=opened.size,
            tokenizer=None if notes is None else notes.tokenizer,
        ) as writer:
            write_embeddings(writer, opened, None if notes is None else CorpusNotes(notes))
        return cls.open(out)

    def __len__(self) -> int:
        return len(self._vector_NE)

    def __repr__(self) -> str:
        return f"MelodyIndex({str(self.folder)!r}, {len(self):,} melodies)"

    def require(self, checkpoint: Checkpoint) -> None:
        """Checks that a checkpoint is the one whose embeddings the index holds.

        Raises:
            UsageError: It is another; or the index's notes are another tokenizer's.
        """
        if checkpoint.fingerprint != self.fingerprint:
            raise UsageError(
                f"{self.folder}: made with checkpoint {self.checkpoint!r} ({self.fingerprint}), and "
                f"{checkpoint.name!r} ({checkpoint.fingerprint}) is another; name the folder of "
                f"{self.checkpoint!r} with --checkpoint, or build the index again"
            )
        if self.tokenizer is not None and checkpoint.tokenizer != self.tokenizer:
            raise UsageError(
                f"{self.folder}: its notes were read with tokenizer {self.tokenizer.fingerprint}, and "
                f"{checkpoint.name!r} reads with {checkpoint.tokenizer.fingerprint}; build the index "
                "again, with the corpus that was embedded"
            )

    def checkpoint_name(self) -> str:
        """What to load for queries: the index's checkpoint if its name finds one, else ``variants``.

        Whether it is the same one is seen when it is loaded; see ``require``.
        """
        try:
            find_checkpoint(self.checkpoint)
        except CheckpointError:
            return VARIANTS
        return self.checkpoint

    def search(
        self,
        queries: Items | NDArray[np.floating[Any]],
        *,
        top: int = 10,
        align: bool = False,
        scorer: Scorer | None = None,
    ) -> list[Answer]:
        """The melodies nearest to some others, for each query in their order.

        A query that cannot be read becomes an ``Answer`` with an ``error``.

        Args:
            queries: Melodies, as for ``Scorer``; or embeddings, ``(Q, E)`` or ``(E,)``, of any
                length.
            top: How many for each; all there are, if there are fewer.
            align: Find the passages that they share, too.
            scorer: Embeds melodies; by default one with the checkpoint that ships with the package.

        Raises:
            UsageError: The scorer's checkpoint is not that of the index; ``top`` is below 1; or
                hits cannot be aligned, because the index has no notes or the queries are vectors.
            ValueError: A vector is not of the index's size, or not finite, or zero.
        """
        return list(self.iter_search(queries, top=top, align=align, scorer=scorer))

    def iter_search(
        self,
        queries: Items | NDArray[np.floating[Any]],
        *,
        top: int = 10,
        align: bool = False,
        scorer: Scorer | None = None,
    ) -> Iterator[Answer]:
        """What is found, as it comes; see ``search``."""
        if top < 1:
            raise UsageError(f"top must be 1 or more, not {top}")
        if align:
            self.require_notes()
        if isinstance(queries, np.ndarray):
            if align:
                raise UsageError("vectors have no notes that could be aligned; give melodies")
            return self._search_vectors(queries, top)
        scorer = Scorer.load(self.checkpoint_name()) if scorer is None else scorer
        self.require(scorer.checkpoint)
        return self._search_items(queries, top, align, scorer)

    def require_notes(self) -> None:
        """Checks that the index has the melodies' notes.

        Raises:
            UsageError: It was built from embeddings alone.
        """
        if self.tokenizer is None:
            raise UsageError(
                f"{self.folder}: has no notes, so that hits can be neither aligned nor written as "
                "MIDI; build it from MIDI files or a corpus, or from embeddings with --notes"
            )

    def melody(self, row: int) -> Melody:
        """The notes of a melody.

        Raises:
            IndexError: There is no such row.
            UsageError: As for ``require_notes``.
        """
        self.require_notes()
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of an index of {len(self)} melodies")
        assert self.tokenizer is not None
        return self.tokenizer.decode(self._melodies.tokens(row))

    def nearest(
        self, vector_E: NDArray[np.float32], top: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Rows of the melodies nearest to a unit vector, and their cosines, the nearest first."""
        return self._neighbours.nearest(vector_E, top)

    def _search_vectors(self, queries: NDArray[np.floating[Any]], top: int) -> Iterator[Answer]:
        unit_QE, wrong = unit_vectors(np.atleast_2d(queries), self.embedding_size)
        if wrong is not None:
            raise ValueError(f"vector {wrong[0]} {wrong[1]}")
        for number, vector_E in enumerate(unit_QE):
            yield Answer(f"<vector {number}>", self._hits(vector_E, None, top, align=False))

    def _search_items(
        self, items: Items, top: int, align: bool, scorer: Scorer
    ) -> Iterator[Answer]:
        for chunk in scorer.chunks(items):
            read = chunk.read
            for row, (path, error) in enumerate(zip(read.paths, read.errors, strict=True)):
                tokens = read.tokens[row]
                if error is None and len(tokens) < FEWEST_NOTES:
                    count = "1 note" if len(tokens) == 1 else f"{len(tokens)} notes"
                    reason = f"only {count}: a query needs {FEWEST_NOTES} or more"
                    error = InputError(path, reason)  # noqa: PLW2901 - one more that may be wrong
                if error is not None:
                    yield Answer(path, error=error)
                    continue
                vector_1E = comparable(
                    chunk.embedding_NE[row : row + 1], scorer.checkpoint.whitening
                )
                hits = self._hits(vector_1E[0], tokens, top, align=align)
                yield Answer(path, hits, tokens, read.warnings[row])

    def _hits(
        self, vector_E: NDArray[np.float32], tokens: Tokens | None, top: int, *, align: bool
    ) -> tuple[Hit, ...]:
        rows, similarities = self.nearest(vector_E, top)
        return tuple(
            self._hit(row, similarity, tokens, align_it=align)
            for row, similarity in zip(rows.tolist(), similarities.tolist(), strict=True)
        )

    def _hit(self, row: int, similarity: float, tokens: Tokens | None, *, align_it: bool) -> Hit:
        same, alignment = similarity >= _SAME, None
        if tokens is not None and self.tokenizer is not None:
            near = similarity >= _NEARLY_SAME
            if near or align_it:
                theirs = self._melodies.tokens(row)
                same = near and _same_melody(tokens, theirs)
                if align_it and len(tokens) * len(theirs) <= LARGEST_TABLE:
                    alignment = align(tokens, theirs)
            else:
                same = False
        return Hit(row, *self._melodies.names(row), similarity, same, alignment)


def _same_melody(a: Tokens, b: Tokens) -> bool:
    """Whether two melodies are the same, in whatever key."""
    return (
        len(a) == len(b)
        and bool((np.diff(a.pitch.astype(int)) == np.diff(b.pitch.astype(int))).all())
        and np.array_equal(a.duration, b.duration)
        and np.array_equal(a.rest, b.rest)
    )


def _raise(error: InputError) -> None:
    raise error
