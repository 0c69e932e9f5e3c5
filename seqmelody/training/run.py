"""``train``: a whole run, from a configuration to a checkpoint folder."""

from __future__ import annotations

import dataclasses
import logging
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.exceptions import SIGTERMException
from numpy.typing import NDArray

from seqmelody.batching import Batch, OrderedBatches
from seqmelody.checkpoint import Checkpoint, find_checkpoint, load_checkpoint, save_checkpoint
from seqmelody.config import RELEASED, TrainConfig, to_yaml
from seqmelody.corpus import Corpus
from seqmelody.errors import CheckpointError, CorpusError, SeqmelodyError, UsageError
from seqmelody.familiarity import statistic_ranges
from seqmelody.model import MelodyModel
from seqmelody.objectives import Contrast
from seqmelody.training.callbacks import PianoRolls, ProgressLines, Throughput
from seqmelody.training.card import model_card
from seqmelody.training.data import CorpusData
from seqmelody.training.families import Families
from seqmelody.training.judged import read_judged
from seqmelody.training.laplace import fit_posterior
from seqmelody.training.listeners import learnt_listeners
from seqmelody.training.module import MelodyTraining, made_from
from seqmelody.training.sharing import Scores
from seqmelody.training.stopping import StopAfterStep
from seqmelody.training.whitening import fit_whitening

QUANTILES = 1001
RESUMABLE = "resumable"


def train(config: TrainConfig, *, resume: bool = False, progress: bool = True) -> Path | None:
    """Trains a model.

    The run folder gets ``config.yaml``, TensorBoard logs in ``logs/``, the latest resumable state
    in ``resumable/``, and, when all steps are done, the released checkpoint in ``checkpoint/``. An
    interrupt (or a termination signal) ends the run after the step at hand; resumed, it ends with
    the weights that it would have had.

    Args:
        config: Of the run.
        resume: Go on from the latest resumable state in ``config.out``.
        progress: Show a progress bar, and not a line after each validation.

    Several devices train as one would, each on its share of every batch: Lightning starts this
    program anew for each but the first, and those processes end here.

    Returns:
        The released checkpoint's folder, or ``None`` where the run was interrupted.

    Raises:
        SystemExit: With code 0, in the processes of all devices but the first.
        CorpusError: The corpus cannot be read, or a split of it is empty.
        CheckpointError: There is nothing to resume from, or it belongs to another configuration or
            corpus.
        UsageError: The run folder holds a run, and ``resume`` is not set; or what people said of
            melodies, or the checkpoint to begin from, does not fit.
    """
    out = Path(config.out)
    if not resume and _states(out):
        raise UsageError(f"{out}: holds a run already; go on with --resume, or give another --out")
    corpus = Corpus.open(config.corpus)
    torch.manual_seed(config.seed)
    judged = read_judged(config, corpus)
    made = made_from(corpus.digest, judged, config.family)
    state = _state_to_resume(out, config, made) if resume else None
    for split in ("train", "validation"):
        if len(corpus.split(split)) == 0:
            raise CorpusError(f"{config.corpus}: no melodies in its {split} split")
    families = None if config.family is None else Families(config.family, corpus)
    contrast = Contrast(config.contrast, corpus)
    # Anew, so that the model's weights do not hinge on what else is learnt.
    torch.manual_seed(config.seed)
    module = MelodyTraining(config, corpus, contrast, judged, families)
    if config.init is not None and state is None:
        _begin_from(config.init, module)
    data = CorpusData(config, corpus, contrast, judged, families)
    stop = StopAfterStep(config.log_every)
    started = time.monotonic()
    with _quiet():
        try:
            trainer = _trainer(config, corpus, out, stop, progress)
        except (ValueError, TypeError, MisconfigurationException) as error:
            reason = str(error).splitlines()[0]
            raise UsageError(f"accelerator or devices: {reason}") from error
        if trainer.is_global_zero:
            for warning in (warning for entry in judged for warning in entry.warnings):
                sys.stderr.write(f"{warning}\n")
            out.mkdir(parents=True, exist_ok=True)
            (out / "config.yaml").write_text(to_yaml(config.to_dict()))
        with stop.listening(trainer):
            if state is None:
                module.set_threads(trainer.num_devices)
                module.eval()
                for entry in judged:
                    entry.begin(module.scores_and_embeddings)
                module.train()
            try:
                trainer.fit(module, data, ckpt_path=state, weights_only=True)
            except SIGTERMException:
                # Lightning's own way to end after the step at hand. The state is saved below.
                pass
            except SystemExit as end:
                # So Lightning ends when an interrupt comes twice.
                if trainer.is_global_zero:
                    raise KeyboardInterrupt from end
                raise
            except SeqmelodyError:
                # All processes meet it; one tells of it.
                if trainer.is_global_zero:
                    raise
                sys.exit(0)
        done = trainer.global_step >= config.steps
        if done:
            [measured] = trainer.validate(module, data, verbose=False)
        else:
            trainer.save_checkpoint(out / RESUMABLE / f"step={trainer.global_step}.ckpt")
    if not trainer.is_global_zero:
        # The first process goes on alone: it alone releases, reports, and does what the caller's
        # program does next, which Lightning had started anew for each of the others.
        sys.exit(0)
    if not done:
        return None
    # A resumed run does not know how long it took before.
    seconds = None if resume else round(time.monotonic() - started, 1)
    return _release(config, corpus, module, measured, seconds, out / RELEASED)


