"""What a method reads and what it was taught, as its checkpoint says."""

from __future__ import annotations

from collections.abc import Mapping

from seqmelody.checkpoint import Checkpoint
from seqmelody.config import TRAINED_KINDS
from seqmelody.corpus import Corpus
from seqmelody.errors import CorpusError
from seqmelody.evaluation.methods import AnyMethod, CheckpointMethod, Remembered


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


def families_learnt(method: AnyMethod) -> str | None:
    """Digest of the corpus whose training split's families a method learnt to tell apart."""
    checkpoint = _checkpoint_of(method)
    training = checkpoint.metrics.get("training") if checkpoint is not None else None
    return training.get("family_corpus") if isinstance(training, Mapping) else None


def trained_to_score(method: AnyMethod) -> bool:
    """Whether a method's score means something, for all that its checkpoint says.

    One with random weights is a method like others.
    """
    checkpoint = _checkpoint_of(method)
    return checkpoint is None or checkpoint.gives_scores or families_learnt(method) is None


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
