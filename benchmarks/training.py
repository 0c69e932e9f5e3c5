"""Training, in notes a second: padding not counted, spoiled copies counted, data included.

Ours is ``seqmelody.training.run.train`` itself, with its defaults (threads and all) on the CPU: a
callback in Lightning's own trainer holds the run at the end of a step until it is asked for another
round, and lets a few steps pass unmeasured, so that what was made ready meanwhile is used up. The
validations and the states that a run saves now and then are not part of it.

The others are loops around ``benchmarks.reference`` with the same objective, corruption, optimizer,
schedule and clipping, in torch's default threads (one a core):

- *the plain loop*: a shuffled ``DataLoader`` of melodies, each batch padded to its longest, about as
  many notes a step as ours has, and the copies made where the batch is put together;
- *the plain model, our batches*: the same model on the very batches that ours gets, bucketed by
  length, which tells how much of the difference is the batches and how much the model's code;
- *the Transformer*: likewise on our batches.
"""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from benchmarks.harness import Setting, Side, interleave
from benchmarks.rows import Row, compared
from benchmarks.side import Rounds
from seqmelody.config import OptimizerConfig

FOREVER = 10_000_000
"""Steps of a run that is ended from outside."""
UNTIMED_STEPS = 5
HERE = "benchmarks.training:"


def run(setting: Setting) -> Iterator[Row]:
    """Rows of ``training``."""
    from seqmelody.checkpoint import default_checkpoint, load_checkpoint

    common = common_settings(setting)
    sides = {
        "seqmelody train": ours_side(setting),
        "the plain PyTorch loop": Side(f"{HERE}plain_loop", common),
        "the plain model, our batches": Side(f"{HERE}our_batches", {**common, "model": "plain"}),
        "a Transformer of as many parameters, our batches": Side(
            f"{HERE}our_batches", {**common, "model": "transformer"}
        ),
    }
    found = interleave(sides, setting.rounds)
    ours, *others = found
    what = f"training on {setting.cores} cores, `seqmelody train`"
    for other, goal in zip(others, (2.0, None, 3.0), strict=True):
        yield compared("training", what, found[ours], other, found[other], "notes/s", goal)
    other = others[1]
    yield compared(
        "training",
        "of that, what the batches alone bring: " + other,
        found[other],
        others[0],
        found[others[0]],
        "notes/s",
    )
    recorded = load_checkpoint(default_checkpoint()).metrics["training"]
    yield Row(
        "training",
        "the run of the shipped checkpoint",
        "not recorded by a run that was resumed"
        if recorded["seconds"] is None
        else f"{recorded['seconds'] / 60:.1f} min on {recorded['threads']} thread(s), recorded by it",
    )


def ours_side(setting: Setting, **more: Any) -> Side:
    """``seqmelody train`` with its defaults."""
    return Side(
        f"{HERE}ours", {**common_settings(setting), "scratch": scratch_folder(setting), **more}
    )


def common_settings(setting: Setting) -> dict[str, Any]:
    """What every side is called with."""
    return {"corpus": str(setting.corpus), "steps": 8 if setting.quick else 20}


def scratch_folder(setting: Setting) -> str:
    """A folder for a run, which refuses one that holds a run already."""
    number = sum(1 for _ in setting.scratch.glob("run-*"))
    folder = setting.scratch / f"run-{number}"
    folder.mkdir()
    return str(folder)


# Sides


def ours(rounds: Rounds, corpus: str, steps: int, scratch: str, **config: Any) -> None:
    """``seqmelody train``, held between rounds by a callback."""
    import lightning as L

    from seqmelody.config import TrainConfig
    from seqmelody.model import MelodyNetwork
    from seqmelody.training.run import train

    class Clock(L.Callback):
        """Counts the notes that the model gets, and holds the run where a round ends."""

        def __init__(self) -> None:
            self.step = 0
            self.notes = 0
            self.started = 0.0

        def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
            for part in module.modules():
                if isinstance(part, MelodyNetwork):
                    part.register_forward_pre_hook(self._count)
            if trainer.is_global_zero and not rounds.next():
                raise SystemExit

        def _count(self, model: Any, arguments: tuple[Any, ...]) -> None:
            self.notes += int(arguments[0].length_B.sum())

        def on_train_batch_end(
            self, trainer: L.Trainer, module: L.LightningModule, *_: Any
        ) -> None:
            self.step += 1
            if not trainer.is_global_zero:
                return
            if self.step == UNTIMED_STEPS:
                self.notes, self.started = 0, _now(module.device)
            elif self.step == UNTIMED_STEPS + steps:
                seconds = _now(module.device) - self.started
                # Each process sees its own share of the melodies.
                rounds.report(self.notes * trainer.world_size, seconds)
                self.step = 0
                if not rounds.next():
                    raise SystemExit

    # The run makes its own trainer; this adds a callback to it.
    make = L.Trainer.__init__

    def with_clock(trainer: L.Trainer, *args: Any, **kwargs: Any) -> None:
        kwargs["callbacks"] = [*(kwargs.get("callbacks") or []), Clock()]
        make(trainer, *args, **kwargs)

    L.Trainer.__init__ = with_clock  # type: ignore[method-assign]
    config = {"accelerator": "cpu", **config}
    train(
        TrainConfig(corpus, scratch, steps=FOREVER, validate_every=FOREVER, **config),
        progress=False,
    )


