"""What people said of melodies, as a run takes it: which of it trains, and what a step sees.

Shapes: N judgements, of M melodies each; R of the melodies, E embedding size.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from seqmelody.batching import Batch, OrderedBatches, corpus_batch
from seqmelody.config import CatchyConfig, PreferenceConfig, RatingConfig, TrainConfig
from seqmelody.corpus import Corpus
from seqmelody.errors import UsageError
from seqmelody.judgements import Preferences, Ratings
from seqmelody.objectives import Catchy, Preference, Rating
from seqmelody.objectives.catchy import answered
from seqmelody.objectives.judged import JudgedBatch, JudgedObjective, Judgements
from seqmelody.objectives.listeners import Raters
from seqmelody.objectives.preference import paired
from seqmelody.objectives.rating import weighed
from seqmelody.training.sharing import Scores

Scoring = Callable[[Batch], Scores]


@dataclass(frozen=True, eq=False)
class Judged:
    """One objective that learns from people, with what they said.

    Attributes:
        name: ``rating``, ``preference`` or ``catchy``.
        weight: Of the objective in the sum of all.
        corpus: Where the melodies are.
        raters: Names of the raters that have effects of their own.
        train: What to train on.
        validation: What is measured; may be empty.
        ratings: All ratings of both, one by one; ``None`` where it is not about ratings.
        objective: With parameters of its own.
        melodies: In a step, at most.
        warnings: What is odd about what was said.
    """

    name: str
    weight: float
    corpus: Corpus
    raters: tuple[str, ...]
    train: Judgements
    validation: Judgements
    ratings: Ratings | None
    objective: JudgedObjective
    melodies: int
    warnings: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Tells what was said, and of which melodies, from anything else."""
        content = hashlib.blake2b(self.corpus.digest.encode(), digest_size=8)
        for said in (self.train, self.validation):
            for column in (said.item_NM, said.value_N, said.rater_N):
                content.update(column.tobytes())
        content.update("\0".join(self.raters).encode())
        return content.hexdigest()

    def draw(self, seed: int) -> JudgedBatch:
        """Some melodies, or pairs of them, with all that was said of them.

        Args:
            seed: Of the draw; nothing else decides it.
        """
        per_draw = self.train.item_NM.shape[1]
        units, unit_N = _units(self.train)
        random = np.random.default_rng(seed)
        count = min(units, max(1, self.melodies // per_draw))
        drawn = random.choice(units, count, replace=False)
        return self._batch(self.train[np.flatnonzero(np.isin(unit_N, drawn))])

    def _batch(self, said: Judgements) -> JudgedBatch:
        rows, item = np.unique(said.item_NM, return_inverse=True)
        return JudgedBatch(
            corpus_batch(self.corpus, rows), said.of(item.reshape(said.item_NM.shape))
        )

    def measure(self, score: Scoring) -> dict[str, float]:
        """Figures on the validation split; none where nothing was said of it.

        Args:
            score: Scores and embeds a batch on the CPU.
        """
        if len(self.validation) == 0:
            return {}
        rows, item = np.unique(self.validation.item_NM, return_inverse=True)
        score_R, embedding_RE = self.scored(score, rows)
        parameter = next(self.objective.parameters())
        said = self.validation.of(item.reshape(self.validation.item_NM.shape))
        with torch.no_grad():
            return self.objective.measure(
                torch.from_numpy(score_R).to(parameter),
                torch.from_numpy(embedding_RE).to(parameter),
                said.to(parameter.device),
            )

    def begin(self, score: Scoring) -> None:
        """Sets the objective's offset and scale to suit the model that training begins with."""
        rows, item = np.unique(self.train.item_NM, return_inverse=True)
        said = replace(self.train, item_NM=item.reshape(self.train.item_NM.shape))
        self.objective.begin(*self.scored(score, rows), said)

    def scored(
        self, score: Scoring, rows: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Scores and embeddings of some rows of the corpus, ``(R,)`` and ``(R, E)``.

        Args:
            score: Scores and embeds a batch on the CPU.
            rows: One at least, rising.
        """
        batches = OrderedBatches(self.corpus, rows)
        scores, vectors = [], []
        with torch.no_grad():
            for batch in batches:
                found = score(batch)
                assert found.embedding_BE is not None
                scores.append(found.score_B.double().cpu().numpy())
                vectors.append(found.embedding_BE.double().cpu().numpy())
        # The batches are ordered by length.
        order = np.argsort(np.concatenate(batches.batches))
        return np.concatenate(scores)[order], np.concatenate(vectors)[order]


def read_judged(config: TrainConfig, corpus: Corpus) -> tuple[Judged, ...]:
    """The objectives of a run that learn from people.

    The melodies of each are those of the train split of its own corpus. With ``leave_out`` the rows
    that it names are the test: they and their near-duplicates are neither trained on nor in the
    validation split, and the corpus' own test split is trained on as well.

    Args:
        config: Of the run.
        corpus: Whose tokenizer the other corpora must have.

    Raises:
        CorpusError: A corpus cannot be read, or has another tokenizer.
        UsageError: What was said cannot be read, or none of it is about melodies to train on.
    """
    settings = (config.rating, config.preference, config.catchy)
    return tuple(
        _read(setting, corpus, config.model.embedding_size)
        for setting in settings
        if setting is not None
    )


def _read(
    config: RatingConfig | PreferenceConfig | CatchyConfig, like: Corpus, embedding_size: int
) -> Judged:
    corpus = Corpus.open(config.corpus, tokenizer=like.tokenizer)
    out = _left_out(corpus, config.leave_out)
    train_rows = corpus.split("train")
    if config.leave_out is not None:
        # What is left out is the test; the corpus' own test split is then free to learn from.
        train_rows = np.union1d(train_rows, corpus.split("test"))
    splits = [np.setdiff1d(rows, out) for rows in (train_rows, corpus.split("validation"))]
    said: Ratings | Preferences
    objective: type[Rating | Preference | Catchy]
    ratings, by_rater = None, config.raters
    if isinstance(config, PreferenceConfig):
        objective = Preference
        said = pairs = Preferences.read(config.labels, corpus)
        judgements = [paired(pairs.among(rows), by_rater=by_rater) for rows in splits]
    elif isinstance(config, CatchyConfig):
        objective = Catchy
        said = answers = Ratings.read(config.labels, corpus, column=config.column, scale=(0, 1))
        _require_yes_or_no(answers, config)
        judgements = [answered(answers.among(rows), by_rater=by_rater) for rows in splits]
    else:
        objective = Rating
        said = heard = Ratings.read(config.labels, corpus, column=config.column, scale=config.scale)
        judgements = [weighed(heard.among(rows), by_rater=by_rater) for rows in splits]
        ratings = heard.among(np.concatenate(splits))
    train, validation = judgements
    if len(train) == 0:
        raise UsageError(
            f"{config.labels}: nothing in it is about melodies of the train split of "
            f"{config.corpus}" + ("" if config.leave_out is None else " that are not left out")
        )
    raters = said.raters if by_rater else ()
    if by_rater and not (train.rater_N >= 0).any():
        raise UsageError(
            f"{config.labels}: {config.name}.raters is set, but no rater is named in it"
        )
    return Judged(
        name=config.name,
        weight=config.weight,
        corpus=corpus,
        raters=raters,
        train=train,
        validation=validation,
        ratings=ratings,
        objective=objective(
            train, Raters(len(raters), config.taste_rank, embedding_size) if by_rater else None
        ),
        melodies=config.melodies,
        warnings=said.warnings,
    )


def _left_out(corpus: Corpus, leave_out: str | None) -> NDArray[np.int64]:
    """The rows that ``COLUMN=VALUE`` names, and their near-duplicates.

    Raises:
        CorpusError: The corpus has no such column.
        UsageError: The column nowhere has this value.
    """
    if leave_out is None:
        return np.zeros(0, dtype=np.int64)
    column, _, value = leave_out.partition("=")
    entries = corpus.column(column)
    if isinstance(entries, np.ndarray) and entries.dtype != bool:
        try:
            here = entries == float(value)
        except ValueError:
            here = np.zeros(len(entries), dtype=bool)
    else:
        here = np.array([str(entry) == value for entry in entries], dtype=bool)
    if not here.any():
        raise UsageError(f"leave_out {leave_out}: no row of {corpus.folder} has that value")
    group = np.asarray(corpus.column("group"))
    return np.flatnonzero(np.isin(group, group[here]))


def _require_yes_or_no(said: Ratings, config: CatchyConfig) -> None:
    wrong = said.value[(said.value != 0) & (said.value != 1)]
    if wrong.size:
        raise UsageError(
            f"{config.labels}: {config.column} must be 0 or 1, not {wrong[0]:g}; learn from "
            "numbers in between with 'rating'"
        )


def _units(said: Judgements) -> tuple[int, NDArray[np.int64]]:
    """What is drawn as a whole, counted, and which of it each judgement belongs to, ``(N,)``."""
    if said.item_NM.shape[1] > 1:
        return len(said), np.arange(len(said))
    rows, unit_N = np.unique(said.item_NM[:, 0], return_inverse=True)
    return len(rows), unit_N
