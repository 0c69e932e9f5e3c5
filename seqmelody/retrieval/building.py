"""An index built: melodies and their vectors, a chunk at a time, into a new folder.

Memory holds a chunk, the vectors' graph where there is one, and a few bytes for each melody.

Shapes: R melodies of a chunk, N of them all, E embedding size.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqmelody.corpus import Corpus
from seqmelody.corpus.reading import melody_id, rooted_sources, utf8_text
from seqmelody.corpus.tables import hash_names
from seqmelody.embeddings import Embeddings
from seqmelody.errors import InputError, SeqmelodyError, UsageError
from seqmelody.retrieval.format import GRAPH_FILE, TWINS_FILE, VECTORS_FILE, Header, NewFolder
from seqmelody.retrieval.melodies import MelodiesWriter
from seqmelody.retrieval.neighbours import EXACT_BELOW, require_usearch, write_graph
from seqmelody.scorer import CorpusRows, Item, Items, Scorer
from seqmelody.scorer.comparing import comparable
from seqmelody.scorer.items import several
from seqmelody.tokens import TokenBatch, Tokenizer

_BLOCK_ROWS = 8192


class IndexWriter:
    """Writes an index; used in a ``with`` block, after which it is there, or nothing is.

    Args:
        out: Folder of the index; an older index there is replaced.
        checkpoint: Name of the checkpoint that the vectors are from.
        fingerprint: Its fingerprint.
        size: E.
        tokenizer: Encodes the streams; ``None`` where the notes are not at hand.

    Raises:
        UsageError: Something else than an index is there, or nothing can be written there.
    """

    def __init__(
        self,
        out: str | os.PathLike[str],
        *,
        checkpoint: str,
        fingerprint: str,
        size: int,
        tokenizer: Tokenizer | None,
    ) -> None:
        self._told = checkpoint, fingerprint
        self._size = size
        self._tokenizer = tokenizer
        self._out = Path(out)
        self._written = 0
        self._folder = NewFolder(self._out)
        self._vectors = (self._folder.path / VECTORS_FILE).open("wb")
        self._write_shape()
        self._melodies = MelodiesWriter(self._folder.path, with_notes=tokenizer is not None)

    def add(
        self,
        ids: Sequence[str],
        paths: Sequence[str],
        vector_RE: NDArray[np.float32],
        tokens: TokenBatch | None = None,
    ) -> None:
        """Adds some melodies.

        Args:
            ids: What they are called.
            paths: Where they come from.
            vector_RE: Their embeddings; brought to unit length here.
            tokens: Their streams, where the index has notes.

        Raises:
            InputError: A vector is of another size, holds what is no finite number, or has no
                direction.
            UsageError: There are so many that they need a graph, and ``usearch`` is missing.
        """
        unit_RE, wrong = unit_vectors(vector_RE, self._size)
        if wrong is not None:
            row, reason = wrong
            raise InputError(paths[row], f"its embedding {reason}")
        self._vectors.write(unit_RE.tobytes())
        self._melodies.add(ids, paths, tokens)
        self._written += len(unit_RE)
        if self._written >= EXACT_BELOW:
            # Now, and not after hours.
            require_usearch()

    def __enter__(self) -> IndexWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._folder, self._vectors, self._melodies:
            if kind is None:
                self._finish()

    def _finish(self) -> None:
        if not self._written:
            raise SeqmelodyError(f"{self._out}: not written, no melody could be read")
        self._melodies.finish()
        self._vectors.seek(0)
        self._write_shape()
        self._vectors.close()
        folder = self._folder.path
        graph = self._written >= EXACT_BELOW
        if graph:
            vector_NE = np.load(folder / VECTORS_FILE, mmap_mode="r")
            write_graph(vector_NE, folder / GRAPH_FILE, folder / TWINS_FILE)
        name, fingerprint = self._told
        Header(name, fingerprint, self._size, self._written, self._tokenizer, graph).write(folder)
        self._folder.take_place()

    def _write_shape(self) -> None:
        # The header has room for any number of rows, so that it can be written anew.
        about: dict[str, Any] = {"descr": "<f4", "fortran_order": False}
        shape = (self._written, self._size)
        np.lib.format.write_array_header_1_0(self._vectors, {**about, "shape": shape})


def unit_vectors(
    vector_RE: NDArray[np.floating[Any]], size: int
) -> tuple[NDArray[np.float32], tuple[int, str] | None]:
    """Vectors at unit length, and the first that has none: its row, and why."""
    if vector_RE.ndim != 2 or vector_RE.shape[1] != size:
        return np.zeros((0, size), np.float32), (
            0,
            f"has {vector_RE.shape[-1]} numbers, those of the index have {size}",
        )
    length_R = np.linalg.norm(vector_RE.astype(np.float64), axis=1)
    wrong_R = ~(np.isfinite(length_R) & (length_R > 0))
    if wrong_R.any():
        row = int(wrong_R.argmax())
        finite = bool(np.isfinite(vector_RE[row]).all())
        reason = "is zero" if finite else "holds a number that is not finite"
        return np.zeros((0, size), np.float32), (row, reason)
    return np.asarray(vector_RE / length_R[:, None], dtype="<f4"), None


def write_items(
    writer: IndexWriter,
    scorer: Scorer,
    items: Items,
    *,
    failed: Callable[[InputError], None],
    progress: bool,
) -> None:
    """Embeds melodies and adds them.

    Args:
        writer: Where to.
        scorer: Embeds them.
        items: As for ``Scorer``.
        failed: Told of each item that could not be read.
        progress: Show a progress bar on standard error.
    """
    ids: deque[Iterator[str]] = deque()
    for chunk in scorer.chunks(_named(items, ids), progress=progress):
        read = chunk.read
        names = _take(ids, len(read))
        for error in read.errors:
            if error is not None:
                failed(error)
        kept = np.array([error is None for error in read.errors], dtype=bool)
        rows = np.flatnonzero(kept)
        if rows.size:
            writer.add(
                [names[row] for row in rows],
                [utf8_text(read.paths[row]) for row in rows],
                comparable(chunk.embedding_NE[kept], scorer.checkpoint.whitening),
                _kept_tokens(read.tokens, kept),
            )


def _named(items: Items, ids: deque[Iterator[str]]) -> Iterator[Item]:
    """The items, folders walked, while what their melodies are called is noted down."""
    for number, item in enumerate(several(items)):
        if isinstance(item, Corpus):
            ids.append(item.iter_column("id"))
            yield item
        elif isinstance(item, CorpusRows):
            ids.append(islice(item.corpus.iter_column("id"), item.start, item.stop))
            yield item
        elif isinstance(item, (str, os.PathLike)):
            for source in rooted_sources([item]):
                ids.append(iter([melody_id(source.relative)]))
                yield source.source
        else:
            ids.append(iter([str(number)]))
            yield item


def _take(ids: deque[Iterator[str]], count: int) -> list[str]:
    """The next names."""
    names: list[str] = []
    while len(names) < count:
        name = next(ids[0], None)
        if name is None:
            ids.popleft()
        else:
            names.append(name)
    return names


def _kept_tokens(tokens: TokenBatch, kept: NDArray[np.bool_]) -> TokenBatch:
    """The streams of some melodies."""
    if kept.all():
        return tokens
    notes = np.diff(tokens.offsets)
    of_note = np.repeat(kept, notes)
    return TokenBatch(
        tokens.pitch[of_note],
        tokens.duration[of_note],
        tokens.rest[of_note],
        np.concatenate([[0], np.cumsum(notes[kept])]).astype(np.int64),
        tokens.clipped_durations[kept],
        tokens.clipped_rests[kept],
    )


def write_embeddings(
    writer: IndexWriter, embeddings: Embeddings, notes: CorpusNotes | None
) -> None:
    """Adds the melodies of a file of embeddings, block by block.

    Args:
        writer: Where to.
        embeddings: The file.
        notes: Finds the notes, where the index has them.

    Raises:
        InputError: The file is damaged, or a vector is none.
        UsageError: A melody is not in the corpus.
    """
    ids = embeddings.iter_column("id")
    paths = embeddings.iter_column("path" if "path" in embeddings.columns else "id")
    for vector_RE in embeddings.blocks(_BLOCK_ROWS):
        names, places = (list(islice(column, len(vector_RE))) for column in (ids, paths))
        tokens = None if notes is None else notes.of(names, embeddings.path)
        writer.add(names, places, vector_RE, tokens)


class CorpusNotes:
    """The notes of melodies by their ids, from a corpus.

    Args:
        corpus: Where they are.
    """

    def __init__(self, corpus: Corpus) -> None:
        self._corpus = corpus
        # Eight bytes for each: a dictionary of a million names takes twenty times as much.
        hashes = hash_names(corpus.iter_column("id"))
        self._order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[self._order]

    def of(self, ids: Sequence[str], source: Path) -> TokenBatch:
        """The streams of melodies.

        Args:
            ids: What they are called.
            source: Named in the error.

        Raises:
            UsageError: One is not in the corpus.
        """
        hashes = hash_names(ids)
        places = np.minimum(np.searchsorted(self._hashes, hashes), self._hashes.size - 1)
        missing = self._hashes[places] != hashes
        if missing.any():
            raise UsageError(
                f"{source}: {ids[int(missing.argmax())]!r} is not in {self._corpus.folder}; give "
                "the corpus that was embedded"
            )
        return self._corpus.token_batch(self._order[places].astype(np.int64))
