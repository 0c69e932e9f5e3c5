from __future__ import annotations

import os
import signal
import zipfile
from dataclasses import dataclass
from pathlib import PurePath

import midi_bytes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tunes import TUNES

from seqmelody.corpus import reading
from seqmelody.corpus.reading import ReadSettings, RootedSource, melody_id, read_all, read_chunk
from seqmelody.corpus.reading import rooted_sources as rooted
from seqmelody.errors import SeqmelodyError
from seqmelody.midi import MelodyLine, MidiSource
from seqmelody.tokens import Tokenizer

SETTINGS = ReadSettings(MelodyLine(), Tokenizer(), 16, 512)


@dataclass(frozen=True)
class DeadlySource(MidiSource):
    """A file on which the reading process dies, as it does when memory runs out."""

    def read(self) -> bytes:
        os.kill(os.getpid(), signal.SIGKILL)
        return b""


def test_ids_are_names_below_the_root(tune_folder, tmp_path):
    nested = tmp_path / "songs" / "a.b"
    nested.mkdir(parents=True)
    tune = next(tune_folder.iterdir()).read_bytes()
    (nested / "one.two.mid").write_bytes(tune)
    with zipfile.ZipFile(tmp_path / "songs" / "z.zip", "w") as archive:
        archive.writestr("in/three.MID", tune)
    sources = list(rooted([tmp_path / "songs", nested / "one.two.mid", tmp_path / "songs/z.zip"]))
    chunk = read_chunk(sources, SETTINGS)
    assert chunk.ids == ["a.b/one.two", "z.zip!in/three", "one.two", "in/three"]
    assert chunk.paths == [source.source.name for source in sources]


@given(
    st.one_of(
        st.text(st.sampled_from("ab. ~!-/\\:é"), min_size=1, max_size=8),
        st.text(st.sampled_from("ab./"), min_size=1, max_size=6).map(lambda name: f"{name}.mid"),
    )
)
def test_an_id_is_the_path_without_its_suffix(name):
    path = PurePath(name)
    expected = path.with_suffix("") if path.name else path
    assert melody_id(name) == expected.as_posix()


def test_a_chunk_holds_streams_skips_and_failures(tune_folder, tmp_path):
    short = midi_bytes.midi(midi_bytes.notes([(0, 480, 60), (480, 960, 62)]))
    (tmp_path / "short.mid").write_bytes(short)
    (tmp_path / "empty.mid").write_bytes(b"")
    (tmp_path / "text.mid").write_text("no music")
    chunk = read_chunk(list(rooted([tune_folder, tmp_path])), SETTINGS)
    assert chunk.sources == len(TUNES) + 3
    assert [name for name, _ in chunk.failed] == [
        str(tmp_path / "empty.mid"),
        str(tmp_path / "text.mid"),
    ]
    assert chunk.skipped == [(str(tmp_path / "short.mid"), "fewer than 16 notes")]
    assert chunk.ids == sorted(TUNES)
    melodies = [TUNES[id_] for id_ in chunk.ids]
    assert chunk.notes.tolist() == [len(melody) for melody in melodies]
    assert np.array_equal(chunk.pitch, np.concatenate([melody.pitch for melody in melodies]))
    assert np.array_equal(chunk.duration, np.concatenate([melody.duration for melody in melodies]))
    assert np.array_equal(chunk.rest, np.concatenate([melody.rest for melody in melodies]))
    assert len(chunk.digests) == 16 * len(TUNES)
    assert len({chunk.digests[at : at + 16] for at in range(0, len(chunk.digests), 16)}) == len(
        TUNES
    )


def test_what_the_tokenizer_cuts_is_counted(tune_folder):
    tokenizer = Tokenizer(max_duration_steps=24)
    chunk = read_chunk(list(rooted([tune_folder])), ReadSettings(MelodyLine(), tokenizer, 16, 512))
    longer = sum(int((melody.duration > 24).sum()) for melody in TUNES.values())
    assert chunk.changes["clipped_durations"] == longer > 0


def as_dict(chunks):
    return [
        {
            name: value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in vars(chunk).items()
        }
        for chunk in chunks
    ]


def test_workers_give_the_same_chunks_in_order(tune_folder, monkeypatch):
    monkeypatch.setattr(reading, "CHUNK_SOURCES", 2)
    sources = list(rooted([tune_folder, tune_folder / "missing.mid", tune_folder]))
    alone = list(read_all(sources, SETTINGS, 1))
    assert sum(chunk.sources for chunk in alone) == 2 * len(TUNES) + 1
    assert as_dict(read_all(iter(sources), SETTINGS, 2)) == as_dict(alone)


def test_sources_are_drawn_as_they_are_needed(tune_folder, monkeypatch):
    monkeypatch.setattr(reading, "CHUNK_SOURCES", 1)
    drawn = 0

    def endless():
        nonlocal drawn
        source = next(rooted([tune_folder]))
        while True:
            drawn += 1
            yield source

    chunks = read_all(endless(), SETTINGS, 2)
    for _ in range(3):
        next(chunks)
    assert drawn < 20
    chunks.close()


def test_a_dying_worker_is_an_error_and_no_hang(tune_folder, monkeypatch):
    monkeypatch.setattr(reading, "CHUNK_SOURCES", 2)
    sources = [*rooted([tune_folder]), RootedSource(DeadlySource("deadly"), "deadly")]
    with pytest.raises(SeqmelodyError, match="a worker process died"):
        list(read_all(sources * 3, SETTINGS, 2))


def test_names_that_are_no_text_are_spelled_out(tune_folder, tmp_path):
    try:
        folder = os.fsencode(tmp_path)
        tune = next(tune_folder.iterdir()).read_bytes()
        for name in (b"caf\xe9.mid", b"bad\xff.mid"):
            with open(os.path.join(folder, name), "wb") as file:
                file.write(tune if name.startswith(b"caf") else b"")
    except OSError:
        pytest.skip("this file system takes no such names")
    chunk = read_chunk(list(rooted([tmp_path])), SETTINGS)
    assert chunk.ids == ["caf\\udce9"]
    assert chunk.failed[0][0].endswith("bad\\udcff.mid")
