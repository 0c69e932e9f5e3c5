"""The checkpoint: a folder that describes itself and is read without running code.

====================== ===========================================================================
model.safetensors      the weights; the folder's format version is in its metadata
config.yaml            the configuration of the run that made them, for 'seqmelody train --config'
tokenizer.json         what the streams mean
scores.json            over the training melodies: quantiles of the score, for percentiles, and
                       ranges of some statistics, for warnings of melodies unlike them
whitening.safetensors  how embeddings are spread, for telling melodies that are alike
posterior.safetensors  how sure a score is, for intervals
listeners.json         how ratings follow from the score, and the listeners known by name; only where
                       a run learnt from people, or a listener was adapted to
metrics.json           what was measured
README.md              the model card
====================== ===========================================================================

A ``.ckpt`` of Lightning resumes a run; it can be loaded here as well, and then has no percentiles.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import tempfile
import textwrap
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, overload

import numpy as np
import safetensors
import safetensors.numpy
import safetensors.torch
import torch
import yaml
from numpy.typing import NDArray
from safetensors import SafetensorError

from seqmelody.config import (
    ADDED_MODEL_SETTINGS,
    DEFAULT,
    SHIPPED,
    ModelConfig,
    checkpoint_name,
    to_yaml,
)
from seqmelody.errors import CheckpointError, UsageError
from seqmelody.listeners import Listeners
from seqmelody.model import MelodyNetwork, build_model
from seqmelody.model.posterior import ReadoutPosterior
from seqmelody.tokens import Tokenizer
from seqmelody.whitening import Whitening

FORMAT_VERSION = "2"
FORMAT_KEY = "seqmelody_format"
MODEL_FILE = "model.safetensors"
CONFIG_FILE = "config.yaml"
TOKENIZER_FILE = "tokenizer.json"
SCORES_FILE = "scores.json"
WHITENING_FILE = "whitening.safetensors"
POSTERIOR_FILE = "posterior.safetensors"
LISTENERS_FILE = "listeners.json"
METRICS_FILE = "metrics.json"
CARD_FILE = "README.md"
LIGHTNING_KEY = "seqmelody"
"""Where a ``.ckpt`` keeps what the folder keeps in text files."""
LIGHTNING_PREFIX = "model."
"""What the names of the model's weights begin with in a ``.ckpt``."""

Rated: TypeAlias = Callable[
    [NDArray[np.floating[Any]], NDArray[np.floating[Any]]], NDArray[np.float64]
]
"""The ratings of N melodies, from their scores ``(N,)`` and embeddings ``(N, E)``."""


