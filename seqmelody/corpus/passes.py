"""The three passes of ``prepare``, which keep memory bounded whatever the number of files.

The first reads the sources, and writes the streams to a temporary Arrow file. The second finds
duplicates, groups and splits from some tens of bytes per melody. The third copies what is kept
into the Parquet file.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from tqdm import tqdm

from seqmelody.corpus.duplicates import exact_duplicates, near_duplicate_groups
from seqmelody.corpus.families import Families, block_counts, blocks
from seqmelody.corpus.format import FIELDS, SPLITS, Header
from seqmelody.corpus.labels import Labels
from seqmelody.corpus.reading import Chunk, ReadSettings, read_all, rooted_sources
from seqmelody.corpus.report import Tally, count_names
from seqmelody.corpus.splits import assign_splits

_BATCH_NOTES = 250_000
"""Notes in memory at a time, and in a row group of the Parquet file."""

_DIGEST_ROWS = 1 << 16
_SHOWN_NAMES = 20
_READ_SCHEMA = pa.schema([field for field in FIELDS if field.name not in ("split", "group")])


@dataclass
class Found:
    """What the first pass left.

    Attributes:
        tally: Counts and names.
        file: The temporary Arrow file.
        notes: Length of each melody.
        digests: 128 bits for each melody's streams, ``(melodies, 2)``.
        ids: Hash of each melody's id.
    """

    tally: Tally
    file: Path
    notes: NDArray[np.int32]
    digests: NDArray[np.uint64]
    ids: NDArray[np.uint64]

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The melodies in order, read from disk."""
        with pa.OSFile(str(self.file), "rb") as file:
            reader = pa.ipc.open_file(file)
            for number in range(reader.num_record_batches):
                yield reader.get_batch(number)


@dataclass
class Plan:
    """What the second pass decided.

    Attributes:
        first: For each melody read, the first with the same streams.
        kept: Which melodies are kept, a mask over those read.
        group: Group of each melody kept.
        split: Split of each melody kept, an index into ``SPLITS``.
        suffixes: What is added to the ids of some melodies read, by row.
        together: What families were kept together, for the report; ``None`` without.
    """

    first: NDArray[np.int32]
    kept: NDArray[np.bool_]
    group: NDArray[np.int32]
    split: NDArray[np.int8]
    suffixes: dict[int, str]
    together: dict[str, Any] | None


def read(
    roots: Sequence[str], settings: ReadSettings, workers: int, working: Path, *, progress: bool
) -> Found:
    """First pass: read all sources, and put the streams into a temporary file."""
    tally = Tally()
    # Each grows in one place. A list of small arrays, kept between large ones that come and go,
    # would leave holes in memory that nothing fits into again.
    notes = bytearray()
    digests = bytearray()
    ids = bytearray()
    path = working / "read.arrow"
    pending = _Pending()
    with (
        pa.OSFile(str(path), "wb") as file,
        pa.ipc.new_file(file, _READ_SCHEMA) as writer,
        tqdm(unit=" files", desc="reading", disable=None if progress else True) as bar,
    ):
        for chunk in read_all(rooted_sources(roots), settings, workers):
            tally.add(chunk)
            bar.update(chunk.sources)
            digests += chunk.digests
            ids += b"".join(_id_hash(id_) for id_ in chunk.ids)
            notes += chunk.notes.tobytes()
            pending.add(chunk)
            if pending.notes >= _BATCH_NOTES:
                writer.write_batch(pending.take())
        if pending.notes:
            writer.write_batch(pending.take())
    return Found(
        tally=tally,
        file=path,
        notes=np.frombuffer(notes, dtype=np.int32),
        digests=np.frombuffer(digests, dtype="<u8").reshape(-1, 2),
        ids=np.frombuffer(ids, dtype="<u8"),
    )


@dataclass
class _Pending:
    """Chunks that are not yet a batch."""

    chunks: list[Chunk] = field(default_factory=list)
    notes: int = 0

    def add(self, chunk: Chunk) -> None:
        self.chunks.append(chunk)
        self.notes += int(chunk.notes.sum())

    def take(self) -> pa.RecordBatch:
        chunks, self.chunks, self.notes = self.chunks, [], 0
        lengths = np.concatenate([chunk.notes for chunk in chunks])
        offsets = np.zeros(lengths.size + 1, dtype=np.int32)
        np.cumsum(lengths, out=offsets[1:])
        columns = {
            "id": [id_ for chunk in chunks for id_ in chunk.ids],
            "path": [path for chunk in chunks for path in chunk.paths],
            "notes": lengths,
        }
        for name in ("pitch", "duration", "rest"):
            flat = np.concatenate([getattr(chunk, name) for chunk in chunks])
            columns[name] = pa.ListArray.from_arrays(
                offsets, pa.array(flat), type=_READ_SCHEMA.field(name).type
            )
        return pa.record_batch(columns, schema=_READ_SCHEMA)


