"""Task: how much of what people said can be learnt from a method's vectors?

The vectors stay as they are; a regression from scikit-learn learns the mean ratings of some stimuli
and predicts those of others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from seqmelody.corpus import Corpus
from seqmelody.errors import CorpusError, UsageError
from seqmelody.evaluation.intervals import Estimate
from seqmelody.evaluation.methods import Remembered
from seqmelody.evaluation.protocols import Method, VectorMethod
from seqmelody.evaluation.ratings import Stimuli, follow
from seqmelody.evaluation.tasks import FOLDS, REGRESSIONS

if TYPE_CHECKING:
    from sklearn.model_selection import GridSearchCV


@dataclass(frozen=True)
class SupervisedResult:
    """Spearman's rank correlation of predicted with mean ratings.

    Attributes:
        folds: Five folds, near-duplicates in one; mean over the seeds that drew the folds.
        folds_within: The same within systems, mean over them.
        by_seed: ``folds``, seed by seed.
        left_out: Each system predicted from all others: mean over systems of the correlation within
            each; NaN where there are fewer than three systems.
        by_system: The same, system by system.
        stimuli: How many the figures are about.
    """

    folds: Estimate
    folds_within: Estimate
    by_seed: tuple[float, ...]
    left_out: Estimate
    by_system: dict[str, Estimate]
    stimuli: int

    headlines = ("rho, 5 folds", "mean rho within systems left out")

    def figures(self) -> dict[str, Estimate]:
        """All figures by name."""
        seeds = {
            f"rho, 5 folds, seed {seed}": Estimate(value, np.nan, np.nan)
            for seed, value in enumerate(self.by_seed)
        }
        return {
            "rho, 5 folds": self.folds,
            "mean rho within systems, 5 folds": self.folds_within,
            "mean rho within systems left out": self.left_out,
            **{f"rho within {name}, left out": found for name, found in self.by_system.items()},
            **seeds,
        }


def supervised_task(
    method: Method | VectorMethod,
    corpus: Corpus,
    stimuli: Stimuli,
    *,
    regression: str = "ridge",
    seeds: int = 3,
    reported: NDArray[np.bool_] | None = None,
    progress: bool = False,
) -> SupervisedResult:
    """Predicts each stimulus from others.

    How strong to regularise is chosen by folds within what is learnt from: of near-duplicates, or of
    systems where whole systems are left out.

    Args:
        method: Its vectors are learnt from; its score alone where it has none.
        corpus: Where the stimuli are.
        stimuli: What is learnt from and predicted.
        regression: ``ridge``, or ``boosting`` of decision trees.
        seeds: How many times to draw the five folds.
        reported: Which stimuli the figures are about, ``(stimuli,)``; all by default. The others
            are only learnt from.
        progress: Show a progress bar.

    Raises:
        UsageError: scikit-learn is not installed.
        CorpusError: There are fewer groups of near-duplicates than twice the folds.
        ValueError: There is no such regression.
    """
    if regression not in REGRESSIONS:
        raise ValueError(f"regression is one of {', '.join(REGRESSIONS)}, not {regression!r}")
    try:
        from sklearn.model_selection import GroupKFold
    except ImportError as error:
        raise UsageError(
            "supervised ratings need scikit-learn; pip install 'seqmelody[baselines]'"
        ) from error
    if len(np.unique(stimuli.groups)) < 2 * FOLDS:
        raise CorpusError(f"{corpus.folder}: too few rated melodies to learn from")
    remembered = method if isinstance(method, Remembered) else Remembered(method)
    vectors = remembered.vectors(corpus.token_batch(stimuli.rows))
    systems = stimuli.names() if len(stimuli.names()) >= 3 else []
    predicted = np.zeros((seeds, len(stimuli)))
    fold = np.zeros((seeds, len(stimuli)), dtype=np.int64)
    unseen = np.full(len(stimuli), np.nan)
    with tqdm(
        total=seeds * FOLDS + len(systems), desc=regression, leave=False, disable=not progress
    ) as bar:
        for seed in range(seeds):
            folds = GroupKFold(FOLDS, shuffle=True, random_state=seed)
            for number, (learnt, left) in enumerate(folds.split(vectors, groups=stimuli.groups)):
                model = _search(regression, seed, FOLDS)
                model.fit(vectors[learnt], stimuli.mean[learnt], groups=stimuli.groups[learnt])
                # Without the mean of what was learnt from, which is low where the fold is high.
                predicted[seed, left] = model.predict(vectors[left]) - stimuli.mean[learnt].mean()
                fold[seed, left] = number
                bar.update()
        for learnt, left in _systems_left_out(stimuli, systems):
            inner = np.unique(stimuli.systems[learnt]).size
            model = _search(regression, 0, min(FOLDS, inner))
            model.fit(vectors[learnt], stimuli.mean[learnt], groups=stimuli.systems[learnt])
            unseen[left] = model.predict(vectors[left])
            bar.update()
    about = np.ones(len(stimuli), dtype=bool) if reported is None else reported
    told = stimuli[about]
    found = follow(predicted[:, about], told, fold[:, about])
    known = ~np.isnan(unseen[about])
    left_out = follow(unseen[about][known], told[known]) if known.any() else None
    return SupervisedResult(
        folds=found.overall,
        folds_within=found.within,
        by_seed=tuple(
            follow(row[about], told, each[about]).overall.value
            for row, each in zip(predicted, fold, strict=True)
        ),
        left_out=Estimate(np.nan, np.nan, np.nan) if left_out is None else left_out.within,
        by_system={} if left_out is None else left_out.by_system,
        stimuli=len(told),
    )


def _systems_left_out(
    stimuli: Stimuli, systems: list[str]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """What to learn from and what to predict, for each system."""
    for name in systems:
        left = stimuli.systems == name
        # A variant of what is predicted must not be learnt from, whoever made it.
        learnt = ~left & ~np.isin(stimuli.groups, stimuli.groups[left])
        yield np.flatnonzero(learnt), np.flatnonzero(left)


def _search(regression: str, seed: int, folds: int) -> GridSearchCV:
    """A regression that chooses how strong to regularise."""
    from sklearn.ensemble import GradientBoostingRegressor
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GridSearchCV, GroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model: Any
    if regression == "ridge":
        model = make_pipeline(StandardScaler(), Ridge())
        grid = {"ridge__alpha": np.logspace(0, 4, 5)}
    else:
        model = GradientBoostingRegressor(
            n_estimators=100,
            learning_rate=0.1,
            subsample=0.5,
            max_features="sqrt",
            random_state=seed,
        )
        grid = {"max_depth": np.array([1, 3])}
    return GridSearchCV(
        model,
        grid,
        scoring="neg_mean_squared_error",
        cv=GroupKFold(folds, shuffle=True, random_state=seed),
    )
