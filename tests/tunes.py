"""Songs that everybody may sing: real music for tests, older than any right in it."""

from __future__ import annotations

from seqmelody.melody import STEPS_PER_QUARTER, Melody

_KEYS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


def tune(notes: str) -> Melody:
    """A melody from words such as ``C4 F#4:0.5 -:1 Bb3:3``: key, octave, quarters (1 if not said).

    A dash is a rest.
    """
    onset, duration, pitch = [], [], []
    now = 0
    for word in notes.split():
        key, _, quarters = word.partition(":")
        steps = round(float(quarters or 1) * STEPS_PER_QUARTER)
        if key != "-":
            sharps = key.count("#") - key[1:].count("b")
            pitch.append(12 * (int(key[-1]) + 1) + _KEYS[key[0]] + sharps)
            onset.append(now)
            duration.append(steps)
        now += steps
    return Melody(onset, duration, pitch)


TUNES = {
    "ah-vous-dirai-je": tune(
        "C4 C4 G4 G4 A4 A4 G4:2 F4 F4 E4 E4 D4 D4 C4:2 G4 G4 F4 F4 E4 E4 D4:2 "
        "G4 G4 F4 F4 E4 E4 D4:2 C4 C4 G4 G4 A4 A4 G4:2 F4 F4 E4 E4 D4 D4 C4:2"
    ),
    "frere-jacques": tune(
        "F4 G4 A4 F4 F4 G4 A4 F4 A4 Bb4 C5:2 A4 Bb4 C5:2 C5:.5 D5:.5 C5:.5 Bb4:.5 A4 F4 "
        "C5:.5 D5:.5 C5:.5 Bb4:.5 A4 F4 F4 C4 F4:2 F4 C4 F4:2"
    ),
    "freude": tune(
        "E4 E4 F4 G4 G4 F4 E4 D4 C4 C4 D4 E4 E4:1.5 D4:.5 D4:2 "
        "E4 E4 F4 G4 G4 F4 E4 D4 C4 C4 D4 E4 D4:1.5 C4:.5 C4:2 "
        "D4 D4 E4 C4 D4 E4:.5 F4:.5 E4 C4 D4 E4:.5 F4:.5 E4 D4 C4 D4 G3:2 "
        "E4 E4 F4 G4 G4 F4 E4 D4 C4 C4 D4 E4 D4:1.5 C4:.5 C4:2"
    ),
    "greensleeves": tune(
        "A4:.5 C5 D5:.5 E5:.75 F5:.25 E5:.5 D5 B4:.5 G4:.75 A4:.25 B4:.5 C5 A4:.5 A4:.75 G#4:.25 "
        "A4:.5 B4 G#4:.5 E4 A4:.5 C5 D5:.5 E5:.75 F5:.25 E5:.5 D5 B4:.5 G4:.75 A4:.25 B4:.5 "
        "C5:.75 B4:.25 A4:.5 G#4:.75 F#4:.25 G#4:.5 A4:1.5 A4:1 -:.5 "
        "G5:1.5 G5:.75 F#5:.25 E5:.5 D5 B4:.5 G4:.75 A4:.25 B4:.5 C5 A4:.5 A4:.75 G#4:.25 A4:.5 "
        "B4 G#4:.5 E4:1.5"
    ),
    "new-britain": tune(
        "D4 G4:2 B4:.5 G4:.5 B4:2 A4 G4:2 E4 D4:2 D4 G4:2 B4:.5 G4:.5 B4:2 A4 D5:5 B4 "
        "D5:1.5 B4:.5 D5:.5 B4:.5 G4:2 D4 E4:1.5 G4:.5 G4:.5 E4:.5 D4:2 D4 "
        "G4:2 B4:.5 G4:.5 B4:2 A4 G4:2 -:1"
    ),
}
