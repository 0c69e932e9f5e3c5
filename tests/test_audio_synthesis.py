from __future__ import annotations

import dataclasses
import importlib.util
import shutil

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from strategies import batches, token_streams
from tunes import TUNES

from seqmelody.audio.bank import HELD_STEPS, RING_STEPS, NoteBank
from seqmelody.audio.rendering import Renderer, default_soundfont
from seqmelody.audio.synthesis import LONGEST_SECONDS, Synthesizer
from seqmelody.audio.timeline import of_melody
from seqmelody.batching import Batch, collate
from seqmelody.errors import UsageError
from seqmelody.melody import Melody
from seqmelody.tokens import Tokenizer, Tokens

pytestmark = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("midirenderer", "pretty_midi")),
    reason="needs the extra 'audio'",
)

RATE = 7680
STEP = RATE // 48


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("notes")


@pytest.fixture(scope="module")
def synthesizer(cache) -> Synthesizer:
    return Synthesizer(cache=cache)


def batch_of(*melodies: Melody) -> Batch:
    return collate([Tokenizer().encode(melody) for melody in melodies])


def sound(synthesizer, *melodies: Melody) -> torch.Tensor:
    """The samples of one melody, or of several end to end."""
    made = synthesizer(batch_of(*melodies))
    return torch.cat(
        [wave[:size] for wave, size in zip(made.sample_BS, made.length_B, strict=True)]
    )


def slowed(melody: Melody) -> Melody:
    """Four times as slow: every note begins with a block of the renderer, which else moves it."""
    duration = np.minimum(4 * melody.duration, HELD_STEPS)
    return Melody.from_streams(melody.pitch, duration, 4 * melody.rest)


def relative_error(made, true) -> float:
    size = min(len(made), len(true))
    made, true = (np.asarray(wave[:size], dtype=np.float64) for wave in (made, true))
    return float(np.linalg.norm(made - true) / np.linalg.norm(true))


@pytest.mark.parametrize("name", TUNES)
def test_the_sum_of_notes_is_what_the_renderer_gives(synthesizer, name):
    melody = slowed(TUNES[name])[:16]
    direct = Renderer(rate=RATE).render(of_melody(melody)).wave
    # Both are rounded to 16 bits, at a twentieth of full scale.
    assert relative_error(sound(synthesizer, melody), direct) < 4e-3


def test_repeated_and_very_short_notes_are_sums_too(synthesizer):
    melody = Melody.from_streams([60] * 6 + [72, 48], [8] * 6 + [8, 24], [0, 0, 8, 0, 16, 0, 0, 0])
    direct = Renderer(rate=RATE).render(of_melody(melody)).wave
    assert relative_error(sound(synthesizer, melody), direct) < 6e-3


def test_at_any_tempo_the_spectrum_is_nearly_that_of_the_renderer(synthesizer):
    # Note by note the renderer is early or late by up to half a block.
    def spectrum(wave):
        frames = np.lib.stride_tricks.sliding_window_view(np.asarray(wave), 1024)[::256]
        return np.abs(np.fft.rfft(frames * np.hanning(1024)))

    melody = TUNES["greensleeves"]
    direct = spectrum(Renderer(rate=RATE).render(of_melody(melody)).wave)
    made = spectrum(sound(synthesizer, melody))[: len(direct)]
    assert np.linalg.norm(made - direct[: len(made)]) < 0.2 * np.linalg.norm(direct)


@given(batches(max_notes=12, min_size=2))
@settings(max_examples=25)
def test_lengths_onsets_and_silence_are_as_promised(synthesizer, batch):
    made = synthesizer(batch)
    steps = batch.duration_BL + batch.rest_BL
    onset = (steps.cumsum(1) - steps) * STEP
    end = ((onset + batch.duration_BL * STEP) * batch.mask_BL).max(dim=1).values
    length = (end + RING_STEPS * STEP).clamp(max=LONGEST_SECONDS * RATE)
    assert made.length_B.tolist() == length.tolist()
    assert made.sample_BS.shape == (len(batch), int(length.max()))
    assert made.sample_BS.dtype == torch.float32
    assert made.onset_BL.dtype == made.length_B.dtype == torch.int64
    expected = torch.minimum(onset, length[:, None] - 1) * batch.mask_BL
    assert torch.equal(made.onset_BL, expected)
    after = torch.arange(made.sample_BS.shape[1]) >= length[:, None]
    assert not made.sample_BS[after].any()
    assert made.sample_BS.abs().max() <= 1


