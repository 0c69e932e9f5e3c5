"""``render_files``: MIDI files to WAV files, in one process or in several."""

from __future__ import annotations

import math
import os
import wave
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqmelody.audio.events import read_events
from seqmelody.audio.rendering import Renderer
from seqmelody.audio.timeline import Timeline, of_notes
from seqmelody.errors import InputError
from seqmelody.midi import MelodyLine, MidiSource, read_melody
from seqmelody.midi.sources import one_line
from seqmelody.midi.structure import check_structure
from seqmelody.workers import in_order

LONGEST_SECONDS = 600.0
"""What comes later in a file is cut by default."""

_TASKS_PER_WORKER = 8


@dataclass(frozen=True)
class RenderSettings:
    """What to render, and how.

    Attributes:
        what: The ``melody`` alone, or the whole ``file``.
        line: Which line of a file is its melody.
        rate: Samples a second.
        soundfont: An ``.sf2`` file; by default the one that comes with pretty-midi.
        longest_seconds: What comes later is cut.
        overwrite: Whether files that exist are replaced.
    """

    what: Literal["melody", "file"] = "melody"
    line: MelodyLine = MelodyLine()
    rate: int = 44_100
    soundfont: str | None = None
    longest_seconds: float = LONGEST_SECONDS
    overwrite: bool = False


class RenderTask(NamedTuple):
    """A MIDI file, and the WAV file to make of it."""

    source: MidiSource
    out: Path


@dataclass(frozen=True)
class RenderedFile:
    """What became of a task.

    Attributes:
        name: What the source is called.
        seconds: Of audio; 0 where there is an error.
        remarks: What was done to it that the user may want to know.
        error: Why there is no WAV file.
    """

    name: str
    seconds: float = 0.0
    remarks: tuple[str, ...] = ()
    error: InputError | None = None


def render_files(
    tasks: Iterable[RenderTask], settings: RenderSettings, workers: int = 1
) -> Iterator[RenderedFile]:
    """Renders MIDI files, in order; what fails stops no other.

    Args:
        tasks: Drawn a few ahead.
        settings: How.
        workers: Processes; 1 renders in this one.

    Raises:
        SeqmelodyError: A worker process died.
        UsageError: The extra is not installed.
        UsageError: The soundfont or the rate cannot be used.
    """
    _renderer(settings.soundfont, settings.rate)  # what is wrong with it is told once
    yield from in_order(render_file, tasks, settings, workers=workers, ahead=_TASKS_PER_WORKER)


def render_file(task: RenderTask, settings: RenderSettings) -> RenderedFile:
    """Renders one file.

    Raises:
        UsageError: The extra is not installed.
        UsageError: The soundfont or the rate cannot be used.
    """
    name = task.source.name
    try:
        if not settings.overwrite and task.out.exists():
            raise InputError(name, f"{task.out} exists already; --overwrite replaces it")
        timeline = _timeline(task.source, settings)
        remarks = []
        if timeline.seconds > settings.longest_seconds:
            remarks.append(
                f"only the first {settings.longest_seconds:g} of {timeline.seconds:,.0f} seconds "
                "were rendered (--longest)"
            )
            timeline = timeline.cut(settings.longest_seconds)
        rendered = _renderer(settings.soundfont, settings.rate).render(timeline)
        if not rendered.wave.any():
            raise InputError(name, "is silent: the soundfont has no sound for its notes")
        if rendered.gain < 1:
            decibels = -20 * math.log10(rendered.gain)
            remarks.append(f"made {decibels:.1f} dB quieter, or it would clip")
        try:
            write_wav(rendered.wave, task.out, settings.rate)
        except OSError as error:
            raise InputError(name, f"{task.out} cannot be written ({one_line(error)})") from error
    except InputError as error:
        return RenderedFile(name, error=InputError(error.name, error.reason))
    return RenderedFile(name, rendered.wave.size / settings.rate, tuple(remarks))


def write_wav(samples: NDArray[np.float32], path: Path, rate: int) -> None:
    """Writes a waveform as 16-bit PCM with one channel; the file appears when it is whole.

    Args:
        samples: -1 to 1, ``(samples,)``.
        path: Its folder is made where it is missing.
        rate: Samples a second.

    Raises:
        OSError: The file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}.part")
    try:
        with temporary.open("wb") as file, wave.open(file, "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(rate)
            out.writeframes(np.rint(samples * 32767).astype("<i2").tobytes())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _timeline(source: MidiSource, settings: RenderSettings) -> Timeline:
    """What is to be played of a file.

    Raises:
        InputError: It cannot be read, or there is nothing to play.
    """
    data, name = source.read(), source.name
    checked = check_structure(data, name)
    if settings.what == "melody":
        found = read_melody(data, name=name, line=settings.line)
        melody = found.melody
        events = read_events(checked, name)
        onset, end = (
            events.samples_of_steps(found.lead_in_steps + steps.astype(np.int64))
            for steps in (melody.onset, melody.onset + melody.duration)
        )
        return of_notes(onset - onset[0], end - onset[0], melody.pitch.astype(np.int64))
    if checked.format == 2:
        raise InputError(name, "format 2: its tracks do not sound together; render its melody")
    events = read_events(checked, name)
    first = events.first_note_seconds()
    if first is None:
        raise InputError(name, "holds no notes")
    if first >= settings.longest_seconds:
        raise InputError(name, f"its first note begins after {first:,.0f} seconds; see --longest")
    return events.timeline()


@lru_cache(maxsize=1)
def _renderer(soundfont: str | None, rate: int) -> Renderer:
    return Renderer(soundfont, rate=rate)
