"""Methods: whatever gives melodies a score, a checkpoint or a baseline."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray

from seqmelody import baselines
from seqmelody.batching import bucket, gather
from seqmelody.checkpoint import Checkpoint, load_checkpoint
from seqmelody.config import TRAINED_KINDS
from seqmelody.corpus import Corpus
from seqmelody.errors import CorpusError, SeqmelodyError, UsageError
from seqmelody.model import ModelOutput
from seqmelody.tokens import TokenBatch

_NOTES_PER_BATCH = 8192


@runtime_checkable
class Method(Protocol):
    """Gives melodies a score."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    def scores(self, melodies: TokenBatch) -> NDArray[np.float64]:
        """The score of each melody, higher for more melodic, ``(melodies,)``."""
        ...


@runtime_checkable
class VectorMethod(Protocol):
    """Describes melodies by numbers to learn from; it may or may not give them a score."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    def vectors(self, melodies: TokenBatch) -> NDArray[np.float32]:
        """A vector for each melody, ``(melodies, D)``."""
        ...


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

    def _outputs(self, melodies: TokenBatch) -> Iterator[tuple[NDArray[np.int64], ModelOutput]]:
        lengths = np.diff(melodies.offsets)
        for rows in bucket(lengths, _NOTES_PER_BATCH, window=max(1, len(melodies))):
            with torch.inference_mode():
                output = self.checkpoint.model(gather(melodies, rows))
            yield rows, output


class Remembered:
    """Scores and vectors of a method, worked out once for the same melodies.

    Args:
        method: Does the work; it has scores, vectors, or both.
        name: What tables call it; the method's own name by default.
    """

    def __init__(self, method: Method | VectorMethod, name: str | None = None) -> None:
        self.method = method
        self.name = name or method.name
        self._scores: dict[bytes, NDArray[np.float64]] = {}
        self._vectors: dict[bytes, NDArray[np.float32]] = {}

    @property
    def has_scores(self) -> bool:
        """Whether it scores without learning from labels."""
        return isinstance(self.method, Method)

    def scores(self, melodies: TokenBatch) -> NDArray[np.float64]:
        """See ``Method``.

        Raises:
            SeqmelodyError: A score is no finite number, or the method has vectors only.
        """
        if not isinstance(self.method, Method):
            raise SeqmelodyError(f"{self.name}: has vectors to learn from, but no score")
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


AnyMethod: TypeAlias = Method | VectorMethod | Remembered


def method(spec: str | Path, corpus: Corpus | None = None) -> Method | VectorMethod:
    """The method of a name.

    Args:
        spec: A baseline's name, or the path of a checkpoint.
        corpus: Its training split is what a baseline learns from, if it learns; a checkpoint needs
            none.

    Raises:
        UsageError: There is no such baseline, and no such path.
        CheckpointError: The checkpoint cannot be read.
        SeqmelodyError: The baseline cannot be made, for want of an extra, a corpus or melodies.
    """
    if spec in baselines.BASELINES:
        if corpus is None:
            raise CorpusError(f"{spec}: no corpus to learn from")
        made: Method | VectorMethod = baselines.make(str(spec), corpus)
        return made
    if not Path(spec).exists():
        raise UsageError(
            f"{spec}: no such checkpoint; the baselines are {', '.join(baselines.BASELINES)}"
        )
    return CheckpointMethod(load_checkpoint(spec))


def check_tokenizer(method: AnyMethod, corpus: Corpus) -> None:
    """Sees to it that a method can read a corpus.

    Raises:
        CorpusError: A checkpoint reads other tokens.
    """
    checkpoint = _checkpoint_of(method)
    if checkpoint is None or checkpoint.tokenizer.fingerprint == corpus.tokenizer.fingerprint:
        return
    raise CorpusError(
        f"{corpus.folder}: written with tokenizer {corpus.tokenizer.fingerprint}, needed "
        f"{checkpoint.tokenizer.fingerprint}; prepare the corpus again with the tokenizer needed"
    )


def trained_on(method: AnyMethod) -> str | None:
    """Digest of the corpus that a method was trained on; None where it does not say."""
    checkpoint = _checkpoint_of(method)
    training = checkpoint.metrics.get("training") if checkpoint is not None else None
    return training.get("corpus") if isinstance(training, Mapping) else None


def judged_on(method: AnyMethod) -> frozenset[str]:
    """Digests of the corpora that a method was taught people's judgements of."""
    checkpoint = _checkpoint_of(method)
    training = checkpoint.metrics.get("training") if checkpoint is not None else None
    corpora = training.get("judged_corpora") if isinstance(training, Mapping) else None
    return frozenset(corpora.values()) if isinstance(corpora, Mapping) else frozenset()


def kinds_trained_on(method: AnyMethod) -> tuple[str, ...]:
    """Kinds of corruption that a method's training used.

    Of a checkpoint that does not say, those that training may use.
    """
    checkpoint = _checkpoint_of(method)
    if checkpoint is None:
        return ()
    contrast = checkpoint.config.get("contrast")
    if not isinstance(contrast, Mapping) or not isinstance(contrast.get("kinds"), Mapping):
        return TRAINED_KINDS
    if contrast.get("weight", 1.0) == 0:
        return ()
    return tuple(kind for kind in TRAINED_KINDS if contrast["kinds"].get(kind, 0) > 0)


def _checkpoint_of(method: AnyMethod) -> Checkpoint | None:
    if isinstance(method, Remembered):
        method = method.method
    return method.checkpoint if isinstance(method, CheckpointMethod) else None


def _key(melodies: TokenBatch) -> bytes:
    streams = (melodies.pitch, melodies.duration, melodies.rest, melodies.offsets)
    return hashlib.blake2b(b"".join(stream.tobytes() for stream in streams)).digest()


def _finite(values: NDArray[Any], name: str, what: str) -> NDArray[Any]:
    bad = ~np.isfinite(values).reshape(len(values), -1).all(1)
    if bad.any():
        raise SeqmelodyError(f"{name}: no finite {what} for {bad.sum()} of {len(bad)} melodies")
    return values