def plain_loop(
    rounds: Rounds, corpus: str, steps: int, device: str = "cpu", precision: str = "32-true"
) -> None:
    """The plain model on shuffled batches, each padded to its longest melody."""
    import torch
    from torch.utils.data import DataLoader, Dataset

    from seqmelody.batching import Batch, collate
    from seqmelody.config import TrainConfig
    from seqmelody.corpus import Corpus
    from seqmelody.objectives import Contrast

    config = TrainConfig(corpus, "")
    opened = Corpus.open(corpus)
    rows = opened.split("train")

    class Melodies(Dataset):  # type: ignore[type-arg]
        def __len__(self) -> int:
            return len(rows)

        def __getitem__(self, index: int) -> Any:
            return opened.tokens(int(rows[index]))

    contrast = Contrast(config.contrast, opened)
    generator = torch.Generator().manual_seed(0)

    def put_together(melodies: list[Any]) -> tuple[Batch, Any]:
        batch = collate(melodies)
        return batch, contrast.draw(batch, generator)

    melodies_of_step = max(1, round(config.tokens_per_batch / opened.notes[rows].mean()))
    loader = DataLoader(
        Melodies(), melodies_of_step, shuffle=True, collate_fn=put_together, drop_last=True
    )
    passes = itertools.chain.from_iterable(itertools.repeat(loader))
    model = _rival("plain", config, opened)
    loop = _loop(model, contrast, *_optimizer(model, config), passes, device, precision)
    _take_turns(rounds, steps, loop, device)


def our_batches(
    rounds: Rounds,
    corpus: str,
    steps: int,
    model: str,
    threads: int | None = None,
    device: str = "cpu",
    precision: str = "32-true",
) -> None:
    """A model on the batches that ours gets."""
    import torch

    from seqmelody.config import TrainConfig
    from seqmelody.corpus import Corpus
    from seqmelody.objectives import Contrast
    from seqmelody.training.data import CorpusData
    from seqmelody.training.module import MelodyTraining

    if threads is not None:
        torch.set_num_threads(threads)
    config = TrainConfig(corpus, "", steps=FOREVER)
    opened = Corpus.open(corpus)
    contrast = Contrast(config.contrast, opened)
    data = CorpusData(config, opened, contrast)
    # What it asks its trainer for.
    data.trainer = SimpleNamespace(global_step=0, global_rank=0, world_size=1)  # type: ignore[assignment]
    batches = data.train_dataloader()
    if model == "ours":
        module = MelodyTraining(config, opened, contrast)
        chosen: Any = module.configure_optimizers()
        network: Any = module.model
        optimizer, schedule = chosen["optimizer"], chosen["lr_scheduler"]["scheduler"]
    else:
        network = _rival(model, config, opened)
        optimizer, schedule = _optimizer(network, config)
    loop = _loop(network, contrast, optimizer, schedule, batches, device, precision)
    _take_turns(rounds, steps, loop, device)


def _rival(name: str, config: Any, corpus: Any) -> Any:
    import torch

    from benchmarks.reference import PlainConvGRU, PlainTransformer

    torch.manual_seed(config.seed)
    made = {"plain": PlainConvGRU, "transformer": PlainTransformer}[name]
    return made(config.model, corpus.tokenizer)


def _optimizer(model: Any, config: Any) -> tuple[Any, Any]:
    """AdamW and a warm-up, as PyTorch has them."""
    import torch

    settings = config.optimizer
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    steps = settings.warmup_steps + 1
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / steps)
    )
    return optimizer, schedule


def _loop(
    model: Any,
    contrast: Any,
    optimizer: Any,
    schedule: Any,
    batches: Any,
    device: str,
    precision: str,
) -> Iterator[int]:
    """Trains; yields the notes of each step, copies counted."""
    import torch

    model.to(device).train()
    largest = OptimizerConfig().largest_gradient_norm
    for melodies, comparison in batches:
        if device != "cpu":
            melodies = melodies.to(device)  # noqa: PLW2901
            comparison = dataclasses.replace(  # noqa: PLW2901
                comparison,
                original_N=comparison.original_N.to(device),
                kind_N=comparison.kind_N.to(device),
                copies=comparison.copies.to(device),
            )
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16-mixed"):
            loss = contrast(model, melodies, comparison).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), largest)
        optimizer.step()
        schedule.step()
        yield int(melodies.length_B.sum() + comparison.copies.length_B.sum())


def _take_turns(rounds: Rounds, steps: int, loop: Iterator[int], device: str) -> None:
    while rounds.next():
        for _ in itertools.islice(loop, UNTIMED_STEPS):
            pass
        started = _now(device)
        notes = sum(itertools.islice(loop, steps))
        rounds.report(notes, _now(device) - started)


def _now(device: Any) -> float:
    """The time when all that was asked of a device is done."""
    if str(device).startswith("cuda"):
        import torch

        torch.cuda.synchronize()
    return time.perf_counter()
