"""Task: do melodies by people score above those by machines?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
from numpy.typing import NDArray

from seqmelody.corpus import Corpus
from seqmelody.errors import CorpusError
from seqmelody.evaluation.intervals import Estimate, area_under_roc_statistic, bootstrap
from seqmelody.evaluation.protocols import Method


@dataclass(frozen=True, eq=False)
class DetectionResult:
    """How well the score tells melodies by people from those by machines.

    Attributes:
        auc: Area under the ROC curve: how often a person's melody outscores a machine's.
        by_maker: The same for each maker among the machines.
        people: Scores of melodies by people.
        machines: Scores of melodies by machines.
    """

    auc: Estimate
    by_maker: dict[str, Estimate]
    people: NDArray[np.float64]
    machines: NDArray[np.float64]

    headlines = ("AUC, people against machines",)

    def figures(self) -> dict[str, Estimate]:
        """All figures by name."""
        return {
            "AUC, people against machines": self.auc,
            **{f"AUC, people against {name}": found for name, found in self.by_maker.items()},
        }


def detection_task(
    method: Method, corpus: Corpus, rows: NDArray[np.int64], column: str, people: Sequence[str]
) -> DetectionResult:
    """Compares the scores of people's melodies with those of machines'.

    Args:
        method: Scores them.
        corpus: Where the melodies are.
        rows: Which of them; those whose maker is not said are left out.
        column: Says who made a melody.
        people: Makers that are people; patterns such as ``*-Orig`` count.

    Raises:
        CorpusError: There is no such column, or no melody on one of the two sides.
    """
    named = corpus.column(column)
    rows = np.array([row for row in rows.tolist() if named[row] is not None], dtype=np.int64)
    makers = np.array([str(named[row]) for row in rows.tolist()], dtype=np.str_)
    human = np.array(
        [any(fnmatchcase(name, each) for each in people) for name in makers], dtype=bool
    )
    if human.all() or not human.any():
        lacking = "machines" if human.any() else "people"
        raise CorpusError(
            f"{corpus.folder}: column {column!r} names no {lacking}; people are "
            f"{', '.join(people)}, and it holds {', '.join(sorted(set(makers.tolist()))[:10])}"
        )
    scores = method.scores(corpus.token_batch(rows))
    groups = np.asarray(corpus.column("group"))[rows]

    def against(chosen: NDArray[np.bool_]) -> Estimate:
        places = np.flatnonzero(human | chosen)
        statistic = area_under_roc_statistic(scores[places], human[places])
        return bootstrap(statistic, groups[places])

    return DetectionResult(
        auc=against(~human),
        by_maker={name: against(makers == name) for name in sorted(set(makers[~human].tolist()))},
        people=scores[human],
        machines=scores[~human],
    )
