from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import json
import shutil
import tarfile
import zipfile

import numpy as np
import pytest
from tunes import TUNES

from seqmelody.checkpoint import load_checkpoint, save_checkpoint
from seqmelody.cli import main
from seqmelody.midi import read_melody, write_midi
from seqmelody.scorer import Scorer
from seqmelody.whitening import Whitening


@pytest.fixture
def rank(checkpoint_folder, capsys):
    """Runs the command; gives exit code, standard output and standard error."""

    def run(*arguments) -> tuple[int, str, str]:
        options = ["--checkpoint", str(checkpoint_folder), "--threads", "1"]
        code = main(["rank", *map(str, arguments), *options])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def candidates(tune_folder, tmp_path):
    """The tunes, one of them once more a third higher, and a file that is no MIDI."""
    folder = tmp_path / "candidates"
    shutil.copytree(tune_folder, folder)
    tune = TUNES["freude"]
    again = type(tune).from_streams(tune.pitch + 4, tune.duration, tune.rest)
    write_midi(again, folder / "freude-again.mid")
    (folder / "f.mid").write_bytes(b"not music")
    return folder


@pytest.fixture
def ranked(candidates, checkpoint_folder) -> list[str]:
    """The paths of what is kept, best first."""
    scores = Scorer.load(checkpoint_folder, threads=1).rank(candidates, distinct=1)
    return [score.path for score in scores if score.error is None]


def rows_of(out: str) -> list[dict]:
    return [json.loads(line) for line in out.splitlines()]


def test_rows_are_those_of_score_best_first_and_each_melody_once(rank, candidates, ranked):
    code, out, err = rank(candidates, "--format", "json")
    rows = rows_of(out)
    assert code == 1
    assert [row["path"] for row in rows] == [*ranked, str(candidates / "f.mid")]
    assert len(ranked) == len(TUNES)
    assert list(rows[0]) == ["path", "score", "percentile", "notes", "warnings"]
    assert "not a MIDI file" in rows[-1]["error"]
    told, kept = err.splitlines()
    assert told == f"seqmelody: {candidates / 'f.mid'}: {rows[-1]['error']}"
    assert kept == f"seqmelody: kept {len(TUNES)} of {len(TUNES) + 1} melodies (1 repeats another)"


def test_every_format_is_written(rank, candidates, ranked):
    _, out, _ = rank(candidates, "--format", "csv")
    assert [row["path"] for row in csv.DictReader(io.StringIO(out))][:-1] == ranked
    _, out, _ = rank(candidates)
    header, _, *rows = out.splitlines()
    assert header.split() == ["path", "score", "percentile", "notes", "remarks"]
    assert [row.split()[0] for row in rows][:-1] == ranked


def test_top_threshold_and_percentile_cut(rank, candidates, ranked, checkpoint_folder):
    scores = {
        score.path: score for score in Scorer.load(checkpoint_folder, threads=1).score(candidates)
    }
    for option, value in (
        ("--top", 2),
        ("--threshold", scores[ranked[1]].score - 1e-4),
        ("--percentile", scores[ranked[1]].percentile - 1e-3),
    ):
        _, out, err = rank(candidates, option, value, "--format", "json")
        assert [row["path"] for row in rows_of(out)][:-1] == ranked[:2]
        assert f"kept 2 of {len(TUNES) + 1}" in err
    assert "score too low" in err


@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_nothing_kept_is_no_failure(rank, tune_folder, form):
    code, out, err = rank(tune_folder, "--threshold", "1e9", "--format", form)
    assert code == 0
    assert "freude" not in out
    assert "kept 0 of 5 melodies (5 score too low)" in err


@pytest.mark.parametrize("content", [b"not music", None])
def test_where_nothing_can_be_read_it_is_said_so(rank, tmp_path, content):
    folder = tmp_path / "folder"
    folder.mkdir()
    if content is not None:
        (folder / "f.mid").write_bytes(content)
    code, _, err = rank(folder)
    assert code == 1
    assert err.splitlines()[-1] == "seqmelody: nothing to rank: no melody could be read"


def test_what_was_warned_of_can_be_left_out(rank, candidates, ranked):
    short = TUNES["freude"][:3]
    write_midi(short, candidates / "short.mid")
    code, out, err = rank(candidates, "--format", "json")
    assert str(candidates / "short.mid") in [row["path"] for row in rows_of(out)]
    code, out, err = rank(candidates, "--without-warnings", "--format", "json")
    assert code == 1  # for the file that is none
    assert [row["path"] for row in rows_of(out)] == [*ranked, str(candidates / "f.mid")]
    kept = f"kept {len(ranked)} of {len(ranked) + 2} melodies"
    warning = "only 3 notes: below 8 a score means little"
    assert f"{kept} (1 has a warning ({warning!r}); 1 repeats another)" in err
    write_midi(short[:2], candidates / "shorter.mid")
    _, _, err = rank(candidates, "--without-warnings")
    assert f"(2 have a warning, such as {warning!r}; 1 repeats another)" in err


def test_nothing_failed_is_exit_code_0(rank, tune_folder):
    code, out, err = rank(tune_folder, "--format", "json")
    assert (code, len(rows_of(out))) == (0, len(TUNES))
    assert err == f"seqmelody: kept {len(TUNES)} of {len(TUNES)} melodies\n"


