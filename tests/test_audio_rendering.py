from __future__ import annotations

import builtins
import importlib.util
import subprocess
import sys

import numpy as np
import pytest
from tunes import TUNES

from seqmelody.audio import rendering as module
from seqmelody.audio.rendering import MISSING_EXTRA, Renderer, default_soundfont
from seqmelody.audio.timeline import RENDERER_RATE, Timeline, of_melody
from seqmelody.errors import SeqmelodyError, UsageError
from seqmelody.melody import Melody

needs_extra = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("midirenderer", "pretty_midi")),
    reason="needs the extra 'audio'",
)


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer(rate=8000)


def chord(keys, channels=1, velocity=127, seconds=0.5) -> Timeline:
    """All keys at once, on several channels."""
    on = [bytes((0x90 | channel, key, velocity)) for channel in range(channels) for key in keys]
    off = [bytes((0x80 | message[0] & 15, message[1], 0)) for message in on]
    time = np.repeat([0, round(seconds * RENDERER_RATE)], len(on))
    return Timeline(time, [*on, *off])


def strongest(wave, rate) -> float:
    """The frequency of the strongest partial, in Hertz."""
    size = 1 << 16
    power = np.abs(np.fft.rfft(wave * np.hanning(wave.size), size))
    return float(power.argmax()) * rate / size


@needs_extra
def test_a_melody_sounds_as_long_as_it_lasts(renderer):
    melody = TUNES["frere-jacques"]
    rendered = renderer.render(of_melody(melody), ring_seconds=1.0)
    assert rendered.wave.dtype == np.float32
    assert rendered.wave.size / 8000 == pytest.approx(melody.span_steps / 48 + 1.0, abs=0.01)
    assert rendered.gain == 1
    # Every note is heard, and nothing once the last has died away.
    for onset in (melody.onset / 48 * 8000).astype(int):
        assert np.abs(rendered.wave[onset + 20 : onset + 800]).max() > 0.01
    assert np.abs(rendered.wave[-800:]).max() < 1e-3


@needs_extra
@pytest.mark.parametrize("key", [57, 60, 69, 76, 81])
def test_keys_have_their_pitch(renderer, key):
    wave = renderer.render(of_melody(Melody([0], [24], [key]))).wave
    # A partial of the note, of which the first is the strongest or next to it.
    partials = strongest(wave, 8000) / (440 * 2 ** ((key - 69) / 12))
    assert partials == pytest.approx(round(partials), rel=0.02)
    assert 1 <= round(partials) <= 3


@needs_extra
def test_the_rate_changes_nothing_but_the_rate(renderer):
    timeline = of_melody(TUNES["new-britain"][:8])
    slow = renderer.render(timeline).wave
    fast = Renderer(rate=16_000).render(timeline).wave
    assert fast.size == pytest.approx(2 * slow.size, abs=2)
    spectra = [np.abs(np.fft.rfft(wave))[:6000] for wave in (slow[: fast.size // 2], fast / 2)]
    assert np.linalg.norm(spectra[0] - spectra[1]) < 0.02 * np.linalg.norm(spectra[1])


@needs_extra
def test_what_would_clip_is_made_quieter(renderer):
    loud = chord([48, 60, 64, 67], channels=9)
    rendered = renderer.render(loud)
    assert rendered.gain < 0.8
    assert np.abs(rendered.wave).max() == pytest.approx(1, abs=1e-3)
    # It is the same sound as that of a soft chord, only louder: nothing was clipped on the way.
    soft = renderer.render(loud.quieter(1 / 16)).wave
    scale = float(rendered.wave @ soft) / float(soft @ soft)
    assert np.linalg.norm(rendered.wave - scale * soft) < 0.02 * np.linalg.norm(rendered.wave)
    assert scale * 1 / 16 == pytest.approx(rendered.gain, rel=0.1)


@needs_extra
def test_no_notes_are_silence(renderer):
    nothing = Timeline(np.zeros(0, dtype=np.int64), [])
    rendered = renderer.render(nothing, ring_seconds=0.5)
    assert rendered.wave.size == 4000
    assert not rendered.wave.any()
    assert rendered.gain == 1


@needs_extra
def test_a_soundfont_that_is_missing_or_broken(tmp_path):
    good = default_soundfont().read_bytes()
    broken = {
        "missing": None,
        "empty": b"",
        "text": b"no soundfont at all",
        "cut": good[: len(good) // 2],
        "head": good[:100],
        "no header": bytes(64) + good[64:],
    }
    for name, data in broken.items():
        path = tmp_path / f"{name}.sf2"
        if data is not None:
            path.write_bytes(data)
        with pytest.raises(UsageError, match=rf"{name}\.sf2: .*soundfont") as caught:
            Renderer(path)
        assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match=r"the soundfont cannot be read"):
        Renderer(tmp_path)


@needs_extra
def test_a_panic_of_the_renderer_is_told_of_the_soundfont(monkeypatch):
    class PanicException(BaseException):
        pass

    def panic(_soundfont, _midi):
        raise PanicException("index out of bounds:\n the len is 0")

    monkeypatch.setattr("midirenderer.render_wave_from", panic)
    with pytest.raises(UsageError, match=r"used \(index out of bounds: the len is 0"):
        Renderer()

    def interrupt(_soundfont, _midi):
        raise KeyboardInterrupt

    monkeypatch.setattr("midirenderer.render_wave_from", interrupt)
    with pytest.raises(KeyboardInterrupt):
        Renderer()


@needs_extra
@pytest.mark.parametrize("rate", [0, -8000, 48_000 * 48_001])
def test_rates_that_cannot_be(rate):
    with pytest.raises(UsageError, match="choose a rate such as"):
        Renderer(rate=rate)


@needs_extra
def test_soundfonts_are_told_apart(tmp_path):
    other = tmp_path / "other.sf2"
    other.write_bytes(default_soundfont().read_bytes() + bytes(2))
    assert Renderer().digest == Renderer(rate=8000).digest
    assert Renderer().digest != Renderer(other).digest


@needs_extra
def test_pretty_midi_is_not_imported_for_its_soundfont():
    program = (
        "import sys\n"
        "from seqmelody.audio.rendering import Renderer\n"
        "Renderer()\n"
        "print(sorted({'pretty_midi', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout == "[]\n"


def test_without_midirenderer(monkeypatch):
    imported = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "midirenderer":
            raise ModuleNotFoundError(name)
        return imported(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SeqmelodyError) as caught:
        Renderer()
    assert str(caught.value) == MISSING_EXTRA
    assert "pip install 'seqmelody[audio]'" in MISSING_EXTRA


def test_without_pretty_midi(monkeypatch, tmp_path):
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(SeqmelodyError) as caught:
        default_soundfont()
    assert str(caught.value) == MISSING_EXTRA


def test_a_pretty_midi_without_its_soundfont(monkeypatch, tmp_path):
    spec = importlib.util.spec_from_file_location("pretty_midi", tmp_path / "__init__.py")
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda _name: spec)
    with pytest.raises(SeqmelodyError, match=r"TimGM6mb.sf2: .*name a soundfont"):
        default_soundfont()
