"""How well a melody is found in polyphony, by note F1: ``melody-line``.

The melody is known for chorales (the soprano), string quartets (the first violin) and piano pieces
on two staves (the top of the right hand). Each piece is read three times: its parts as tracks with
their names, as tracks without names, and all in one track. A note is found if the line has a note
of the same pitch on the same grid step, a twenty-fourth of a quarter note; F1 is 2 found / (notes
of the line + notes of the melody), its mean is taken over the pieces.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import ROOT, Setting
from benchmarks.rows import Row

POLICIES = ("auto", "skyline")

_CORPORA = ROOT / "data" / "polyphony"
_FIRST_VIOLIN = re.compile(r"(1st violin|violin(o|e)?\.? *(1|i)\b)", re.IGNORECASE)
_PIANO = re.compile(r"chopin|joplin|k545|schumann_clara-polonaise")

_Notes = set[tuple[int, int]]


def run(setting: Setting) -> Iterator[Row]:
    """F1 by kind of piece, by how it is written, and by policy."""
    for kind, pieces in _pieces(setting.quick).items():
        found: dict[tuple[str, str], list[NDArray[np.float64]]] = {}
        for score, melody in pieces:
            for written, midi in _writings(score).items():
                for policy in POLICIES:
                    figures = _precision_recall_f1(_line(midi, policy), melody)
                    found.setdefault((written, policy), []).append(figures)
        for (written, policy), figures in found.items():
            yield _row(f"{kind}, {written}: {policy}", np.array(figures))


def _row(what: str, figures: NDArray[np.float64]) -> Row:
    from seqmelody.evaluation.intervals import bootstrap_mean

    f1 = bootstrap_mean(figures[:, 2], np.arange(len(figures)))
    precision, recall, _ = figures.mean(axis=0).tolist()
    told = f"F1 {f1.value:.3f} ({f1.low:.3f} to {f1.high:.3f})"
    return Row(
        "melody-line",
        f"{what} ({len(figures)} pieces)",
        f"{told}, precision {precision:.3f}, recall {recall:.3f}",
        figures={"f1": f1.value, "low": f1.low, "high": f1.high}
        | {"precision": precision, "recall": recall},
    )


def _pieces(quick: bool) -> dict[str, list[tuple[Any, _Notes]]]:
    """Scores and their melodies, by kind."""
    from symusic import Score

    from seqmelody.corpus.catalogue import fetch

    kinds: dict[str, list[tuple[Any, _Notes]]] = {"chorales": [], "quartets": [], "piano": []}
    for corpus in ("chorales", "classical"):
        fetch(corpus, _CORPORA / corpus, progress=True)
        for path in sorted((_CORPORA / corpus).glob("*.mid"))[:: 8 if quick else 1]:
            score: Any = Score.from_midi(path.read_bytes())
            if kind := _kind(corpus, path, score):
                top = score.copy()
                top.tracks = type(score.tracks)([score.tracks[0]])
                kinds[kind].append((score, _line(top.dumps_midi(), "skyline")))
    return {kind: pieces for kind, pieces in kinds.items() if pieces}


def _kind(corpus: str, path: Path, score: Any) -> str:
    """What a piece is; empty for one whose melody is not known."""
    if corpus == "chorales":
        return "chorales"
    if len(score.tracks) == 4 and _FIRST_VIOLIN.match(score.tracks[0].name):
        return "quartets"
    return "piano" if len(score.tracks) == 2 and _PIANO.search(path.name) else ""


def _writings(score: Any) -> dict[str, bytes]:
    """The same notes in three MIDI files."""
    nameless, together = score.copy(), score.copy()
    for track in nameless.tracks:
        track.name = ""
    all_in_one = together.tracks[0]
    for track in list(together.tracks)[1:]:
        all_in_one.notes.extend(track.notes)
    all_in_one.name = ""
    together.tracks = type(together.tracks)([all_in_one])
    return {
        "named tracks": score.dumps_midi(),
        "nameless tracks": nameless.dumps_midi(),
        "one track": together.dumps_midi(),
    }


def _line(midi: bytes, policy: str) -> _Notes:
    """Onset and pitch of the notes that a policy reads."""
    from seqmelody.midi import MelodyLine, read_melody

    read = read_melody(midi, line=MelodyLine.parse(policy))
    onset = read.melody.onset + read.lead_in_steps
    return set(zip(onset.tolist(), read.melody.pitch.tolist(), strict=True))


def _precision_recall_f1(line: _Notes, melody: _Notes) -> NDArray[np.float64]:
    found = len(line & melody)
    return np.array([found / len(line), found / len(melody), 2 * found / (len(line) + len(melody))])
