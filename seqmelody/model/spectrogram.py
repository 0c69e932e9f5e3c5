"""A log-mel spectrogram, and a 2-D CNN that reads it.

Shapes: B melodies, S samples, W frames, K bands of frequency, F hidden states, C filters, D channels.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from seqmelody.model.frames import (
    FRAMES_PER_STATE,
    RATE,
    framed,
    loudness,
    without_stripe,
)

WINDOW = 1024
"""Samples of a frame: its peaks are 30 Hz wide, two semitones at middle C."""
LOWEST = 60.0
"""Where the lowest band begins, in Hz."""


class LogMel(nn.Module):
    """Loudness in bands that lie evenly on the mel scale (Stevens, Volkmann & Newman, 1937).

    ``mel = 2595 log10(1 + f / 700)`` (O'Shaughnessy, 1987); the bands are triangles that reach from
    the middle of one neighbour to that of the other (Davis & Mermelstein, 1980).

    Args:
        bands: K.
    """

    def __init__(self, bands: int) -> None:
        super().__init__()
        self.register_buffer("window_N", torch.hann_window(WINDOW), persistent=False)
        self.register_buffer("mel_RK", mel_matrix(bands), persistent=False)

    def forward(self, sample_BS: Tensor) -> Tensor:
        """The spectrogram, ``(B, W, K)``."""
        frame_BWN = framed(sample_BS, WINDOW) * self.get_buffer("window_N")
        spectrum_BWR = torch.fft.rfft(frame_BWN, norm="ortho")
        power_BWR = spectrum_BWR.real.square() + spectrum_BWR.imag.square()
        return loudness(power_BWR @ self.get_buffer("mel_RK"))


def mel_matrix(bands: int) -> Tensor:
    """How much of each frequency of a frame is in each band, ``(WINDOW / 2 + 1, bands)``."""
    lowest, highest = (2595 * math.log10(1 + hertz / 700) for hertz in (LOWEST, RATE / 2))
    edge_K = 700 * (10 ** (torch.linspace(lowest, highest, bands + 2) / 2595) - 1)
    hertz_R1 = torch.linspace(0, RATE / 2, WINDOW // 2 + 1)[:, None]
    rising_RK = (hertz_R1 - edge_K[:-2]) / (edge_K[1:-1] - edge_K[:-2])
    falling_RK = (edge_K[2:] - hertz_R1) / (edge_K[2:] - edge_K[1:-1])
    return torch.minimum(rising_RK, falling_RK).clamp(min=0)


class SpectrogramCNN(nn.Module):
    """Reads the log-mel spectrogram as a picture: one vector for each hidden state.

    A first convolution halves frequency and time. Two stages follow, each of which doubles the
    filters, halves the frequencies again and adds a residual convolution. What is left of the
    frequencies goes through one linear map. Normalisation is over the filters of a place (as in
    ConvNeXt; Liu et al., 2022), so that no frame and no melody has to do with another's mean.

    Args:
        bands: K.
        filters: C, of the first convolution.
        channels: D.
        dropout: Share of the filters dropped in training, after each residual convolution.
        band_dropout: Share of the bands silenced in training.
    """

    def __init__(
        self,
        bands: int,
        filters: int,
        channels: int,
        dropout: float = 0.0,
        band_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.band_dropout = band_dropout
        self.spectrogram = LogMel(bands)
        self.stem = nn.Conv2d(1, filters, (4, 5), stride=2, padding=(1, 2))
        self.stages = nn.ModuleList(_Stage(filters * factor, dropout) for factor in (1, 2))
        # All weights lie as the CPU takes them the quickest, and then so does what is made of them.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        for _ in range(3):
            bands = -(-bands // 2)
        self.norm = nn.LayerNorm(4 * filters)
        self.out = nn.Linear(4 * filters * bands, channels)

    def forward(self, sample_BS: Tensor, mask_BF: Tensor) -> Tensor:
        """The first vectors, ``(F, B, D)``; what stands on padding means nothing.

        Args:
            sample_BS: ``STATE_HOP`` samples for each state.
            mask_BF: True on states; padding stands at the end.
        """
        with torch.autocast(sample_BS.device.type, enabled=False):
            loudness_BWK = self.spectrogram(sample_BS)
        if self.training and self.band_dropout > 0:
            loudness_BWK = without_stripe(loudness_BWK, self.band_dropout)
        loudness_BWK = loudness_BWK * mask_BF.repeat_interleave(FRAMES_PER_STATE, 1)[:, :, None]
        hidden_BCFK = self.stem(loudness_BWK[:, None]).relu()
        mask_BF11 = mask_BF[:, :, None, None].to(hidden_BCFK.dtype)
        for stage in self.stages:
            hidden_BCFK = stage(hidden_BCFK, mask_BF11)
        hidden_BFKC = self.norm(hidden_BCFK.permute(0, 2, 3, 1))
        out_BFD: Tensor = self.out(hidden_BFKC.flatten(2))
        return out_BFD.transpose(0, 1).contiguous()


class _Stage(nn.Module):
    """Twice the filters at half the frequencies, then ``x + dropout(relu(conv(norm(x))))``."""

    def __init__(self, filters: int, dropout: float) -> None:
        super().__init__()
        self.halving_norm = nn.LayerNorm(filters)
        self.halving = nn.Conv2d(filters, 2 * filters, 3, stride=(1, 2), padding=1)
        self.norm = nn.LayerNorm(2 * filters)
        self.conv = nn.Conv2d(2 * filters, 2 * filters, 3, padding=1)
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, hidden_BCFK: Tensor, mask_BF11: Tensor) -> Tensor:
        hidden_BCFK = self.halving(_normed(self.halving_norm, hidden_BCFK, mask_BF11)).relu()
        change_BCFK: Tensor = self.conv(_normed(self.norm, hidden_BCFK, mask_BF11)).relu()
        out: Tensor = hidden_BCFK + self.dropout(change_BCFK)
        return out


def _normed(norm: nn.LayerNorm, hidden_BCFK: Tensor, mask_BF11: Tensor) -> Tensor:
    """Normalised over the filters; padding is 0, as what lies beyond the edges."""
    normed_BFKC: Tensor = norm(hidden_BCFK.permute(0, 2, 3, 1)) * mask_BF11
    return normed_BFKC.permute(0, 3, 1, 2)
