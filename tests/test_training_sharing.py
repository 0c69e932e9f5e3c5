from __future__ import annotations

import types
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import distributed, multiprocessing, nn

from seqmelody.batching import Batch
from seqmelody.training.sharing import share_of, shared_scores


@given(st.lists(st.integers(1, 500), min_size=1, max_size=60), st.integers(1, 8))
def test_shares_are_disjoint_whole_and_balanced(lengths, processes):
    length_B = torch.tensor(lengths)
    shares = [share_of(length_B, rank, processes) for rank in range(processes)]
    assert sorted(torch.cat(shares).tolist()) == list(range(len(lengths)))
    sizes = [len(share) for share in shares]
    assert max(sizes) - min(sizes) <= 1
    notes = [int(length_B[share].sum()) for share in shares]
    assert max(notes) - min(notes) <= max(lengths)


def batch_of(lengths: list[int]) -> Batch:
    random = np.random.default_rng(0)
    mask_BL = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    pitch_BL = torch.from_numpy(random.integers(40, 80, mask_BL.shape)) * mask_BL
    return Batch(pitch_BL, mask_BL.long(), torch.zeros_like(pitch_BL), torch.tensor(lengths))


class Sums(nn.Module):
    """The score is a weighted sum of the pitches."""

    def __init__(self) -> None:
        super().__init__()
        self.weight_L = nn.Parameter(torch.linspace(0.1, 1, 9, dtype=torch.float64))

    def forward(self, batch: Batch):
        weight_L = self.weight_L[: batch.pitch_BL.shape[1]]
        score_B = (batch.pitch_BL * weight_L).sum(1)
        embedding_BE = torch.stack([score_B.sin(), score_B.square() / 1e4], dim=1)
        return types.SimpleNamespace(score_B=score_B, embedding_BE=embedding_BE)


def loss_of(score_B: torch.Tensor) -> torch.Tensor:
    """Every score against every other."""
    return (score_B[:, None] - score_B).div(100).square().mean()


def test_one_process_scores_everything():
    batch = batch_of([9, 3, 4])
    model = Sums()
    found = shared_scores(model, batch)
    assert torch.equal(found.score_B, model(batch).score_B)
    assert found.embedding_BE is None
    found = shared_scores(model, batch, embeddings=True)
    assert torch.equal(found.embedding_BE, model(batch).embedding_BE)


LENGTHS = ([9, 3, 4, 9, 1, 2, 7], [5, 2], [8])


def _process(rank: int, processes: int, meeting: str, results: str) -> None:
    distributed.init_process_group(
        "gloo", init_method=f"file://{meeting}", rank=rank, world_size=processes
    )
    model = nn.parallel.DistributedDataParallel(Sharing())
    found = []
    for lengths in LENGTHS:
        model.zero_grad()
        score_B, embedding_BE = model(batch_of(lengths))
        loss = loss_of(score_B) + loss_of(embedding_BE[:, 0]) + loss_of(embedding_BE[:, 1])
        loss.backward()
        found.append((score_B.detach(), loss.detach(), model.module.model.weight_L.grad.clone()))
    torch.save(found, f"{results}/{rank}.pt")
    distributed.destroy_process_group()


class Sharing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.model = Sums()

    def forward(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        alone = shared_scores(self.model, batch)
        both = shared_scores(self.model, batch, embeddings=True)
        assert torch.equal(both.score_B, alone.score_B)
        return both.score_B, both.embedding_BE


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 3])
def test_processes_find_the_scores_loss_and_gradient_of_one(processes, tmp_path: Path):
    multiprocessing.spawn(
        _process, (processes, str(tmp_path / "meeting"), str(tmp_path)), nprocs=processes
    )
    for rank in range(processes):
        found = torch.load(tmp_path / f"{rank}.pt")
        for lengths, (score_B, loss, gradient) in zip(LENGTHS, found, strict=True):
            model = Sums()
            output = model(batch_of(lengths))
            expected_B, vector_BE = output.score_B, output.embedding_BE
            expected = loss_of(expected_B) + loss_of(vector_BE[:, 0]) + loss_of(vector_BE[:, 1])
            expected.backward()
            torch.testing.assert_close(score_B, expected_B.detach())
            torch.testing.assert_close(loss, expected.detach())
            torch.testing.assert_close(gradient, model.weight_L.grad)