def test_what_is_kept_is_copied_with_its_rank(rank, candidates, ranked, tmp_path):
    best = tmp_path / "a" / "best"
    code, _, _ = rank(candidates, "--top", 3, "--copy-to", best)
    assert code == 1  # for the file that is none
    copies = sorted(best.iterdir())
    names = [path.rsplit("/", 1)[1] for path in ranked[:3]]
    assert [copy.name for copy in copies] == [f"{n}-{name}" for n, name in enumerate(names, 1)]
    for copy, path in zip(copies, ranked, strict=False):
        assert copy.read_bytes() == (candidates / path).read_bytes()


def test_members_of_archives_and_rows_of_a_corpus_are_copied(
    rank, tune_folder, tune_corpus, tmp_path
):
    names = sorted(TUNES)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(tune_folder / f"{names[0]}.mid", "inner/one.mid")
    with tarfile.open(tmp_path / "b.tar", "w") as archive:
        archive.add(tune_folder / f"{names[1]}.mid", "two.mid")
    best = tmp_path / "best"
    code, out, err = rank(
        *(tmp_path / "a.zip", tmp_path / "b.tar", tune_corpus.folder),
        *("--copy-to", best, "--format", "json"),
    )
    assert code == 0
    assert "2 repeat another" in err
    rows = rows_of(out)
    copies = sorted(best.iterdir())
    assert len(copies) == len(rows) == len(TUNES)
    for copy, row in zip(copies, rows, strict=True):
        melody = read_melody(copy.read_bytes(), name=copy.name).melody
        if row["path"].startswith(str(tmp_path)):
            member = row["path"].split("!")[1].split("/")[-1]
            assert copy.name.endswith(f"-{member}")
            tune = TUNES[names[0] if member == "one.mid" else names[1]]
        else:
            tune = TUNES[copy.stem.split("-", 1)[1]]
        assert melody == tune


def test_more_than_nine_are_numbered_so_that_they_sort(rank, tune_folder, tmp_path):
    tune = TUNES["freude"]
    folder = tmp_path / "many"
    folder.mkdir()
    for length in range(len(tune) - 10, len(tune)):
        write_midi(tune[:length], folder / f"{length}.mid")
    rank(folder, "--copy-to", tmp_path / "best")
    names = sorted(path.name for path in (tmp_path / "best").iterdir())
    assert [name.split("-")[0] for name in names] == [f"{n:02}" for n in range(1, 11)]


def test_a_folder_with_something_in_it_is_not_written_to(rank, tune_folder, tmp_path):
    (tmp_path / "here.txt").write_text("mine")
    code, out, err = rank(tune_folder, "--copy-to", tmp_path)
    assert (code, out) == (2, "")
    assert "not empty; give another --copy-to" in err
    code, _, err = rank(tune_folder, "--copy-to", tmp_path / "here.txt")
    assert code == 2
    assert "not a folder" in err


def test_distinct_needs_a_checkpoint_that_can_compare(rank, tune_folder):
    code, out, err = rank(tune_folder, "--distinct")
    assert (code, out) == (2, "")
    assert "how embeddings are spread" in err


def test_distinct_drops_what_is_alike(checkpoint_folder, capsys, tmp_path):
    checkpoint = load_checkpoint(checkpoint_folder)
    size = checkpoint.model.config.embedding_size
    plain = Whitening(np.zeros(size, dtype=np.float32), np.eye(size, dtype=np.float32))
    made = dataclasses.replace(checkpoint, whitening=plain)
    folder = save_checkpoint(tmp_path / "checkpoint", made, "# Made")
    tune = TUNES["greensleeves"]
    pitch = tune.pitch.copy()
    pitch[len(tune) // 2] += 1
    items = [tune, type(tune).from_streams(pitch, tune.duration, tune.rest), TUNES["freude"]]
    files = [tmp_path / f"{name}.mid" for name in "abc"]
    for melody, file in zip(items, files, strict=True):
        write_midi(melody, file)
    scorer = Scorer.load(folder, threads=1)
    near, *far = (scorer.similarity(*pair) for pair in itertools.combinations(items, 2))
    assert near > max(far)
    similarity = f"{(near + max(far)) / 2:.9f}"
    options = ["--checkpoint", str(folder), "--threads", "1", "--format", "json"]
    assert main(["rank", *map(str, files), *options]) == 0
    assert len(rows_of(capsys.readouterr().out)) == 3
    assert main(["rank", *map(str, files), "--distinct", similarity, *options]) == 0
    out, err = capsys.readouterr()
    kept = {row["path"] for row in rows_of(out)}
    assert "kept 2 of 3 melodies (1 is too like a better one)" in err
    assert str(files[2]) in kept


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--top", "0"], "--top: must be a number, 1 or more, not '0'"),
        (["--top", "1.5"], "--top: must be"),
        (["--threshold", "nan"], "--threshold: must be a number, not 'nan'"),
        (["--percentile", "101"], "--percentile: must be a number, from 0 to 100"),
        (["--distinct", "2"], "--distinct: must be a number, above 0 and at most 1"),
        (["--distinct", "0"], "--distinct: must be a number, above 0 and at most 1"),
        (["--threshold", "1", "--percentile", "2"], "not allowed with"),
    ],
    ids=str,
)
def test_wrong_usage_is_told(arguments, message, capsys):
    with pytest.raises(SystemExit) as end:
        main(["rank", "a.mid", *arguments])
    assert end.value.code == 2
    assert message in capsys.readouterr().err
