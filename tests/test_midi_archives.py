"""MIDI in zip and tar archives: read without unpacking, and without trusting what they say."""

from __future__ import annotations

import gzip
import io
import multiprocessing
import pickle
import struct
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from midi_bytes import midi, notes

from seqmelody.errors import InputError
from seqmelody.midi import MAX_MIDI_BYTES, MidiSource, iter_sources, read_melody

Members = dict[str, bytes]


def tune(pitch: int) -> bytes:
    return midi(notes([(0, 480, pitch)]))


MEMBERS: Members = {
    "midi/b.mid": tune(62),
    "midi/a.MID": tune(60),
    "readme.txt": b"no MIDI",
    "__MACOSX/midi/._a.mid": b"resource fork",
    "midi/._b.mid": b"resource fork",
    "c.kar": tune(64),
}


def write_zip(path: Path, members: Members = MEMBERS) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def write_tar(path: Path, members: Members = MEMBERS) -> Path:
    suffix = path.suffix.removeprefix(".")
    compression = {"tgz": "gz", "gz": "gz", "bz2": "bz2", "xz": "xz"}.get(suffix, "")
    with tarfile.open(path, f"w:{compression}") as archive:  # type: ignore[call-overload]
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def reason(source: MidiSource) -> str:
    with pytest.raises(InputError) as caught:
        source.read()
    assert "\n" not in str(caught.value)
    return caught.value.reason


def test_zip_members_come_sorted(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "corpus.ZIP")
    sources = list(iter_sources([path]))
    assert [source.name for source in sources] == [
        f"{path}!{name}" for name in ("c.kar", "midi/a.MID", "midi/b.mid")
    ]
    assert [source.read() for source in sources] == [tune(64), tune(60), tune(62)]


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tgz", ".tar.bz2", ".TAR.XZ"])
def test_tar_members_come_in_their_order(tmp_path: Path, suffix: str) -> None:
    written = write_tar(tmp_path / f"corpus{suffix.lower()}")
    path = written.rename(tmp_path / f"corpus{suffix}")
    sources = list(iter_sources([path]))
    assert [source.name for source in sources] == [
        f"{path}!{name}" for name in ("midi/b.mid", "midi/a.MID", "c.kar")
    ]
    assert [source.read() for source in sources] == [tune(62), tune(60), tune(64)]


def test_compression_is_told_by_the_bytes(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "corpus.tgz").rename(tmp_path / "corpus.tar.bz2")
    assert len(list(iter_sources([path]))) == 3


def test_archives_in_a_folder_are_read(tmp_path: Path) -> None:
    write_zip(tmp_path / "b.zip", {"x.mid": tune(60)})
    write_tar(tmp_path / "a.tar", {"y.mid": tune(62)})
    write_zip(tmp_path / "photos.zip", {"x.jpg": b""})
    sources = list(iter_sources([tmp_path]))
    assert [source.name.rpartition("!")[2] for source in sources] == ["y.mid", "x.mid"]


@pytest.mark.parametrize("write", [write_zip, write_tar])
def test_an_archive_without_midi(tmp_path: Path, write: Callable[[Path, Members], Path]) -> None:
    path = write(tmp_path / f"empty.{write.__name__[6:]}", {"readme.txt": b"no MIDI"})
    [source] = iter_sources([path])
    assert source.name == str(path)
    assert reason(source) == "the archive holds no MIDI files (.mid .midi .kar)"


def test_members_of_one_name_are_two(tmp_path: Path) -> None:
    path = tmp_path / "twice.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.mid", tune(60))
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.mid", tune(62))
    assert [source.read() for source in iter_sources([path])] == [tune(60), tune(62)]


def _pitches(source: MidiSource) -> list[int]:
    return [int(read_melody(source).melody.pitch[0]) for _ in range(20)]


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
@pytest.mark.filterwarnings("ignore:This process")  # forking with threads; none of them is held
def test_forked_processes_read_one_zip_at_once(tmp_path: Path) -> None:
    members = {f"{pitch}.mid": tune(pitch) for pitch in range(30, 90)}
    sources = list(iter_sources([write_zip(tmp_path / "corpus.zip", members)]))
    assert _pitches(sources[0]) == [30] * 20  # opens the archive before a fork
    with multiprocessing.get_context("fork").Pool(2) as pool:
        pitches = pool.map(_pitches, sources, chunksize=1)
    assert pitches == [[pitch] * 20 for pitch in range(30, 90)]


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz", ".tar.bz2", ".tar.xz"])
def test_a_member_that_expands_beyond_the_cap_is_refused(tmp_path: Path, suffix: str) -> None:
    bomb = bytes(MAX_MIDI_BYTES + 1)
    members = {"a.mid": tune(60), "bomb.mid": bomb, "c.mid": tune(62)}
    write = write_zip if suffix == ".zip" else write_tar
    before, refused, after = iter_sources([write(tmp_path / f"bomb{suffix}", members)])
    assert "larger than 16 MiB" in reason(refused)
    assert refused.name.endswith("!bomb.mid")
    assert [before.read(), after.read()] == [tune(60), tune(62)]


