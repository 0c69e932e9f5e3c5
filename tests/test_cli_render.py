from __future__ import annotations

import builtins
import importlib.util
import resource
import wave
import zipfile
from pathlib import Path

import midi_bytes
import numpy as np
import pytest
from corpora import run_seqmelody
from tunes import TUNES

from seqmelody.audio.rendering import MISSING_EXTRA, Renderer
from seqmelody.audio.timeline import of_melody
from seqmelody.cli import main
from seqmelody.melody import Melody

needs_extra = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("midirenderer", "pretty_midi")),
    reason="needs the extra 'audio'",
)

RING = 1.5


@pytest.fixture
def render(tmp_path, capsys):
    """Runs the command at 8000 Hz; gives the exit code, the waveforms by name, and both outputs."""

    def run(*arguments, out="audio") -> tuple[int, dict[str, np.ndarray], str, str]:
        folder = tmp_path / out
        options = ["--out", str(folder), "--rate", "8000", "--workers", "1"]
        code = main(["render", *map(str, arguments), *options])
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        waves = {path.relative_to(folder).as_posix(): samples(path) for path in files}
        return code, waves, *capsys.readouterr()

    return run


def samples(path: Path) -> np.ndarray:
    """-1 to 1, of a file with one channel of 16 bits at 8000 Hz."""
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 8000)
        return np.frombuffer(file.readframes(file.getnframes()), dtype="<i2") / 32767


def write(path: Path, *tracks: bytes, **header) -> Path:
    path.write_bytes(midi_bytes.midi(*tracks, **header))
    return path


@needs_extra
def test_a_folder_gives_a_file_for_each_melody(render, tune_folder):
    code, waves, out, err = render(tune_folder)
    assert (code, err) == (0, "")
    assert set(waves) == {f"{name}.wav" for name in TUNES}
    seconds = sum(map(len, waves.values())) / 8000
    assert out.endswith(f"audio: {len(TUNES)} WAV files, {seconds:.1f} seconds of audio\n")
    for name, melody in TUNES.items():
        direct = Renderer(rate=8000).render(of_melody(melody)).wave
        assert np.abs(waves[f"{name}.wav"] - direct).max() < 1e-4
        assert len(direct) / 8000 == pytest.approx(melody.span_steps / 48 + RING, abs=0.01)


@needs_extra
def test_what_is_rendered(render, tmp_path):
    high = [(480 * i, 480 * i + 480, 72 + i % 3) for i in range(2, 12)]
    low = [(240 * i, 240 * i + 200, 40 + i % 5) for i in range(40)]
    song = write(
        tmp_path / "song.mid",
        midi_bytes.chunk(b"\x00\xff\x51\x03" + (250_000).to_bytes(3, "big") + b"\x00\xff\x2f\x00"),
        midi_bytes.notes(high, name=b"Melody"),
        midi_bytes.notes(low, channel=1, name=b"Bass"),
    )
    _, melody, _, _ = render(song)
    # From its first note on, at the file's 240 quarters a minute.
    assert len(melody["song.wav"]) / 8000 == pytest.approx(10 / 4 + RING, abs=0.01)
    expected = Melody.from_streams([72 + i % 3 for i in range(2, 12)], [24] * 10, [0] * 10)
    direct = Renderer(rate=8000).render(of_melody(expected, tempo=240)).wave
    assert np.abs(melody["song.wav"] - direct).max() < 1e-4
    _, whole, _, _ = render(song, "--what", "file", out="whole")
    assert len(whole["song.wav"]) / 8000 == pytest.approx(20 / 4 - 40 / 480 / 4 + RING, abs=0.01)
    # The bass begins at once, the melody only after two quarters.
    assert np.abs(whole["song.wav"][:2000]).max() > 0.01
    _, bass, _, _ = render(song, "--line", "name:bass", out="bass")
    assert len(bass["song.wav"]) > len(melody["song.wav"])


@needs_extra
def test_a_program_sounds_only_in_the_whole_file(render, tmp_path):
    played = [(0, 480, 60), (480, 960, 64)]
    piano = write(tmp_path / "piano.mid", midi_bytes.notes(played))
    organ = write(tmp_path / "organ.mid", midi_bytes.notes(played, program=19))
    _, melody, _, _ = render(piano, organ)
    assert np.array_equal(melody["piano.wav"], melody["organ.wav"])
    _, whole, _, _ = render(piano, organ, "--what", "file", out="whole")
    assert not np.allclose(whole["piano.wav"], whole["organ.wav"], atol=1e-2)