@given(batches(max_notes=12, min_size=2, max_size=4))
@settings(max_examples=25)
def test_a_melody_sounds_the_same_in_any_company(synthesizer, batch):
    together = synthesizer(batch)
    for row in range(len(batch)):
        alone = synthesizer(batch[row : row + 1])
        size = int(alone.length_B[0])
        assert torch.equal(together.sample_BS[row, :size], alone.sample_BS[0, :size])


@given(token_streams(max_notes=8), token_streams(max_notes=8))
@settings(max_examples=25)
def test_one_melody_after_another_is_the_sum_of_both(synthesizer, first, second):
    joined = Tokens(
        *(
            np.concatenate([getattr(first, name), getattr(second, name)])
            for name in ("pitch", "duration", "rest")
        )
    )
    one, two, both = (
        synthesizer(collate([tokens])).sample_BS[0] for tokens in (first, second, joined)
    )
    place = int(first.duration.sum() + first.rest.sum()) * STEP
    total = torch.zeros(max(len(both), len(one), place + len(two)))
    total[: len(one)] += one
    total[place : place + len(two)] += two
    # Only the cap can make the whole shorter.
    assert torch.allclose(both, total[: len(both)], atol=1e-6)


def test_a_transposed_melody_has_the_same_rhythm_and_other_keys(synthesizer):
    melody = TUNES["new-britain"]
    low, high = (synthesizer(batch_of(each)) for each in (melody, melody.transpose(12)))
    assert torch.equal(low.onset_BL, high.onset_BL)
    assert torch.equal(low.length_B, high.length_B)
    assert not torch.allclose(low.sample_BS, high.sample_BS, atol=1e-2)
    # Note by note, as if the keys had been played alone.
    single = sound(synthesizer, Melody([0], [24], [int(melody.pitch[0]) + 12]))
    assert torch.allclose(high.sample_BS[0, : 24 * STEP], single[: 24 * STEP], atol=1e-6)


@pytest.mark.parametrize("key", [57, 60, 69, 76, 81])
def test_keys_have_their_pitch(synthesizer, key):
    wave = sound(synthesizer, Melody([0], [24], [key])).numpy()
    power = np.abs(np.fft.rfft(wave * np.hanning(wave.size), 1 << 16))
    partials = power.argmax() * RATE / (1 << 16) / (440 * 2 ** ((key - 69) / 12))
    assert partials == pytest.approx(round(partials), rel=0.02)
    assert 1 <= round(partials) <= 3


def test_a_rest_moves_what_follows(synthesizer):
    near = Melody.from_streams([60, 64], [24, 24], [0, 0])
    far = Melody.from_streams([60, 64], [24, 24], [7, 0])
    assert synthesizer(batch_of(far)).onset_BL.tolist() == [[0, 31 * STEP]]
    made, moved = sound(synthesizer, near), sound(synthesizer, far)
    first = sound(synthesizer, near[:1])
    made[: len(first)] -= first
    moved[: len(first)] -= first
    assert torch.allclose(moved[31 * STEP :], made[24 * STEP :], atol=1e-6)


def test_long_melodies_are_cut_and_long_notes_let_go(synthesizer):
    notes = 512
    batch = collate(
        [
            Tokens(
                np.full(notes, 60, np.uint8),
                np.full(notes, HELD_STEPS, np.uint16),
                np.zeros(notes, np.uint16),
            )
        ]
    )
    made = synthesizer(batch)
    assert made.length_B.tolist() == [LONGEST_SECONDS * RATE]
    assert made.sample_BS.shape == (1, LONGEST_SECONDS * RATE)
    assert made.onset_BL[0, :16].tolist() == [4 * RATE * note for note in range(15)] + [
        LONGEST_SECONDS * RATE - 1
    ]
    assert made.onset_BL[0, -1] == LONGEST_SECONDS * RATE - 1
    # Notes of other tokenizers may be longer than any that is kept.
    longer = dataclasses.replace(batch, duration_BL=batch.duration_BL * 2)
    other = synthesizer(longer)
    assert other.onset_BL[0, 1] == 8 * RATE
    assert torch.allclose(other.sample_BS[0, : 4 * RATE], made.sample_BS[0, : 4 * RATE])
    assert not other.sample_BS[0, 4 * RATE + RING_STEPS * STEP : 8 * RATE].any()


