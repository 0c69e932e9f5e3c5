"""Scores to MIDI: needs music21, the extra 'corpora'."""

from __future__ import annotations

import io
import zipfile

import pytest

pytest.importorskip("music21", reason="the extra 'corpora' is not installed")

from seqmelody.corpus.catalogue.conversion import voices
from seqmelody.corpus.catalogue.scores import Part, read_parts, write_parts
from seqmelody.midi import MelodyLine, read_melody

KRN = "**kern\t**kern\n*M4/4\t*M4/4\n=1\t=1\n2C\t4c\n.\t4d\n[2D\t4e\n.\t4f\n=2\t=2\n2D]\t2g\n==\t==\n*-\t*-\n"


def note(step: str, octave: int, duration: int, more: str = "") -> str:
    pitch = f"<pitch><step>{step}</step><octave>{octave}</octave></pitch>"
    return f"<note>{pitch}<duration>{duration}</duration>{more}</note>"


def musicxml(*notes: str, transpose: int = 0) -> bytes:
    moved = f"<transpose><chromatic>{transpose}</chromatic></transpose>" if transpose else ""
    return (
        '<score-partwise version="3.1"><part-list><score-part id="P1"><part-name>Soprano'
        '</part-name></score-part></part-list><part id="P1"><measure number="1"><attributes>'
        f"<divisions>2</divisions><time><beats>4</beats><beat-type>4</beat-type></time>{moved}"
        f"</attributes>{''.join(notes)}</measure></part></score-partwise>"
    ).encode()


def test_a_part_becomes_a_named_track():
    data = musicxml(note("C", 5, 2), note("D", 5, 1), note("E", 5, 5))
    parts = read_parts(data, "a.xml")
    assert parts == [Part("Soprano", [(0, 480, 72), (480, 720, 74), (720, 1920, 76)])]
    found = read_melody(write_parts(parts), line=MelodyLine("name", name="soprano"))
    assert found.melody.onset.tolist() == [0, 24, 36]
    assert found.melody.pitch.tolist() == [72, 74, 76]


def test_compressed_is_the_same():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("META-INF/container.xml", "<container/>")
        archive.writestr("score.xml", musicxml(note("C", 5, 8)))
    assert read_parts(packed.getvalue(), "a.mxl") == read_parts(musicxml(note("C", 5, 8)), "a.xml")


def test_tied_notes_are_one_and_grace_notes_none():
    grace = "<note><grace/><pitch><step>B</step><octave>4</octave></pitch></note>"
    data = musicxml(
        note("C", 5, 2, '<tie type="start"/>'), note("C", 5, 2, '<tie type="stop"/>'),
        grace, note("C", 5, 4),
    )  # fmt: skip
    assert read_parts(data, "a.xml")[0].notes == [(0, 960, 72), (960, 1920, 72)]


def test_an_instrument_sounds_as_it_does():
    assert read_parts(musicxml(note("C", 5, 8), transpose=-2), "a.xml")[0].notes[0][2] == 70


def test_humdrum_from_the_top_down():
    top, bottom = read_parts(KRN.encode(), "a.krn")
    assert [pitch for _, _, pitch in top.notes] == [60, 62, 64, 65, 67]
    assert bottom.notes == [(0, 960, 48), (960, 2880, 50)]


def test_the_voices_of_a_chorale_are_told_from_its_instruments():
    parts = [Part(name, [(0, 1, 60)]) for name in ("Horn 1", "Soprano", "Alto", "Bass Continuo")]
    assert [part.name for part in voices(parts)] == ["Soprano", "Alto", "Bass Continuo"]
    nameless = [Part("", [(0, 1, 60)])] * 2
    assert voices(nameless) == nameless