@needs_extra
def test_what_fails_is_told_and_stops_nothing(render, tune_folder, tmp_path):
    text = tmp_path / "text.mid"
    text.write_text("no music")
    empty = write(tmp_path / "empty.mid", midi_bytes.notes([]))
    for what in ("melody", "file"):
        code, waves, _, err = render(
            text, tune_folder / "freude.mid", empty, tmp_path / "none.mid", "--what", what, out=what
        )
        assert code == 1
        assert set(waves) == {"freude.wav"}
        lines = err.splitlines()
        assert len(lines) == 3
        assert lines[0].endswith("text.mid: not a MIDI file (it does not begin with MThd)")
        assert lines[1].endswith("empty.mid: holds no notes")
        assert "none.mid: cannot be read" in lines[2]


@needs_extra
def test_what_would_be_silent_is_no_file(render, tmp_path):
    muted = write(
        tmp_path / "muted.mid",
        midi_bytes.chunk(
            midi_bytes.events((0, b"\xb0\x07\x00"), (0, b"\x90\x3c\x40"), (480, b"\x80\x3c\x00"))
            + midi_bytes.END_OF_TRACK
        ),
    )
    code, waves, _, err = render(muted, "--what", "file")
    assert (code, waves) == (1, {})
    assert err.endswith("muted.mid: is silent: the soundfont has no sound for its notes\n")


@needs_extra
def test_what_would_clip_is_made_quieter_and_told(render, tmp_path):
    loud = write(
        tmp_path / "loud.mid",
        *(
            midi_bytes.notes([(0, 960, key, 127) for key in (48, 60, 64, 67)], channel=channel)
            for channel in range(9)
        ),
    )
    code, waves, _, err = render(loud, "--what", "file")
    assert code == 0
    assert "loud.mid: made " in err
    assert err.endswith(" dB quieter, or it would clip\n")
    samples = np.abs(waves["loud.wav"])
    assert samples.max() == pytest.approx(1, abs=1e-3)
    # A clipped wave stays at its limit.
    assert (samples > 0.999).sum() < 3


@needs_extra
def test_three_hours_are_cut(render, tmp_path):
    three_hours = [(960 * i, 960 * i + 900, 60 + i % 7) for i in range(3 * 3600)]
    long = write(tmp_path / "long.mid", midi_bytes.notes(three_hours))
    for what in ("melody", "file"):
        code, waves, _, err = render(long, "--what", what, "--longest", "5", out=what)
        assert code == 0
        assert err.endswith(
            "long.mid: only the first 5 of 10,800 seconds were rendered (--longest)\n"
        )
        assert len(waves["long.wav"]) / 8000 == pytest.approx(5 + RING, abs=0.01)
        # What still sounds at the cut is let go, and dies away.
        assert np.abs(waves["long.wav"][-800:]).max() < 0.01


@needs_extra
def test_notes_far_away_cost_nothing(render, tmp_path):
    tick = 2**28 - 1
    far = write(tmp_path / "far.mid", midi_bytes.notes([(0, 480, 60), (tick, tick + 480, 62)]))
    late = write(tmp_path / "late.mid", midi_bytes.notes([(tick, tick + 480, 62)]))
    held = write(tmp_path / "held.mid", midi_bytes.notes([(0, tick, 62)]))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    code, waves, _, err = render(far, late, held, "--what", "file", "--longest", "3")
    assert code == 1
    assert set(waves) == {"far.wav", "held.wav"}
    assert all(len(wave) / 8000 == pytest.approx(3 + RING, abs=0.01) for wave in waves.values())
    assert "late.mid: its first note begins after 279,620 seconds; see --longest" in err
    _, waves, _, err = render(far, late, held, "--longest", "3", out="melody")
    assert all(len(wave) / 8000 <= 3 + RING + 0.01 for wave in waves.values())
    # In KiB: neither the silence nor the held note was ever rendered as a whole.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


@needs_extra
def test_format_2_has_no_whole(render, tmp_path):
    track = midi_bytes.notes([(0, 480, 60), (480, 960, 62)])
    apart = write(tmp_path / "apart.mid", track, track, file_format=2)
    code, waves, _, err = render(apart, "--what", "file")
    assert (code, waves) == (1, {})
    assert "apart.mid: format 2: its tracks do not sound together" in err
    assert render(apart, out="melody")[0] == 0


