"""From the files of a wheel to MIDI files and their labels.

Each function here takes the wheel and the names of some of its members, and yields a ``Result``
for each piece of music in them. What cannot be converted is a result too, with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import NamedTuple
from zipfile import ZipFile

from seqmelody.corpus.catalogue.abc import number_and_title, only_melody, to_midi, tunes
from seqmelody.corpus.catalogue.scores import Part, read_parts, write_parts

_MUSIC21_CORPUS = "music21/corpus/"
_VOICES = re.compile(r"soprano|alto|tenor|bass", re.IGNORECASE)


class Result(NamedTuple):
    """A MIDI file, or why there is none.

    Attributes:
        path: Its name.
        midi: Its content; None if the music could not be converted.
        labels: Its row of ``labels.csv`` behind the path.
        failure: Why there is none.
    """

    path: str
    midi: bytes | None
    labels: tuple[str, ...] = ()
    failure: str = ""


def midi_files(wheel: ZipFile, members: list[str]) -> Iterator[Result]:
    """MIDI files as they are; the label is the letters that the name begins with."""
    for member in members:
        name = PurePosixPath(member).name
        letters = re.match(r"[a-z]+", name)
        yield Result(name, wheel.read(member), (letters.group() if letters else "",))


def abc_tunes(wheel: ZipFile, members: list[str]) -> Iterator[Result]:
    """The tunes of ABC files; the labels are number and title in the book, and the file."""
    for member in members:
        found = list(tunes(wheel.read(member).decode("latin-1")))
        for place, tune in enumerate(found, start=1):
            stem = PurePosixPath(member).stem
            name = f"{stem}-{place:03}.mid" if len(found) > 1 else f"{stem}.mid"
            try:
                midi = to_midi(only_melody(tune))
            except ValueError as error:
                yield Result(name, None, failure=str(error))
                continue
            yield Result(name, midi, (*number_and_title(tune), _source(member)))


def scores(wheel: ZipFile, members: list[str]) -> Iterator[Result]:
    """Whole scores; the labels are the composer and the file."""
    for member in members:
        composer = _source(member).partition("/")[0].replace("_", " ")
        yield _score(wheel, member, (composer,), lambda parts: parts)


def chorales(wheel: ZipFile, members: list[str]) -> Iterator[Result]:
    """The voices of Bach's chorales; the labels are Riemenschneider's number, title and file."""
    numbered = _riemenschneider()
    for member in members:
        yield _score(wheel, member, numbered.get(PurePosixPath(member).stem, ("", "")), voices)


def sopranos(wheel: ZipFile, members: list[str]) -> Iterator[Result]:
    """The sopranos of Bach's chorales; labels as for ``chorales``."""
    numbered = _riemenschneider()
    for member in members:
        labels = numbered.get(PurePosixPath(member).stem, ("", ""))
        yield _score(wheel, member, labels, lambda parts: voices(parts)[:1])


def voices(parts: list[Part]) -> list[Part]:
    """Of a chorale for voices and instruments the voices; all parts if they have no names."""
    return [part for part in parts if _VOICES.match(part.name)] or parts


def _score(
    wheel: ZipFile,
    member: str,
    labels: tuple[str, ...],
    choose: Callable[[list[Part]], list[Part]],
) -> Result:
    source = _source(member)
    name = f"{PurePosixPath(source).with_suffix('').as_posix().replace('/', '-')}.mid"
    try:
        parts = choose(read_parts(wheel.read(member), member))
    except Exception as error:  # noqa: BLE001 - what music21 raises is listed nowhere
        said = " ".join(str(error).split())
        return Result(name, None, failure=said or type(error).__name__)
    if not parts:
        return Result(name, None, failure="no notes")
    return Result(name, write_parts(parts), (*labels, source))


def _source(member: str) -> str:
    return member.removeprefix(_MUSIC21_CORPUS)


def _riemenschneider() -> dict[str, tuple[str, str]]:
    """Number and title of a chorale in Riemenschneider's edition, by the name of its file."""
    from music21.corpus.chorales import ChoraleListRKBWV

    found: dict[str, tuple[str, str]] = {}
    for number, chorale in ChoraleListRKBWV().byRiemenschneider.items():
        # Some stand there twice; the first number is kept.
        found.setdefault(f"bwv{chorale['bwv']}", (str(number), chorale["title"].strip()))
    return found
