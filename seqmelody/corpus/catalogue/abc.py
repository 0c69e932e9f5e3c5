"""Tunes in ABC notation to MIDI files, by the ``abc2midi`` that symusic brings along.

What is no part of the melody is taken out first: chord symbols and fingerings, grace notes and
ornaments, slurs, comments, and the fields that change how ``abc2midi`` plays (``R:hornpipe``
swings the lengths, ``P:`` orders the parts anew, ``I:`` and ``V:`` give orders to programs).
Repeats are played. Follows *The abc music standard 2.1* (Walshaw 2011).
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

_REFERENCE = re.compile(r"X:\s*(\S*)")
_FIELD = re.compile(r"\s*([A-Za-z+]):(?![|:])(.*)")
_KEPT_FIELDS = frozenset("XTMLK")
_INLINE_FIELD = re.compile(r"\[[A-Za-z]:[^\]]*\]")
_NO_MELODY = re.compile(
    r"""
    %.*                   # a comment
    | "[^"]*"             # a chord symbol, a fingering, a remark
    | ![^!|\s]*!          # an ornament by name
    | \{[^}]*\}           # grace notes
    | [H-Wh-w~.`!]        # ornaments by letter, staccato, spacing, a broken line
    | \((?!\d) | \)       # slurs; a number behind the bracket makes it a tuplet
    """,
    re.VERBOSE,
)


def tunes(text: str) -> Iterator[list[str]]:
    """The lines of each tune of a file; a tune begins with its ``X:``."""
    tune: list[str] = []
    for line in _without_mail_marks(text).splitlines():
        if line.startswith("X:"):
            if tune:
                yield tune
            tune = [line]
        elif tune:
            tune.append(line)
    if tune:
        yield tune


def _without_mail_marks(text: str) -> str:
    # Some tunes went through e-mail as quoted-printable. What is replaced is no ABC: a natural
    # sign stands before a note, never before a number or the end of a line.
    return re.sub(r"=\r?\n", "", text).replace("=20", " ").replace("=3D", "=")


def number_and_title(tune: list[str]) -> tuple[str, str]:
    """What the book calls a tune; empty where it does not say."""
    found = _REFERENCE.match(tune[0])
    titles = (line[2:].strip() for line in tune if line.startswith("T:"))
    return found.group(1) if found else "", next(titles, "")


def only_melody(tune: list[str]) -> str:
    """The same tune with nothing but what makes the melody: its notes, bars, key and metre."""
    kept: list[str] = []
    in_header = True
    for line in tune:
        if field := _FIELD.fullmatch(line):
            if field.group(1) in _KEPT_FIELDS:
                kept.append(line.strip())
                in_header = in_header and field.group(1) != "K"
        elif not in_header:
            # An invisible bar line would open a chord.
            parts = _INLINE_FIELD.split(line.replace("[|]", "|"))
            fields = [*_INLINE_FIELD.findall(line), ""]
            music = [_NO_MELODY.sub("", part) for part in parts]
            pairs = zip(music, fields, strict=True)
            if (joined := "".join(part + field for part, field in pairs)).strip():
                kept.append(joined.rstrip())
    return "\n".join(kept) + "\n"


def to_midi(abc: str) -> bytes:
    """One tune as a MIDI file.

    Raises:
        ValueError: It holds no tune that ``abc2midi`` understands.
    """
    import symusic  # noqa: F401 - tells where its abc2midi is

    with tempfile.TemporaryDirectory(prefix="seqmelody-abc-") as folder:
        source, midi = Path(folder) / "tune.abc", Path(folder) / "tune.mid"
        source.write_text(abc, encoding="utf-8")
        done = subprocess.run(  # noqa: S603 - the program of a package, on a file of ours
            [os.environ["SYMUSIC_ABC2MIDI"], str(source), "-o", str(midi)],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode or not midi.is_file():
            said = [line for line in done.stdout.splitlines() if line.startswith("Error")]
            raise ValueError(said[0] if said else "abc2midi wrote no file")
        return midi.read_bytes()