def test_no_melodies_are_no_sound(synthesizer):
    made = synthesizer(batch_of(TUNES["freude"])[:0])
    assert made.sample_BS.shape == (0, 0)
    assert made.length_B.shape == (0,)


def test_the_bank_is_rendered_once(synthesizer, cache, monkeypatch):
    def refuse(_cls, _renderer):
        raise AssertionError("rendered again")

    monkeypatch.setattr(NoteBank, "render", classmethod(refuse))
    again = Synthesizer(cache=cache)
    melody = TUNES["freude"]
    assert torch.equal(sound(again, melody), sound(synthesizer, melody))


@pytest.mark.parametrize("kept", [0, 50, 127, 5_000_000, -1])
def test_a_cut_off_cache_is_made_again(synthesizer, cache, tmp_path, monkeypatch, kept):
    (whole,) = cache.glob("*.npy")
    damaged = tmp_path / whole.name
    damaged.write_bytes(whole.read_bytes()[:kept])
    monkeypatch.setattr(NoteBank, "render", classmethod(lambda _cls, _renderer: synthesizer.bank))
    again = Synthesizer(cache=tmp_path)
    assert damaged.read_bytes() == whole.read_bytes()
    melody = TUNES["freude"]
    assert torch.equal(sound(again, melody), sound(synthesizer, melody))
    # And nothing else is left behind.
    assert {path.name for path in tmp_path.iterdir()} <= {whole.name, ".notes.lock"}


def test_banks_of_other_rates_and_soundfonts_are_kept_apart(
    synthesizer, cache, tmp_path, monkeypatch
):
    made = []

    def render(_cls, renderer):
        made.append(renderer.rate)
        size = renderer.rate // 48
        return NoteBank(
            np.ones((128, (HELD_STEPS + RING_STEPS) * size), np.float32),
            np.ones((128, RING_STEPS * size), np.float32),
        )

    monkeypatch.setattr(NoteBank, "render", classmethod(render))
    (kept,) = cache.glob("*.npy")
    shutil.copy(kept, tmp_path)
    soundfont = tmp_path / "other.sf2"
    soundfont.write_bytes(default_soundfont().read_bytes() + bytes(2))
    Synthesizer(cache=tmp_path)
    assert made == []
    Synthesizer(cache=tmp_path, rate=4800)
    Synthesizer(cache=tmp_path, soundfont=soundfont)
    Synthesizer(cache=tmp_path, soundfont=soundfont)
    assert made == [4800, 7680]
    assert len(list(tmp_path.glob("*.npy"))) == 3


def test_the_cache_folder_is_that_of_the_user(synthesizer, cache, tmp_path, monkeypatch):
    monkeypatch.delenv("SEQMELODY_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(NoteBank, "render", classmethod(lambda _cls, _renderer: synthesizer.bank))
    Synthesizer()
    (kept,) = cache.glob("*.npy")
    assert (tmp_path / "seqmelody" / kept.name).read_bytes() == kept.read_bytes()


def test_a_cache_that_cannot_be_written_is_done_without(synthesizer, tmp_path, monkeypatch):
    monkeypatch.setattr(NoteBank, "render", classmethod(lambda _cls, _renderer: synthesizer.bank))
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    again = Synthesizer(cache=in_the_way / "cache")
    melody = TUNES["freude"]
    assert torch.equal(sound(again, melody), sound(synthesizer, melody))


@pytest.mark.parametrize("rate", [0, -48, 8000, 44_100])
def test_a_step_must_be_whole_samples(rate, cache):
    with pytest.raises(UsageError, match="multiple of 48"):
        Synthesizer(rate=rate, cache=cache)


@pytest.mark.slow
def test_a_soundfont_that_is_no_sum_of_held_notes_is_refused(tmp_path):
    # Strings, which swell for longer than a short note lasts, in the place of the piano.
    data = bytearray(default_soundfont().read_bytes())
    start = data.find(b"phdr") + 8
    for record in range(start, start + int.from_bytes(data[start - 4 : start], "little"), 38):
        program, bank = (
            int.from_bytes(data[record + at : record + at + 2], "little") for at in (20, 22)
        )
        if bank == 0 and program in (0, 48):
            data[record + 20 : record + 22] = (48 - program).to_bytes(2, "little")
    strings = tmp_path / "strings.sf2"
    strings.write_bytes(data)
    with pytest.raises(UsageError, match=r"strings.sf2: its notes do not die away evenly"):
        Synthesizer(soundfont=strings, cache=tmp_path)
