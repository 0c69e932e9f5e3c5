"""``MelodyLine``: which line of a file is its melody, and ``choose_line``, which finds it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from seqmelody.errors import InputError, UsageError
from seqmelody.midi.tracks import TrackNotes, choose_melody_track

Policy = Literal["auto", "skyline", "track", "name"]


@dataclass(frozen=True)
class MelodyLine:
    """Which line of a file to read. Drums (channel 10) are never read.

    Attributes:
        policy: ``auto``, the track that looks most like a melody, and if it holds chords, of these
            the highest notes without those far below their neighbours; ``skyline``, the highest
            notes over all tracks, as they are; ``track``, by number; ``name``, by track name.
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


def lone_line(tracks: Sequence[TrackNotes], line: MelodyLine) -> bool:
    """Whether a file holds one track only, and that is the line: nothing is to be chosen."""
    return len(tracks) == 1 and line.policy in ("auto", "skyline") and not tracks[0].drums


def choose_line(
    tracks: Sequence[TrackNotes], line: MelodyLine, *, independent: bool, name: str
) -> list[TrackNotes]:
    """The track, or for a skyline the tracks, to read.

    Args:
        tracks: All tracks of the file that hold notes, each ``settled``.
        line: The policy.
        independent: The tracks do not sound together (MIDI format 2).
        name: What errors call the file.

    Raises:
        InputError: No notes, or no such track.
    """
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


def track_label(number: int, name: str) -> str:
    """What people call a track."""
    name = name if len(name) <= 40 else name[:37] + "..."
    return f"track {number}" + (f" {name!r}" if name else "")


def _listing(tracks: Sequence[TrackNotes], shown: int = 8) -> str:
    more = f" and {len(tracks) - shown} more" if len(tracks) > shown else ""
    return ", ".join(track_label(track.number, track.name) for track in tracks[:shown]) + more
