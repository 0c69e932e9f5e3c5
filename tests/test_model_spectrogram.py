from __future__ import annotations

import pytest
import torch

from seqmelody.model.frames import FRAMES_PER_STATE, HOP, RATE, STATE_HOP, without_stripe
from seqmelody.model.spectrogram import LOWEST, WINDOW, LogMel, SpectrogramCNN, mel_matrix

BANDS = 40


def tone(hertz: float, states: int = 4, height: float = 0.1) -> torch.Tensor:
    time_S = torch.arange(states * STATE_HOP) / RATE
    return height * (2 * torch.pi * hertz * time_S).sin()[None]


def reader(**settings) -> SpectrogramCNN:
    torch.manual_seed(0)
    return SpectrogramCNN(BANDS, 4, 6, **settings).eval()


def everywhere(sample_BS: torch.Tensor) -> torch.Tensor:
    return torch.ones(len(sample_BS), sample_BS.shape[1] // STATE_HOP, dtype=torch.bool)


@pytest.mark.parametrize("bands", [8, 40, 96, 128])
def test_bands_are_triangles_that_cover_what_is_above_the_lowest(bands):
    mel_RK = mel_matrix(bands)
    assert mel_RK.shape == (WINDOW // 2 + 1, bands)
    assert (mel_RK >= 0).all()
    assert (mel_RK <= 1).all()
    # None is empty, and each peaks above the one before.
    assert (mel_RK.amax(0) > 0.1).all()
    middle_K = mel_RK.argmax(0)
    assert (middle_K.diff() >= 0).all()
    # Neighbouring triangles sum to 1 between the first peak and the last.
    inner_RK = mel_RK[int(middle_K[0]) + 1 : int(middle_K[-1])]
    assert torch.allclose(inner_RK.sum(1), torch.ones(len(inner_RK)), atol=1e-4)
    hertz_R = torch.linspace(0, RATE / 2, WINDOW // 2 + 1)
    assert not mel_RK[hertz_R < LOWEST].any()


def test_a_higher_tone_is_loudest_in_a_higher_band():
    spectrogram = LogMel(BANDS)
    loudest = [
        int(spectrogram(tone(hertz))[0, 4].argmax()) for hertz in (110, 220, 440, 880, 1760, 3520)
    ]
    assert loudest == sorted(set(loudest))


def test_silence_is_zero_and_no_loudness_is_below():
    spectrogram = LogMel(BANDS)
    assert not spectrogram(torch.zeros(1, 2 * STATE_HOP)).any()
    assert (spectrogram(tone(440, height=1e-4)) >= 0).all()
    quiet, loud = (spectrogram(tone(440, height=height)).max() for height in (0.01, 0.1))
    assert 0.2 < quiet < loud < 1.2


def test_there_is_a_frame_for_each_hop_and_a_vector_for_each_state():
    sample_BS = tone(440, states=7)
    assert LogMel(BANDS)(sample_BS).shape == (1, 7 * STATE_HOP // HOP, BANDS)
    assert reader()(sample_BS, everywhere(sample_BS)).shape == (7, 1, 6)


@pytest.mark.parametrize("bands", [8, 9, 13, 96])
def test_any_number_of_bands_makes_a_picture(bands):
    sample_BS = tone(440)
    model = SpectrogramCNN(bands, 2, 3)
    assert model(sample_BS, everywhere(sample_BS)).shape == (4, 1, 3)


def test_what_stands_on_padding_changes_nothing():
    model = reader()
    sample_BS = torch.cat([tone(440), tone(660)])
    mask_BF = everywhere(sample_BS)
    mask_BF[1, 2:] = False
    cut_BS = sample_BS.clone()
    cut_BS[1, 2 * STATE_HOP :] = 0
    with torch.no_grad():
        one = model(cut_BS, mask_BF)
        alone = model(cut_BS[1:, : 2 * STATE_HOP], mask_BF[1:, :2])
    assert torch.allclose(one[:2, 1], alone[:, 0], atol=1e-6)


def test_gradient_reaches_every_weight():
    model = reader(dropout=0.1, band_dropout=0.1).train()
    sample_BS = torch.cat([tone(440), tone(660)])
    model(sample_BS, everywhere(sample_BS)).square().sum().backward()
    for name, weight in model.named_parameters():
        assert weight.grad.isfinite().all(), name
        assert weight.grad.abs().sum() > 0, name


def test_a_stripe_is_of_neighbours_at_the_same_place_in_all_frames():
    torch.manual_seed(0)
    rows, share = 400, 0.2
    kept_BWK = without_stripe(torch.ones(rows, 3, 50), share)
    assert torch.equal(kept_BWK[:, 0], kept_BWK[:, 2])
    silent_BK = kept_BWK[:, 0] == 0
    # At most one beginning and one end.
    assert (silent_BK.int().diff(dim=1).abs().sum(1) <= 2).all()
    assert silent_BK.float().mean().item() == pytest.approx(share, abs=0.03)
    # All places have their turn.
    assert silent_BK.any(0).all()
    assert not without_stripe(torch.ones(50, 1, 10), 0.9).isnan().any()
    assert FRAMES_PER_STATE * HOP == STATE_HOP
