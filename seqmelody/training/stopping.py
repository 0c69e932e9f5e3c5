"""How a run ends early: after the step at hand, with all its processes at the same step."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import lightning as L

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopAfterStep(L.Callback):
    """An interrupt or termination lets the step at hand end; a second one ends it at once.

    Of several processes, any may get the signal (Ctrl-C reaches all, a scheduler mostly the first
    alone), but they must all end after the same step, since they wait for each other in each. They
    agree on it at every entry in the logs.

    Args:
        log_every: Steps between entries in the logs.
    """

    def __init__(self, log_every: int) -> None:
        self._log_every = log_every
        self._trainer: L.Trainer | None = None
        self._asked = False

    @contextmanager
    def listening(self, trainer: L.Trainer) -> Iterator[None]:
        """Takes the signals while it lasts."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self._trainer = trainer
        before: dict[signal.Signals, Any] = {
            number: signal.signal(number, self._stop) for number in SIGNALS
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            self._trainer = None

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Takes the signals again: Lightning's handler, set since, lets processes talk at any time."""
        if self._trainer is not None:
            for number in SIGNALS:
                signal.signal(number, self._stop)

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Agrees with the other processes whether to stop."""
        if trainer.world_size > 1 and trainer.global_step % self._log_every == 0:
            trainer.should_stop = trainer.strategy.reduce_boolean_decision(self._asked, all=False)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        trainer = self._trainer
        assert trainer is not None
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        if trainer.world_size == 1:
            trainer.should_stop = True
        if trainer.is_global_zero:
            sys.stderr.write(
                "\nstopping after this step and a validation; once more to stop at once\n"
            )
