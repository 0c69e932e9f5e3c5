from __future__ import annotations

import midi_bytes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqmelody.audio import events as module
from seqmelody.audio.events import read_events
from seqmelody.audio.timeline import RENDERER_RATE
from seqmelody.errors import InputError
from seqmelody.midi.structure import check_structure

SECOND = RENDERER_RATE
END = midi_bytes.END_OF_TRACK


def read(*tracks, **header):
    return read_events(check_structure(midi_bytes.midi(*tracks, **header), "x.mid"), "x.mid")


def tempo(microseconds):
    return b"\xff\x51\x03" + microseconds.to_bytes(3, "big")


def test_messages_of_all_tracks_come_in_the_order_of_time():
    found = read(
        midi_bytes.notes([(0, 480, 60), (960, 1440, 62)], channel=0, program=5),
        midi_bytes.notes([(480, 960, 48)], channel=1),
    )
    assert found.tick.tolist() == [0, 0, 480, 480, 960, 960, 1440]
    assert found.messages[0] == b"\xc0\x05"
    assert found.messages[2:4] == [b"\x80\x3c\x00", b"\x91\x30\x40"]
    timeline = found.timeline()
    assert timeline.time.tolist() == [0, 0, *[SECOND // 2] * 2, *[SECOND] * 2, 3 * SECOND // 2]


def test_the_tempo_of_a_file_is_kept():
    conductor = midi_bytes.chunk(
        midi_bytes.events((480, tempo(1_000_000)), (960, tempo(250_000))) + END
    )
    found = read(conductor, midi_bytes.notes([(0, 480, 60), (960, 1440, 60)]))
    # A quarter at 120, one at 60, one at 240.
    assert (found.timeline().time / SECOND).tolist() == [0, 0.5, 1.5, 1.75]
    steps = np.array([0, 12, 24, 36, 72])
    assert (found.samples_of_steps(steps) / SECOND).tolist() == [0, 0.25, 0.5, 1.0, 1.75]


def test_smpte_time_runs_by_the_clock():
    # 25 frames of 40 ticks: 1000 ticks a second, whatever the tempo says.
    conductor = midi_bytes.chunk(midi_bytes.events((0, tempo(123_456))) + END)
    found = read(conductor, midi_bytes.notes([(500, 2000, 60)]), division=0xE728)
    assert (found.timeline().time / SECOND).tolist() == [0.5, 2.0]


def test_a_status_runs_on_over_other_events():
    content = (
        b"\x00\x90\x3c\x40"
        b"\x10\xff\x01\x02hi"  # a text
        b"\x10\x3e\x40"  # with the status from before it
        b"\x10\xf0\x03\x01\x02\xf7"  # system exclusive
        b"\x10\x3c\x00"
    )
    found = read(midi_bytes.chunk(content + END))
    assert found.messages == [b"\x90\x3c\x40", b"\x90\x3e\x40", b"\x90\x3c\x00"]
    assert found.tick.tolist() == [0, 32, 64]


def test_what_comes_after_the_last_note_is_left_out():
    content = midi_bytes.events(
        (0, b"\x90\x3c\x40"), (480, b"\x80\x3c\x00"), (2**27, b"\xb0\x40\x00")
    )
    found = read(midi_bytes.chunk(content + END))
    assert len(found.messages) == 3
    assert found.timeline().seconds == 0.5


@pytest.mark.parametrize(
    ("messages", "seconds"),
    [
        ([], None),
        ([b"\xb0\x07\x40"], None),
        ([b"\x90\x3c\x00", b"\x80\x3c\x00"], None),
        ([b"\x90\x3c\x00", b"\x90\x3c\x01"], 0.5),
    ],
)
def test_when_the_first_note_begins(messages, seconds):
    timed = [(480 * place, message) for place, message in enumerate(messages)]
    found = read(midi_bytes.chunk(midi_bytes.events(*timed) + END))
    assert found.first_note_seconds() == seconds


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\x00\x90\x3c", "cut short"),
        (b"\x00\x90\x3c\x80", "above 127"),
        (b"\x00\x3c\x40", "no event begins with 0x00"),
        (b"\x00\xf4\x40", "no event begins with 0xf4"),
        (b"\x00\xff\x51\x02\x01\x01", "a tempo that is none"),
        (b"\xff\xff\xff\xff\x00\x90\x3c\x40", "more than four bytes"),
    ],
)
def test_broken_events_are_told(content, reason):
    # Without an end of track, which would be read as part of the event.
    checked = check_structure(midi_bytes.midi(midi_bytes.chunk(content)), "x.mid")
    with pytest.raises(InputError, match=f"x.mid: broken MIDI data .*{reason}"):
        read_events(checked, "x.mid")


def test_too_many_messages_are_refused(monkeypatch):
    monkeypatch.setattr(module, "MAX_MESSAGES", 5)
    track = midi_bytes.notes([(0, 1, 60), (1, 2, 60)])
    assert len(read(track).messages) == 4
    with pytest.raises(InputError, match="more than 5 messages"):
        read(track, track)


@given(st.binary(max_size=60))
def test_whatever_a_track_holds_it_is_read_or_refused(content):
    checked = check_structure(midi_bytes.midi(midi_bytes.chunk(content + END)), "x.mid")
    try:
        found = read_events(checked, "x.mid")
    except InputError:
        return
    assert (np.diff(found.tick) >= 0).all()
    timeline = found.timeline()
    assert (np.diff(timeline.time) >= 0).all()
    assert all(len(message) in (2, 3) and message[0] < 0xF0 for message in timeline.messages)
