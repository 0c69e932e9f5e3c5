"""``MelodyEmbedder`` and ``MelodyScorer``: a checkpoint as estimators of scikit-learn.

    pipeline = make_pipeline(MelodyEmbedder(), LogisticRegression(max_iter=1000))
    cross_val_score(pipeline, paths, regions, groups=near_duplicates, cv=GroupKFold())

Both take a list, an array or a column of melodies, and read them when asked to. The weights stay in
the checkpoint: a pickled estimator holds the parameters and a fingerprint, by which it knows the
checkpoint again. A process reads a checkpoint once, however many estimators it clones or unpickles.

Shapes: n melodies, E embedding size.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Collection
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from seqmelody.checkpoint import Checkpoint, default_checkpoint, find_checkpoint, load_checkpoint
from seqmelody.corpus import Corpus
from seqmelody.errors import CheckpointError, InputError, UsageError
from seqmelody.melody import Melody
from seqmelody.midi import MelodyLine, archives, iter_sources
from seqmelody.scorer import CorpusRows, Item, Scorer

try:
    from sklearn.base import (
        BaseEstimator,
        ClassNamePrefixFeaturesOutMixin,
        RegressorMixin,
        TransformerMixin,
    )
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.utils.validation import (
        assert_all_finite,
        check_consistent_length,
        check_is_fitted,
        column_or_1d,
    )
except ImportError as error:
    raise UsageError(
        "seqmelody.estimators needs scikit-learn; pip install 'seqmelody[sklearn]'"
    ) from error

if TYPE_CHECKING:
    from sklearn.utils import Tags

__all__ = ["MelodyEmbedder", "MelodyScorer"]

_CHECKPOINTS_KEPT = 4
_PENALTIES = np.logspace(-1, 5, 13)
_Stamp: TypeAlias = tuple[tuple[str, int, int], ...]


class _CheckpointEstimator(BaseEstimator):  # type: ignore[misc]
    """What both estimators share: parameters, and the checkpoint that they were fitted with."""

    fingerprint_: str

    def __init__(
        self,
        checkpoint: str | os.PathLike[str] | None = None,
        *,
        line: str = "auto",
        device: str = "cpu",
        threads: int | None = None,
    ) -> None:
        self.checkpoint = checkpoint
        self.line = line
        self.device = device
        self.threads = threads

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        return tags

    def _loaded(self) -> tuple[Scorer, str]:
        """A scorer as the parameters say, and its checkpoint's fingerprint.

        Raises:
            CheckpointError: The checkpoint cannot be read.
            UsageError: A parameter has no such value.
        """
        line = MelodyLine.parse(str(self.line))
        path = default_checkpoint() if self.checkpoint is None else find_checkpoint(self.checkpoint)
        # Two threads that need it at once must not both read it.
        with _READING:
            checkpoint, fingerprint = _checkpoint(path.absolute(), _stamp(path), str(self.device))
        scorer = Scorer(checkpoint, device=self.device, threads=self.threads, line=line)
        return scorer, fingerprint

    def _fitted(self) -> Scorer:
        """The scorer, for an estimator that was fitted.

        Raises:
            NotFittedError: It was not.
            CheckpointError: The checkpoint cannot be read, or is not that of the fit.
        """
        check_is_fitted(self)
        scorer, fingerprint = self._loaded()
        if fingerprint != self.fingerprint_:
            raise CheckpointError(
                f"{scorer.checkpoint.name}: not the checkpoint that this {type(self).__name__} was "
                f"fitted with (fingerprint {fingerprint}, then {self.fingerprint_}); fit again"
            )
        return scorer


class MelodyEmbedder(
    ClassNamePrefixFeaturesOutMixin,  # type: ignore[misc]
    TransformerMixin,  # type: ignore[misc]
    _CheckpointEstimator,
):
    """Turns melodies into their embeddings: see ``Scorer.embed``.

    Fitting reads no melody. So melodies may be embedded before they are split for
    cross-validation: nothing of what is left out leaks.

    What ``fit`` and ``transform`` take is a list, a one-dimensional array, or a column of pandas or
    Polars, of items; an item is a path, the bytes of a MIDI file, an open binary file, a
    ``miditoolkit.MidiFile``, a ``MidiSource`` or a ``Melody``, and gives one row. A folder or archive
    stands for the one MIDI file in it. Or it is a ``Corpus``, which gives a row for each melody.

    With ``n_jobs`` each process reads the checkpoint for itself, once, and computes with as many
    threads as joblib leaves it: one where there are as many jobs as cores.

    Args:
        checkpoint: A checkpoint folder or a ``.ckpt`` file; by default the one that ships with the
            package.
        line: Which line of a MIDI file is the melody: ``auto``, ``skyline``, ``track:NUMBER`` or
            ``name:TRACKNAME``; see ``MelodyLine``.
        device: Where the model runs.
        threads: Batches worked on at once on a CPU; ``torch.get_num_threads()`` by default.

    Attributes:
        embedding_size_: E, columns of the result.
        fingerprint_: Of the checkpoint; ``transform`` refuses another one.
    """

    embedding_size_: int

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        # Single precision, always.
        tags.transformer_tags.preserves_dtype = []
        return tags

    def fit(self, X: Any, y: Any = None) -> MelodyEmbedder:
        """Loads the checkpoint.

        Args:
            X: Melodies; see the class. They are not read.
            y: Ignored.

        Raises:
            CheckpointError: The checkpoint cannot be read.
            UsageError: A parameter has no such value.
            TypeError: ``X`` is a single item, or no sequence.
            ValueError: ``X`` is empty, or a table.
        """
        _sequence(X)
        scorer, self.fingerprint_ = self._loaded()
        self.embedding_size_ = scorer.embedding_size
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Unit vectors ``(n, E)``, whose dot products say how alike melodies are.

        Args:
            X: Melodies; see the class.

        Raises:
            InputError: An item cannot be read, or holds several melodies.
            NotFittedError: The estimator was not fitted.
            CheckpointError: The checkpoint cannot be read, or is not that of the fit.
            CorpusError: A corpus was written with another tokenizer.
            TypeError: As for ``fit``, or an item is of a kind that is not known.
            ValueError: As for ``fit``.
        """
        scorer = self._fitted()
        return scorer.embed(_items(X))

    @property
    def _n_features_out(self) -> int:
        """What ``get_feature_names_out`` counts up to."""
        return self.embedding_size_


