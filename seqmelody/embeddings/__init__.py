"""The file of embeddings: one Parquet row for each melody."""

from __future__ import annotations

from seqmelody.embeddings.format import Layout, Row
from seqmelody.embeddings.parts import Made, Parts
from seqmelody.embeddings.reading import Embeddings

__all__ = ["Embeddings", "Layout", "Made", "Parts", "Row"]
