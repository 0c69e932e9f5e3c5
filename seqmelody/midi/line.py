"""``MelodyLine``: which line of a file is its melody, and ``MidiMelody``: what was read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from seqmelody.errors import InputError, UsageError
from seqmelody.melody import Melody
from seqmelody.midi.monophony import MAX_QUARTERS, make_monophonic
from seqmelody.midi.tracks import TrackNotes, choose_melody_track

Policy = Literal["auto", "skyline", "track", "name"]


@dataclass(frozen=True)
class MelodyLine:
    """Which line of a file to read. Drums (channel 10) are never read.

    Attributes:
        policy: ``auto``, the track that looks most like a melody; ``skyline``, the highest notes
            over all tracks; ``track``, by number; ``name``, by track name.
        track: For ``track``: the number, from 0, among the file's tracks that hold notes, drums
            counted. A track is what one program on one channel plays in one track chunk; they are
            numbered in the order chunk, channel, program. For a ``miditoolkit.MidiFile`` it is the
            index into ``instruments``.
        name: For ``name``: the track name; case does not matter. The first match is taken.

    Raises:
        ValueError: A number without the policy ``track``, a name without ``name``, or none with it.
    """

    policy: Policy = "auto"
    track: int | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        if self.policy not in ("auto", "skyline", "track", "name"):
            raise ValueError(f"unknown melody line {self.policy!r}")
        if (self.policy == "track") != (self.track is not None):
            raise ValueError("a track number goes with the policy 'track', and only there")
        if (self.policy == "name") != (self.name is not None):
            raise ValueError("a track name goes with the policy 'name', and only there")
        if self.track is not None and self.track < 0:
            raise ValueError("tracks are numbered from 0")

    @classmethod
    def parse(cls, text: str) -> MelodyLine:
        """From the command line: ``auto``, ``skyline``, ``track:3`` or ``name:Violin``.

        Raises:
            UsageError: Anything else.
        """
        policy, colon, value = text.partition(":")
        if not colon and policy in ("auto", "skyline"):
            return cls("auto" if policy == "auto" else "skyline")
        if policy == "track" and value.isascii() and value.isdigit() and len(value) < 10:
            return cls("track", track=int(value))
        if policy == "name" and value:
            return cls("name", name=value)
        raise UsageError(
            f"melody line {text!r} is none of auto, skyline, track:NUMBER (from 0), name:TRACKNAME"
        )

    def __str__(self) -> str:
        value = {"track": self.track, "name": self.name}.get(self.policy)
        return self.policy if value is None else f"{self.policy}:{value}"


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


def extract_line(
    tracks: Sequence[TrackNotes],
    line: MelodyLine,
    ticks_per_quarter: tuple[int, int],
    *,
    independent: bool,
    warnings: tuple[str, ...],
    name: str,
) -> MidiMelody:
    """Chooses the line and makes it a melody.

    A single track is cut to one line where it overlaps; if it is chordal, or several tracks are
    asked for, the skyline is taken (``seqmelody.midi.monophony``).

    Args:
        tracks: All tracks of the file that hold notes.
        line: The policy.
        ticks_per_quarter: As a fraction.
        independent: The tracks do not sound together (MIDI format 2).
        warnings: What is known to be odd about the file.
        name: What errors call the file.

    Raises:
        InputError: No notes, no such track, or notes too far out for the grid.
    """
    chosen = _choose(tracks, line, independent, name)
    onset, end, pitch, velocity = (
        getattr(chosen[0], column)
        if len(chosen) == 1
        else np.concatenate([getattr(track, column) for track in chosen])
        for column in ("onset", "end", "pitch", "velocity")
    )
    numerator, denominator = ticks_per_quarter
    if int(end.max()) * denominator > MAX_QUARTERS * numerator:
        raise InputError(name, f"its notes lie beyond {MAX_QUARTERS:,} quarter notes")
    made = make_monophonic(
        onset,
        end,
        pitch,
        velocity,
        ticks_per_quarter=ticks_per_quarter,
        skyline=line.policy == "skyline",
    )

    track = chosen[0] if len(chosen) == 1 else None
    what = _label(track) if track else f"{len(chosen)} tracks"
    dropped = onset.size - len(made.melody)
    if made.skyline and line.policy != "skyline":
        warnings += (f"{what} has chords: its skyline was read",)
    if dropped:
        warnings += (f"{dropped} of {onset.size} notes dropped to make one line",)
    return MidiMelody(
        melody=made.melody,
        line=("skyline of " if made.skyline else "")
        + what
        + ("" if line.policy == "skyline" else f" ({line.policy})"),
        track=track.number if track else None,
        track_name=track.name if track else "",
        lead_in_steps=made.lead_in_steps,
        notes_read=onset.size,
        simultaneous_dropped=made.simultaneous_dropped,
        collided=made.collided,
        beneath_dropped=made.beneath_dropped,
        overlaps_cut=made.overlaps_cut,
        gaps_closed=made.gaps_closed,
        warnings=warnings,
    )


def _choose(
    tracks: Sequence[TrackNotes], line: MelodyLine, independent: bool, name: str
) -> Sequence[TrackNotes]:
    """The track, or for a skyline the tracks, to read."""
    if line.policy == "track":
        found = [track for track in tracks if track.number == line.track]
    elif line.policy == "name":
        spellings = _spellings(str(line.name))
        found = [track for track in tracks if track.name.strip().casefold() in spellings]
    else:
        found = list(tracks)
    if not tracks:
        raise InputError(name, "holds no notes")
    if not found:
        raise InputError(name, f"has no track {line} with notes, only {_listing(tracks)}")
    pitched = [track for track in found if not track.drums]
    if not pitched:
        raise InputError(name, f"{'holds' if found == tracks else f'{line} is'} only drums")
    if line.policy == "skyline":
        if independent and len(pitched) > 1:
            raise InputError(
                name, "format 2: its tracks do not sound together, choose one instead of a skyline"
            )
        return pitched
    if line.policy == "auto" and len(pitched) > 1:
        return [choose_melody_track(pitched)]
    return pitched[:1]


def _spellings(wanted: str) -> set[str]:
    # Names are read as UTF-8, what is not UTF-8 with replacement characters. The same done to the
    # wanted name in Latin-1, the other encoding of track names, finds those.
    as_latin = wanted.encode("latin-1", "replace").decode("utf-8", "replace")
    return {wanted.strip().casefold(), as_latin.strip().casefold()} - {""}


def _label(track: TrackNotes) -> str:
    name = track.name if len(track.name) <= 40 else track.name[:37] + "..."
    return f"track {track.number}" + (f" {name!r}" if name else "")


def _listing(tracks: Sequence[TrackNotes], shown: int = 8) -> str:
    more = f" and {len(tracks) - shown} more" if len(tracks) > shown else ""
    return ", ".join(_label(track) for track in tracks[:shown]) + more
