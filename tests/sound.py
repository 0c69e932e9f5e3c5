"""A stand-in for the synthesizer: any note is six harmonics that die away, and no soundfont is needed."""

from __future__ import annotations

from functools import cache

import pytest
import torch

from seqmelody.audio.synthesis import Waveforms
from seqmelody.batching import Batch
from seqmelody.config import ModelConfig
from seqmelody.model import MelodyNetwork
from seqmelody.tokens import Tokenizer

RING_STEPS = 12
LONGEST_SECONDS = 60


class Harmonics:
    """Takes and gives what ``seqmelody.audio.Synthesizer`` does."""

    def __init__(self, *, rate: int = 7680) -> None:
        self.rate = rate

    def __call__(self, batch: Batch) -> Waveforms:
        per_step = self.rate // 48
        step_BL = (batch.duration_BL + batch.rest_BL) * batch.mask_BL
        onset_BL = step_BL.cumsum(1) - step_BL
        end_B = ((onset_BL + batch.duration_BL) * batch.mask_BL).amax(1) + RING_STEPS
        length_B = end_B.clamp(max=LONGEST_SECONDS * 48) * per_step
        onset_BL = torch.minimum(onset_BL * per_step, length_B[:, None] - 1) * batch.mask_BL
        sample_BS = torch.zeros(len(batch), int(length_B.max()))
        for row, column in batch.mask_BL.nonzero().tolist():
            first = int(onset_BL[row, column])
            last = first + (int(batch.duration_BL[row, column]) + RING_STEPS) * per_step
            last = min(last, int(length_B[row]))
            sample_BS[row, first:last] += _note(self.rate, int(batch.pitch_BL[row, column]))[
                : last - first
            ]
        return Waveforms(sample_BS, length_B, onset_BL)


@cache
def _note(rate: int, pitch: int) -> torch.Tensor:
    time = torch.arange(5 * rate) / rate
    hertz = 440 * 2 ** ((pitch - 69) / 12)
    partials = [
        (2 * torch.pi * k * hertz * time).sin() / k for k in range(1, 7) if k * hertz < rate / 2
    ]
    return 0.05 * (-2 * time).exp() * sum(partials, torch.zeros_like(time))


def heard(config: ModelConfig, seed: int = 0) -> MelodyNetwork:
    """A model in evaluation mode that hears ``Harmonics``, its weights as training would have them."""
    from seqmelody.model import build_model

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("seqmelody.model.hearing.Synthesizer", Harmonics)
        torch.manual_seed(seed)
        model = build_model(config, Tokenizer()).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    return model
