"""``NoteBank``: every key of an instrument, held and let go, as short pieces of sound.

A soundfont plays one recording for a key and, when the key is let go, lets it die away. So a note of
``d`` steps is the first ``d`` steps of the held note, and then goes on as the held note would, times
a gain that falls by a constant share in equal times. Two renderings of each key give both, and with
them the notes of all lengths.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from seqmelody.audio.rendering import Renderer
from seqmelody.audio.timeline import RENDERER_RATE, Timeline, of_notes
from seqmelody.errors import UsageError
from seqmelody.tokens import PITCHES

STEPS_PER_SECOND = 48
"""Grid steps at the constant tempo of 120 quarter notes a minute."""

HELD_STEPS = 192
"""A note sounds no longer than two whole notes, the tokenizer's cap."""

RING_STEPS = 24
"""How long a note rings on after it was let go."""

_FORMAT = 1
_KEYS_AT_ONCE = 8
_STEP = RENDERER_RATE // STEPS_PER_SECOND
_LONG = HELD_STEPS + RING_STEPS
_SHORT = 8
# Ends all sound at once: the highest strings of a piano have no dampers, and would ring on.
_SILENCE = bytes((0xB0, 120, 0))
_GAP = 8
"""Steps between notes that are rendered; as all times here a multiple of 8, which is a whole number
of the renderer's blocks."""
_CHECKED = ((36, 24), (48, 8), (60, 24), (72, 96), (84, 16))
"""Keys and lengths of notes that are put together and compared."""
_TOLERANCE = 0.05


