"""Frames of sound, and what every front end does with them.

Shapes: B melodies, S samples, N samples of a frame, W frames, K frequencies; F hidden states, of
``FRAMES_PER_STATE`` frames each.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

RATE = 7680
"""Samples of sound a second: frequencies up to 3840 Hz are heard."""
HOP = 480
"""Samples from frame to frame: a sixteenth of a second, three steps of the grid."""
FRAMES_PER_STATE = 2
"""Frames that make one hidden state: so there is one for each sixteenth note."""
STATE_HOP = FRAMES_PER_STATE * HOP
"""Samples from hidden state to hidden state."""
QUIETEST, LOUDEST = 1e-7, 1e-1
"""Power below which nothing is heard, and about that of the strongest partial of a note."""


def framed(sample_BS: Tensor, size: int) -> Tensor:
    """Overlapping frames, ``(B, W, N)``; the middle of the first is at half of ``HOP``.

    Args:
        sample_BS: ``HOP`` for each frame.
        size: N, above ``HOP``.
    """
    before = (size - HOP) // 2
    padded_BS = nn.functional.pad(sample_BS, (before, size - HOP - before))
    return padded_BS.unfold(1, size, HOP)


def loudness(power: Tensor) -> Tensor:
    """The logarithm of a power, from 0 at ``QUIETEST`` and below to 1 at ``LOUDEST``."""
    return (power.clamp(min=QUIETEST) / QUIETEST).log() / math.log(LOUDEST / QUIETEST)


def without_stripe(loudness_BWK: Tensor, share: float) -> Tensor:
    """Silences a stripe of neighbouring frequencies in each melody (SpecAugment; Park et al., 2019).

    Args:
        loudness_BWK: What to silence them in.
        share: How much of the frequencies, on average: a stripe's width is uniform up to twice as
            much, and never more than all.
    """
    B, _, K = loudness_BWK.shape
    draw_2B1 = torch.rand(2, B, 1, device=loudness_BWK.device)
    width_B1 = (draw_2B1[0] * (2 * share * K + 1)).floor().clamp(max=K)
    first_B1 = (draw_2B1[1] * (K - width_B1 + 1)).floor()
    place_K = torch.arange(K, device=loudness_BWK.device)
    kept_BK = (place_K < first_B1) | (place_K >= first_B1 + width_B1)
    return loudness_BWK * kept_BK[:, None]
