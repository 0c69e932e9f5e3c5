from __future__ import annotations

import pytest
import torch

from seqmelody.variation.draws import Draws


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_numbers_are_uniform_and_of_no_pattern():
    draws = Draws.of(300, seeded(0))
    first_BW, second_BW = draws.uniform(400), draws.uniform(400)
    for drawn_BW in (first_BW, second_BW):
        assert 0 <= drawn_BW.min() < drawn_BW.max() < 1
        counts = torch.histc(drawn_BW, bins=20, min=0, max=1)
        assert ((counts - 6000).abs() < 5 * 6000**0.5).all()
        # Neither by place nor by melody.
        assert (drawn_BW.mean(0) - 0.5).abs().max() < 5 * (1 / 12 / 300) ** 0.5
        assert (drawn_BW.mean(1) - 0.5).abs().max() < 5 * (1 / 12 / 400) ** 0.5
    pairs = [
        (first_BW, second_BW),
        (first_BW[:, 1:], first_BW[:, :-1]),
        (first_BW[1:], first_BW[:-1]),
        (first_BW, draws.of_rows(torch.arange(300), 1).uniform(400)),
        (
            draws.of_rows(torch.arange(300), 0).uniform(400),
            draws.of_rows(torch.arange(300), 1).uniform(400),
        ),
    ]
    for one, other in pairs:
        correlation = torch.corrcoef(torch.stack([one.reshape(-1), other.reshape(-1)]))[0, 1]
        assert correlation.abs() < 5 * one.numel() ** -0.5


def test_a_row_draws_the_same_whatever_width_and_rows():
    wide, narrow = (Draws.of(5, seeded(1)) for _ in range(2))
    wide.uniform(9)
    narrow.uniform(2)
    assert torch.equal(wide.uniform(9)[:, :3], narrow.uniform(3))
    rows_R = torch.tensor([3, 1])
    assert torch.equal(
        wide.of_rows(rows_R, 7).uniform(4),
        narrow.of_rows(torch.arange(5), 7).uniform(4)[rows_R],
    )


def test_whole_numbers_are_all_drawn_alike():
    drawn_BW = Draws.of(200, seeded(2)).below(torch.tensor([[7]]), 300)
    counts_7 = torch.bincount(drawn_BW.reshape(-1), minlength=7)
    assert len(counts_7) == 7
    assert ((counts_7 - 60_000 / 7).abs() < 5 * (60_000 / 7) ** 0.5).all()
    assert not Draws.of(5, seeded(2)).below(0).any()


def test_places_are_picked_by_weight():
    weight_BN = torch.tensor([[0.0, 1.0, 0.0, 3.0]]).expand(20_000, -1)
    place_B1, found_B1 = Draws.of(20_000, seeded(3)).pick(weight_BN)
    assert found_B1.all()
    assert set(place_B1[:, 0].tolist()) == {1, 3}
    assert (place_B1 == 3).float().mean().item() == pytest.approx(0.75, abs=0.02)
    _, found_B1 = Draws.of(2, seeded(3)).pick(torch.tensor([[0.0, 0.0], [0.0, 0.1]]))
    assert found_B1.tolist() == [[False], [True]]
