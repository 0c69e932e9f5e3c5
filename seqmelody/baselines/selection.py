"""``training_melodies``: what a baseline with a training step learns from."""

from __future__ import annotations

import numpy as np

from seqmelody.corpus import Corpus
from seqmelody.errors import CorpusError
from seqmelody.tokens import TokenBatch

LARGEST_TRAINING = 500_000
"""Notes that are learnt from at most, so that time and memory stay bounded for any corpus."""


def training_melodies(corpus: Corpus) -> TokenBatch:
    """The training split, or melodies drawn from it up to ``LARGEST_TRAINING`` notes.

    Raises:
        CorpusError: The corpus has no training split.
    """
    rows = corpus.split("train")
    if len(rows) == 0:
        raise CorpusError(f"{corpus.folder}: no melodies in its train split")
    if corpus.notes[rows].sum() > LARGEST_TRAINING:
        # Drawn from all of it, since a corpus may begin with one region or one book.
        rows = np.random.default_rng(0).permutation(rows)
        within = np.searchsorted(np.cumsum(corpus.notes[rows]), LARGEST_TRAINING, side="right")
        rows = rows[: max(1, int(within))]
    pitch, duration, rest, offsets = corpus.streams()
    lengths = corpus.notes[rows]
    ends = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    index = np.arange(ends[-1]) + np.repeat(offsets[rows] - ends[:-1], lengths)
    none = np.zeros(len(rows), dtype=np.int64)
    return TokenBatch(pitch[index], duration[index], rest[index], ends, none, none)
