"""What a file of embeddings holds: columns, and metadata that tell whose the embeddings are.

================ =================================== =================================================
id               string                              unique; the source's name without its suffix
path             string                              file, or archive and member
embedding        fixed_size_list<float32>[E]         a unit vector; dot products compare melodies
score            float32                             of the melody; null where the model gives none
note_weights     list<float32>                       how much each note counts; they sum to 1
note_embeddings  list<fixed_size_list<float32>[E]>   a vector for each note
================ =================================== =================================================

The last two are there where they were asked for. ``embedding`` is the sum of ``note_embeddings``, each
times its weight.

Shapes: L notes of a melody, E embedding size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

ID, PATH, EMBEDDING, SCORE = "id", "path", "embedding", "score"
NOTE_WEIGHTS, NOTE_EMBEDDINGS = "note_weights", "note_embeddings"
CHECKPOINT_KEY = "seqmelody.checkpoint"
"""The name of the checkpoint, in the file's metadata."""
MODEL_KEY = "seqmelody.model"
"""Its fingerprint: only embeddings of the same one can be compared."""


@dataclass(frozen=True, eq=False)
class Row:
    """A melody.

    Attributes:
        id: Need not be unique yet.
        path: Where it comes from.
        embedding_E: Its embedding.
        score: Its score.
        weight_L: How much each note counts, where the layout has notes.
        vector_LE: What each note says, where the layout has notes.
    """

    id: str
    path: str
    embedding_E: NDArray[np.float32]
    score: float
    weight_L: NDArray[np.float32] | None = None
    vector_LE: NDArray[np.float32] | None = None

    @property
    def notes(self) -> int:
        """How many vectors of notes it has."""
        return 0 if self.weight_L is None else self.weight_L.size


@dataclass(frozen=True)
class Layout:
    """What the columns of a file hold.

    Attributes:
        checkpoint: Name of the checkpoint.
        fingerprint: What tells it from others, whatever their names.
        size: E.
        per_note: Whether there are vectors of notes.
    """

    checkpoint: str
    fingerprint: str
    size: int
    per_note: bool

    @property
    def schema(self) -> pa.Schema:
        """Columns and metadata."""
        columns = [
            (ID, pa.string()),
            (PATH, pa.string()),
            (EMBEDDING, pa.list_(pa.float32(), self.size)),
            (SCORE, pa.float32()),
        ]
        if self.per_note:
            columns += [
                (NOTE_WEIGHTS, pa.list_(pa.float32())),
                (NOTE_EMBEDDINGS, pa.list_(pa.list_(pa.float32(), self.size))),
            ]
        return pa.schema(
            [pa.field(name, kind, nullable=name == SCORE) for name, kind in columns],
            metadata={CHECKPOINT_KEY: self.checkpoint, MODEL_KEY: self.fingerprint},
        )

    def table(self, rows: Sequence[Row]) -> pa.Table:
        """Some rows."""
        columns = [
            pa.array([row.id for row in rows], pa.string()),
            pa.array([row.path for row in rows], pa.string()),
            self._vectors([row.embedding_E for row in rows]),
            pa.array([row.score for row in rows], pa.float32(), from_pandas=True),
        ]
        if self.per_note:
            offsets = pa.array(np.cumsum([0, *(row.notes for row in rows)]), pa.int32())
            weights = [row.weight_L for row in rows if row.weight_L is not None]
            vectors = [row.vector_LE.ravel() for row in rows if row.vector_LE is not None]
            columns += [
                pa.ListArray.from_arrays(offsets, pa.array(np.concatenate(weights))),
                pa.ListArray.from_arrays(offsets, self._vectors(vectors)),
            ]
        return pa.table(columns, schema=self.schema)

    def _vectors(self, parts: Sequence[NDArray[np.float32]]) -> pa.FixedSizeListArray:
        return pa.FixedSizeListArray.from_arrays(pa.array(np.concatenate(parts)), self.size)


def open_writer(path: str, schema: pa.Schema) -> pq.ParquetWriter:
    """A Parquet file to write; each table written becomes a row group.

    Dictionaries would only cost time and memory: no two rows are alike. The checksums let a reader
    notice what a disk has damaged.
    """
    return pq.ParquetWriter(path, schema, use_dictionary=False, write_page_checksum=True)
