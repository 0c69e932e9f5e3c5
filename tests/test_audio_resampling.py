from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqmelody.audio.resampling import resample

RATES = [7680, 8000, 11_025, 22_050, 44_100, 48_000, 96_000]


def sine(hertz, rate, seconds=0.5):
    return np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate).astype(np.float32)


@pytest.mark.parametrize("rate", RATES)
def test_a_tone_within_the_band_stays_as_it_is(rate):
    hertz = 0.3 * min(rate, 48_000)
    made = resample(sine(hertz, 48_000), 48_000, rate)
    inner = slice(rate // 20, -rate // 20)
    assert made.dtype == np.float32
    assert np.abs(made - sine(hertz, rate, made.size / rate))[inner].max() < 1e-4


@pytest.mark.parametrize("rate", [7680, 16_000, 22_050])
def test_what_the_new_rate_cannot_hold_is_gone(rate):
    # Below the old rate's own edge, and mirrored into the middle of the new band.
    made = resample(sine(0.7 * rate, 48_000), 48_000, rate)
    assert np.abs(made[rate // 20 : -rate // 20]).max() < 10 ** (-80 / 20)


@given(
    st.integers(1, 3000),
    st.sampled_from(RATES),
    st.integers(0, 5),
    st.integers(0, 2**31),
)
@settings(max_examples=40)
def test_a_shift_before_is_the_same_shift_after(size, rate, shift, seed):
    wave = np.random.default_rng(seed).standard_normal(size).astype(np.float32)
    step = np.gcd(rate, 48_000)
    before, after = 48_000 // step * shift, rate // step * shift
    made = resample(wave, 48_000, rate)
    assert made.size == -(-size * rate // 48_000)
    moved = resample(np.pad(wave, (before, 0)), 48_000, rate)
    # What rings before the beginning of the unmoved one is cut off there.
    assert np.allclose(moved[after : after + made.size], made, atol=1e-4)


def test_the_same_as_another_implementation():
    signal = pytest.importorskip("scipy.signal", reason="needs SciPy to compare with")
    noise = np.random.default_rng(0).standard_normal(48_000)
    # Within what both let pass.
    low = signal.sosfiltfilt(signal.butter(10, 2000, fs=48_000, output="sos"), noise)
    ours = resample(low.astype(np.float32), 48_000, 7680)
    theirs = signal.resample_poly(low, 4, 25, window=("kaiser", 9.0))
    inner = slice(200, -200)
    assert np.abs(ours - theirs)[inner].max() < 5e-3 * np.abs(theirs).max()


def test_nothing_and_the_same_rate():
    empty = np.zeros(0, dtype=np.float32)
    assert resample(empty, 48_000, 7680).size == 0
    wave = sine(440, 48_000)
    assert np.array_equal(resample(wave, 48_000, 48_000), wave)


@pytest.mark.parametrize(
    ("before", "after"), [(48_000, 0), (48_000, -1), (0, 48_000), (48_000, 44_101)]
)
def test_rates_that_cannot_be(before, after):
    with pytest.raises(ValueError, match="rate"):
        resample(np.zeros(9, dtype=np.float32), before, after)
