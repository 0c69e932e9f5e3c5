"""Settings of the tasks of a suite, as its YAML file gives them. Nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from seqmelody.config import HELD_OUT_KINDS, TRAINED_KINDS

ALL = "all"
DEVELOPMENT = "dev"
TEST = "test"
REGRESSIONS = ("ridge", "boosting")
FOLDS = 5
"""Of what is learnt from labels."""


@dataclass(frozen=True)
class RatingsConfig:
    """A file of ratings."""

    path: str
    """CSV file; see ``seqmelody.judgements.Ratings``."""
    corpus: str
    """Name of the corpus that holds the melodies."""
    column: str = "score"
    """Which column holds the ratings."""
    system: str | None = None
    """Column of the corpus that says who made a melody: correlations are taken within each as well."""
    number: str | None = None
    """Column of the corpus that numbers the stimuli. Those whose number divided by 5 leaves 0 or 1
    are for choosing (dev), the others for reporting (test)."""


@dataclass(frozen=True)
class CorruptionConfig:
    """A melody against spoiled copies of itself."""

    corpus: str
    """Name of a corpus."""
    split: str = TEST
    """train, validation, test, or all."""
    where: dict[str, str] = field(default_factory=dict)
    """Only melodies of which a column fits a pattern, such as ``path: data/essen/*``."""
    copies: int = 3
    """Spoiled copies of each kind, for each melody."""
    kinds: tuple[str, ...] = (*TRAINED_KINDS, *HELD_OUT_KINDS)
    """Kinds of spoiling; one of those that training may use at least."""
    strengths: tuple[float, ...] = (1.0,)
    """How strongly to spoil, above 0 and up to 1: a table for each."""
    seed: int = 0
    """Of the spoiling."""


@dataclass(frozen=True)
class RatingsTaskConfig:
    """Scores against what people said."""

    ratings: str
    """Name of the ratings."""
    stimuli: str = ALL
    """dev, test, or all."""


@dataclass(frozen=True)
class SupervisedConfig:
    """Ratings learnt from vectors."""

    ratings: str
    """Name of the ratings."""
    stimuli: str = ALL
    """What the figures are about: dev (and nothing else is learnt from), test, or all."""
    regression: str = "ridge"
    """ridge, or boosting (of decision trees)."""
    seeds: int = 3
    """How many times to draw the folds."""


@dataclass(frozen=True)
class DetectionConfig:
    """Melodies by people against melodies by machines."""

    corpus: str
    """Name of a corpus."""
    column: str
    """Column of the corpus that says who made a melody."""
    people: tuple[str, ...]
    """Those who are people; patterns such as ``*-Orig`` count."""
    split: str = ALL
    """train, validation, test, or all."""


@dataclass(frozen=True)
class StabilityConfig:
    """Scores before and after changes of key, tempo and length."""

    corpus: str
    """Name of a corpus."""
    split: str = TEST
    """train, validation, test, or all."""
    where: dict[str, str] = field(default_factory=dict)
    """Only melodies of which a column fits a pattern, such as ``path: data/essen/*``."""


@dataclass(frozen=True)
class CostConfig:
    """What a score costs."""

    corpus: str
    """Name of a corpus."""
    split: str = TEST
    """train, validation, test, or all."""
    where: dict[str, str] = field(default_factory=dict)
    """Only melodies of which a column fits a pattern, such as ``path: data/essen/*``."""


@dataclass(frozen=True)
class RetrievalConfig:
    """Melodies asked for the others of their family."""

    corpus: str
    """Name of a corpus."""
    label: str
    """Column of the corpus that names the family; a melody without one is in the pool all the same."""
    split: str = TEST
    """train, validation, test, or all: both what asks and what is searched."""
    where: dict[str, str] = field(default_factory=dict)
    """Only melodies of which a column fits a pattern, such as ``path: data/essen/*``."""
    methods: tuple[str, ...] = ()
    """Only these of the suite's methods; all if none is named."""


@dataclass(frozen=True)
class ProbeConfig:
    """A label told from vectors, by logistic regression and by the five nearest melodies."""

    corpus: str
    """Name of a corpus."""
    label: str
    """Column of the corpus that names the class."""
    split: str = TEST
    """train, validation, test, or all."""
    where: dict[str, str] = field(default_factory=dict)
    """Only melodies of which a column fits a pattern, such as ``path: data/essen/*``."""
    without: tuple[str, ...] = ()
    """Classes to leave out."""
    least: int = 50
    """Classes with fewer melodies are left out."""
    most: int = 300
    """Of classes with more melodies only so many are drawn, whole groups of near-duplicates."""
    together: str | None = None
    """Column of the corpus; melodies with the same entry lie in one fold, as near-duplicates do."""
    methods: tuple[str, ...] = ()
    """Only these of the suite's methods; all if none is named."""


TaskConfig = (
    CorruptionConfig
    | RatingsTaskConfig
    | SupervisedConfig
    | DetectionConfig
    | StabilityConfig
    | CostConfig
    | RetrievalConfig
    | ProbeConfig
)
TASKS: dict[str, type[TaskConfig]] = {
    "corruption": CorruptionConfig,
    "ratings": RatingsTaskConfig,
    "supervised": SupervisedConfig,
    "detection": DetectionConfig,
    "stability": StabilityConfig,
    "cost": CostConfig,
    "retrieval": RetrievalConfig,
    "probe": ProbeConfig,
}
CHOICES = {
    "split": ("train", "validation", TEST, ALL),
    "stimuli": (DEVELOPMENT, TEST, ALL),
    "regression": REGRESSIONS,
}
"""What settings of these names may be."""
