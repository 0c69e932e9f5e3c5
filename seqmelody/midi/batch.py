"""``LineBatch``: lines that were found in files, until there are enough to work on at once."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqmelody.errors import InputError
from seqmelody.midi.line import MelodyLine
from seqmelody.midi.monophony import MAX_QUARTERS, Lines, MonophonicLines, make_monophonic
from seqmelody.midi.results import MidiMelodies
from seqmelody.midi.tracks import IMPOSSIBLE_TIMES, TrackNotes, impossible_times

_Ints = NDArray[np.int64]


class LineBatch:
    """The lines, or errors, of some sources.

    Args:
        line: Which line was asked for.

    Attributes:
        notes: How many notes they have.
    """

    def __init__(self, line: MelodyLine) -> None:
        self.line = line
        self.notes = 0
        self._names: list[str] = []
        self._errors: list[InputError | None] = []
        self._warnings: dict[int, tuple[str, ...]] = {}
        self._tracks: list[list[TrackNotes]] = []
        self._ticks: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return len(self._names)

    def fail(self, name: str, reason: str) -> None:
        """A source that gave no line, and why."""
        self._names.append(name)
        self._errors.append(InputError(name, reason))
        self._tracks.append([])

    def add(
        self,
        name: str,
        tracks: list[TrackNotes],
        ticks_per_quarter: tuple[int, int],
        warnings: tuple[str, ...] = (),
    ) -> None:
        """A line.

        Args:
            name: What errors call the source.
            tracks: What to read, one or more.
            ticks_per_quarter: As a fraction.
            warnings: What is known to be odd about the file.
        """
        if warnings:
            self._warnings[len(self._names)] = warnings
        self._names.append(name)
        self._errors.append(None)
        self._tracks.append(tracks)
        self._ticks.append(ticks_per_quarter)
        for track in tracks:
            self.notes += track.onset.size

    def make(self) -> MidiMelodies:
        """The melodies of the sources."""
        lines, sources = self._lines()
        made = make_monophonic(lines, skyline=self.line.policy == "skyline")
        notes_read = lines.lengths
        if sources.size < len(self):
            made = _spread(made, sources, len(self))
            notes_read = _placed(notes_read, sources, len(self))
        return MidiMelodies(
            names=self._names,
            errors=self._errors,
            made=made,
            notes_read=notes_read,
            line=self.line,
            tracks=self._tracks,
            file_warnings=self._warnings,
        )

    def _lines(self) -> tuple[Lines, _Ints]:
        """The lines, and whose they are."""
        per_source = np.array([len(tracks) for tracks in self._tracks], dtype=np.int64)
        sources = np.flatnonzero(per_source)
        columns = list(zip(*itertools.chain.from_iterable(self._tracks), strict=True))
        onset, duration, pitch, velocity = (_joined(column) for column in columns[3:] or [()] * 4)
        lengths = np.array([column.size for column in columns[3]] if columns else (), np.int64)
        if lengths.size > sources.size:
            ends = np.cumsum(lengths)[np.cumsum(per_source[sources]) - 1]
            lengths = np.diff(ends, prepend=0)
        ticks = np.array(self._ticks, dtype=np.int64).reshape(-1, 2)
        lines = Lines(onset, onset + duration, pitch, velocity, lengths, ticks[:, 0], ticks[:, 1])
        return self._possible(lines, sources)

    def _possible(self, lines: Lines, sources: _Ints) -> tuple[Lines, _Ints]:
        """The lines whose times are possible; the others become errors."""
        impossible = impossible_times(lines.onset, lines.end)
        last = MAX_QUARTERS * lines.ticks // lines.ticks_per
        beyond = lines.end > last.repeat(lines.lengths)
        if not (impossible.any() or beyond.any()):
            return lines, sources
        line = np.repeat(np.arange(sources.size), lines.lengths)
        stays = np.ones(sources.size, dtype=bool)
        for notes, reason in (
            (beyond, f"its notes lie beyond {MAX_QUARTERS:,} quarter notes"),
            (impossible, f"broken MIDI data ({IMPOSSIBLE_TIMES})"),
        ):
            for number in np.unique(line[notes]).tolist():
                stays[number] = False
                source = int(sources[number])
                self._errors[source] = InputError(self._names[source], reason)
                self._warnings.pop(source, None)
        of_notes = stays[line]
        return Lines(
            *(column[of_notes] for column in lines[:4]), *(column[stays] for column in lines[4:])
        ), sources[stays]


def _joined(columns: Sequence[NDArray[np.integer[Any]]]) -> _Ints:
    return np.concatenate(columns).astype(np.int64) if columns else np.zeros(0, dtype=np.int64)


def _placed(values: NDArray[Any], places: _Ints, size: int) -> NDArray[Any]:
    """Values at their places in an array of zeros."""
    placed = np.zeros(size, dtype=values.dtype)
    placed[places] = values
    return placed


def _spread(made: MonophonicLines, sources: _Ints, count: int) -> MonophonicLines:
    """The same lines as an entry for each source, empty for those without a line."""
    values = {
        field.name: _placed(getattr(made, field.name), sources, count)
        for field in fields(made)
        if field.name != "melodies"
    }
    offsets = np.zeros(count + 1, dtype=np.int64)
    np.cumsum(_placed(made.melodies.lengths, sources, count), out=offsets[1:])
    return MonophonicLines(melodies=replace(made.melodies, offsets=offsets), **values)
