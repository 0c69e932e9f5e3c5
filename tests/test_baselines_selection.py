from __future__ import annotations

import numpy as np
import pytest

from seqmelody.baselines.selection import training_melodies
from seqmelody.corpus import Corpus
from seqmelody.errors import CorpusError


def test_the_training_split_is_learnt_and_nothing_else(essen_corpus):
    melodies = training_melodies(essen_corpus)
    rows = essen_corpus.split("train")
    assert len(melodies) == len(rows) < len(essen_corpus)
    for number, row in enumerate(rows.tolist()):
        known = essen_corpus.tokens(row)
        for stream in ("pitch", "duration", "rest"):
            np.testing.assert_array_equal(getattr(melodies[number], stream), getattr(known, stream))


def test_of_a_large_corpus_a_part_from_all_over_it_is_learnt(essen_corpus, monkeypatch):
    whole = training_melodies(essen_corpus)
    monkeypatch.setattr("seqmelody.baselines.selection.LARGEST_TRAINING", 1000)
    part = training_melodies(essen_corpus)
    assert 500 < part.pitch.size == part.offsets[-1] <= 1000
    assert not np.array_equal(part.pitch, whole.pitch[: part.pitch.size])


def test_without_a_training_split_there_is_nothing_to_learn(tune_corpus, monkeypatch):
    monkeypatch.setattr(Corpus, "split", lambda self, name: np.zeros(0, dtype=np.int64))
    with pytest.raises(CorpusError, match="no melodies in its train split"):
        training_melodies(tune_corpus)
