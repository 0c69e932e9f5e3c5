"""The index on disk: a folder that describes itself, written whole or not at all.

================= =================================================================================
index.json        format version, checkpoint (name and fingerprint), tokenizer, counts, and of each
                  other file its size and a digest
vectors.npy       the melodies' embeddings, unit vectors, float32 ``(melodies, E)``; memory-mapped
melodies.parquet  id and path of each melody, and its streams pitch, duration and rest where the
                  notes were at hand
graph.usearch     the graph of the vectors, memory-mapped, and the pairs of vectors that are equal;
twins.npy         both only where there are so many that not all are compared (``neighbours``)
================= =================================================================================
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqmelody.errors import CorpusError, UsageError
from seqmelody.tokens import Tokenizer

FORMAT_VERSION = 1
HEADER_FILE = "index.json"
VECTORS_FILE = "vectors.npy"
MELODIES_FILE = "melodies.parquet"
GRAPH_FILE = "graph.usearch"
TWINS_FILE = "twins.npy"

_SAMPLES, _SAMPLE_BYTES = 64, 4096


@dataclass(frozen=True)
class Header:
    """What an index says of itself.

    Attributes:
        checkpoint: Name of the checkpoint that made the embeddings.
        fingerprint: ``Checkpoint.fingerprint`` of it.
        embedding_size: E.
        melodies: How many there are.
        tokenizer: Encodes the streams; ``None`` where the index has no notes.
        graph: Whether there is a graph.
    """

    checkpoint: str
    fingerprint: str
    embedding_size: int
    melodies: int
    tokenizer: Tokenizer | None
    graph: bool

    @property
    def files(self) -> tuple[str, ...]:
        """The files beside the header."""
        return (VECTORS_FILE, MELODIES_FILE, *((GRAPH_FILE, TWINS_FILE) if self.graph else ()))

    def write(self, folder: Path) -> None:
        """Writes the header of a folder whose other files are there."""
        stored = {
            "format": FORMAT_VERSION,
            "checkpoint": {"name": self.checkpoint, "fingerprint": self.fingerprint},
            "embedding_size": self.embedding_size,
            "melodies": self.melodies,
            "tokenizer": None if self.tokenizer is None else self.tokenizer.to_dict(),
            "files": {name: _about(folder / name) for name in self.files},
        }
        text = json.dumps(stored, indent=2) + "\n"
        (folder / HEADER_FILE).write_text(text, encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Header:
        """The header of an index whose files are all there and whole.

        Not every byte is read: a file of another size, or with a hole in it, is found out.

        Raises:
            CorpusError: There is no index, another version wrote it, or it is damaged.
        """
        path = folder / HEADER_FILE
        if not path.is_file():
            there = folder.exists()
            what = f"no index here (no {HEADER_FILE})" if there else "no such index"
            raise CorpusError(f"{folder}: {what}; make one with 'seqmelody index'")
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            version = stored["format"]
            if version != FORMAT_VERSION:
                raise CorpusError(
                    f"{folder}: index format {version}, this version of seqmelody reads "
                    f"{FORMAT_VERSION}; build it again with 'seqmelody index'"
                )
            files: Mapping[str, Any] = dict(stored["files"])
            tokenizer = stored["tokenizer"]
            header = cls(
                checkpoint=str(stored["checkpoint"]["name"]),
                fingerprint=str(stored["checkpoint"]["fingerprint"]),
                embedding_size=int(stored["embedding_size"]),
                melodies=int(stored["melodies"]),
                tokenizer=None if tokenizer is None else Tokenizer.from_dict(tokenizer),
                graph=GRAPH_FILE in files,
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise damaged(folder, HEADER_FILE, f"cannot be read: {error}") from error
        for name in header.files:
            _require_whole(folder, name, files.get(name))
        return header


def damaged(folder: Path, name: str, reason: str) -> CorpusError:
    """The error to raise for a file of an index."""
    words = " ".join(reason.split())
    return CorpusError(
        f"{folder}: damaged index: {name} {words}; build it again with 'seqmelody index'"
    )


def _about(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "digest": _digest(path)}


def _require_whole(folder: Path, name: str, stored: Any) -> None:
    path = folder / name
    try:
        if not isinstance(stored, dict):
            raise damaged(folder, HEADER_FILE, f"says nothing of {name}")
        if not path.is_file():
            raise damaged(folder, name, "is missing")
        size = path.stat().st_size
        if size != stored.get("bytes"):
            raise damaged(folder, name, f"has {size:,} bytes of {stored.get('bytes')}")
        if _digest(path) != stored.get("digest"):
            raise damaged(folder, name, "was changed")
    except OSError as error:
        raise damaged(folder, name, f"cannot be read ({error.strerror})") from error


def _digest(path: Path) -> str:
    """Of samples spread evenly: a copy that was cut short and filled up, or a bad disk, shows."""
    found = hashlib.blake2b(digest_size=8)
    with path.open("rb") as file:
        last = max(0, path.stat().st_size - _SAMPLE_BYTES)
        for number in range(_SAMPLES):
            file.seek(last * number // (_SAMPLES - 1))
            found.update(file.read(_SAMPLE_BYTES))
    return found.hexdigest()


class NewFolder:
    """Where an index grows until it is whole; then it takes its place, or an older index's.

    Args:
        out: The place.

    Raises:
        UsageError: Something else than an index is there, or nothing can be written there.
    """

    def __init__(self, out: Path) -> None:
        if (out.exists() or out.is_symlink()) and not (out / HEADER_FILE).is_file():
            raise UsageError(f"{out}: is there and is no index; give another --out")
        # Through a link, so that the link stays.
        self._out = Path(os.path.realpath(out))
        try:
            # The folder it will lie in, or the one that is there of those that lies in.
            there = next(folder for folder in self._out.parents if folder.exists())
            self.path = Path(tempfile.mkdtemp(prefix=f".{self._out.name}-", dir=there))
        except OSError as error:
            raise UsageError(f"{out}: cannot be written to ({error.strerror})") from error

    def __enter__(self) -> NewFolder:
        return self

    def __exit__(self, *_: object) -> None:
        """Removes what did not become whole."""
        shutil.rmtree(self.path, ignore_errors=True)

    def take_place(self) -> None:
        """Puts the folder, now whole, into its place."""
        # Temporary files are private; an index is for others to read.
        self.path.chmod(0o755)
        for file in self.path.iterdir():
            file.chmod(0o644)
        if not self._out.exists():
            self._out.parent.mkdir(parents=True, exist_ok=True)
            os.replace(self.path, self._out)
            return
        old = self.path.with_name(self.path.name + "-old")
        os.replace(self._out, old)
        try:
            os.replace(self.path, self._out)
        except OSError:
            os.replace(old, self._out)
            raise
        shutil.rmtree(old)
