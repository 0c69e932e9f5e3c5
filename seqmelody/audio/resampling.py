"""``resample``: a waveform at another rate."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

_ZEROS = 16
"""Zero crossings of the sinc on either side."""
_BETA = 9.0
"""Of Kaiser's window: what would be mirrored into the band is damped by 80 dB and more."""
_ROLLOFF = 0.92
"""Where the band ends, as a share of half the lower rate."""
_MAX_PHASES = 4096
_CHUNK_VALUES = 1 << 22


def resample(wave: NDArray[np.float32], from_rate: int, to_rate: int) -> NDArray[np.float32]:
    """Band-limited interpolation with a sinc under Kaiser's window, without delay.

    Where a time is a whole number of samples at both rates, a shift by it before is the same shift
    after. Source: J. O. Smith, *Digital Audio Resampling*,
    https://ccrma.stanford.edu/~jos/resample/.

    Args:
        wave: ``(samples,)``; silence is assumed before and after.
        from_rate: Its samples a second.
        to_rate: Those of the result.

    Returns:
        ``(ceil(samples * to_rate / from_rate),)``.

    Raises:
        ValueError: The rates are not above 0, or have no common divisor to speak of.
    """
    if from_rate < 1 or to_rate < 1:
        raise ValueError(f"a rate must be at least 1, not {min(from_rate, to_rate)}")
    common = math.gcd(from_rate, to_rate)
    up, down = to_rate // common, from_rate // common
    if max(up, down) > _MAX_PHASES:
        raise ValueError(
            f"the rates {from_rate} and {to_rate} have no larger divisor than {common}"
        )
    if up == down or not wave.size:
        return wave
    # Blocks as long as the taps reach: matrices that a processor multiplies well.
    reach = math.ceil(_ZEROS / _cutoff(up, down))
    blocked = max(1, 2 * reach // down)
    up, down = up * blocked, down * blocked
    taps_TU = _taps(up, down, reach)
    size = -(-wave.size * up // down)
    blocks = -(-size // up)
    # A block of the result is a product of the samples around it with all taps at once.
    padded = np.pad(wave, (reach, reach + blocks * down - wave.size))
    windows_KT = np.lib.stride_tricks.sliding_window_view(padded, taps_TU.shape[0])[::down]
    out_KU = np.empty((blocks, up), dtype=np.float32)
    step = max(1, _CHUNK_VALUES // taps_TU.shape[0])
    for first in range(0, blocks, step):
        here = slice(first, first + step)
        np.matmul(windows_KT[here], taps_TU, out=out_KU[here])
    return out_KU.reshape(-1)[:size]


def _cutoff(up: int, down: int) -> float:
    """Where the band ends, as a share of half the rate before."""
    return _ROLLOFF * min(1.0, up / down)


@cache
def _taps(up: int, down: int, reach: int) -> NDArray[np.float32]:
    """Weights of the samples around a block of ``down`` for its ``up`` results, ``(T, up)``."""
    cutoff = _cutoff(up, down)
    half = _ZEROS / cutoff
    place_T = np.arange(-reach, down + reach)
    distance_TU = place_T[:, None] - np.arange(up) * down / up
    inside_TU = np.maximum(0.0, 1 - (distance_TU / half) ** 2)
    window_TU = np.where(inside_TU > 0, np.i0(_BETA * np.sqrt(inside_TU)) / np.i0(_BETA), 0)
    return (cutoff * np.sinc(cutoff * distance_TU) * window_TU).astype(np.float32)