@dataclass(frozen=True)
class Checkpoint:
    """A model with all that is needed to use it.

    Attributes:
        name: Of the folder or file.
        model: In evaluation mode.
        tokenizer: Encodes what the model reads.
        config: The configuration of the training run, as plain values.
        score_quantiles: Scores at evenly spaced quantiles of the training melodies, rising, float32
            ``(Q,)``; empty where they are not known.
        statistic_ranges: Lowest and highest of some of ``note_statistics`` over the training
            melodies, by name; empty where they are not known.
        whitening: Makes embeddings comparable; ``None`` where it is not known.
        listeners: What is known of people; ``None`` if nothing is.
        metrics: What was measured, as plain values.
    """

    name: str
    model: MelodyNetwork
    tokenizer: Tokenizer
    config: Mapping[str, Any]
    score_quantiles: NDArray[np.float32] = field(
        default_factory=lambda: np.zeros(0, dtype=np.float32)
    )
    statistic_ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    whitening: Whitening | None = None
    listeners: Listeners | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that tell embeddings that can be compared.

        They are the same wherever the checkpoint lies and whatever it is called, and differ where a
        weight, a setting of the model, the tokenizer or the whitening differs.
        """
        settings = {
            name: value
            for name, value in asdict(self.model.config).items()
            # As in a checkpoint that was written before there was such a setting.
            if name not in ADDED_MODEL_SETTINGS or value != ADDED_MODEL_SETTINGS[name]
        }
        digest = hashlib.sha256(
            json.dumps([self.tokenizer.fingerprint, settings], sort_keys=True).encode()
        )
        for name, tensor in sorted(self.model.state_dict().items()):
            weight = tensor.detach().cpu().contiguous()
            digest.update(f"\n{name} {weight.dtype} {tuple(weight.shape)}\n".encode())
            digest.update(weight.reshape(-1).view(torch.uint8).numpy())
        if self.whitening is not None:
            digest.update(b"\nwhitening\n")
            digest.update(self.whitening.mean_E.tobytes())
            digest.update(self.whitening.axes_EE.tobytes())
        return digest.hexdigest()[:16]

    @property
    def gives_scores(self) -> bool:
        """Whether its training said what a score should be; else all scores are the same."""
        learnt = ("rating", "preference", "catchy")
        contrast = self.config.get("contrast")
        weight = contrast.get("weight", 1.0) if isinstance(contrast, Mapping) else 1.0
        return weight != 0 or any(self.config.get(name) is not None for name in learnt)

    def require_scores(self) -> None:
        """Checks that its scores mean something.

        Raises:
            UsageError: It was never told what a score should be.
        """
        if not self.gives_scores:
            raise UsageError(
                f"checkpoint {self.name!r} was trained to tell how alike melodies are, and gives no "
                "scores; use another one for them, such as melodic"
            )

    @property
    def compares(self) -> bool:
        """Whether its embeddings tell how alike melodies are: whitened, or trained to do so."""
        return self.whitening is not None or self.config.get("family") is not None

    @overload
    def percentile(self, score: float) -> float | None: ...

    @overload
    def percentile(self, score: NDArray[np.floating[Any]]) -> NDArray[np.float64] | None: ...

    def percentile(self, score: Any) -> Any:
        """Share of the training melodies that score lower, in percent; ``None`` if not known.

        Between two quantiles it is interpolated.

        Args:
            score: One, or an array of them.
        """
        if self.score_quantiles.size == 0:
            return None
        at = np.linspace(0.0, 100.0, self.score_quantiles.size)
        return np.interp(score, self.score_quantiles, at)

    def rated_by(self, listener: str) -> Rated:
        """What turns scores and embeddings into the ratings that a listener would give.

        Args:
            listener: The name.

        Raises:
            UsageError: No listener of that name is known; the message names those that are.
        """
        known = {} if self.listeners is None else self.listeners.listeners
        if self.listeners is None or self.listeners.rating is None or listener not in known:
            there = ", ".join(sorted(known)) or "nobody"
            raise UsageError(
                f"{self.name}: knows no listener {listener!r}, but {there}; "
                "'seqmelody adapt' makes new ones known"
            )
        return partial(self.listeners.rating.predict, known[listener])


def default_checkpoint() -> Path:
    """Folder of the checkpoint that is used where none is named.

    Raises:
        CheckpointError: It is not there.
    """
    found = _shipped(DEFAULT)
    if found is None:
        raise CheckpointError(
            f"the checkpoint {DEFAULT!r} did not come with this installation; name one with "
            "--checkpoint"
        )
    return found


def find_checkpoint(name: str | os.PathLike[str]) -> Path:
    """A checkpoint by its path, or by its name if it ships with the package.

    Args:
        name: A path to a checkpoint is taken first.

    Raises:
        CheckpointError: There is neither.
    """
    path = Path(name)
    shipped = _shipped(path.name) if path.name == str(name) else None
    # Beside a folder of tunes of the same name, the one that ships is meant.
    if path.is_file() or (path / CONFIG_FILE).is_file() or (path.exists() and shipped is None):
        return path
    if shipped is None:
        raise CheckpointError(
            f"{name}: no such checkpoint folder or .ckpt file; with the package come "
            f"{', '.join(SHIPPED)}"
        )
    return shipped


def _shipped(name: str) -> Path | None:
    """The folder of a checkpoint that ships with the package."""
    package = Path(__file__).parent
    # Inside an installed wheel, or beside the package in a source checkout.
    for root in (package / "checkpoints", package.parent / "checkpoints"):
        if (root / name / MODEL_FILE).is_file():
            return root / name
    return None


def save_checkpoint(folder: str | Path, checkpoint: Checkpoint, card: str) -> Path:
    """Writes a checkpoint folder; an older one of that name is replaced when the new one is whole.

    Args:
        folder: Where to.
        checkpoint: What to write; its name is not.
        card: Text of the model card, Markdown.
    """
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        weights = {
            name: tensor.detach().cpu().contiguous()
            for name, tensor in checkpoint.model.state_dict().items()
        }
        safetensors.torch.save_file(
            weights, temporary / MODEL_FILE, metadata={FORMAT_KEY: FORMAT_VERSION}
        )
        _write_text(temporary / CONFIG_FILE, to_yaml(checkpoint.config))
        _write_json(temporary / TOKENIZER_FILE, checkpoint.tokenizer.to_dict())
        _write_json(
            temporary / SCORES_FILE,
            {
                "quantiles": [round(float(score), 5) for score in checkpoint.score_quantiles],
                "ranges": {
                    name: [low, high] for name, (low, high) in checkpoint.statistic_ranges.items()
                },
            },
        )
        if checkpoint.whitening is not None:
            safetensors.numpy.save_file(
                {"mean": checkpoint.whitening.mean_E, "axes": checkpoint.whitening.axes_EE},
                temporary / WHITENING_FILE,
            )
        posterior = checkpoint.model.head.posterior
        if posterior is not None:
            tensors = {
                name: tensor.cpu().contiguous() for name, tensor in posterior.named_buffers()
            }
            safetensors.torch.save_file(tensors, temporary / POSTERIOR_FILE)
        if checkpoint.listeners is not None:
            _write_json(temporary / LISTENERS_FILE, checkpoint.listeners.to_dict())
        _write_json(temporary / METRICS_FILE, checkpoint.metrics)
        _write_text(temporary / CARD_FILE, card)
        # Temporary files are private; a checkpoint is for others to read.
        temporary.chmod(0o755)
        for file in temporary.iterdir():
            file.chmod(0o644)
        if folder.exists():
            old = temporary.with_name(temporary.name + "-old")
            os.replace(folder, old)
            try:
                os.replace(temporary, folder)
            except OSError:
                os.replace(old, folder)
                raise
            shutil.rmtree(old)
        else:
            os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Reads a checkpoint folder, or a ``.ckpt`` of a training run. Nothing in it is executed.

    Raises:
        CheckpointError: It is missing, cut short, of another version, or its parts do not fit.
    """
    path = Path(path)
    if path.is_file():
        return _load_lightning(path)
    if not path.is_dir():
        raise CheckpointError(f"{path}: no such checkpoint folder or .ckpt file")
    if not (path / CONFIG_FILE).is_file():
        raise CheckpointError(f"{path}: not a checkpoint folder (it has no {CONFIG_FILE})")
    config = _read(path / CONFIG_FILE, _parse_whole_yaml)
    try:
        with safetensors.safe_open(path / MODEL_FILE, framework="pt") as stored:
            version = (stored.metadata() or {}).get(FORMAT_KEY)
            weights = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path / MODEL_FILE}: cannot be read ({error})") from error
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"{path / MODEL_FILE}: checkpoint format {version}, this version of seqmelody reads "
            f"{FORMAT_VERSION}"
        )
    tokenizer = _read(path / TOKENIZER_FILE, json.loads)
    scores = _read(path / SCORES_FILE, json.loads)
    metrics = _read(path / METRICS_FILE, json.loads)
    try:
        quantiles = np.asarray(scores["quantiles"], dtype=np.float32)
        if (
            quantiles.ndim != 1
            or not np.isfinite(quantiles).all()
            or (np.diff(quantiles) < 0).any()
        ):
            raise ValueError("quantiles must be a rising list of numbers")
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path / SCORES_FILE}: no score quantiles ({error})") from error
    found = _assemble(path, config, tokenizer, weights, quantiles, metrics)
    found.model.head.posterior = _posterior(
        path / POSTERIOR_FILE, found.model.config.embedding_size
    )
    return replace(
        found,
        statistic_ranges=_ranges(path / SCORES_FILE, scores),
        whitening=_whitening(path / WHITENING_FILE, found.model.config.embedding_size),
        listeners=_listeners(path / LISTENERS_FILE, found.model),
    )