def _trainer(
    config: TrainConfig, corpus: Corpus, out: Path, stop: StopAfterStep, progress: bool
) -> L.Trainer:
    callbacks: list[L.Callback] = [
        # The new state is written before the old one is removed: a kill leaves one of them whole.
        ModelCheckpoint(
            dirpath=out / RESUMABLE,
            filename="{step}",
            every_n_train_steps=config.validate_every,
            save_top_k=1,
            enable_version_counter=False,
        ),
        LearningRateMonitor("step"),
        Throughput(config.log_every),
        stop,
    ]
    if config.trains_scores:
        callbacks.append(PianoRolls(corpus))
    callbacks.append(
        TQDMProgressBar(refresh_rate=config.log_every) if progress else ProgressLines()
    )
    return L.Trainer(
        accelerator=config.accelerator,
        devices=config.devices,
        precision=config.precision,  # type: ignore[arg-type]
        max_steps=config.steps,
        val_check_interval=config.validate_every,
        check_val_every_n_epoch=None,
        log_every_n_steps=config.log_every,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        logger=TensorBoardLogger(out, name="logs", version=""),
        callbacks=callbacks,
        enable_progress_bar=progress,
        enable_model_summary=False,
    )


def _states(out: Path) -> list[Path]:
    """The resumable states in a run folder, the latest first."""
    paths = (out / RESUMABLE).glob("step=*.ckpt")
    return sorted(paths, key=lambda path: int(path.stem.split("=")[1]), reverse=True)


def _begin_from(checkpoint: str, module: MelodyTraining) -> None:
    """Gives the model the weights of a checkpoint.

    Raises:
        CheckpointError: It cannot be read.
        UsageError: Its model is another one, or reads other tokens.
    """
    found = load_checkpoint(find_checkpoint(checkpoint))
    if found.tokenizer != module.tokenizer:
        raise UsageError(
            f"init {checkpoint}: reads tokenizer {found.tokenizer.fingerprint}, the corpus was "
            f"written with {module.tokenizer.fingerprint}"
        )
    here, there = (dataclasses.asdict(model.config) for model in (module.model, found.model))
    # What is dropped in training is no part of the weights.
    differing = [
        f"{name} {there[name]}"
        for name in here
        if here[name] != there[name] and name not in {"dropout", "feature_dropout"}
    ]
    if differing:
        raise UsageError(
            f"init {checkpoint}: its model has other settings ({', '.join(differing)}); "
            "set model to the same"
        )
    module.model.load_state_dict(found.model.state_dict())


def _state_to_resume(out: Path, config: TrainConfig, made_from: Mapping[str, Any]) -> Path:
    """The latest state of a run that can be read."""
    states = _states(out)
    for path in states:
        try:
            found = load_checkpoint(path)
        except CheckpointError:
            # Cut short by a kill; the one before it was still there.
            continue
        free = ("out", "corpus", "card", "accelerator", "devices", "threads", "log_every")
        now = config.to_dict()
        differing = [key for key in now if key not in free and now[key] != found.config.get(key)]
        if differing:
            raise CheckpointError(
                f"{path}: belongs to a run with other settings ({', '.join(differing)}); "
                "resume with the same configuration, or give another --out"
            )
        was = found.metrics["training"]
        if was.get("judgements") != made_from.get("judgements"):
            raise CheckpointError(
                f"{path}: belongs to a run that learnt from other judgements; resume with the "
                "labels and corpora that it was begun with, or give another --out"
            )
        if was["corpus"] != made_from["corpus"]:
            raise CheckpointError(
                f"{path}: belongs to a run on another corpus than {config.corpus}; resume with the "
                "one it was begun with, or give another --out"
            )
        return path
    if states:
        raise CheckpointError(
            f"{out / RESUMABLE}: no state in it can be read; remove the folder to begin again"
        )
    raise CheckpointError(f"{out}: no run to resume here; leave --resume out to begin one")


