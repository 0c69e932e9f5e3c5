"""``MidiMelody``: the melody of a file and what it took; ``MidiMelodies``: those of many files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqmelody.errors import InputError
from seqmelody.melody import Melodies, Melody
from seqmelody.midi.line import MelodyLine, track_label
from seqmelody.midi.monophony import MonophonicLines
from seqmelody.midi.tracks import TrackNotes


@dataclass(frozen=True)
class MidiMelody:
    """The melody of a MIDI file, and what was done to get it.

    Attributes:
        melody: The notes on the grid.
        line: The line that was read, as in ``track 1 'Melody' (auto)``.
        track: Its number, ``None`` for a skyline over several tracks.
        track_name: Its name, empty without.
        lead_in_steps: Silence before the first note, in grid steps.
        notes_read: Notes of the chosen track or tracks, before any was dropped.
        simultaneous_dropped: Notes that began in the same tick as a higher one (in a skyline: so
            close to it that the two are a chord).
        collided: Notes that began in another tick, but on the same grid step as a higher one.
        beneath_dropped: In a skyline: notes that began beneath a higher one that still sounded.
        overlaps_cut: Notes cut where the next begins.
        gaps_closed: Notes that ended one tick before the next, and were joined to it.
        warnings: Short sentences on what a user may want to know.
    """

    melody: Melody
    line: str
    track: int | None
    track_name: str
    lead_in_steps: int
    notes_read: int
    simultaneous_dropped: int
    collided: int
    beneath_dropped: int
    overlaps_cut: int
    gaps_closed: int
    warnings: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class MidiMelodies:
    """The melodies of some sources, in their order; ``[i]`` is the ``MidiMelody`` of source ``i``.

    Attributes:
        names: What errors call the sources.
        errors: Why a source gave no melody; ``None`` where it did.
        made: The melodies and what they took, an entry for each source; no notes where there is an
            error.
        notes_read: Notes of the tracks that were read, ``(sources,)``.
        line: Which line was asked for.
        tracks: What was read of each source.
        file_warnings: What is odd about a file, by its number.
    """

    names: Sequence[str]
    errors: Sequence[InputError | None]
    made: MonophonicLines
    notes_read: NDArray[np.int64]
    line: MelodyLine
    tracks: Sequence[Sequence[TrackNotes]]
    file_warnings: Mapping[int, tuple[str, ...]]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def melodies(self) -> Melodies:
        """The melodies end to end."""
        return self.made.melodies

    def __getitem__(self, number: int) -> MidiMelody:
        """What ``read_melody`` returns for a source.

        Raises:
            InputError: It gave no melody.
        """
        error = self.errors[number]
        if error is not None:
            raise error
        made = self.made
        tracks = self.tracks[number]
        skyline = "skyline of " if made.skyline[number] else ""
        policy = "" if self.line.policy == "skyline" else f" ({self.line.policy})"
        return MidiMelody(
            melody=made.melodies[number],
            line=f"{skyline}{_label(tracks)}{policy}",
            track=tracks[0].number if len(tracks) == 1 else None,
            track_name=tracks[0].name if len(tracks) == 1 else "",
            lead_in_steps=int(made.lead_in_steps[number]),
            notes_read=int(self.notes_read[number]),
            simultaneous_dropped=int(made.simultaneous_dropped[number]),
            collided=int(made.collided[number]),
            beneath_dropped=int(made.beneath_dropped[number]),
            overlaps_cut=int(made.overlaps_cut[number]),
            gaps_closed=int(made.gaps_closed[number]),
            warnings=self.warnings(number),
        )

    def warnings(self, number: int) -> tuple[str, ...]:
        """The warnings about a source, as in its ``MidiMelody``."""
        warnings = self.file_warnings.get(number, ())
        read = int(self.notes_read[number])
        offsets = self.made.melodies.offsets
        dropped = read - int(offsets[number + 1] - offsets[number])
        if self.made.skyline[number] and self.line.policy != "skyline":
            warnings += (f"{_label(self.tracks[number])} has chords: its skyline was read",)
        if dropped:
            warnings += (f"{dropped} of {read} notes dropped to make one line",)
        return warnings

    def has_warnings(self) -> NDArray[np.bool_]:
        """Which sources have any, ``(sources,)``."""
        odd: NDArray[np.bool_] = self.notes_read != self.melodies.lengths
        if self.line.policy != "skyline":
            odd |= self.made.skyline
        odd[list(self.file_warnings)] = True
        return odd

    def several_tracks(self) -> NDArray[np.bool_]:
        """Which melodies were taken from more than one track, ``(sources,)``."""
        return np.array([len(tracks) > 1 for tracks in self.tracks], dtype=bool)


def _label(tracks: Sequence[TrackNotes]) -> str:
    if len(tracks) > 1:
        return f"{len(tracks)} tracks"
    return track_label(tracks[0].number, tracks[0].name)