def _listeners(path: Path, model: MelodyNetwork) -> Listeners | None:
    """What is known of people; ``None`` where there is no such file."""
    if not path.exists():
        return None
    stored = _read(path, json.loads)
    try:
        return Listeners.from_dict(stored, model.config.embedding_size)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{path}: listeners unusable ({error})") from error


def _whitening(path: Path, size: int) -> Whitening | None:
    """The whitening; none in a folder that was written before there was any."""
    if not path.exists():
        return None
    try:
        stored = safetensors.numpy.load_file(path)
        found = Whitening(stored["mean"], stored["axes"])
        if found.mean_E.shape != (size,) or found.axes_EE.shape != (size, size):
            raise ValueError(f"it is not for embeddings of size {size}")
        if not (np.isfinite(found.mean_E).all() and np.isfinite(found.axes_EE).all()):
            raise ValueError("a number in it is not finite")
    except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{path}: cannot be read ({reason})") from error
    return found


def _posterior(path: Path, size: int) -> ReadoutPosterior | None:
    """How sure scores are; ``None`` in a folder of a run that did not know."""
    if not path.exists():
        return None
    shapes = {"mean_E": (size,), "root_EE": (size, size), "spread": ()}
    try:
        stored = safetensors.torch.load_file(path)
        if {name: tuple(tensor.shape) for name, tensor in stored.items()} != shapes:
            raise ValueError(f"it is not for vectors of size {size}")
        if not all(bool(tensor.isfinite().all()) for tensor in stored.values()):
            raise ValueError("a number in it is not finite")
        return ReadoutPosterior(**{name: tensor.float() for name, tensor in stored.items()})
    except (OSError, ValueError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{path}: cannot be read ({reason})") from error


def _ranges(path: Path, scores: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """The ranges of statistics; none in a folder that was written before there were any."""
    try:
        ranges = {
            str(name): (float(low), float(high))
            for name, (low, high) in dict(scores.get("ranges", {})).items()
        }
        # Not a number would compare as neither.
        if not all(-math.inf < low <= high < math.inf for low, high in ranges.values()):
            raise ValueError("each must be two finite numbers that rise")
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: ranges of statistics unusable ({error})") from error
    return ranges


def _load_lightning(path: Path) -> Checkpoint:
    try:
        # Bytes that are no pickle at all make the unpickler fail in any way, or warn first.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            stored = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise CheckpointError(f"{path}: cannot be read (cut short, or no checkpoint)") from error
    try:
        about = stored[LIGHTNING_KEY]
        weights = {
            name.removeprefix(LIGHTNING_PREFIX): tensor
            for name, tensor in stored["state_dict"].items()
            # Objectives have weights as well, which only a resumed run needs.
            if name.startswith(LIGHTNING_PREFIX)
        }
        config, tokenizer, metrics = dict(about["config"]), about["tokenizer"], about["metrics"]
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise CheckpointError(f"{path}: not a checkpoint of a seqmelody run") from error
    return _assemble(path, config, tokenizer, weights, np.zeros(0, dtype=np.float32), metrics)


def _assemble(
    path: Path,
    config: Mapping[str, Any],
    tokenizer: Mapping[str, Any],
    weights: Mapping[str, torch.Tensor],
    quantiles: NDArray[np.float32],
    metrics: Mapping[str, Any],
) -> Checkpoint:
    try:
        stored = dict(config["model"])
        for name, value in ADDED_MODEL_SETTINGS.items():
            stored.setdefault(name, value)
        config = {**config, "model": stored}
        unknown = set(stored) ^ {setting.name for setting in fields(ModelConfig)}
        if unknown:
            raise ValueError(f"model settings unknown or missing: {', '.join(sorted(unknown))}")
        settings = ModelConfig(**{**stored, "dilations": tuple(stored["dilations"])})
        reads = Tokenizer.from_dict(dict(tokenizer))
        model = build_model(settings, reads)
        model.load_state_dict(dict(weights), strict=True)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        # One line, and the first few of the weights that do not fit: there may be forty.
        reason = textwrap.shorten(str(error), 300, placeholder=" ...")
        raise CheckpointError(f"{path}: its parts do not fit together: {reason}") from error
    if not all(bool(tensor.isfinite().all()) for tensor in weights.values()):
        raise CheckpointError(f"{path}: a weight is not a finite number")
    return Checkpoint(
        name=checkpoint_name(path),
        model=model.eval().requires_grad_(False),
        tokenizer=reads,
        config=config,
        score_quantiles=quantiles,
        metrics=metrics,
    )


def _read(path: Path, parse: Any) -> dict[str, Any]:
    try:
        value = parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{path}: cannot be read ({reason})") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path}: cannot be read (it holds no table of settings)")
    return value


def _parse_whole_yaml(text: str) -> Any:
    # Unlike JSON, YAML cut short is often still YAML: hence the mark at its end.
    if not text.rstrip().endswith("\n..."):
        raise ValueError("cut short: it does not end in '...'")
    return yaml.safe_load(text)


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    _write_text(path, json.dumps(value, indent=2) + "\n")


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