def _release(
    config: TrainConfig,
    corpus: Corpus,
    module: MelodyTraining,
    measured: Mapping[str, float],
    seconds: float | None,
    folder: Path,
) -> Path:
    module.cpu().eval()
    model = module.model

    def alone(batch: Batch) -> Scores:
        # The other processes have gone.
        output = model(batch)
        return Scores(output.score_B, output.embedding_BE)

    spread = fit_whitening(model, corpus, module.contrast, config.seed)
    if not config.trains_scores:
        # Nobody said what a score should be, so all are 0, and not what they were at the start.
        torch.nn.init.zeros_(model.head.value.weight)
        torch.nn.init.zeros_(model.head.value.bias)
    listeners, figures = learnt_listeners(config, module.judged, alone, spread)
    judged = {entry.name: _figures_of(entry.name, measured) for entry in module.judged}
    family = {} if config.family is None else _figures_of("family", measured)
    if "catchy_ece" in figures:
        # With offset and scale as they are released.
        judged["catchy"]["ece"] = round(figures["catchy_ece"], 4)
    if config.contrast.weight > 0:
        model.head.posterior = fit_posterior(model, corpus, module.contrast, config.seed)
    accuracies = {
        name.removeprefix("validation_accuracy/"): round(value, 4)
        for name, value in measured.items()
        if name.startswith("validation_accuracy/")
    }
    contrast = {}
    if config.trains_scores:
        contrast = {"mean": round(measured["validation/accuracy"], 4), "kinds": accuracies}
    checkpoint = Checkpoint(
        name=folder.name,
        model=model,
        tokenizer=corpus.tokenizer,
        config=config.to_dict(),
        score_quantiles=(
            _score_quantiles(model, corpus)
            if config.trains_scores
            else np.zeros(0, dtype=np.float32)
        ),
        listeners=listeners,
        statistic_ranges=statistic_ranges(corpus),
        # Embeddings that were trained to be compared are compared as they are.
        whitening=spread if config.family is None else None,
        metrics={
            "validation": {**contrast, **judged, **({"family": family} if family else {})},
            "training": {
                "seconds": seconds,
                "threads": torch.get_num_threads(),
                "torch": torch.__version__,
                **made_from(corpus.digest, module.judged, config.family),
            },
        },
    )
    splits = {name: len(corpus.split(name)) for name in ("train", "validation", "test")}
    card = model_card(
        config,
        title=Path(config.out).name,
        parameters=sum(weight.numel() for weight in model.parameters()),
        fingerprint=corpus.tokenizer.fingerprint,
        splits=splits,
        used=min(config.validation_melodies, splits["validation"]),
        accuracies=accuracies,
        judged=judged,
        family=family,
    )
    return save_checkpoint(folder, checkpoint, card)


def _figures_of(objective: str, measured: Mapping[str, float]) -> dict[str, float]:
    """What was measured of one objective, by name."""
    prefix = f"validation/{objective}_"
    return {
        name.removeprefix(prefix): round(value, 4)
        for name, value in measured.items()
        if name.startswith(prefix)
    }


def _score_quantiles(model: MelodyModel, corpus: Corpus) -> NDArray[np.float32]:
    batches = OrderedBatches(corpus, corpus.split("train"))
    with torch.inference_mode():
        scores = torch.cat([model(batch).score_B for batch in batches]).numpy()
    return np.asarray(np.quantile(scores, np.linspace(0, 1, QUANTILES)), dtype=np.float32)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps Lightning's notices of hardware and of the loaders' workers off the screen."""
    logs = [logging.getLogger(f"lightning.{part}") for part in ("pytorch", "fabric")]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            for category in (UserWarning, FutureWarning, DeprecationWarning):
                warnings.filterwarnings("ignore", category=category, module="lightning")
            yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)
