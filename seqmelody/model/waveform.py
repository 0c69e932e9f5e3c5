"""Frames of the raw sound through a transform, fixed or learned.

A Fourier transform of short frames is a fixed linear map to complex numbers, of which the power is
taken. Here the map may be learned as well, either as any matrix or as a product of butterfly
factors, and all that comes after it is the same.

Shapes: B melodies, S samples, W frames, N samples of a frame, K complex numbers made of it, F hidden
states, D channels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqmelody.fourier import ButterflyTransform
from seqmelody.model.frames import FRAMES_PER_STATE, framed, loudness, without_stripe

FRAME = 512
"""N; a fifteenth of a second."""
FREQUENCIES = FRAME // 2 + 1
"""K: a real frame has no more of its own."""


class FixedTransform(nn.Module):
    """The Fourier transform, by the fast algorithm."""

    def forward(self, frame_BWN: Tensor) -> Tensor:
        """Complex numbers, ``(B, W, K)``."""
        out: Tensor = torch.fft.rfft(frame_BWN, norm="ortho")
        return out


class DenseTransform(nn.Module):
    """Any complex matrix: a bank of filters, two real numbers for each sample of each.

    Args:
        start: ``random`` or ``exact``, the Fourier transform.
    """

    def __init__(self, start: str) -> None:
        super().__init__()
        if start == "exact":
            matrix_NK = torch.fft.rfft(torch.eye(FRAME), norm="ortho")
            parts_2NK = torch.stack([matrix_NK.real, matrix_NK.imag])
        else:
            # Filters of length 1, as those of the Fourier transform.
            parts_2NK = torch.randn(2, FRAME, FREQUENCIES) * (2 * FRAME) ** -0.5
        self.parts_2NK = nn.Parameter(parts_2NK)

    def forward(self, frame_BWN: Tensor) -> Tensor:
        """Complex numbers, ``(B, W, K)``."""
        return _product(frame_BWN, *self.parts_2NK)


class SparseTransform(nn.Module):
    """Butterfly factors after the permutation of the fast Fourier transform.

    Args:
        start: ``random`` or ``exact``, the Fourier transform.
    """

    def __init__(self, start: str) -> None:
        super().__init__()
        self.butterfly = ButterflyTransform(
            FRAME,
            permutation="bit-reversal",
            start="exact" if start == "exact" else "random",
        )

    def forward(self, frame_BWN: Tensor) -> Tensor:
        """Complex numbers, ``(B, W, K)``.

        A batch has thousands of frames, more than a frame has samples: on a CPU it takes less than
        half of the time to multiply the factors out first, and then each frame by their product.
        """
        matrix_NK = self.butterfly.matrix().T[:, :FREQUENCIES]
        return _product(frame_BWN, matrix_NK.real, matrix_NK.imag)


def _product(frame_BWN: Tensor, real_NK: Tensor, imaginary_NK: Tensor) -> Tensor:
    return torch.complex(frame_BWN @ real_NK, frame_BWN @ imaginary_NK)


class WaveformFrames(nn.Module):
    """One vector for each two frames of the raw sound: window, transform, loudness, linear map.

    The window is Hann's in front of every transform: so they differ in nothing but the map.

    Args:
        transform: ``stft``, ``filterbank`` or ``butterfly``.
        start: What a learned transform begins as.
        channels: D.
        dropout: Share of the frequencies silenced in training.
    """

    def __init__(self, transform: str, start: str, channels: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = dropout
        self.register_buffer("window_N", torch.hann_window(FRAME), persistent=False)
        self.transform: nn.Module = {
            "stft": lambda _: FixedTransform(),
            "filterbank": DenseTransform,
            "butterfly": SparseTransform,
        }[transform](start)
        self.out = nn.Linear(FRAMES_PER_STATE * FREQUENCIES, channels)

    def forward(self, sample_BS: Tensor, mask_BF: Tensor) -> Tensor:
        """The first vectors, ``(F, B, D)``; what stands on padding means nothing.

        Args:
            sample_BS: ``STATE_HOP`` samples for each state.
            mask_BF: True on states; padding stands at the end.
        """
        with torch.autocast(sample_BS.device.type, enabled=False):
            complex_BWK = self.transform(framed(sample_BS, FRAME) * self.get_buffer("window_N"))
            loudness_BWK = loudness(complex_BWK.real.square() + complex_BWK.imag.square())
        if self.training and self.dropout > 0:
            loudness_BWK = without_stripe(loudness_BWK, self.dropout)
        # The frames of a state beside each other.
        B, F = mask_BF.shape
        out_BFD: Tensor = self.out(loudness_BWK.reshape(B, F, FRAMES_PER_STATE * FREQUENCIES))
        return out_BFD.transpose(0, 1).contiguous()

    def matrix(self) -> Tensor:
        """The map from samples to complex numbers, window and all, ``(K, N)``."""
        window_NN = torch.diag(self.get_buffer("window_N"))
        transformed_NK: Tensor = self.transform(window_NN)
        return transformed_NK.T