@needs_extra
def test_files_that_exist_stay_as_they_are(render, tune_folder, tmp_path):
    there = tmp_path / "audio" / "freude.wav"
    render(tune_folder / "freude.mid")
    before = there.read_bytes()
    changed = before[:-2] + b"\x01\x00"
    there.write_bytes(changed)
    code, _, _, err = render(tune_folder / "freude.mid")
    assert code == 1
    assert err.endswith("freude.wav exists already; --overwrite replaces it\n")
    assert there.read_bytes() == changed
    assert render(tune_folder / "freude.mid", "--overwrite")[0] == 0
    assert there.read_bytes() == before


@needs_extra
def test_every_melody_has_a_file_of_its_own(render, tune_folder, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    (one / "sub").mkdir(parents=True)
    two.mkdir()
    freude = (tune_folder / "freude.mid").read_bytes()
    for path in (
        one / "a.mid",
        one / "A.MID",
        one / "sub" / "a.mid",
        two / "a.mid",
        two / "a~2.mid",
    ):
        path.write_bytes(freude)
    code, waves, _, err = render(one, two)
    assert (code, err) == (0, "")
    assert len(waves) == 5
    assert len({name.casefold() for name in waves}) == 5
    assert "sub/a.wav" in waves


@needs_extra
def test_no_member_of_an_archive_gets_out_of_the_folder(render, tune_folder, tmp_path):
    archive = tmp_path / "songs.zip"
    freude = (tune_folder / "freude.mid").read_bytes()
    with zipfile.ZipFile(archive, "w") as target:
        for name in ("../../out.mid", "/etc/x.mid", "C:\\y.mid", "in/../z.mid", "..mid"):
            target.writestr(name, freude)
    code, waves, _, err = render(archive)
    assert (code, err) == (0, "")
    assert len(waves) == 5
    assert {path.name for path in tmp_path.iterdir()} == {"songs.zip", "audio"}


@needs_extra
def test_several_workers_give_the_same(tune_folder, tmp_path):
    folders = [tmp_path / "one", tmp_path / "two"]
    for workers, folder in enumerate(folders, 1):
        done = run_seqmelody(
            *("render", tune_folder, tmp_path / "none.mid", "--rate", "8000"),
            *("--out", folder, "--workers", str(workers)),
        )
        assert done.returncode == 1
        assert (
            done.stderr
            == f"seqmelody: {tmp_path}/none.mid: cannot be read (No such file or directory)\n"
        )
    one, two = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders)
    assert one == two
    assert len(one) == len(TUNES)


@needs_extra
def test_a_folder_that_cannot_be_written(render, tune_folder, tmp_path):
    (tmp_path / "audio" / "freude.wav").mkdir(parents=True)
    code = main(
        ["render", str(tune_folder / "freude.mid"), "--out", str(tmp_path / "audio"), "--overwrite"]
    )
    assert code == 1
    assert list((tmp_path / "audio").rglob("*.part")) == []


@needs_extra
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--line", "best"], "melody line 'best' is none of"),
        (["--line", "skyline", "--what", "file"], "--line says which melody"),
        (["--workers", "0"], "workers must be at least 1, not 0"),
        (["--longest", "0"], "--longest must be"),
        (["--longest", "nan"], "--longest must be"),
        (["--longest", "inf"], "--longest must be"),
        (["--rate", "0"], "choose a rate such as"),
        (["--soundfont", "/nowhere.sf2"], "/nowhere.sf2: the soundfont cannot be read"),
        (["--soundfont", __file__], "not a soundfont that can be used"),
    ],
)
def test_wrong_usage(options, message, tune_folder, tmp_path, capsys):
    paths = [str(tune_folder), "--out", str(tmp_path / "audio")]
    assert main(["render", *paths, *options]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "audio").exists()


def test_out_is_no_file(tune_folder, tmp_path, capsys):
    out = tmp_path / "out.wav"
    out.write_text("mine")
    assert main(["render", str(tune_folder), "--out", str(out)]) == 2
    assert "--out must name a folder" in capsys.readouterr().err
    assert out.read_text() == "mine"


def test_without_the_extra_it_says_what_to_install(tune_folder, tmp_path, capsys, monkeypatch):
    imported = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "midirenderer":
            raise ModuleNotFoundError(name)
        return imported(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    # Of another rate than elsewhere: renderers are kept.
    options = ["--out", str(tmp_path / "audio"), "--rate", "11025"]
    assert main(["render", str(tune_folder), *options]) == 2
    assert capsys.readouterr().err == f"seqmelody: error: {MISSING_EXTRA}\n"
