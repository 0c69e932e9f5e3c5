"""Scores in MusicXML and Humdrum to MIDI files, one track a part, by music21.

Notes stand where the score writes them: repeats are not played, grace notes and chord symbols are
left out, tied notes are one note, transposing instruments sound as they do.
"""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from seqmelody.errors import UsageError

TICKS_PER_QUARTER = 480
_VELOCITY = 80


class Part(NamedTuple):
    """One part of a score.

    Attributes:
        name: As the score has it, empty without.
        notes: Onset and end in ticks, and pitch, of each note.
    """

    name: str
    notes: list[tuple[int, int, int]]

    @property
    def height(self) -> float:
        """Mean pitch."""
        return sum(pitch for _, _, pitch in self.notes) / len(self.notes)


def require_music21() -> str:
    """Its version.

    Raises:
        SeqmelodyError: It is not installed.
    """
    try:
        import music21
    except ImportError as error:
        raise UsageError(
            "scores are read with music21, which is not installed; pip install 'seqmelody[corpora]'"
        ) from error
    return str(music21.__version__)


def read_parts(data: bytes, file: str) -> list[Part]:
    """The parts with notes, from the top of the score down.

    Args:
        data: The file: MusicXML, the same compressed, or Humdrum (``.krn``).
        file: Its name, whose ending tells which of these it is.

    Raises:
        Exception: Whatever music21 raises on a score that it cannot read.
    """
    from music21 import converter

    ending = PurePosixPath(file).suffix
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on bars that are over-full, and on its own imports
        score = converter.parseData(
            _text(_uncompressed(data) if ending == ".mxl" else data),
            format="humdrum" if ending == ".krn" else "musicxml",
        )
        parts = [Part(str(part.partName or "").strip(), _notes(part)) for part in score.parts]
    return [part for part in parts if part.notes]


def write_parts(parts: Sequence[Part]) -> bytes:
    """A MIDI file with a track for each part."""
    from symusic import Note, Score, Track

    score: Any = Score(TICKS_PER_QUARTER)  # its types know no attributes
    for part in parts:
        track: Any = Track(name=part.name, program=0, is_drum=False)
        track.notes.extend(
            Note(time=onset, duration=end - onset, pitch=pitch, velocity=_VELOCITY)
            for onset, end, pitch in sorted(part.notes)
        )
        score.tracks.append(track)
    return bytes(score.dumps_midi())


def _uncompressed(data: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for name in archive.namelist():
            if name.endswith((".xml", ".musicxml")) and not name.startswith("META-INF/"):
                return archive.read(name)
    raise ValueError("holds no MusicXML file")


def _text(data: bytes) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _notes(part: Any) -> list[tuple[int, int, int]]:
    from music21.harmony import ChordSymbol

    if part.atSoundingPitch is False:
        part.toSoundingPitch(inPlace=True)
    notes: list[tuple[int, int, int]] = []
    sounding: dict[int, int] = {}  # by pitch, where in the list its last note stands
    for written in part.flatten().notes:
        if isinstance(written, ChordSymbol) or written.duration.isGrace:
            continue
        onset = round(written.offset * TICKS_PER_QUARTER)
        end = max(round((written.offset + written.quarterLength) * TICKS_PER_QUARTER), onset + 1)
        for note in written.notes if written.isChord else (written,):
            if not note.isNote:
                continue  # percussion without pitch
            pitch = int(note.pitch.midi)
            tie = note.tie or written.tie
            before = sounding.get(pitch)
            if tie and tie.type != "start" and before is not None and notes[before][1] >= onset:
                notes[before] = (notes[before][0], max(end, notes[before][1]), pitch)
            else:
                sounding[pitch] = len(notes)
                notes.append((onset, end, pitch))
    return notes
