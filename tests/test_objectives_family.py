"""The tune-family objective."""

from __future__ import annotations

import math

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import normalize

from seqmelody.objectives import Family


def loss_of(vectors: torch.Tensor, families: list[int], temperature: float = 0.1) -> float:
    return float(Family(temperature)(normalize(vectors, dim=1), torch.tensor(families)))


def test_is_the_mean_surprise_at_a_relative():
    # One pair and a stranger, orthogonal: the relative is one of two that are equally far.
    vectors = torch.eye(3)
    assert math.isclose(loss_of(vectors, [0, 0, 1]), math.log(2), rel_tol=1e-6)


def test_of_the_mean_over_relatives_each_counts_alike():
    vectors = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [0.6, -0.8]])
    families = [0, 0, 0, 1]
    cosine = vectors @ vectors.T / 0.5
    by_hand = []
    for row in range(3):
        others = [other for other in range(4) if other != row]
        total = math.log(sum(math.exp(cosine[row, other]) for other in others))
        relatives = [other for other in others if other < 3]
        by_hand.append(sum(total - float(cosine[row, other]) for other in relatives) / 2)
    assert math.isclose(loss_of(vectors, families, 0.5), sum(by_hand) / 3, rel_tol=1e-5)


def test_relatives_that_lie_together_cost_nothing():
    vectors = torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0]])
    assert loss_of(vectors, [0, 0, 1, 1], 0.05) < 1e-6
    assert loss_of(vectors, [0, 1, 0, 1], 0.05) > 10


@given(st.lists(st.integers(0, 3), min_size=2, max_size=12), st.randoms())
def test_the_order_of_the_melodies_does_not_matter(families, random):
    generator = torch.Generator().manual_seed(len(families))
    vectors = torch.randn(len(families), 5, generator=generator)
    order = list(range(len(families)))
    random.shuffle(order)
    shuffled = loss_of(vectors[order], [families[row] for row in order])
    assert math.isclose(loss_of(vectors, families), shuffled, rel_tol=1e-4, abs_tol=1e-6)


def test_without_relatives_there_is_no_loss_and_its_gradient_is_finite():
    vectors = torch.randn(4, 3, requires_grad=True)
    loss = Family(0.1)(normalize(vectors, dim=1), torch.arange(4))
    loss.backward()
    assert float(loss.detach()) == 0
    assert vectors.grad.isfinite().all()


def test_learning_brings_relatives_together():
    torch.manual_seed(0)
    vectors = torch.nn.Parameter(torch.randn(8, 4))
    families = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])
    optimizer = torch.optim.Adam([vectors], lr=0.1)
    for _ in range(100):
        optimizer.zero_grad()
        Family(0.2)(normalize(vectors, dim=1), families).backward()
        optimizer.step()
    found = normalize(vectors.detach(), dim=1)
    cosine = (found @ found.T).fill_diagonal_(-2)
    assert (families[cosine.argmax(1)] == families).all()


def alignment_part(vectors: torch.Tensor, aligned: torch.Tensor) -> float:
    """What the second target adds to the loss."""
    objective, families = (
        Family(0.1, alignment=2.0, alignment_temperature=0.2),
        torch.arange(4) // 2,
    )
    return float(objective(vectors, families, aligned) - objective(vectors, families))


def test_embeddings_as_alike_as_alignment_says_cost_nothing_more():
    vectors = normalize(torch.randn(4, 3, generator=torch.Generator().manual_seed(1)), dim=1)
    # A softmax does not hinge on what is added to a row, nor on a melody's likeness to itself.
    aligned = 2.0 * vectors @ vectors.T + torch.arange(4.0)[:, None]
    aligned.fill_diagonal_(9.0)
    assert abs(alignment_part(vectors, aligned)) < 1e-5
    assert alignment_part(vectors, aligned.flip(1)) > 0.1


def test_what_alignment_adds_is_the_divergence_by_hand():
    vectors = normalize(torch.randn(4, 3, generator=torch.Generator().manual_seed(2)), dim=1)
    aligned = torch.rand(4, 4, generator=torch.Generator().manual_seed(3))
    cosine = vectors @ vectors.T
    total = 0.0
    for row in range(4):
        others = [other for other in range(4) if other != row]
        wanted = [math.exp(aligned[row, other] / 0.2) for other in others]
        found = [math.exp(cosine[row, other] / 0.1) for other in others]
        for want, find in zip(wanted, found, strict=True):
            share = want / sum(wanted)
            total += share * math.log(share / (find / sum(found)))
    assert math.isclose(alignment_part(vectors, aligned), 2.0 * total / 4, rel_tol=1e-4)


def test_alignment_teaches_melodies_without_relatives_too():
    vectors = torch.randn(4, 3, requires_grad=True)
    loss = Family(0.1, alignment=1.0)(normalize(vectors, dim=1), torch.arange(4), torch.rand(4, 4))
    loss.backward()
    assert (vectors.grad.norm(dim=1) > 0).all()
    assert vectors.grad.isfinite().all()
