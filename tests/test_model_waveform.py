from __future__ import annotations

import pytest
import torch
from sound import heard

from seqmelody.config import ModelConfig
from seqmelody.model.frames import FRAMES_PER_STATE, HOP, STATE_HOP
from seqmelody.model.waveform import FRAME, FREQUENCIES, WaveformFrames

TRANSFORMS = ("stft", "filterbank", "butterfly")
LEARNED = TRANSFORMS[1:]


def front_end(transform: str, start: str = "random", dropout: float = 0.0) -> WaveformFrames:
    torch.manual_seed(0)
    return WaveformFrames(transform, start, 5, dropout).eval()


def noise(states: int, seed: int = 0, rows: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.1 * torch.randn(rows, states * STATE_HOP, generator=generator)


def everywhere(sample_BS: torch.Tensor) -> torch.Tensor:
    return torch.ones(len(sample_BS), sample_BS.shape[1] // STATE_HOP, dtype=torch.bool)


def stft_matrix() -> torch.Tensor:
    """Each cosine and sine under the window, written out."""
    n = torch.arange(FRAME, dtype=torch.float64)
    angle_KN = -2 * torch.pi * torch.arange(FREQUENCIES)[:, None] * n / FRAME
    window_N = 0.5 - 0.5 * (2 * torch.pi * n / FRAME).cos()
    height_KN = (window_N / FRAME**0.5).expand_as(angle_KN)
    return torch.polar(height_KN.contiguous(), angle_KN).to(torch.complex64)


def test_the_fixed_transform_is_that_of_fourier_under_a_window():
    assert torch.allclose(front_end("stft").matrix(), stft_matrix(), atol=1e-5)


@pytest.mark.parametrize("transform", LEARNED)
def test_a_learned_transform_can_begin_as_that_of_fourier(transform):
    found = front_end(transform, "exact").matrix()
    assert torch.allclose(found, stft_matrix(), atol=1e-5)
    far = (front_end(transform, "random").matrix() - stft_matrix()).abs().max()
    assert far > 0.01


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_a_tone_is_loudest_at_its_frequency_in_the_frames_where_it_sounds(transform):
    exact = front_end(transform, "exact")
    states = 4
    time_S = torch.arange(states * STATE_HOP)
    sample_S = 0.1 * (2 * torch.pi * 20 * time_S / FRAME).sin()
    sample_S[2 * STATE_HOP :] = 0
    seen = []
    exact.out.register_forward_hook(lambda module, inputs, _: seen.append(inputs[0]))
    exact(sample_S[None], torch.ones(1, states, dtype=torch.bool))
    loudness_FWK = seen[0][0].unflatten(1, (FRAMES_PER_STATE, FREQUENCIES))
    assert (loudness_FWK[0].argmax(1) == 20).all()
    assert loudness_FWK[0].max() > 0.5
    assert (loudness_FWK[3] == 0).all()


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("start", ["random", "exact"])
def test_gradient_reaches_what_is_learned_and_nothing_else(transform, start):
    model = front_end(transform, start)
    sample_BS = noise(3)
    model(sample_BS, everywhere(sample_BS)).sum().backward()
    learned = dict(model.transform.named_parameters())
    assert bool(learned) == (transform in LEARNED)
    for weight in (*learned.values(), model.out.weight):
        assert weight.grad.isfinite().all()
        assert weight.grad.abs().sum() > 0


@pytest.mark.parametrize("transform", LEARNED)
def test_a_learned_transform_comes_near_the_one_that_made_its_targets(transform):
    target, model = front_end("stft"), front_end(transform)
    optimizer = torch.optim.Adam(model.transform.parameters(), lr=0.01)

    def difference(seed: int) -> torch.Tensor:
        frame_BWN = noise(2, seed, rows=16).unfold(1, FRAME, HOP)
        made, wanted = model.transform(frame_BWN), target.transform(frame_BWN)
        return (made - wanted).abs().square().mean()

    with torch.no_grad():
        before = difference(1000)
    for seed in range(60):
        optimizer.zero_grad()
        difference(seed).backward()
        optimizer.step()
    with torch.no_grad():
        assert difference(1000) < 0.8 * before


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_frequencies_are_silenced_in_training_only(transform):
    sample_BS = noise(3)
    model = front_end(transform, dropout=0.4)
    with torch.no_grad():
        one = model(sample_BS, everywhere(sample_BS))
        assert torch.equal(one, model(sample_BS, everywhere(sample_BS)))
        model.train()
        assert not torch.equal(one, model(sample_BS, everywhere(sample_BS)))


def test_a_butterfly_has_far_fewer_numbers_than_a_matrix():
    counts = {
        transform: sum(weight.numel() for weight in front_end(transform).transform.parameters())
        for transform in TRANSFORMS
    }
    assert counts == {
        "stft": 0,
        "filterbank": 2 * FRAME * FREQUENCIES,
        "butterfly": 9 * FRAME // 2 * 4 * 2,
    }


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_all_but_the_transform_is_the_same(transform):
    def others(name: str) -> dict[str, torch.Size]:
        model = heard(ModelConfig(front_end=name, channels=8, hidden_size=8, embedding_size=4))
        return {
            weight: tensor.shape
            for weight, tensor in model.state_dict().items()
            if not weight.startswith("features.transform.")
        }

    assert others(transform) == others("stft")