class MelodyScorer(RegressorMixin, _CheckpointEstimator):  # type: ignore[misc]
    """Predicts ratings of melodies, or says how melodic they are.

    Fitted with ratings ``y``, it learns a ridge regression from embeddings (see ``Scorer.embed``) to
    them; how strong the penalty is, efficient leave-one-out decides. Fitted without, it learns
    nothing, and predicts the checkpoint's own score, which has no unit.

    Args:
        checkpoint: As for ``MelodyEmbedder``.
        line: As for ``MelodyEmbedder``.
        device: As for ``MelodyEmbedder``.
        threads: As for ``MelodyEmbedder``.

    Attributes:
        regression_: What was learnt from ratings, a pipeline over embeddings; ``None`` if there were
            no ratings.
        fingerprint_: Of the checkpoint; ``predict`` refuses another one.
    """

    regression_: Any

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        return tags

    def fit(self, X: Any, y: Any = None) -> MelodyScorer:
        """Learns how ratings follow from embeddings.

        Args:
            X: Melodies; see ``MelodyEmbedder``. They are not read if there are no ratings.
            y: Ratings ``(n,)``, or ``None``.

        Raises:
            InputError: An item cannot be read, or holds several melodies.
            CheckpointError: The checkpoint cannot be read.
            UsageError: A parameter has no such value.
            CorpusError: A corpus was written with another tokenizer.
            TypeError: As for ``MelodyEmbedder.transform``.
            ValueError: As for ``MelodyEmbedder.fit``; or the ratings are no finite numbers, too few,
                or not as many as the melodies.
        """
        _sequence(X)
        scorer, fingerprint = self._loaded()
        regression = None
        if y is not None:
            # Told before hours of reading.
            check_consistent_length(X, y)
            rating_N = column_or_1d(y, dtype=np.float64, warn=True)
            if len(rating_N) < 2:
                raise ValueError("a regression needs 2 ratings at least, not 1 sample")
            assert_all_finite(rating_N, input_name="y")
            regression = make_pipeline(StandardScaler(), RidgeCV(_PENALTIES))
            regression.fit(scorer.embed(_items(X)), rating_N)
        self.regression_, self.fingerprint_ = regression, fingerprint
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Ratings, or scores if there were no ratings to learn from, ``(n,)``.

        Args:
            X: Melodies; see ``MelodyEmbedder``.

        Raises:
            InputError: An item cannot be read, or holds several melodies.
            NotFittedError: The estimator was not fitted.
            CheckpointError: The checkpoint cannot be read, or is not that of the fit.
            CorpusError: A corpus was written with another tokenizer.
            TypeError: As for ``MelodyEmbedder.transform``.
            ValueError: As for ``MelodyEmbedder.fit``.
        """
        scorer = self._fitted()
        if self.regression_ is not None:
            return np.asarray(self.regression_.predict(scorer.embed(_items(X))), dtype=np.float64)
        scores = []
        for score in scorer.iter_scores(_items(X)):
            if score.error is not None:
                raise score.error
            scores.append(score.score)
        return np.array(scores)


_READING = threading.Lock()


@lru_cache(_CHECKPOINTS_KEPT)
def _checkpoint(path: Path, stamp: _Stamp, device: str) -> tuple[Checkpoint, str]:  # noqa: ARG001
    """A checkpoint and its fingerprint; one for each device, since a scorer moves the model there."""
    checkpoint = load_checkpoint(path)
    return checkpoint, checkpoint.fingerprint


def _stamp(path: Path) -> _Stamp:
    """What differs once a checkpoint was replaced; empty where there is none to be seen."""
    try:
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        status = [(file.name, file.stat()) for file in files]
    except OSError:
        return ()
    return tuple((name, found.st_mtime_ns, found.st_size) for name, found in status)


def _sequence(X: Any) -> None:
    """Refuses what is no list, array or column of melodies.

    Raises:
        TypeError: It is a single item, or no sequence.
        ValueError: It is empty, or a table.
    """
    if isinstance(X, Corpus):
        return
    # An array of a text would be its letters, and that of a table its column names.
    single = isinstance(X, (str, bytes, bytearray, memoryview, Melody))
    if single or not isinstance(X, Collection):
        raise TypeError(
            f"X must be a list, array or column of melodies, not a {type(X).__name__}; "
            "a single melody goes into a list"
        )
    shape = getattr(X, "shape", None)
    if shape is not None and len(shape) != 1:
        raise ValueError(f"X must be one-dimensional, one column of melodies, not of shape {shape}")
    if len(X) == 0:
        raise ValueError("Found array with 0 sample(s) while a minimum of 1 is required")


def _items(X: Any) -> Corpus | list[Item]:
    """The melodies as a ``Scorer`` takes them, each of which gives one row.

    Raises:
        InputError: An item is missing, or holds several melodies.
        TypeError: As ``_sequence``.
        ValueError: As ``_sequence``.
    """
    _sequence(X)
    return X if isinstance(X, Corpus) else [_one(item, place) for place, item in enumerate(X)]


def _one(item: Any, place: int) -> Item:
    if item is None or isinstance(item, float):
        # What pandas and Polars put where a cell is empty.
        raise InputError(f"<{item} {place}>", "a melody is missing here")
    if isinstance(item, (Corpus, CorpusRows)):
        name = f"<{type(item).__name__} {place}>"
        raise InputError(name, "holds several melodies; give a corpus as X, alone")
    if isinstance(item, (str, os.PathLike)):
        path = os.fspath(item)
        if os.path.isdir(path) or archives.is_archive(path):  # noqa: PTH112
            found = list(islice(iter_sources([path]), 2))
            if len(found) > 1:
                raise InputError(path, "holds several melodies, and an item stands for one")
            return found[0]
    return item
