"""The checkpoint: a folder that describes itself and is read without running code.

=================== ==============================================================================
model.safetensors   the weights; the folder's format version is in its metadata
config.yaml         the configuration of the run that made them, for 'seqmelody train --config'
tokenizer.json      what the streams mean
scores.json         quantiles of the score over the training melodies, for percentiles
metrics.json        what was measured
README.md           the model card
=================== ==============================================================================

A ``.ckpt`` of Lightning resumes a run; it can be loaded here as well, and then has no percentiles.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import textwrap
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, overload

import numpy as np
import safetensors
import safetensors.torch
import torch
import yaml
from numpy.typing import NDArray
from safetensors import SafetensorError

from seqmelody.config import ConvGRUConfig
from seqmelody.errors import CheckpointError
from seqmelody.model import ConvGRU
from seqmelody.tokens import Tokenizer

FORMAT_VERSION = "1"
FORMAT_KEY = "seqmelody_format"
MODEL_FILE = "model.safetensors"
CONFIG_FILE = "config.yaml"
TOKENIZER_FILE = "tokenizer.json"
SCORES_FILE = "scores.json"
METRICS_FILE = "metrics.json"
CARD_FILE = "README.md"
LIGHTNING_KEY = "seqmelody"
"""Where a ``.ckpt`` keeps what the folder keeps in text files."""
LIGHTNING_PREFIX = "model."
"""What the names of the model's weights begin with in a ``.ckpt``."""
DEFAULT = "essen-contrast"


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
        metrics: What was measured, as plain values.
    """

    name: str
    model: ConvGRU
    tokenizer: Tokenizer
    config: Mapping[str, Any]
    score_quantiles: NDArray[np.float32] = field(
        default_factory=lambda: np.zeros(0, dtype=np.float32)
    )
    metrics: Mapping[str, Any] = field(default_factory=dict)

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


def default_checkpoint() -> Path:
    """The checkpoint that ships with the package.

    Raises:
        CheckpointError: It is not there.
    """
    package = Path(__file__).parent
    # Inside an installed wheel, or beside the package in a source checkout.
    for root in (package / "checkpoints", package.parent / "checkpoints"):
        if (root / DEFAULT / MODEL_FILE).is_file():
            return root / DEFAULT
    raise CheckpointError(
        f"the checkpoint {DEFAULT!r} did not come with this installation; name one with --checkpoint"
    )


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
        _write_text(
            temporary / CONFIG_FILE,
            yaml.safe_dump(dict(checkpoint.config), sort_keys=False, explicit_end=True),
        )
        _write_json(temporary / TOKENIZER_FILE, checkpoint.tokenizer.to_dict())
        _write_json(
            temporary / SCORES_FILE,
            {"quantiles": [round(float(score), 5) for score in checkpoint.score_quantiles]},
        )
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
    return _assemble(path, config, tokenizer, weights, quantiles, metrics)


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
        unknown = set(stored) ^ {setting.name for setting in fields(ConvGRUConfig)}
        if unknown:
            raise ValueError(f"model settings unknown or missing: {', '.join(sorted(unknown))}")
        stored["dilations"] = tuple(stored["dilations"])
        reads = Tokenizer.from_dict(dict(tokenizer))
        model = ConvGRU(ConvGRUConfig(**stored), reads)
        model.load_state_dict(dict(weights), strict=True)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        # One line, and the first few of the weights that do not fit: there may be forty.
        reason = textwrap.shorten(str(error), 300, placeholder=" ...")
        raise CheckpointError(f"{path}: its parts do not fit together: {reason}") from error
    if not all(bool(tensor.isfinite().all()) for tensor in weights.values()):
        raise CheckpointError(f"{path}: a weight is not a finite number")
    return Checkpoint(
        name=path.name,
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
