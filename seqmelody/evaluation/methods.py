"""Methods: whatever scores, describes or compares melodies, a checkpoint or a baseline."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from seqmelody import baselines
from seqmelody.batching import bucket, gather
from seqmelody.checkpoint import Checkpoint, find_checkpoint, load_checkpoint
from seqmelody.config import SHIPPED, ModelConfig
from seqmelody.corpus import Corpus
from seqmelody.errors import CheckpointError, CorpusError, SeqmelodyError, UsageError
from seqmelody.evaluation.protocols import (
    UNTRAINED,
    EmbeddingMethod,
    Method,
    PlainMethod,
    SimilarityMethod,
    VectorMethod,
)
from seqmelody.model import ModelOutput, build_model
from seqmelody.scorer.comparing import comparable
from seqmelody.tokens import TokenBatch
from seqmelody.whitening import Whitening

_NOTES_PER_BATCH = 8192
_NOTES_TO_WHITEN_BY = 200_000
_ROWS_AT_ONCE = 256


class CheckpointMethod:
    """A checkpoint as a method; its score difference is the log-odds that one melody beats another.

    Args:
        checkpoint: Its model runs on the CPU.
        name: What tables call it; the checkpoint's own name by default.
    """

    def __init__(self, checkpoint: Checkpoint, name: str | None = None) -> None:
        self.checkpoint = checkpoint
        self.name = name or checkpoint.name

    def scores(self, melodies: TokenBatch) -> NDArray[np.float64]:
        """See ``Method``."""
        score_N = np.zeros(len(melodies), dtype=np.float64)
        for rows, output in self._outputs(melodies):
            score_N[rows] = output.score_B.numpy()
        return score_N

    def vectors(self, melodies: TokenBatch) -> NDArray[np.float32]:
        """The embedding and, last, the score, ``(melodies, E + 1)``."""
        size = self.checkpoint.model.config.embedding_size
        vector_ND = np.zeros((len(melodies), size + 1), dtype=np.float32)
        for rows, output in self._outputs(melodies):
            vector_ND[rows, :-1] = output.embedding_BE.numpy()
            vector_ND[rows, -1] = output.score_B.numpy()
        return vector_ND

    def embeddings(self, melodies: TokenBatch) -> NDArray[np.float32]:
        """See ``EmbeddingMethod``: whitened where the checkpoint knows how, ``(melodies, E)``."""
        vector_NE = self.vectors(melodies)[:, :-1]
        return comparable(vector_NE, self.checkpoint.whitening)

    def _outputs(self, melodies: TokenBatch) -> Iterator[tuple[NDArray[np.int64], ModelOutput]]:
        lengths = np.diff(melodies.offsets)
        for rows in bucket(lengths, _NOTES_PER_BATCH, window=max(1, len(melodies))):
            with torch.inference_mode():
                output = self.checkpoint.model(gather(melodies, rows))
            yield rows, output


class Remembered:
    """What a method says of melodies, worked out once for the same ones; of pairs it is not kept.

    Args:
        method: Does the work; it has scores, vectors, similarities, or several of these.
        name: What tables call it; the method's own name by default.
    """

    def __init__(self, method: PlainMethod, name: str | None = None) -> None:
        self.method = method
        self.name = name or method.name
        self._scores: dict[bytes, NDArray[np.float64]] = {}
        self._vectors: dict[bytes, NDArray[np.float32]] = {}
        self._embeddings: dict[bytes, NDArray[np.float32]] = {}

    @property
    def has_scores(self) -> bool:
        """Whether it scores without learning from labels."""
        return isinstance(self.method, Method)

    @property
    def has_vectors(self) -> bool:
        """Whether it describes melodies by numbers."""
        return isinstance(self.method, VectorMethod)

    @property
    def compares(self) -> bool:
        """Whether it can say how alike melodies are."""
        return isinstance(self.method, SimilarityMethod | EmbeddingMethod | VectorMethod)

    def scores(self, melodies: TokenBatch) -> NDArray[np.float64]:
        """See ``Method``.

        Raises:
            SeqmelodyError: A score is no finite number, or the method has none.
        """
        if not isinstance(self.method, Method):
            has = "vectors to learn from" if self.has_vectors else "similarities"
            raise SeqmelodyError(f"{self.name}: has {has}, but no score")
        key = _key(melodies)
        if key not in self._scores:
            self._scores[key] = _finite(self.method.scores(melodies), self.name, "score")
        return self._scores[key]

    def vectors(self, melodies: TokenBatch) -> NDArray[np.float32]:
        """The method's vectors; its scores as the only column where it has none.

        Raises:
            SeqmelodyError: A number in them is not finite.
        """
        key = _key(melodies)
        if key not in self._vectors:
            if isinstance(self.method, VectorMethod):
                vector_ND = _finite(self.method.vectors(melodies), self.name, "vector")
            else:
                vector_ND = self.scores(melodies)[:, None]
            self._vectors[key] = vector_ND.astype(np.float32)
        return self._vectors[key]

    def embeddings(self, melodies: TokenBatch) -> NDArray[np.float32]:
        """Unit vectors to compare these melodies by, ``(melodies, D)``.

        Plain features have scales of their own: of each, the mean over these melodies is taken off,
        and it is divided by its standard deviation.

        Raises:
            SeqmelodyError: As ``vectors``.
        """
        key = _key(melodies)
        if key not in self._embeddings:
            if isinstance(self.method, EmbeddingMethod):
                vector_ND = _finite(self.method.embeddings(melodies), self.name, "vector")
            else:
                vector_ND = _standardised(self.vectors(melodies))
            self._embeddings[key] = vector_ND
        return self._embeddings[key]

    def similarities(
        self, melodies: TokenBatch, rows: NDArray[np.int64]
    ) -> Iterator[NDArray[np.float32]]:
        """See ``SimilarityMethod``; dot products of ``embeddings`` where the method has vectors.

        Raises:
            SeqmelodyError: A number is not finite.
        """
        if isinstance(self.method, SimilarityMethod):
            for found in self.method.similarities(melodies, rows):
                yield _finite(found, self.name, "similarity")
        else:
            vector_ND = self.embeddings(melodies)
            for start in range(0, len(rows), _ROWS_AT_ONCE):
                yield vector_ND[rows[start : start + _ROWS_AT_ONCE]] @ vector_ND.T


AnyMethod: TypeAlias = PlainMethod | Remembered


def method(spec: str | Path, corpus: Corpus | None = None) -> PlainMethod:
    """The method of a name.

    Args:
        spec: A baseline's name, ``untrained``, or the path of a checkpoint.
        corpus: Its training split is what a baseline learns from, if it learns, and what the
            untrained network's vectors are whitened by; a checkpoint needs none.

    Raises:
        UsageError: There is no such baseline, and no such path.
        CheckpointError: The checkpoint cannot be read.
        SeqmelodyError: The baseline cannot be made, for want of an extra, a corpus or melodies.
    """
    if spec in (*baselines.BASELINES, UNTRAINED):
        if corpus is None:
            raise CorpusError(f"{spec}: no corpus to learn from")
        if spec == UNTRAINED:
            return _untrained(corpus)
        made: PlainMethod = baselines.make(str(spec), corpus)
        return made
    try:
        path = find_checkpoint(spec)
    except CheckpointError:
        known = ", ".join((*baselines.BASELINES, UNTRAINED))
        raise UsageError(
            f"{spec}: no such checkpoint; with the package come {', '.join(SHIPPED)}; the baselines "
            f"are {known}"
        ) from None
    return CheckpointMethod(load_checkpoint(path))


def _untrained(corpus: Corpus) -> CheckpointMethod:
    """A network that has seen nothing, its vectors whitened as those of a trained one are."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build_model(ModelConfig(), corpus.tokenizer)
    model.eval().requires_grad_(False)
    plain = Checkpoint(
        UNTRAINED, model, corpus.tokenizer, config={"contrast": {"weight": 0.0, "kinds": {}}}
    )
    seen = corpus.training_sample(_NOTES_TO_WHITEN_BY)
    vector_NE = CheckpointMethod(plain).vectors(seen)[:, :-1].astype(np.float64)
    products_EE = vector_NE.T @ vector_NE / len(vector_NE)
    whitening = Whitening.from_moments(vector_NE.mean(0), products_EE)
    return CheckpointMethod(replace(plain, whitening=whitening))


