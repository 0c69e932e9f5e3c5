"""Task: can a label be told from a method's vectors?

They stay as they are. A logistic regression from scikit-learn learns the label of some melodies and
tells those of others; and each melody gets the label that most of the five nearest have.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from seqmelody.corpus import Corpus
from seqmelody.corpus.families import NO_FAMILY, blocks, entry_name
from seqmelody.errors import CorpusError, UsageError
from seqmelody.evaluation.intervals import Estimate, Statistic, bootstrap, bootstrap_mean
from seqmelody.evaluation.methods import Remembered
from seqmelody.evaluation.tasks import FOLDS
from seqmelody.tokens import TokenBatch

if TYPE_CHECKING:
    from sklearn.model_selection import GridSearchCV

NEIGHBOURS = 5
_INNER_FOLDS = 3
_STRENGTHS = (0.001, 0.01, 0.1, 1.0)
"""Inverse strengths of regularisation to choose from."""
_LINEAR, _NEAREST = "linear", f"{NEIGHBOURS}-NN"


@dataclass(frozen=True, eq=False)
class Labelled:
    """Melodies with a label.

    Attributes:
        melodies: Their streams.
        label: Number of the class of each, ``(melodies,)``.
        classes: Their names, by number.
        groups: What has to lie in one fold shares one, ``(melodies,)``.
        folds: The fold that each is told in, ``(melodies,)``.
    """

    melodies: TokenBatch
    label: NDArray[np.int64]
    classes: tuple[str, ...]
    groups: NDArray[np.int64]
    folds: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        corpus: Corpus,
        rows: NDArray[np.int64],
        label: str,
        *,
        without: Sequence[str] = (),
        least: int = 50,
        most: int = 300,
        together: str | None = None,
    ) -> Labelled:
        """The labelled ones of some melodies, and the folds that they are told in.

        Args:
            corpus: Where they are.
            rows: Which of them; those without a label are left out.
            label: Column that names the class.
            without: Classes to leave out.
            least: Classes with fewer melodies are left out.
            most: Of larger classes only so many are kept, or a few less: whole groups, in an order
                that is drawn.
            together: Column; what shares an entry lies in one fold, as near-duplicates do.

        Raises:
            CorpusError: There is no such column, or it leaves fewer than two classes, or too few
                groups of one.
            UsageError: scikit-learn is not installed.
        """
        column = corpus.column(label)
        named = np.array(
            [entry_name(column[row]) for row in rows.tolist()],
            dtype=np.str_,
        )
        groups = _groups(corpus, rows, together)
        names, of, count = np.unique(named, return_inverse=True, return_counts=True)
        used = [
            place
            for place, name in enumerate(names.tolist())
            if name and name not in without and count[place] >= least
        ]
        if len(used) < 2:
            raise CorpusError(
                f"{corpus.folder}: column {label!r} has {len(used)} classes of {least} melodies or "
                "more; a probe needs two"
            )
        kept = np.sort(
            np.concatenate([_drawn(np.flatnonzero(of == c), groups, most) for c in used])
        )
        number = np.searchsorted(used, of[kept])
        for place, chosen in enumerate(used):
            if len(np.unique(groups[kept][number == place])) < FOLDS:
                raise CorpusError(
                    f"{corpus.folder}: class {str(names[chosen])!r} of column {label!r} has fewer than "
                    f"{FOLDS} groups, one for each fold"
                )
        return cls(
            melodies=corpus.token_batch(rows[kept]),
            label=number,
            classes=tuple(names[used].tolist()),
            groups=groups[kept],
            folds=_folds(number, groups[kept]),
        )

    @property
    def commonest(self) -> float:
        """Share of the class that has most melodies."""
        return float(np.bincount(self.label).max() / len(self.label))


@dataclass(frozen=True)
class ProbeResult:
    """How often labels were told rightly.

    Attributes:
        accuracy: Share of the melodies, by the way they were told.
        balanced: Mean of the shares of each class.
        by_class: Share of each class, by the way and by its name.
    """

    accuracy: dict[str, Estimate]
    balanced: dict[str, Estimate]
    by_class: dict[str, dict[str, Estimate]]

    headlines = tuple(
        f"{figure}, {way}"
        for way in (_LINEAR, _NEAREST)
        for figure in ("balanced accuracy", "accuracy")
    )

    def figures(self) -> dict[str, Estimate]:
        """All figures by name."""
        figures = {}
        for way in (_LINEAR, _NEAREST):
            figures[f"balanced accuracy, {way}"] = self.balanced[way]
            figures[f"accuracy, {way}"] = self.accuracy[way]
        for way, found in self.by_class.items():
            figures |= {f"share of {name} told, {way}": each for name, each in found.items()}
        return figures


def probe_task(method: Remembered, about: Labelled) -> ProbeResult:
    """Tells each melody's label from those of the other folds.

    The linear probe reads the method's vectors, each column standardised; how strongly to regularise
    is chosen by folds within what it learns from. The nearest are those that the method says are most
    alike: of vectors by their cosine. A method that compares melodies without vectors has no linear
    probe. The bootstrap draws groups.

    Args:
        method: Describes or compares the melodies.
        about: The melodies and their labels.

    Raises:
        SeqmelodyError: A number of the method is not finite.
        UsageError: scikit-learn is not installed.
    """
    told = {_NEAREST: _by_neighbours(method, about)}
    if method.has_vectors:
        told[_LINEAR] = _by_regression(method.vectors(about.melodies), about)
    nothing = Estimate(np.nan, np.nan, np.nan)
    accuracy = {_LINEAR: nothing}
    balanced = {_LINEAR: nothing}
    by_class = {}
    for way, label in told.items():
        right = (label == about.label).astype(np.float64)
        accuracy[way] = bootstrap_mean(right, about.groups)
        balanced[way] = bootstrap(_balanced(right, about.label), about.groups)
        by_class[way] = {
            name: bootstrap_mean(np.where(about.label == number, right, np.nan), about.groups)
            for number, name in enumerate(about.classes)
        }
    return ProbeResult(accuracy, balanced, by_class)


def _by_regression(vectors: NDArray[np.float32], about: Labelled) -> NDArray[np.int64]:
    """Labels told by logistic regression, ``(melodies,)``."""
    told = np.zeros_like(about.label)
    for learnt, left in _parts(about.folds):
        model = _search(about.label[learnt], about.groups[learnt])
        model.fit(vectors[learnt], about.label[learnt])
        told[left] = model.predict(vectors[left])
    return told


def _by_neighbours(method: Remembered, about: Labelled) -> NDArray[np.int64]:
    """The commonest label of the nearest melodies of other folds, ``(melodies,)``.

    Of labels that are equally common, that of the nearer ones.
    """
    told = np.zeros_like(about.label)
    place = 0
    for block in method.similarities(about.melodies, np.arange(len(about.melodies))):
        for similarity in block:
            others = np.flatnonzero(about.folds != about.folds[place])
            nearest = others[np.argsort(-similarity[others], kind="stable")[:NEIGHBOURS]]
            votes = np.bincount(about.label[nearest], minlength=len(about.classes)).astype(float)
            # Less than a vote in all.
            nearer = (NEIGHBOURS - np.arange(len(nearest))) / (NEIGHBOURS + 1) ** 2
            np.add.at(votes, about.label[nearest], nearer)
            told[place] = votes.argmax()
            place += 1
    return told


def _balanced(right: NDArray[np.float64], label: NDArray[np.int64]) -> Statistic:
    """Mean over the classes of the share told rightly, of those that a draw holds."""
    of = np.eye(int(label.max()) + 1)[label]

    def statistic(weight_DN: NDArray[np.float64]) -> NDArray[np.float64]:
        there_DC = weight_DN @ of
        told_DC = (weight_DN * right) @ of
        share_DC = told_DC / np.maximum(there_DC, 1)
        return np.asarray(share_DC.sum(1) / (there_DC > 0).sum(1))

    return statistic


def _groups(corpus: Corpus, rows: NDArray[np.int64], together: str | None) -> NDArray[np.int64]:
    """Near-duplicates share a group, and so do melodies with one entry, and theirs in turn."""
    near = np.unique(np.asarray(corpus.column("group"))[rows], return_inverse=True)[1]
    if together is None:
        return near.astype(np.int64)
    column = corpus.column(together)
    numbers = {"": NO_FAMILY}
    named = (entry_name(column[row]) for row in rows.tolist())
    entry = [numbers.setdefault(name, len(numbers)) for name in named]
    return blocks(near.astype(np.int32), np.array(entry, dtype=np.int32)).astype(np.int64)


def _drawn(members: NDArray[np.int64], groups: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """As many melodies of a class as there may be, whole groups in an order that is drawn."""
    if len(members) <= most:
        return members
    _, of, size = np.unique(groups[members], return_inverse=True, return_counts=True)
    order = np.random.default_rng(0).permutation(len(size))
    # A group too large for what is left is passed over.
    kept, room = np.zeros(len(size), dtype=bool), most
    for group in order.tolist():
        if size[group] <= room:
            kept[group] = True
            room -= int(size[group])
    return members[kept[of]]


def _folds(label: NDArray[np.int64], groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """The fold of each melody, whole groups in one, the classes spread alike."""
    try:
        from sklearn.model_selection import StratifiedGroupKFold
    except ImportError as error:
        raise UsageError("a probe needs scikit-learn; pip install 'seqmelody[sklearn]'") from error
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    fold = np.zeros(len(label), dtype=np.int64)
    for number, (_, left) in enumerate(folds.split(label, label, groups)):
        fold[left] = number
    return fold


def _parts(folds: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """What to learn from and what to tell, fold by fold."""
    for fold in range(FOLDS):
        yield np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)


def _search(label: NDArray[np.int64], groups: NDArray[np.int64]) -> GridSearchCV:
    """A logistic regression that chooses how strongly to regularise."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    folds = StratifiedGroupKFold(_INNER_FOLDS, shuffle=True, random_state=0)
    return GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000, tol=1e-3)),
        {"logisticregression__C": list(_STRENGTHS)},
        scoring="balanced_accuracy",
        cv=list(folds.split(label, label, groups)),
    )
