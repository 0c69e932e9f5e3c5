from __future__ import annotations

import dataclasses
import os
import signal
import threading
import time
import types

import pytest
import yaml
from corpora import run_seqmelody, start_seqmelody
from runs import small_run

from seqmelody.training.stopping import SIGNALS, StopAfterStep


def trainer_of(processes: int, others_stop: bool = False):
    """A stand-in; the other processes ask to stop, or not."""
    strategy = types.SimpleNamespace(
        reduce_boolean_decision=lambda decision, **how: decision or others_stop
    )
    return types.SimpleNamespace(
        world_size=processes,
        is_global_zero=True,
        should_stop=False,
        strategy=strategy,
        global_step=0,
    )


def steps_until_stop(stop: StopAfterStep, trainer, steps: int) -> int | None:
    for step in range(1, steps + 1):
        trainer.global_step = step
        stop.on_train_batch_end(trainer, None, None, None, step - 1)
        if trainer.should_stop:
            return step
    return None


@pytest.mark.parametrize("number", SIGNALS)
def test_one_process_stops_after_the_step_at_hand(capsys, number):
    stop, trainer = StopAfterStep(log_every=5), trainer_of(1)
    with stop.listening(trainer):
        assert steps_until_stop(stop, trainer, 7) is None
        signal.raise_signal(number)
        assert steps_until_stop(stop, trainer, 7) == 1
        assert "stopping after this step" in capsys.readouterr().err
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)


def test_several_processes_stop_together_at_an_entry_in_the_logs():
    stop, trainer = StopAfterStep(log_every=5), trainer_of(2)
    with stop.listening(trainer):
        assert steps_until_stop(stop, trainer, 12) is None
        signal.raise_signal(signal.SIGTERM)
        assert not trainer.should_stop
        assert steps_until_stop(stop, trainer, 12) == 5
    # The signal may have reached another one alone.
    assert steps_until_stop(StopAfterStep(5), trainer_of(2, others_stop=True), 12) == 5


def test_the_signals_are_taken_again_when_training_starts():
    stop, trainer = StopAfterStep(log_every=5), trainer_of(1)
    before = [signal.getsignal(number) for number in SIGNALS]
    with stop.listening(trainer):
        # As Lightning does.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        stop.on_train_start(trainer, None)
        signal.raise_signal(signal.SIGTERM)
        assert trainer.should_stop
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_outside_the_main_thread_signals_are_left_alone():
    before = [signal.getsignal(number) for number in SIGNALS]
    seen = []

    def run() -> None:
        stop = StopAfterStep(log_every=5)
        with stop.listening(trainer_of(1)):
            stop.on_train_start(trainer_of(1), None)
            seen.extend(signal.getsignal(number) for number in SIGNALS)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == before


@pytest.mark.slow
@pytest.mark.parametrize("send", [os.kill, os.killpg], ids=["first process", "all processes"])
def test_a_run_of_two_processes_is_interrupted_and_goes_on_with_one(essen_corpus, tmp_path, send):
    config = small_run(essen_corpus, tmp_path / "run", steps=400, validate_every=400, devices=2)
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(config.to_dict()))
    process = start_seqmelody("train", "--config", path)
    logs = tmp_path / "run" / "logs"
    # The log begins with the first entry, after two steps.
    while process.poll() is None and not list(logs.glob("events*")):
        time.sleep(0.1)
    send(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out == f"interrupted; go on with the same command and --resume ({config.out})\n"
    assert err.count("stopping after this step") == 1
    [state] = (tmp_path / "run" / "resumable").iterdir()
    assert 0 < int(state.stem.split("=")[1]) < 400
    path.write_text(yaml.safe_dump(dataclasses.replace(config, devices=1).to_dict()))
    done = run_seqmelody("train", "--config", path, "--resume")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"checkpoint: {config.out}/checkpoint\n"
