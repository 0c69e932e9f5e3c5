"""Melodies as audio: seconds of audio a second, and what a melody costs: ``rendering``.

``seqmelody render`` takes each of Essen's files to a WAV file, with one process and with two; the
rate of the audio is that of the models that listen. ``Synthesizer`` puts batches of the same melodies
together from a bank of notes that is there already, in one thread. The files that are rendered are
spread evenly over Essen.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.harness import Measured, Setting, Side, interleave
from benchmarks.rows import Row
from benchmarks.side import Rounds

RATE = 7680
"""Samples a second, the synthesizer's default."""

NOTES_PER_BATCH = 1024

_NAME = "rendering"
_REAL_TIME = 150
_SYNTHESIZER = 3000


def run(setting: Setting) -> Iterator[Row]:
    """Rows of ``rendering``."""
    here = "benchmarks.rendering:"
    files = setting.files(200 if setting.quick else 40)
    shared = {"files": files, "scratch": str(setting.scratch)}
    sides = {
        f"{workers} worker{'s' * (workers > 1)}": Side(
            f"{here}render", {**shared, "workers": workers}, threads=1
        )
        for workers in (1, 2)
    }
    settings = {"corpus": str(setting.corpus), "batches": 20 if setting.quick else 200}
    sides["synthesizer"] = Side(f"{here}synthesize", settings, threads=1)
    found = interleave(sides, setting.rounds)
    for name, measured in found.items():
        if name == "synthesizer":
            yield _row("Synthesizer, bank of notes at hand, one thread", measured, _SYNTHESIZER)
        else:
            yield _row(f"render, {name}, to WAV files of {RATE} Hz", measured, _REAL_TIME)


def _row(what: str, measured: Measured, goal: float) -> Row:
    rates = measured.rates
    melodies = measured.more[0]["melodies"]
    seconds = sorted(measured.seconds)[len(measured.seconds) // 2]
    processor = sorted(more["processor"] for more in measured.more)[len(measured.more) // 2]
    kilobytes = measured.more[0]["bytes"] / melodies / 1000
    return Row(
        _NAME,
        f"{what} ({melodies:,} melodies)",
        f"{measured.rate:,.0f} times real time ({min(rates):,.0f} to {max(rates):,.0f}); "
        f"{measured.units[0] / processor:,.0f} times by the processor's time; "
        f"{1000 * seconds / melodies:,.2f} ms and {kilobytes:,.0f} kB a melody",
        goal=f"{goal:,} times",
        met=measured.rate >= goal,
        figures={"ours": rates, "unit": "s/s", "melodies": melodies}
        | {"seconds": measured.seconds, "processor": [more["processor"] for more in measured.more]},
    )


# Sides


def render(rounds: Rounds, files: list[str], scratch: str, workers: int) -> None:
    """``seqmelody render``, but for the command line; the start of the workers is part of it."""
    from seqmelody.audio.files import RenderSettings, RenderTask, render_files
    from seqmelody.midi import iter_sources

    out = Path(scratch) / f"audio-{workers}"
    settings = RenderSettings(rate=RATE, overwrite=True)
    tasks = [
        RenderTask(source, out / f"{number}.wav")
        for number, source in enumerate(iter_sources(files))
    ]
    list(render_files(tasks[:2], settings))
    while rounds.next():
        started, processor = time.perf_counter(), _processor_time()
        made = [file for file in render_files(tasks, settings, workers) if file.error is None]
        passed = time.perf_counter() - started
        size = sum(path.stat().st_size for path in out.iterdir())
        audio = sum(file.seconds for file in made)
        used = _processor_time() - processor
        rounds.report(audio, passed, melodies=len(made), bytes=size, processor=used)
        shutil.rmtree(out)


def synthesize(rounds: Rounds, corpus: str, batches: int) -> None:
    """The synthesizer on batches of like length, as in training."""
    from seqmelody.audio.synthesis import Synthesizer
    from seqmelody.batching import TrainingBatches
    from seqmelody.corpus import Corpus

    opened = Corpus.open(corpus)
    rows = np.arange(len(opened.notes), dtype=np.int64)
    drawn = list(TrainingBatches(opened, rows, NOTES_PER_BATCH, steps=batches))
    synthesizer = Synthesizer(rate=RATE)
    for batch in drawn:
        synthesizer(batch)
    melodies = sum(map(len, drawn))
    while rounds.next():
        samples = size = 0
        started, processor = time.perf_counter(), _processor_time()
        for batch in drawn:
            made = synthesizer(batch)
            samples += int(made.length_B.sum())
            size += made.sample_BS.nbytes
        passed = time.perf_counter() - started
        used = _processor_time() - processor
        rounds.report(samples / RATE, passed, melodies=melodies, bytes=size, processor=used)


def _processor_time() -> float:
    """Of this process and of those that it has started and that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
