"""The configuration of a training run, as frozen dataclasses.

The text under each field is its help: ``seqmelody train --help`` shows it, a YAML file sets it,
and a dotted option on the command line overrides it. A checkpoint carries the whole. Nothing here
imports torch, so that help and mistakes in a configuration are answered at once.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TRAINED_KINDS = (
    "shuffle_notes",
    "shuffle_pitches",
    "shuffle_durations",
    "uniform_pitches",
    "jitter_pitches",
    "swap_segments",
    "transpose_tail",
    "level_pitches",
    "markov_1",
    "markov_2",
)
"""Kinds of corruption that training may use; ``seqmelody.corruption`` says what they do."""
HELD_OUT_KINDS = ("retrograde", "markov_3")
"""Kinds for testing only: they tell whether a model learnt music or learnt the kinds."""


PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")
"""Of the arithmetic in training; the weights are float32 in all of them."""
CONTEXTS = ("gru", "attention", "none")
"""How a note is told of the whole melody."""
FRONT_ENDS = ("notes", "mel", "stft", "filterbank", "butterfly")
"""What the model takes a melody as: its notes, or the sound of it."""
STARTS = ("random", "exact")
"""What a learned transform of sound begins as."""


@dataclass(frozen=True)
class ModelConfig:
    """Parts of the model, and their sizes; ``seqmelody.model.network`` says which make what."""

    channels: int = 96
    """Width of the note vectors and of the convolutions."""
    kernel_size: int = 5
    """Notes that one convolution sees; odd."""
    dilations: tuple[int, ...] = (1, 2, 4, 8)
    """One residual convolution for each, with this step between the notes that it sees."""
    context: str = "gru"
    """How a note is told of the whole melody, after the convolutions: gru, attention or none."""
    hidden_size: int = 96
    """Units of the GRU in each direction, or of each feed-forward layer after attention."""
    layers: int = 3
    """Of attention."""
    heads: int = 4
    """Of attention, in each layer."""
    embedding_size: int = 128
    """Length of the melody's vector."""
    pools: int = 1
    """Ways to weigh the notes of a melody, each of which makes its part of the vector."""
    dropout: float = 0.15
    """Share of channels dropped in training."""
    feature_dropout: float = 0.15
    """Share of the notes' features (an interval, a duration, ...) left out in training; of the
    frequencies, where the model hears the melody."""
    front_end: str = "notes"
    """What the model takes a melody as: its notes; or its sound, as a log-mel spectrogram (mel) or
    through a transform of frames, either fixed (stft) or learned (filterbank, butterfly)."""
    bands: int = 96
    """Of the log-mel spectrogram."""
    filters: int = 8
    """Of the first 2-D convolution over the spectrogram; the two next have twice and four times as
    many."""
    start: str = "random"
    """What a learned transform of frames begins as: random, or exact, the Fourier transform."""

    def __post_init__(self) -> None:
        sizes = ("channels", "kernel_size", "hidden_size", "layers", "heads", "embedding_size")
        for name in (*sizes, "bands", "filters"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.pools < 1 or self.embedding_size % self.pools:
            raise ValueError(
                f"pools must divide embedding_size, but {self.pools} does not divide "
                f"{self.embedding_size}"
            )
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, not {self.kernel_size}")
        if min(self.dilations, default=1) < 1:
            raise ValueError(f"dilations must be at least 1, not {list(self.dilations)}")
        if self.context not in CONTEXTS:
            raise ValueError(f"context must be one of {', '.join(CONTEXTS)}, not {self.context!r}")
        if self.front_end not in FRONT_ENDS:
            raise ValueError(
                f"front_end must be one of {', '.join(FRONT_ENDS)}, not {self.front_end!r}"
            )
        if self.start not in STARTS:
            raise ValueError(f"start must be one of {', '.join(STARTS)}, not {self.start!r}")
        if self.context == "attention" and self.channels % (2 * self.heads):
            raise ValueError(
                f"channels must be a multiple of twice the heads, but {self.channels} is none of "
                f"{2 * self.heads}"
            )
        for name in ("dropout", "feature_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must lie in [0, 1), not {getattr(self, name)}")


ADDED_MODEL_SETTINGS: dict[str, Any] = {
    setting.name: setting.default
    for setting in dataclasses.fields(ModelConfig)
    if setting.name in {"pools", "front_end", "bands", "filters", "start"}
}
"""What checkpoints that were written before there were these settings do not say of theirs."""


@dataclass(frozen=True)
class ContrastConfig:
    """How melodies and their spoiled copies are compared."""

    kinds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(TRAINED_KINDS, 1.0))
    """Kinds of corruption to train on, and how often each is drawn, relative to the others."""
    copies: int = 3
    """Times that each melody is spoiled in a step, each in a kind drawn anew."""
    strengths: tuple[float, ...] = (1.0,)
    """Shares of a melody to spoil, rising; each time there is a copy for each of them, and a milder
    copy should outscore a stronger one, as the melody should outscore them all."""
    across: float = 0.25
    """Weight of comparing melodies with the copies of *other* melodies, which puts all scores on
    one scale; the rest of the weight is on each melody against its own copies."""
    weight: float = 1.0
    """Of this objective in the sum of all; 0 switches it off, and it is only measured."""

    def __post_init__(self) -> None:
        for kind, weight in self.kinds.items():
            if kind not in TRAINED_KINDS:
                raise ValueError(
                    f"{kind!r} is no kind to train on; there are {', '.join(TRAINED_KINDS)}"
                )
            if not 0 <= weight < math.inf:
                raise ValueError(f"the weight of {kind} must not be negative, but is {weight}")
        if sum(self.kinds.values()) <= 0:
            raise ValueError("at least one kind of corruption needs a weight above 0")
        if self.copies < 1:
            raise ValueError(f"copies must be at least 1, not {self.copies}")
        rising = sorted(set(self.strengths)) == list(self.strengths)
        if not (self.strengths and rising and self.strengths[0] > 0 and self.strengths[-1] <= 1):
            raise ValueError(
                f"strengths must rise, above 0 and to 1 at most, not {list(self.strengths)}"
            )
        if not 0 <= self.across <= 1:
            raise ValueError(f"across must lie in [0, 1], not {self.across}")
        if not 0 <= self.weight < math.inf:
            raise ValueError(f"contrast.weight must not be negative, but is {self.weight}")


