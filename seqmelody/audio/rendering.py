"""``Renderer``: sound from MIDI messages, through midirenderer and a soundfont."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seqmelody.audio.resampling import resample
from seqmelody.audio.timeline import RENDERER_RATE, Timeline
from seqmelody.errors import UsageError
from seqmelody.midi.sources import one_line

MISSING_EXTRA = "rendering needs midirenderer and pretty-midi; pip install 'seqmelody[audio]'"

RING_SECONDS = 1.5
"""How long is rendered after the last message, so that the last note rings out."""

_SOUNDFONT = "TimGM6mb.sf2"
_WAV_HEADER_BYTES = 44
_FULL_SCALE = 32768
_QUIETER = 0.25

_Render = Callable[[bytes, bytes], bytes]


@dataclass(frozen=True, eq=False)
class Rendered:
    """What became of a timeline.

    Attributes:
        wave: Both channels in one, -1 to 1, ``(samples,)``.
        gain: What it was multiplied by to stay below 1; 1 where that was not needed.
    """

    wave: NDArray[np.float32]
    gain: float


class Renderer:
    """Renders timelines with one soundfont.

    Args:
        soundfont: An ``.sf2`` file; by default the one that comes with pretty-midi.
        rate: Samples a second of what is rendered. The band ends at 0.46 of it.

    Raises:
        UsageError: The extra is not installed.
        UsageError: The soundfont cannot be read, or the rate is none.
    """

    def __init__(self, soundfont: str | Path | None = None, *, rate: int = 44_100) -> None:
        self._render = _midirenderer()
        self.soundfont = default_soundfont() if soundfont is None else Path(soundfont)
        self.rate = rate
        try:
            resample(np.zeros(1, dtype=np.float32), RENDERER_RATE, rate)
        except ValueError as error:
            raise UsageError(
                f"audio cannot have {rate} samples a second ({error}); choose a rate such as 8000, "
                "16000, 22050, 44100 or 48000"
            ) from error
        try:
            self._data = self.soundfont.read_bytes()
        except OSError as error:
            raise UsageError(
                f"{self.soundfont}: the soundfont cannot be read ({one_line(error)})"
            ) from error
        # What is wrong with a soundfont shows when it is first used.
        self._samples(Timeline(np.zeros(0, dtype=np.int64), []), 0.0)

    @cached_property
    def digest(self) -> str:
        """Tells apart what sounds different: the soundfont, and the renderer's version."""
        version = importlib.metadata.version("midirenderer").encode()
        return hashlib.blake2b(self._data + version, digest_size=8).hexdigest()

    def render(self, timeline: Timeline, *, ring_seconds: float = RING_SECONDS) -> Rendered:
        """The sound of a timeline.

        The renderer clips what is too loud. So that is rendered again with less volume, and then
        made as loud as it can be.

        Args:
            timeline: What to play. All of it is rendered, in about 1 MB a second of audio.
            ring_seconds: How long is rendered after the last message.

        Raises:
            UsageError: The renderer fails on the soundfont.
        """
        samples = self._samples(timeline, ring_seconds)
        volume = 1.0
        while _is_clipped(samples) and volume > _QUIETER**4:
            volume *= _QUIETER
            samples = self._samples(timeline.quieter(volume), ring_seconds)
        # A mean over so short an axis takes ten times as long.
        mono = samples[:, 0].astype(np.float32)
        mono += samples[:, 1]
        mono *= 0.5 / _FULL_SCALE
        wave = resample(mono, RENDERER_RATE, self.rate)
        peak = float(np.abs(wave).max(initial=0.0)) / volume
        # Resampling may put a peak between the samples.
        gain = 1.0 if peak <= 1 else 1 / peak
        if gain != volume:
            wave = wave * np.float32(gain / volume)
        return Rendered(wave, gain)

    def _samples(self, timeline: Timeline, ring_seconds: float) -> NDArray[np.int16]:
        """Both channels at ``RENDERER_RATE``, ``(samples, 2)``."""
        try:
            wav = self._render(self._data, timeline.to_midi(ring_seconds))
        except BaseException as error:
            # The messages are in order, hence it is the soundfont. A panic of Rust code is no
            # Exception.
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise
            reason = " ".join(str(error).split())
            raise UsageError(
                f"{self.soundfont}: not a soundfont that can be used ({reason})"
            ) from error
        return np.frombuffer(wav, dtype="<i2", offset=_WAV_HEADER_BYTES).reshape(-1, 2)


def default_soundfont() -> Path:
    """The soundfont in the package pretty-midi, which is not imported for that: it takes a second.

    Raises:
        UsageError: The package is not installed, or lacks it.
    """
    spec = importlib.util.find_spec("pretty_midi")
    if spec is None or spec.origin is None:
        raise UsageError(MISSING_EXTRA)
    path = Path(spec.origin).with_name(_SOUNDFONT)
    if not path.is_file():
        raise UsageError(f"{path}: this version of pretty-midi lacks it; name a soundfont")
    return path


def _midirenderer() -> _Render:
    try:
        from midirenderer import render_wave_from
    except ImportError as error:
        raise UsageError(MISSING_EXTRA) from error
    return render_wave_from


def _is_clipped(samples: NDArray[np.int16]) -> bool:
    return bool(samples.size) and (
        samples.max() == _FULL_SCALE - 1 or samples.min() == -_FULL_SCALE
    )
