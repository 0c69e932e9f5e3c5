"""Best of 16: does choosing by the scorer make a generator better, for a judge that is not the scorer?

A Markov chain over notes, learnt from the training split of a corpus, draws melodies. One sample is
compared with the one of 16 that the scorer likes best. The judge is the baseline ``ngram``: minus
the mean information content of a note under a variable-order model of the same training melodies.
The 16 are equally long, so that length cannot decide; how dense the melodies are is printed beside
it, with what choosing the densest, or the sparsest, of the 16 would have brought.

    seqmelody corpus essen --out data/essen
    seqmelody prepare data/essen --out data/essen.corpus
    python examples/best_of_16.py data/essen.corpus
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from tabulate import tabulate

from seqmelody import MelodyReward
from seqmelody.baselines import make
from seqmelody.corpus import Corpus
from seqmelody.evaluation.intervals import Estimate, bootstrap_mean
from seqmelody.markov import MarkovChain
from seqmelody.tokens import TokenBatch

CANDIDATES = 16
MIDDLE_C = 60


@dataclass(frozen=True)
class Outcome:
    """What one way to choose among the candidates brought.

    Attributes:
        judged: The judge's mean score of what was chosen; higher is better.
        gain: The same, less that of one sample, with its interval over the draws.
        wins: Share of the draws in which the judge prefers it to the one sample.
        notes: Mean length.
        density: Mean notes per quarter.
    """

    judged: float
    gain: Estimate
    wins: float
    notes: float
    density: float


def outcomes(
    corpus: Corpus, reward: MelodyReward, *, draws: int, order: int, seed: int = 0
) -> dict[str, Outcome]:
    """Compares ways to choose one of 16 melodies that a Markov chain draws.

    Args:
        corpus: Its training split is what the chain and the judge learn from.
        reward: The scorer.
        draws: How often 16 melodies are drawn.
        order: Notes that the chain looks back.
        seed: Of the draws.
    """
    drawn, length = sampled(corpus, draws, order, seed)
    score = reward(*(torch.from_numpy(stream) for stream in (*drawn, length))).numpy()
    density = make("density", corpus).scores(melodies_of(drawn, length, np.arange(len(length))))

    def row(chosen: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.arange(draws) * CANDIDATES + chosen

    first = row(np.zeros(draws, dtype=np.int64))
    ways = {"one sample": first}
    for name, value in (("best", score), ("densest", density), ("sparsest", -density)):
        ways[f"{name} of {CANDIDATES}"] = row(value.reshape(draws, -1).argmax(1))
    judge = make("ngram", corpus)
    judged = {name: judge.scores(melodies_of(drawn, length, rows)) for name, rows in ways.items()}
    return {
        name: Outcome(
            judged=float(judged[name].mean()),
            gain=bootstrap_mean(judged[name] - judged["one sample"], np.arange(draws)),
            wins=float((judged[name] > judged["one sample"]).mean()),
            notes=float(length[rows].mean()),
            density=float(density[rows].mean()),
        )
        for name, rows in ways.items()
    }


def sampled(
    corpus: Corpus, draws: int, order: int, seed: int
) -> tuple[tuple[NDArray[np.int64], ...], NDArray[np.int64]]:
    """Pitch, duration and rest, ``(melodies, notes)``, and the length of each melody.

    The melodies of a draw stand together. Their length is that of some training melody of up to 64
    notes.
    """
    streams, rows = corpus.streams(), corpus.split("train")
    notes = corpus.notes[rows]
    where = np.concatenate([np.arange(*streams.offsets[[row, row + 1]]) for row in rows])
    offsets = np.concatenate([[0], np.cumsum(notes, dtype=np.int64)])
    chain = MarkovChain(
        order, streams.pitch[where], streams.duration[where], streams.rest[where], offsets
    )
    lengths = np.random.default_rng(seed).choice(notes[notes <= 64], draws).astype(np.int64)
    length = np.repeat(lengths, CANDIDATES)
    generator = torch.Generator().manual_seed(seed)
    height, duration, rest = chain.sample(len(length), int(length.max()), generator)
    pitch = (MIDDLE_C + height).clamp(0, 127)
    return (pitch.numpy(), duration.numpy(), rest.numpy()), length


def melodies_of(
    drawn: tuple[NDArray[np.int64], ...], length: NDArray[np.int64], rows: NDArray[np.int64]
) -> TokenBatch:
    """Some of the melodies drawn, end to end, as a judge takes them."""
    inside = np.arange(drawn[0].shape[1]) < length[rows, None]
    pitch, duration, rest = (stream[rows][inside] for stream in drawn)
    offsets = np.concatenate([[0], np.cumsum(length[rows])])
    rest[offsets[1:] - 1] = 0  # no rest follows the last note
    none = np.zeros(len(rows), dtype=np.int64)
    return TokenBatch(
        pitch.astype(np.uint8),
        duration.astype(np.uint16),
        rest.astype(np.uint16),
        offsets,
        clipped_durations=none,
        clipped_rests=none,
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the comparison."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", help="folder that 'seqmelody prepare' wrote")
    parser.add_argument("--checkpoint", help="default: the one that ships with seqmelody")
    parser.add_argument("--draws", type=int, default=400, help="of 16 melodies each (400)")
    parser.add_argument("--order", type=int, default=2, help="notes the chain looks back (2)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    found = outcomes(
        Corpus.open(args.corpus),
        MelodyReward.load(args.checkpoint),
        draws=args.draws,
        order=args.order,
        seed=args.seed,
    )
    cells = [
        [
            name,
            f"{way.judged:.3f}",
            "" if name == "one sample" else str(way.gain),
            "" if name == "one sample" else f"{way.wins:.1%}",
            f"{way.notes:.1f}",
            f"{way.density:.2f}",
        ]
        for name, way in found.items()
    ]
    headers = ["chosen", "judge", "gain (95 % interval)", "wins", "notes", "notes per quarter"]
    print(tabulate(cells, headers=headers, disable_numparse=True))


if __name__ == "__main__":
    main()
