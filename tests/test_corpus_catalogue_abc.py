"""Tunes in ABC: what counts as melody, and the notes that come out."""

from __future__ import annotations

import pytest

from seqmelody.corpus.catalogue.abc import number_and_title, only_melody, to_midi, tunes
from seqmelody.midi import read_melody

HEADER = "X: 7\nT: A Tune\nT: Its Other Name\nM: 4/4\nL: 1/4\nK: G\n"


def read(abc: str) -> list[tuple[int, int]]:
    """Onset in eighths of a quarter, and pitch, of each note."""
    [tune] = tunes(abc)
    melody = read_melody(to_midi(only_melody(tune))).melody
    return [(on // 3, key) for on, key in zip(melody.onset, melody.pitch, strict=True)]


PLAIN = [(0, 67), (8, 69), (16, 71), (24, 72)]


@pytest.mark.parametrize(
    "music",
    [
        "G A B c |",
        '"G"G "D7"A "1"B "^slow"c |',
        "{fg}G A{Bc} B {/e}c |",
        "~G .A uB Hvc |",
        "!trill!G A !fermata!B c |",
        "(G A) (B c) |",
        "G A B c [|] % the end",
        "% first\nG A B c |",
        "G`A``Bc|",
        "G A =\nB=20c |",
        "P: A\nG A B c |",
    ],
)
def test_what_is_no_melody_is_left_out(music):
    assert read(HEADER + music + "\n") == PLAIN


@pytest.mark.parametrize("pair", ["G>A", "G>.A", "G>{B}A", "(G>)A", 'G>"D"A', "G>~A"])
def test_a_broken_rhythm_is_heard_through_ornaments(pair):
    assert read(f"{HEADER}{pair} B2 |\n") == [(0, 67), (12, 69), (16, 71)]


@pytest.mark.parametrize("field", ["R: hornpipe", "I: swing", "Q: nonsense", "N", "P: BA"])
def test_fields_that_change_the_playing_are_left_out(field):
    abc = HEADER.replace("M: 4/4", f"{field}\nM: 4/4")
    assert read(abc + "G/2A/2 B/2c/2 |\n") == [(0, 67), (4, 69), (8, 71), (12, 72)]


def test_repeats_are_played_keys_and_tuplets_kept():
    assert read(HEADER + "|: F (3G/A/B/ :|\n") == [
        (0, 66), (8, 67), (10, 69), (13, 71), (16, 66), (24, 67), (26, 69), (29, 71)
    ]  # fmt: skip
    assert read(HEADER + "F [K:C] F |\nK:G\nF |\n") == [(0, 66), (8, 65), (16, 66)]


def test_tunes_of_a_file_with_number_and_title():
    text = "% a book\n\n" + HEADER + "G A |\n\nX:8\nT:\nK:C\nc\n"
    first, second = tunes(text)
    assert number_and_title(first) == ("7", "A Tune")
    assert number_and_title(second) == ("8", "")
    assert list(tunes("% nothing here\n")) == []


def test_what_is_no_tune_is_an_error():
    with pytest.raises(ValueError, match=r"[Nn]o"):
        to_midi("no music\n")
