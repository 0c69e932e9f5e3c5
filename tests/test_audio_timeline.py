from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tunes import TUNES

from seqmelody.audio.events import read_events
from seqmelody.audio.timeline import BLOCK, RENDERER_RATE, Timeline, of_melody
from seqmelody.melody import Melody
from seqmelody.midi import read_melody
from seqmelody.midi.structure import check_structure


def played(timeline, ring_seconds=0.0) -> list[tuple[int, bytes]]:
    """Times and messages of the MIDI file that the renderer gets, at its rate."""
    checked = check_structure(timeline.to_midi(ring_seconds), "x.mid")
    found = read_events(checked, "x.mid")
    seconds = found.seconds(found.tick.astype(float))
    return list(
        zip(np.rint(seconds * RENDERER_RATE).astype(int).tolist(), found.messages, strict=True)
    )


@pytest.mark.parametrize("name", TUNES)
def test_a_melody_is_played_as_it_is(name):
    melody = TUNES[name]
    found = read_melody(of_melody(melody).to_midi(1.0))
    # The file's quarter is half a second, which at 120 a minute is a quarter.
    assert found.melody.pitch.tolist() == melody.pitch.tolist()
    assert found.melody.onset.tolist() == melody.onset.tolist()
    assert found.melody.duration.tolist() == melody.duration.tolist()


def test_the_tempo_stretches_it():
    melody = TUNES["freude"]
    slow, fast = of_melody(melody, tempo=60), of_melody(melody, tempo=240)
    assert slow.seconds == 4 * fast.seconds == melody.span_steps / 24
    with pytest.raises(ValueError, match="tempo of 0"):
        of_melody(melody, tempo=0)


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=30).map(sorted))
def test_messages_come_half_a_block_early_and_in_order(times):
    messages = [bytes((0x90, 1 + number, 100)) for number in range(len(times))]
    timeline = Timeline(np.array(times), messages)
    expected = [
        (max(0, time - BLOCK // 2), message) for time, message in zip(times, messages, strict=True)
    ]
    assert played(timeline) == expected


def test_a_key_is_let_go_before_it_is_struck_again():
    melody = Melody([0, 24], [24, 24], [60, 60])
    kinds = [message[0] for _, message in played(of_melody(melody)) if message[0] < 0xB0]
    assert kinds == [0x90, 0x80, 0x90, 0x80]
    # Also where the tempo leaves a note no time.
    kinds = [m[0] for _, m in played(of_melody(Melody([0], [1], [60]), tempo=1e9)) if m[0] < 0xB0]
    assert kinds == [0x90, 0x80]


def test_a_cut_lets_everything_go():
    timeline = Timeline(
        np.array([0, 100, 200, 300]),
        [b"\x90\x3c\x40", b"\xb0\x40\x7f", b"\x95\x30\x40", b"\x85\x30\x40"],
    )
    cut = timeline.cut(200 / RENDERER_RATE)
    assert list(cut.messages[:2]) == list(timeline.messages[:2])
    assert set(cut.messages[2:]) == {
        bytes((0xB0 | channel, number, 0)) for channel in range(16) for number in (64, 123)
    }
    assert cut.time[2:].tolist() == [200] * 32


def test_quieter_sets_the_volume_of_every_channel():
    timeline = Timeline(np.array([5, 9]), [b"\xb3\x07\x64", b"\x93\x3c\x40"])
    quieter = timeline.quieter(0.25)
    assert list(quieter.messages[:16]) == [bytes((0xB0 | channel, 7, 50)) for channel in range(16)]
    assert list(quieter.messages[16:]) == [b"\xb3\x07\x32", b"\x93\x3c\x40"]
    assert quieter.time.tolist() == [0] * 16 + [5, 9]


def test_nothing_can_be_played():
    nothing = Timeline(np.zeros(0, dtype=np.int64), [])
    assert played(nothing, 1.0) == []
    assert nothing.seconds == 0