@dataclass(frozen=True, eq=False)
class NoteBank:
    """The sound of all keys at one rate.

    Attributes:
        held_PS: Each key held, for ``HELD_STEPS + RING_STEPS``, float32.
        release_PR: What it is multiplied by once it was let go, for ``RING_STEPS``, float32; ends
            at 0.
    """

    held_PS: NDArray[np.float32]
    release_PR: NDArray[np.float32]

    @classmethod
    def load(cls, renderer: Renderer, cache: Path) -> NoteBank:
        """The bank of a soundfont, rendered on first use (in some seconds) and then kept.

        Several processes may do so at once. Where the folder cannot be written, nothing is kept.

        Args:
            renderer: Its rate is a multiple of ``STEPS_PER_SECOND``.
            cache: Folder for the file.

        Raises:
            UsageError: The soundfont's notes are not what the module's docstring says.
        """
        path = cache / f"notes-{_FORMAT}-{renderer.digest}-{renderer.rate}.npy"
        bank = cls._map(path, renderer.rate)
        if bank is not None:
            return bank
        try:
            cache.mkdir(parents=True, exist_ok=True)
            lock = FileLock(cache / ".notes.lock")
            lock.acquire()
        except (OSError, NotImplementedError):
            # NotImplementedError: a file system that cannot lock.
            return cls.render(renderer)
        try:
            bank = cls._map(path, renderer.rate)
            if bank is None:
                bank = cls.render(renderer)
                _save(bank, path)
        finally:
            lock.release()
        return bank

    @classmethod
    def render(cls, renderer: Renderer) -> NoteBank:
        """Renders all keys.

        Raises:
            UsageError: As for ``load``.
        """
        keys = list(range(PITCHES))
        held_PS = _notes(renderer, keys, [_LONG] * PITCHES, _LONG)
        short_PS = _notes(renderer, keys, [_SHORT] * PITCHES, _SHORT + RING_STEPS)
        ring = RING_STEPS * renderer.rate // STEPS_PER_SECOND
        time_R = (np.arange(ring) + 0.5) / ring
        decay_P = _decay(held_PS, short_PS)
        # The last quarter of the ring is faded out.
        fade_R = np.cos(np.pi / 2 * np.clip(4 * time_R - 3, 0, 1)) ** 2
        release_PR = (np.exp(-decay_P[:, None] * time_R) * fade_R).astype(np.float32)
        bank = cls(held_PS, release_PR)
        bank._check(renderer)
        return bank

    def note(self, key: int, steps: int) -> NDArray[np.float32]:
        """A note of some steps, at most ``HELD_STEPS``, and its ring; ``(samples,)``."""
        ring = self.release_PR.shape[1]
        sounding = steps * ring // RING_STEPS
        sound: NDArray[np.float32] = self.held_PS[key, : sounding + ring].copy()
        sound[sounding:] *= self.release_PR[key]
        return sound

    def _check(self, renderer: Renderer) -> None:
        keys, lengths = (list(column) for column in zip(*_CHECKED, strict=True))
        rendered = _notes(renderer, keys, lengths, max(lengths) + RING_STEPS)
        for key, steps, wave in zip(keys, lengths, rendered, strict=True):
            made = self.note(key, steps)
            # The fade is ours.
            judged = slice(0, made.size - self.release_PR.shape[1] // 4)
            wrong = float(np.square(made[judged] - wave[: made.size][judged]).sum())
            if wrong > _TOLERANCE**2 * float(np.square(wave).sum()):
                raise UsageError(
                    f"{renderer.soundfont}: its notes do not die away evenly when let go, so that "
                    "melodies cannot be put together from it; take another soundfont"
                )

    @classmethod
    def _map(cls, path: Path, rate: int) -> NoteBank | None:
        """The bank in a file; None where it is missing or damaged."""
        per_step = rate // STEPS_PER_SECOND
        try:
            # The view drops np.memmap, whose slices are several times slower to make.
            sound = np.load(path, mmap_mode="r").view(np.ndarray)
        except (OSError, ValueError, EOFError):
            return None
        if sound.shape != (PITCHES, (_LONG + RING_STEPS) * per_step) or sound.dtype != np.float32:
            return None
        return cls(sound[:, : _LONG * per_step], sound[:, _LONG * per_step :])


def _save(bank: NoteBank, path: Path) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            np.save(file, np.concatenate([bank.held_PS, bank.release_PR], axis=1))
        temporary.replace(path)
    except OSError:
        return  # a full disk costs the next process some seconds
    finally:
        temporary.unlink(missing_ok=True)


def _notes(
    renderer: Renderer, keys: list[int], lengths: list[int], steps: int
) -> NDArray[np.float32]:
    """Notes of some lengths, each in ``steps`` steps of sound: ``(notes, samples)``."""
    sound = []
    for first in range(0, len(keys), _KEYS_AT_ONCE):
        pitch = np.array(keys[first : first + _KEYS_AT_ONCE], dtype=np.int64)
        onset = np.arange(pitch.size, dtype=np.int64) * (steps + _GAP) * _STEP
        end = onset + np.array(lengths[first : first + _KEYS_AT_ONCE]) * _STEP
        notes = of_notes(onset, end, pitch)
        time = np.concatenate([onset, notes.time])
        order = np.argsort(time, kind="stable").tolist()
        messages = [*[_SILENCE] * pitch.size, *notes.messages]
        timeline = Timeline(time[order], [messages[place] for place in order])
        rest = onset[-1] / RENDERER_RATE + (steps + _GAP) / STEPS_PER_SECOND - timeline.seconds
        samples = renderer.render(timeline, ring_seconds=rest).wave
        size = (steps + _GAP) * renderer.rate // STEPS_PER_SECOND
        here = samples[: pitch.size * size].reshape(pitch.size, size)
        sound.append(here[:, : steps * renderer.rate // STEPS_PER_SECOND])
    return np.concatenate(sound)


def _decay(held_PS: NDArray[np.float32], short_PS: NDArray[np.float32]) -> NDArray[np.float64]:
    """How much faster keys die away when let go than when held, per ``RING_STEPS``, ``(PITCHES,)``.

    Args:
        held_PS: Each key held.
        short_PS: Each key let go after ``_SHORT`` steps.
    """
    per_step = short_PS.shape[1] // (_SHORT + RING_STEPS)
    held_PRS, short_PRS = (
        sound[:, _SHORT * per_step : (_SHORT + RING_STEPS) * per_step]
        .reshape(PITCHES, RING_STEPS, per_step)
        .astype(np.float64)
        for sound in (held_PS, short_PS)
    )
    power_PR = np.square(held_PRS).sum(axis=2)
    gain_PR = (held_PRS * short_PRS).sum(axis=2) / np.maximum(power_PR, 1e-12)
    # Only while there is something left to measure; what is louder counts more.
    clear_PR = gain_PR > 0.05
    weight_PR = clear_PR * power_PR * np.square(gain_PR)
    log_PR = np.log(gain_PR, out=np.zeros_like(gain_PR), where=clear_PR)
    time_R = (np.arange(RING_STEPS) + 0.5) / RING_STEPS
    fitted = -(weight_PR * time_R * log_PR).sum(axis=1)
    decay: NDArray[np.float64] = fitted / np.maximum((weight_PR * time_R**2).sum(axis=1), 1e-20)
    return decay