def plan(found: Found, working: Path, seed: int, families: Families | None) -> Plan:
    """Second pass: exact duplicates, groups of near-duplicates, splits, unique ids."""
    first = exact_duplicates(found.digests)
    kept = first == np.arange(first.size)
    digests = found.digests[kept]
    group = near_duplicate_groups(
        _Pitches(found, kept), digests, int(found.notes[kept].sum()), working
    )
    block, together = group, None
    if families is not None:
        family = _family(found, kept, families)
        block = blocks(group, family)
        together = {"column": families.column, **block_counts(group, family, block)}
    return Plan(
        first=first,
        kept=kept,
        group=group,
        split=assign_splits(block, digests[:, 0], seed),
        suffixes=_suffixes(found, kept),
        together=together,
    )


@dataclass(frozen=True)
class _Pitches:
    """The pitch streams that are kept, batch by batch, as often as they are asked for."""

    found: Found
    kept: NDArray[np.bool_]

    def __iter__(self) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
        row = 0
        for batch in self.found.batches():
            here = self.kept[row : row + batch.num_rows]
            row += batch.num_rows
            lengths = batch.column("notes").to_numpy().astype(np.int64)
            pitch = batch.column("pitch").flatten().to_numpy()
            yield pitch[np.repeat(here, lengths)], lengths[here]


def _family(found: Found, kept: NDArray[np.bool_], families: Families) -> NDArray[np.int32]:
    """The family of each melody that is kept."""
    family = np.empty(kept.size, dtype=np.int32)
    row = 0
    for batch in found.batches():
        ids, paths = batch.column("id").to_pylist(), batch.column("path").to_pylist()
        family[row : row + batch.num_rows] = families.find(ids, paths)
        row += batch.num_rows
    return family[kept]


def _suffixes(found: Found, kept: NDArray[np.bool_]) -> dict[int, str]:
    """What makes the ids of melodies below several roots unique."""
    taken = np.sort(found.ids[kept])
    if not (taken[1:] == taken[:-1]).any():
        return {}
    rows = np.flatnonzero(kept)
    order = rows[np.argsort(found.ids[rows], kind="stable")]
    repeats = np.flatnonzero(taken[1:] == taken[:-1]) + 1
    wanted = np.sort(order[repeats])
    added: set[int] = set()
    suffixes: dict[int, str] = {}
    counts: Counter[str] = Counter()
    row = 0
    for batch in found.batches():
        here = wanted[slice(*np.searchsorted(wanted, (row, row + batch.num_rows)))] - row
        for offset, id_ in zip(
            here.tolist(), batch.column("id").take(pa.array(here)).to_pylist(), strict=True
        ):
            while True:
                counts[id_] += 1
                suffix = f"~{counts[id_] + 1}"
                renamed = int.from_bytes(_id_hash(id_ + suffix), "little")
                place = int(np.searchsorted(taken, np.uint64(renamed)))
                is_taken = place < taken.size and int(taken[place]) == renamed
                if not is_taken and renamed not in added:
                    break
            added.add(renamed)
            suffixes[row + offset] = suffix
        row += batch.num_rows
    return suffixes


def _id_hash(id_: str) -> bytes:
    return hashlib.blake2b(id_.encode(), digest_size=8).digest()


def summary(found: Found, plan: Plan) -> dict[str, Any]:
    """The counts that the corpus itself carries."""
    sizes = np.bincount(plan.group)
    return {
        "read": found.tally.read,
        "kept": int(plan.kept.sum()),
        "notes": int(found.notes[plan.kept].sum()),
        "failed_files": count_names(found.tally.failed),
        "skipped_melodies": count_names(found.tally.skipped),
        "exact_duplicates": int((~plan.kept).sum()),
        "groups": {
            "count": int(sizes.size),
            "largest": int(sizes.max()),
            "sizes": {
                str(size): int(count) for size, count in enumerate(np.bincount(sizes)) if count
            },
        },
        "splits": {
            name: {
                "melodies": int((plan.split == code).sum()),
                "groups": int(np.unique(plan.group[plan.split == code]).size),
            }
            for code, name in enumerate(SPLITS)
        },
        "together": plan.together,
    }


