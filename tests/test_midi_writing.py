"""What is written reads back as the same melody."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tunes import TUNES

from seqmelody.melody import Melody
from seqmelody.midi import read_melody, to_midi, write_midi

durations = st.integers(1, 500)


@st.composite
def melodies(draw: st.DrawFn) -> Melody:
    size = draw(st.integers(1, 30))
    column = {"min_size": size, "max_size": size}
    plain = Melody.from_streams(
        pitch=draw(st.lists(st.integers(0, 127), **column)),
        duration=draw(st.lists(durations, **column)),
        rest=draw(st.lists(st.sampled_from([0, 0, 1, 2, 24, 9999]), **column)),
    )
    velocity = draw(st.lists(st.integers(1, 127), **column))
    return Melody(plain.onset, plain.duration, plain.pitch, velocity)


@given(melodies(), st.sampled_from(["symusic", "miditoolkit"]))
def test_writing_and_reading_are_inverse(melody: Melody, reader: str) -> None:
    written = to_midi(melody)
    assert read_melody(written).melody == melody
    stream = BytesIO()
    written.dump(file=stream)
    found = read_melody(stream.getvalue(), reader=reader)  # type: ignore[arg-type]
    assert found.melody == melody
    assert found.warnings == ()
    dropped = (found.simultaneous_dropped, found.collided, found.overlaps_cut, found.gaps_closed)
    assert dropped == (0, 0, 0, 0)


@pytest.mark.parametrize("name", TUNES)
def test_tunes_survive_a_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.mid"
    write_midi(TUNES[name], path, tempo=90, program=73, track_name="Flöte ♪")
    found = read_melody(path)
    assert found.melody == TUNES[name]
    assert found.track_name == "Flöte ♪"
    assert read_melody(path, reader="miditoolkit") == found


def test_tempo_and_program_are_written() -> None:
    melody = TUNES["freude"]
    written = to_midi(melody, tempo=90.0, program=73)
    assert [change.tempo for change in written.tempo_changes] == [90.0]
    assert written.instruments[0].program == 73
    assert read_melody(to_midi(melody, tempo=4)).melody == melody


@pytest.mark.parametrize(
    "arguments", [{"tempo": 0}, {"tempo": float("nan")}, {"tempo": 1e9}, {"program": 128}]
)
def test_what_midi_cannot_hold_is_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"tempo|program"):
        to_midi(TUNES["freude"], **arguments)  # type: ignore[arg-type]


def test_a_melody_too_long_for_midi_is_refused() -> None:
    endless = Melody([0], [np.iinfo(np.int32).max], [60])
    with pytest.raises(ValueError, match="too long"):
        to_midi(endless)