@dataclass(frozen=True)
class JudgedConfig:
    """Learning from what people said of melodies."""

    corpus: str
    """Folder that 'seqmelody prepare' wrote, with the melodies that were judged."""
    labels: str
    """CSV file of what they said."""
    weight: float = 1.0
    """Of this objective in the sum of all."""
    melodies: int = 32
    """Judged melodies in a step, each with all that was said of it."""
    raters: bool = False
    """Learn what is each rater's own, and the consensus beside it."""
    taste_rank: int = 0
    """Directions in the space of embeddings in which raters may differ; needs raters."""
    leave_out: str | None = None
    """COLUMN=VALUE of that corpus: rows that, with their near-duplicates, are neither trained on nor
    chosen by, to test on; its test split is then trained on."""

    @property
    def name(self) -> str:
        """Of the objective, as a setting of ``TrainConfig``."""
        return type(self).__name__.removesuffix("Config").lower()

    def __post_init__(self) -> None:
        if not 0 < self.weight < math.inf:
            raise ValueError(f"{self.name}.weight must be above 0, not {self.weight}")
        for setting, least in (("melodies", 1), ("taste_rank", 0)):
            value = getattr(self, setting)
            if value < least:
                raise ValueError(f"{self.name}.{setting} must be at least {least}, not {value}")
        if self.taste_rank and not self.raters:
            raise ValueError(
                f"{self.name}.taste_rank needs {self.name}.raters, for tastes are a rater's"
            )
        if self.leave_out is not None and not all(self.leave_out.partition("=")):
            raise ValueError(f"{self.name}.leave_out must be COLUMN=VALUE, not {self.leave_out!r}")


