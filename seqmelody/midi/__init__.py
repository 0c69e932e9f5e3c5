"""MIDI files in, melodies out, and back.

``iter_sources`` finds the MIDI files in paths, folders and archives; ``read_melody`` reads the
melody of one, says which line it took and what it cost, ``read_melodies`` those of many; ``to_midi`` and ``write_midi`` go the
other way. Whatever is wrong with an input is an ``InputError`` that names it.
"""

from seqmelody.midi.line import MelodyLine
from seqmelody.midi.reading import BATCH_SOURCES, read_melodies, read_melody
from seqmelody.midi.results import MidiMelodies, MidiMelody
from seqmelody.midi.sources import MAX_MIDI_BYTES, MidiSource, iter_sources
from seqmelody.midi.writing import to_midi, write_midi

__all__ = [
    "BATCH_SOURCES",
    "MAX_MIDI_BYTES",
    "MelodyLine",
    "MidiMelodies",
    "MidiMelody",
    "MidiSource",
    "iter_sources",
    "read_melodies",
    "read_melody",
    "to_midi",
    "write_midi",
]