def test_the_size_that_a_zip_declares_is_not_believed(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "lie.zip", {"a.mid": bytes(MAX_MIDI_BYTES + 1)})
    data = path.read_bytes()
    # Both headers say 100 bytes.
    path.write_bytes(data.replace(struct.pack("<I", MAX_MIDI_BYTES + 1), struct.pack("<I", 100)))
    [source] = iter_sources([path])
    assert "CRC" in reason(source) or "larger than" in reason(source)


@pytest.mark.parametrize("length", [1, 30, 100, -25])
def test_a_zip_cut_short(tmp_path: Path, length: int) -> None:
    path = write_zip(tmp_path / "cut.zip")
    path.write_bytes(path.read_bytes()[:length])
    [source] = iter_sources([path])
    assert source.name == str(path)
    assert "cannot be read to its end" in reason(source)


def test_a_damaged_zip_member_leaves_the_others(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "damaged.zip", {"a.mid": tune(60), "b.mid": tune(62)})
    data = bytearray(path.read_bytes())
    data[40:50] = bytes(10)
    path.write_bytes(data)
    damaged, whole = iter_sources([path])
    assert "cannot be read" in reason(damaged)
    assert whole.read() == tune(62)


def test_an_encrypted_zip_member(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "secret.zip", {"a.mid": tune(60)})
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(data)
    [source] = iter_sources([path])
    assert "encrypted" in reason(source)


def test_a_zip_that_is_gone_when_it_is_read(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "gone.zip")
    sources = [pickle.loads(pickle.dumps(source)) for source in iter_sources([path])]
    path.unlink()
    for source in sources:
        assert "No such file" in reason(source)


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tar.xz"])
def test_a_tar_cut_short_gives_what_is_whole(tmp_path: Path, suffix: str) -> None:
    members = {f"{pitch}.mid": tune(pitch) + bytes(range(256)) * 8 for pitch in range(20)}
    path = write_tar(tmp_path / f"cut{suffix}", members)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    *whole, member, archive = iter_sources([path])
    assert [source.read() for source in whole] == list(members.values())[: len(whole)]
    assert member.name.startswith(f"{path}!")
    assert "cannot be read" in reason(member)
    assert archive.name == str(path)
    assert "cannot be read to its end" in reason(archive)


def test_a_damaged_tar_header_is_told(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "damaged.tar", {f"{pitch}.mid": tune(pitch) for pitch in range(9)})
    data = bytearray(path.read_bytes())
    data[4 * 1024 + 5] ^= 0xFF  # each member takes 1 KiB: this is in the name of the fifth
    path.write_bytes(data)
    *whole, last = iter_sources([path])
    assert [source.read() for source in whole] == [tune(pitch) for pitch in range(4)]
    assert last.name == str(path)
    assert "a header is damaged" in reason(last)


def test_links_and_devices_in_a_tar_are_no_files(tmp_path: Path) -> None:
    path = tmp_path / "links.tar"
    with tarfile.open(path, "w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            info = tarfile.TarInfo("link.mid")
            info.type = kind
            info.linkname = "/etc/passwd"
            archive.addfile(info)
    [source] = iter_sources([path])
    assert "no MIDI files" in reason(source)


def test_a_tar_name_of_a_gigabyte_is_refused(tmp_path: Path) -> None:
    header = tarfile.TarInfo("././@LongLink")
    header.type = tarfile.GNUTYPE_LONGNAME
    header.size = 1 << 30
    path = tmp_path / "name.tar.gz"
    zeros = gzip.compress(bytes(1 << 24))
    path.write_bytes(gzip.compress(header.tobuf(tarfile.GNU_FORMAT)) + zeros * 64)
    [source] = iter_sources([path])
    assert "claims 1,073,741,824 bytes" in reason(source)


def test_a_tar_that_expands_without_end_is_given_up(tmp_path: Path) -> None:
    header = tarfile.TarInfo("zeros.bin")
    header.size = 1 << 32
    path = tmp_path / "bomb.tar.gz"
    # Gzip streams may follow one another: 4 GiB of zeros in a few lines.
    zeros = gzip.compress(bytes(1 << 24), compresslevel=9)
    path.write_bytes(gzip.compress(header.tobuf()) + zeros * 256)
    [source] = iter_sources([path])
    assert "expands to more than 100 times its size" in reason(source)
