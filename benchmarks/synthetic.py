"""Many distinct melodies as MIDI files in one archive, and pieces of any length, quickly.

They are drawn from an order-2 Markov chain of Essen's notes, which has Essen's intervals, rhythms
and lengths, but no melody twice. Bytes are made for thousands of melodies at once.
"""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from seqmelody.corpus import Corpus
from seqmelody.markov import MarkovChain
from seqmelody.melody import STEPS_PER_QUARTER

BLOCK = 8192
BYTES_PER_NOTE = 10
_END_OF_TRACK = b"\x00\xff\x2f\x00"
_HEADER = b"MThd\x00\x00\x00\x06\x00\x00\x00\x01" + STEPS_PER_QUARTER.to_bytes(2, "big") + b"MTrk"
_TAR_BLOCK = 512


def write_archive(corpus: Corpus, path: Path, melodies: int, seed: int = 0) -> None:
    """Writes a ``.tar`` of MIDI files ``0/0000000.mid`` and so on, ten thousand to a folder.

    Args:
        corpus: Whose notes and lengths to draw from.
        path: The archive.
        melodies: How many.
        seed: Another seed gives others.
    """
    chain = _chain(corpus)
    generator = torch.Generator().manual_seed(seed)
    lengths = np.random.default_rng(seed).choice(corpus.notes, melodies)
    with path.open("wb") as file:
        for start in range(0, melodies, BLOCK):
            length_B = lengths[start : start + BLOCK]
            # Of like length, so that little is drawn for nothing.
            length_B.sort()
            for part in np.array_split(np.arange(len(length_B)), 16):
                if len(part):
                    note_BLX = _notes(chain, len(part), int(length_B[part[-1]]), generator)
                    for row, place in enumerate(part):
                        number = start + int(place)
                        name = f"{number // 10_000}/{number:07d}.mid"
                        file.write(_member(name, _midi(note_BLX[row, : length_B[place]])))
        file.write(b"\x00" * (2 * _TAR_BLOCK))


def write_piece(corpus: Corpus, path: Path, notes: int, seed: int = 0) -> None:
    """Writes one MIDI file of that many notes."""
    generator = torch.Generator().manual_seed(seed)
    path.write_bytes(_midi(_notes(_chain(corpus), 1, notes, generator)[0]))


def _chain(corpus: Corpus) -> MarkovChain:
    pitch, duration, rest, offsets = corpus.streams()
    return MarkovChain(2, *map(np.asarray, (pitch, duration, rest, offsets)))


def _notes(
    chain: MarkovChain, melodies: int, length: int, generator: torch.Generator
) -> NDArray[np.uint8]:
    """The bytes of each note, ``(melodies, length, BYTES_PER_NOTE)``."""
    height, duration, rest = (part.numpy() for part in chain.sample(melodies, length, generator))
    pitch = np.clip(67 + height, 0, 127).astype(np.uint8)
    before = np.zeros_like(rest)
    before[:, 1:] = rest[:, :-1]
    out = np.empty((melodies, length, BYTES_PER_NOTE), dtype=np.uint8)
    # A time of two bytes each, so that all notes are of one size.
    for place, steps in ((0, before), (5, duration)):
        out[:, :, place] = 0x80 | (steps >> 7)
        out[:, :, place + 1] = steps & 0x7F
        out[:, :, place + 3] = pitch
    out[:, :, 2], out[:, :, 4] = 0x90, 64
    out[:, :, 7], out[:, :, 9] = 0x80, 0
    return out


def _midi(notes: NDArray[np.uint8]) -> bytes:
    track = notes.tobytes() + _END_OF_TRACK
    return _HEADER + len(track).to_bytes(4, "big") + track


def _member(name: str, content: bytes) -> bytes:
    """A file as it lies in a ``.tar``."""
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    out = io.BytesIO()
    out.write(entry.tobuf(tarfile.USTAR_FORMAT))
    out.write(content)
    out.write(b"\x00" * (-len(content) % _TAR_BLOCK))
    return out.getvalue()