def digest(found: Found, plan: Plan, labels: Labels | None) -> str:
    """Tells the content of one corpus from that of another."""
    content = hashlib.blake2b(digest_size=8)
    for column in (found.digests, found.ids):
        for start in range(0, plan.kept.size, _DIGEST_ROWS):
            here = slice(start, start + _DIGEST_ROWS)
            content.update(column[here][plan.kept[here]].tobytes())
    content.update(plan.group.tobytes())
    content.update(plan.split.tobytes())
    content.update(repr(sorted(plan.suffixes.items())).encode())
    content.update(b"" if labels is None else labels.content)
    return content.hexdigest()


def duplicates(found: Found, plan: Plan) -> list[dict[str, str]]:
    """Each melody that repeats another, with the one it repeats."""
    repeated = np.flatnonzero(~plan.kept)
    wanted = np.unique(np.concatenate([repeated, plan.first[repeated]]))
    names: dict[int, str] = {}
    row = 0
    for batch in found.batches():
        here = wanted[(wanted >= row) & (wanted < row + batch.num_rows)]
        paths = batch.column("path").take(pa.array(here - row)).to_pylist()
        names.update(zip(here.tolist(), paths, strict=True))
        row += batch.num_rows
    return [{"path": names[int(row)], "of": names[int(plan.first[row])]} for row in repeated]


def write(
    found: Found, plan: Plan, labels: Labels | None, header: Header, path: Path
) -> dict[str, Any] | None:
    """Third pass: write the Parquet file.

    Returns:
        How the labels fitted, for the report; ``None`` without labels.
    """
    schema = pa.schema(FIELDS)
    if labels is not None:
        for label in labels.table.schema:
            schema = schema.append(label)
    schema = schema.with_metadata(header.to_metadata())
    uses = np.zeros(0 if labels is None else labels.table.num_rows, dtype=np.int64)
    labelled = row = written = 0
    names = pa.array(SPLITS)
    with pq.ParquetWriter(path, schema, compression="zstd", write_page_checksum=True) as writer:
        for batch in found.batches():
            here = np.flatnonzero(plan.kept[row : row + batch.num_rows])
            if labels is not None:
                matches = labels.find(
                    batch.column("id").to_pylist(), batch.column("path").to_pylist()
                )
                # A row that names a repeated melody has found its file, though it is left out.
                np.add.at(uses, matches[matches >= 0], 1)
            kept = batch.take(pa.array(here))
            ids = kept.column("id")
            if plan.suffixes:
                suffixes = [plan.suffixes.get(row + offset, "") for offset in here.tolist()]
                ids = pc.binary_join_element_wise(ids, pa.array(suffixes, ids.type), "")
            to = slice(written, written + here.size)
            columns = {name: kept.column(name) for name in _READ_SCHEMA.names}
            columns["id"] = ids
            columns["group"] = pa.array(plan.group[to])
            columns["split"] = names.take(pa.array(plan.split[to]))
            if labels is not None:
                rows = matches[here]
                labelled += int((rows >= 0).sum())
                taken = labels.table.take(pa.array(rows, mask=rows < 0))
                columns.update(zip(taken.column_names, taken.columns, strict=True))
            if here.size:
                table = pa.table([columns[name] for name in schema.names], schema=schema)
                writer.write_table(table)
            row += batch.num_rows
            written += here.size
    return None if labels is None else _label_report(found, labels, uses, labelled)


def _label_report(
    found: Found, labels: Labels, uses: NDArray[np.int64], labelled: int
) -> dict[str, Any]:
    for by_reason in (found.tally.failed, found.tally.skipped):
        for names in by_reason.values():
            ids = [str(Path(name).with_suffix("")) for name in names]
            matches = labels.find(ids, names)
            np.add.at(uses, matches[matches >= 0], 1)
    unmatched, shared = np.flatnonzero(uses == 0), np.flatnonzero(uses > 1)
    return {
        "file": str(labels.path),
        "columns": labels.table.column_names,
        "melodies": labelled,
        "unmatched": int(unmatched.size),
        "unmatched_names": labels.names(unmatched[:_SHOWN_NAMES]),
        "shared": int(shared.size),
        "shared_names": labels.names(shared[:_SHOWN_NAMES]),
    }