@dataclass(frozen=True)
class RatingConfig(JudgedConfig):
    """Learning from people's ratings."""

    labels: str
    """CSV file of the ratings: 'id' or 'path', the column of the rating, and maybe 'rater'."""
    raters: bool = False
    """Learn each rater's offset and scale, and the consensus beside them."""
    column: str = "score"
    """Column of the rating."""
    scale: tuple[float, float] | None = None
    """Lowest and highest rating there can be; others are refused. By default any number goes."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scale is not None and not (
            all(map(math.isfinite, self.scale)) and self.scale[0] < self.scale[1]
        ):
            raise ValueError(f"rating.scale must be two rising numbers, not {list(self.scale)}")


@dataclass(frozen=True)
class PreferenceConfig(JudgedConfig):
    """Learning from pairs of which people preferred one."""

    labels: str
    """CSV file of the pairs: 'winner', 'loser', and maybe 'rater' and 'tie' (0 or 1)."""
    melodies: int = 32
    """Melodies in a step at most: half as many pairs."""
    raters: bool = False
    """Learn how strongly each rater's choices follow the score, and the consensus beside them."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.melodies < 2:
            raise ValueError(f"preference.melodies must be at least 2, not {self.melodies}")


@dataclass(frozen=True)
class CatchyConfig(JudgedConfig):
    """Learning from people's yes or no."""

    labels: str
    """CSV file of the answers: 'id' or 'path', the column of the answer, and maybe 'rater'."""
    raters: bool = False
    """Learn how readily each rater says yes, and the consensus beside them."""
    column: str = "catchy"
    """Column of the answer: 1 for yes, 0 for no."""


