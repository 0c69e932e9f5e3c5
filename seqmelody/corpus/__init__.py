"""Corpora of melodies: built in parallel, kept as Parquet, read memory-mapped."""

from __future__ import annotations

from seqmelody.corpus.build import prepare
from seqmelody.corpus.format import SPLITS, Corpus
from seqmelody.corpus.streams import Streams

__all__ = ["SPLITS", "Corpus", "Streams", "prepare"]