def _key(melodies: TokenBatch) -> bytes:
    streams = (melodies.pitch, melodies.duration, melodies.rest, melodies.offsets)
    return hashlib.blake2b(b"".join(stream.tobytes() for stream in streams)).digest()


def _standardised(vector_ND: NDArray[np.float32]) -> NDArray[np.float32]:
    """Columns with mean 0 and standard deviation 1, then rows of length 1."""
    wide_ND = vector_ND.astype(np.float64)
    spread_D = wide_ND.std(0)
    # What is the same for all melodies tells none apart; rounding must not make it seem otherwise.
    told_D = spread_D > 1e-9 * np.abs(wide_ND).max(0, initial=0.0)
    wide_ND = (wide_ND - wide_ND.mean(0)) / np.where(told_D, spread_D, np.inf)
    length_N1 = np.linalg.norm(wide_ND, axis=1, keepdims=True)
    return np.asarray(wide_ND / np.maximum(length_N1, 1e-12), dtype=np.float32)


def _finite(values: NDArray[Any], name: str, what: str) -> NDArray[Any]:
    bad = ~np.isfinite(values).reshape(len(values), -1).all(1)
    if bad.any():
        raise SeqmelodyError(f"{name}: no finite {what} for {bad.sum()} of {len(bad)} melodies")
    return values