@dataclass(frozen=True)
class FamilyConfig:
    """Learning which melodies are variants of one another, so that their embeddings lie close.

    Each step draws families, some members of each, and melodies that have no family beside a second
    variant of their own. All are varied as folk tunes vary.
    """

    column: str = "tune_family"
    """Column of the run's corpus with the family; where it is empty, a melody has none. Prepare the
    corpus with '--together' and this column, so that no family is in two splits."""
    weight: float = 1.0
    """Of this objective in the sum of all."""
    families: int = 48
    """In a step."""
    members: int = 4
    """Of each family in a step, at most."""
    singles: int = 32
    """Melodies without a family in a step; each beside a second variant of itself."""
    temperature: float = 0.08
    """Of the similarities; the lower, the more do the nearest strangers count."""
    alignment: float = 0.0
    """Weight of a second target: that embeddings be as alike as alignment finds the melodies. Above
    0, a step takes a third longer, and 'seqmelody[search]' is needed."""
    alignment_temperature: float = 0.05
    """Of alignment's similarities; the lower, the more do the nearest count."""
    variation: float = 1.0
    """How much the melodies are varied, from 0 (not at all) to 1."""
    max_notes: int = 200
    """Longer melodies are not drawn."""

    def __post_init__(self) -> None:
        if not 0 < self.weight < math.inf:
            raise ValueError(f"family.weight must be above 0, not {self.weight}")
        for name, least in (("families", 2), ("members", 2), ("singles", 0), ("max_notes", 8)):
            if getattr(self, name) < least:
                raise ValueError(f"family.{name} must be at least {least}")
        for name in ("temperature", "alignment_temperature"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"family.{name} must be above 0, not {getattr(self, name)}")
        if not 0 <= self.alignment < math.inf:
            raise ValueError(f"family.alignment must be 0 or more, not {self.alignment}")
        if not 0 <= self.variation <= 1:
            raise ValueError(f"family.variation must lie in [0, 1], not {self.variation}")


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW (Loshchilov & Hutter, 2019) with a linear warm-up and a cosine decay to zero."""

    learning_rate: float = 2e-3
    """Highest learning rate."""
    weight_decay: float = 0.01
    """Of all weights."""
    warmup_steps: int = 100
    """Steps until the learning rate is at its highest."""
    largest_gradient_norm: float = 1.0
    """Gradients above this norm are scaled down to it."""

    def __post_init__(self) -> None:
        for name in ("learning_rate", "largest_gradient_norm"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)}")
        for name in ("weight_decay", "warmup_steps"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must not be negative, but is {getattr(self, name)}")


@dataclass(frozen=True)
class CardConfig:
    """What the model card says of the data."""

    data: str = "not stated"
    """What the corpus is, and where it comes from."""
    licence: str = "not stated"
    """What the rights in the data allow."""


@dataclass(frozen=True)
class TrainConfig:
    """A training run."""

    corpus: str
    """Folder that 'seqmelody prepare' wrote."""
    out: str
    """Run folder: logs, resumable checkpoints, and in the end the released one."""
    steps: int = 10_000
    """Optimizer steps."""
    tokens_per_batch: int = 1024
    """Most notes of the melodies in a step, padding counted, their spoiled copies not; several
    devices share them."""
    seed: int = 0
    """Decides the weights at the start, the order of the melodies, and how they are spoiled."""
    validate_every: int = 500
    """Steps between validations; the run can be resumed from each."""
    validation_melodies: int = 400
    """Melodies of the validation split to use at most."""
    log_every: int = 20
    """Steps between entries in the logs."""
    model: ModelConfig = field(default_factory=ModelConfig)
    contrast: ContrastConfig = field(default_factory=ContrastConfig)
    rating: RatingConfig | None = None
    """Learn from ratings as well; see the file configs/rated.yaml."""
    preference: PreferenceConfig | None = None
    """Learn from preferred pairs as well."""
    catchy: CatchyConfig | None = None
    """Learn from answers yes or no as well."""
    family: FamilyConfig | None = None
    """Learn which melodies are variants of one another as well; see the file
    configs/variants.yaml."""
    init: str | None = None
    """Checkpoint, of the same model settings, whose weights to begin from; by default random
    ones."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    card: CardConfig = field(default_factory=CardConfig)
    accelerator: str = "auto"
    """As Lightning's: auto, cpu, gpu, ..."""
    devices: int | str = "auto"
    """As Lightning's: how many devices; more than one trains with DDP, each on its share of every
    batch. On the CPU auto is one."""
    precision: str = "32-true"
    """32-true, bf16-mixed or 16-mixed, as Lightning calls them."""
    compile: bool = False
    """Compile the model with torch.compile; on GPUs only, since on a CPU its layers are written out
    by hand already."""
    threads: int = 0
    """Threads of a training process; 0 is one for each core, shared by the devices."""

    def __post_init__(self) -> None:
        least = {"steps": 1, "tokens_per_batch": 1, "validate_every": 1, "log_every": 1}
        least |= {"validation_melodies": 1, "threads": 0, "seed": 0}
        for name, smallest in least.items():
            if getattr(self, name) < smallest:
                raise ValueError(f"{name} must be at least {smallest}, not {getattr(self, name)}")
        if self.precision not in PRECISIONS:
            raise ValueError(
                f"precision must be one of {', '.join(PRECISIONS)}, not {self.precision!r}"
            )
        if self.seed >= 2**63:
            raise ValueError(f"seed must be below 2**63, not {self.seed}")
        if not (self.trains_scores or self.family):
            raise ValueError("contrast.weight is 0 and there is no other objective to train with")

    @property
    def trains_scores(self) -> bool:
        """Whether an objective says what the score should be; otherwise it means nothing."""
        people = (self.rating, self.preference, self.catchy)
        return self.contrast.weight > 0 or any(setting is not None for setting in people)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as YAML writes them."""
        plain: dict[str, Any] = _plain(dataclasses.asdict(self))
        return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    return list(value) if isinstance(value, tuple) else value


def to_yaml(plain: Mapping[str, Any]) -> str:
    """A configuration as a file for 'seqmelody train --config'.

    PyYAML writes text such as ``1e100`` without quotes, since YAML 1.1 takes it for text; whoever
    reads it by YAML 1.2 finds a number. So it is quoted. The end is marked, so
    that a file cut short can be told.
    """
    import yaml

    class Dumper(yaml.SafeDumper):
        pass

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        try:
            float(value)
        except ValueError:
            return dumper.represent_str(value)
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="'")

    Dumper.add_representer(str, text)
    return str(yaml.dump(dict(plain), Dumper=Dumper, sort_keys=False, explicit_end=True))


RELEASED = "checkpoint"
"""Name of the folder in a run's that holds the released checkpoint."""
DEFAULT = "melodic"
VARIANTS = "variants"
"""Name of the checkpoint that ships for telling how alike melodies are."""
SHIPPED = (DEFAULT, "rated", VARIANTS)
"""Names of the checkpoints that come with the package."""


def checkpoint_name(path: str | Path) -> str:
    """What tables call a checkpoint: its folder's name, or that of the run that released it."""
    path = Path(path)
    run = path.absolute().parent.name if path.name == RELEASED else ""
    return run or path.name or str(path)


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
