"""How sure the scores of a finished run are: the posterior of the readout, and its calibration.

The score is linear in the melody's vector. With the network below as it is, learning by contrast is
a logistic regression of who wins on the difference ``d`` of two vectors, and its posterior is near a
Gaussian whose precision is ``sum p (1 - p) d d^T + prior`` (Laplace's approximation; MacKay, 1992;
of a last layer: Daxberger et al., 2021), ``p`` being the probability that the melody beats its
copy. The prior's precision is the one that makes the data most probable (MacKay, 1992).

That posterior does not know of the network below, which another training would have made otherwise,
and on folk songs its sd was a fifth of how far scores of other seeds lay off. Scaling it up does
not help: it depends on the distance from the mean training melody, and how far seeds disagree
hardly does. Nor does a temperature that makes the chances of winning most probable (MacKay's
``sigmoid(delta / sqrt(1 + pi s^2 / 8))``): over the kinds of copies that were trained on these are
calibrated as they are, so that it comes out as 0. So a part is added that is the same for all
melodies. A run on its own can tell it from its dropout, which stands for a posterior over all
weights (Gal & Ghahramani, 2016): the scores under dropout, brought to the mean and scale of those
without, as one does to compare two trainings, must lie within the interval as often as it says.

Shapes: B melodies, N comparisons, E size of the melody's vector.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from seqmelody.batching import Batch, OrderedBatches
from seqmelody.corpus import Corpus
from seqmelody.model import MelodyNetwork
from seqmelody.model.posterior import INTERVAL, INTERVAL_SDS, ReadoutPosterior
from seqmelody.objectives import Contrast
from seqmelody.training.data import seed_of

MELODIES = {"train": 1000, "validation": 400}
"""Most melodies to fit the posterior on, and its calibration."""
_ROUNDS = 50


def fit_posterior(
    model: MelodyNetwork, corpus: Corpus, contrast: Contrast, seed: int = 0
) -> ReadoutPosterior | None:
    """Fits how sure the scores of a trained model are.

    Args:
        model: In evaluation mode, on the CPU; it is left as it was.
        corpus: Its training split gives the posterior, its validation split the calibration.
        contrast: Draws the copies, as in training.
        seed: Of the copies and of dropout.

    Returns:
        ``None`` where it cannot be known: no copy differs from its original, or the model has no
        dropout to tell from.
    """
    if max(model.config.dropout, model.config.feature_dropout) == 0:
        return None
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed_of(seed, 0, 0, 2))
        originals: list[Tensor] = []
        differences: list[Tensor] = []
        for batch, copies, original_N in _comparisons(corpus, contrast, "train", seed):
            vector_BE = model.vectors(batch).double()
            originals.append(vector_BE)
            differences.append(vector_BE[original_N] - model.vectors(copies).double())
        if not differences:
            return None
        mean_E = torch.cat(originals).mean(0)
        # As if all training melodies had been compared.
        share = len(corpus.split("train")) / sum(map(len, originals))
        root_EE = _root(torch.cat(differences), model.head.value.weight[0].double(), share)
        posterior = ReadoutPosterior(mean_E.float(), root_EE.float(), torch.zeros(()))
        missing_N = _missing_variance(model, posterior, corpus, contrast, seed)
        if missing_N.numel() == 0:
            return None
        spread = missing_N.quantile(INTERVAL).clamp(min=0).sqrt()
        return ReadoutPosterior(posterior.mean_E, posterior.root_EE, spread.float())


def _comparisons(
    corpus: Corpus, contrast: Contrast, split: str, seed: int
) -> Iterator[tuple[Batch, Batch, Tensor]]:
    """Some melodies of a split, copies of them that differ, and each copy's original."""
    rows = corpus.split(split)
    if len(rows) > MELODIES[split]:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MELODIES[split], replace=False))
    for number, batch in enumerate(OrderedBatches(corpus, rows)):
        generator = torch.Generator().manual_seed(seed_of(seed, number, 0, 3))
        comparison = contrast.draw(batch, generator)
        if len(comparison.original_N):
            yield batch, comparison.copies, comparison.original_N


def _root(difference_NE: Tensor, weight_E: Tensor, share: float) -> Tensor:
    """A root of the readout's covariance.

    Args:
        difference_NE: The vectors of originals less those of their copies.
        weight_E: The readout.
        share: How many comparisons each stands for.
    """
    chance_N = (difference_NE @ weight_E).sigmoid()
    information_NE = difference_NE * (share * chance_N * (1 - chance_N))[:, None]
    told_E, direction_EE = torch.linalg.eigh(information_NE.T @ difference_NE)
    told_E = told_E.clamp(min=0)
    size = weight_E.square().sum().clamp(min=1e-6)
    prior = torch.ones((), dtype=torch.float64)
    for _ in range(_ROUNDS):
        # How many directions the data tell of, by the size that they gave the readout.
        prior = ((told_E / (told_E + prior)).sum() / size).clamp(min=1e-6)
    root_EE: Tensor = direction_EE / (told_E + prior).sqrt()
    return root_EE


def _missing_variance(
    model: MelodyNetwork, posterior: ReadoutPosterior, corpus: Corpus, contrast: Contrast, seed: int
) -> Tensor:
    """What each score under dropout lacks of variance to lie at the end of its interval, ``(N,)``."""
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    for batch, copies, _ in _comparisons(corpus, contrast, "validation", seed):
        for melodies in (batch, copies):
            sd_B, score_B = posterior(model.vectors(melodies)), model(melodies).score_B
            try:
                parts.append((sd_B, score_B, model.train()(melodies).score_B))
            finally:
                model.eval()
    if not parts:
        return torch.zeros(0)
    sd_N, score_N, dropped_N = (torch.cat(part).double() for part in zip(*parts, strict=True))
    scale = score_N.std(correction=0) / dropped_N.std(correction=0).clamp(min=1e-6)
    off_N = (dropped_N - dropped_N.mean()) * scale + score_N.mean() - score_N
    return (off_N / INTERVAL_SDS).square() - sd_N.square()
