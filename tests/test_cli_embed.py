from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tunes import TUNES

from seqmelody.checkpoint import default_checkpoint, load_checkpoint, save_checkpoint
from seqmelody.cli import embed as command
from seqmelody.cli import main
from seqmelody.corpus import Corpus, prepare
from seqmelody.embeddings import Embeddings, parts
from seqmelody.scorer import Scorer
from seqmelody.tokens import Tokenizer
from seqmelody.whitening import Whitening


@pytest.fixture
def embed(checkpoint_folder, tmp_path, capsys):
    """Runs the command; gives exit code, the table or None, and standard error."""

    def run(*words) -> tuple[int, pa.Table | None, str]:
        out = tmp_path / "out" / "x.parquet"
        options = ["--checkpoint", str(checkpoint_folder), "--threads", "1", "--out", str(out)]
        code = main(["embed", *options, *map(str, words)])
        # Nothing but the result is left behind.
        assert [path.name for path in out.parent.glob("*")] in ([], ["x.parquet"])
        return code, pq.read_table(out) if out.exists() else None, capsys.readouterr().err

    return run


@pytest.fixture
def scorer(checkpoint_folder) -> Scorer:
    return Scorer.load(checkpoint_folder, threads=1)


@pytest.fixture
def white_folder(checkpoint_folder, tmp_path) -> Path:
    """The same checkpoint with a whitening that stretches some directions ten times."""
    loaded = load_checkpoint(checkpoint_folder)
    vectors = Scorer(loaded, threads=1).embed(list(TUNES.values())).astype(np.float64)
    whitening = Whitening.from_moments(vectors.mean(0), vectors.T @ vectors / len(vectors))
    made = dataclasses.replace(loaded, whitening=whitening)
    return save_checkpoint(tmp_path / "white", made, "# White")


def vectors(table: pa.Table) -> np.ndarray:
    return np.stack(table.column("embedding").to_numpy())


def test_midi_files_give_a_row_each(embed, scorer, tune_folder):
    code, table, err = embed(tune_folder)
    assert (code, err) == (0, "")
    assert table.schema.names == ["id", "path", "embedding", "score"]
    assert table.schema.field("embedding").type == pa.list_(pa.float32(), scorer.embedding_size)
    assert table.column("id").to_pylist() == sorted(TUNES)
    assert table.column("path").to_pylist() == sorted(map(str, tune_folder.iterdir()))
    assert np.allclose(vectors(table), scorer.embed(tune_folder), atol=1e-5)
    scores = [row.score for row in scorer.score(tune_folder)]
    assert table.column("score").to_pylist() == pytest.approx(scores, abs=1e-5)


def test_a_corpus_gives_the_rows_and_ids_that_its_files_give(embed, tune_folder, tmp_path):
    prepare([tune_folder], tmp_path / "corpus", workers=1, progress=False)
    corpus = Corpus.open(tmp_path / "corpus")
    code, table, _ = embed(tmp_path / "corpus")
    assert code == 0
    assert table.column("id").to_pylist() == corpus.column("id")
    assert table.column("path").to_pylist() == corpus.column("path")
    _, from_files, _ = embed(tune_folder)
    assert table.column("id").to_pylist() == from_files.column("id").to_pylist()
    assert np.allclose(vectors(table), vectors(from_files), atol=1e-5)


def test_rows_are_written_in_groups_as_they_come(embed, tune_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "ROWS_PER_GROUP", 2)
    _, whole, _ = embed(tune_folder)
    file = pq.ParquetFile(tmp_path / "out" / "x.parquet")
    assert file.num_row_groups == (len(TUNES) + 1) // 2
    assert whole.num_rows == len(TUNES)


def test_ids_are_unique(embed, tune_folder):
    name = str(tune_folder / "freude.mid")
    _, table, _ = embed(name, name, tune_folder)
    assert table.column("id").to_pylist()[:3] == ["freude", "freude~2", "ah-vous-dirai-je"]
    assert len(set(table.column("id").to_pylist())) == len(TUNES) + 2


def test_a_bad_file_is_told_and_has_no_row(embed, tune_folder, tmp_path):
    folder = tmp_path / "mixed"
    shutil.copytree(tune_folder, folder)
    (folder / "f.mid").write_bytes(b"not music")
    code, table, err = embed(folder)
    assert code == 1
    assert table.column("id").to_pylist() == sorted(TUNES)
    assert err.startswith(f"seqmelody: {folder / 'f.mid'}: not a MIDI file")
    assert err.count("\n") == 1


def test_nothing_readable_leaves_the_old_file(embed, tune_folder, tmp_path):
    _, before, _ = embed(tune_folder)
    code, after, err = embed(tmp_path / "missing.mid")
    assert code == 1
    assert after == before
    assert err.splitlines()[-1].endswith("x.parquet: not written, no melody could be read")


def test_an_error_on_the_way_leaves_the_old_file(embed, tune_folder, monkeypatch):
    _, before, _ = embed(tune_folder / "freude.mid")

    def fail(*args, **options):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(pq.ParquetWriter, "write_table", fail)
        code, after, err = embed(tune_folder)
    assert (code, err) == (1, "seqmelody: error: No space left on device\n")
    assert after == before


def test_a_corpus_of_another_tokenizer_is_refused(embed, tune_folder, tmp_path):
    other = Tokenizer(max_rest_steps=96)
    prepare([tune_folder], tmp_path / "corpus", workers=1, tokenizer=other, progress=False)
    code, table, err = embed(tune_folder, tmp_path / "corpus")
    assert (code, table) == (3, None)
    assert other.fingerprint in err
    assert err.count("\n") == 1


def test_out_must_be_a_file(tune_folder, tmp_path, capsys):
    assert main(["embed", str(tune_folder), "--out", str(tmp_path)]) == 2
    assert "--out must name a file" in capsys.readouterr().err


@pytest.mark.parametrize("through_link", [False, True])
def test_a_pipe_or_device_is_not_replaced(tune_folder, tmp_path, capsys, through_link):
    pipe = out = tmp_path / "pipe"
    os.mkfifo(pipe)
    if through_link:
        out = tmp_path / "x.parquet"
        out.symlink_to(pipe)
    # The checkpoint would give 3: the file is looked at first.
    assert main(["embed", str(tune_folder), "--out", str(out), "--checkpoint", "/nowhere"]) == 2
    err = capsys.readouterr().err
    assert err == f"seqmelody: error: {out}: --out must name a regular file, and this is none\n"
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert out.is_symlink() is through_link


def test_a_link_is_written_through(embed, tune_folder, tmp_path):
    link = tmp_path / "out" / "x.parquet"
    link.parent.mkdir()
    link.symlink_to(tmp_path / "real.parquet")
    code, table, _ = embed(tune_folder)
    assert (code, table.num_rows) == (0, len(TUNES))
    assert link.is_symlink()
    assert pq.read_table(tmp_path / "real.parquet") == table


def test_a_place_that_takes_no_file_is_told_first(tune_folder, tmp_path, capsys):
    (tmp_path / "file").touch()
    for out in (tmp_path / "file" / "x.parquet", tmp_path / ("x" * 250)):
        assert main(["embed", str(tune_folder), "--out", str(out), "--checkpoint", "/none"]) == 2
        err = capsys.readouterr().err
        assert err.startswith(f"seqmelody: error: {out}: cannot be written to (")
        assert err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_new_folder_is_made_only_with_the_file_in_it(embed, tune_folder, tmp_path, capsys):
    out = tmp_path / "new" / "folder" / "x.parquet"
    for wrong in (["--checkpoint", "/nowhere"], ["--threads", "0"]):
        assert main(["embed", str(tune_folder), "--out", str(out), *wrong]) != 0
    embed(tmp_path / "missing.mid")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_called_by_a_dot_may_be_empty(embed, tune_folder, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    code, table, err = embed(".", tune_folder)
    assert code == 1
    assert table.column("id").to_pylist() == sorted(TUNES)
    assert err.startswith("seqmelody: .: the folder holds no MIDI files")


# Vectors of notes


@pytest.mark.parametrize("which", ["checkpoint_folder", "white_folder"])
def test_the_embedding_is_the_weighted_sum_of_the_notes_vectors(embed, tune_folder, request, which):
    used = ["--checkpoint", request.getfixturevalue(which)]
    _, table, _ = embed(tune_folder, *used)
    code, with_notes, _ = embed(tune_folder, "--per-note", *used)
    assert code == 0
    assert with_notes.schema.names == [*table.schema.names, "note_weights", "note_embeddings"]
    assert np.allclose(vectors(with_notes), vectors(table), atol=1e-5)
    notes = 0
    for row in with_notes.to_pylist():
        assert len(row["note_weights"]) == len(row["note_embeddings"]) == len(TUNES[row["id"]])
        assert sum(row["note_weights"]) == pytest.approx(1.0, abs=1e-5)
        pooled = np.array(row["note_weights"]) @ np.array(row["note_embeddings"])
        assert np.allclose(pooled, row["embedding"], atol=1e-4)
        assert np.linalg.norm(pooled) == pytest.approx(1.0, abs=1e-4)
        notes += len({tuple(vector) for vector in row["note_embeddings"]})
    # They are not all the same.
    assert notes > len(TUNES)


def test_vectors_of_notes_come_from_a_corpus_as_from_files(embed, tune_folder, tune_corpus):
    _, files, _ = embed(tune_folder, "--per-note")
    _, rows, _ = embed(tune_corpus.folder, "--per-note")
    by_id = {row["id"]: row for row in files.to_pylist()}
    for row in rows.to_pylist():
        for column in ("note_weights", "note_embeddings"):
            assert np.allclose(row[column], by_id[row["id"]][column], atol=1e-5)


def test_the_notes_share_in_the_similarity_adds_up(white_folder):
    scorer = Scorer.load(white_folder, threads=1)
    one, other = TUNES["freude"], TUNES["greensleeves"]
    (score, found), (failed, none) = scorer.iter_note_embeddings([one, b"no MIDI"])
    assert (score.notes, none) == (len(one), None)
    assert failed.error is not None
    share = found.weight * (found.vector @ scorer.embed(other)[0])
    assert share.sum() == pytest.approx(scorer.similarity(one, other), abs=1e-4)


# What embeddings are


def test_unrelated_melodies_are_apart_with_the_checkpoint_that_ships(embed, essen_corpus, tmp_path):
    _, table, _ = embed(essen_corpus.folder, "--checkpoint", default_checkpoint())
    pairs = np.triu_indices(table.num_rows, 1)
    white_NE = vectors(table)
    cosine = (white_NE @ white_NE.T)[pairs]
    assert np.allclose(np.linalg.norm(white_NE, axis=1), 1.0, atol=1e-4)
    assert abs(np.median(cosine)) < 0.2
    # As the model gives them, nearly any two are alike.
    chunks = Scorer.load(threads=1).chunks(essen_corpus)
    raw_NE = np.concatenate([chunk.embedding_NE for chunk in chunks])
    assert np.median((raw_NE @ raw_NE.T)[pairs]) > 0.5


def test_the_file_says_whose_the_embeddings_are(embed, tune_folder, checkpoint_folder, tmp_path):
    embed(tune_folder)
    found = Embeddings.open(tmp_path / "out" / "x.parquet")
    assert found.checkpoint == "untrained"
    assert found.fingerprint == load_checkpoint(checkpoint_folder).fingerprint


# Interrupted runs


def inputs(kind: str, tune_folder: Path, tmp_path: Path) -> list[Path]:
    """A file, one that is none, the tunes, and a file."""
    first, bad, last = (tmp_path / f"{name}.mid" for name in ("first", "bad", "last"))
    for path in (first, last):
        shutil.copy(tune_folder / "freude.mid", path)
    bad.write_bytes(b"not music")
    tunes = tmp_path / {"zip": "tunes.zip", "tar": "tunes.tar.gz"}.get(kind, "tunes")
    if kind == "folder":
        shutil.copytree(tune_folder, tunes)
    elif kind == "corpus":
        prepare([tune_folder], tunes, workers=1, progress=False)
    elif kind == "zip":
        with zipfile.ZipFile(tunes, "w") as archive:
            for path in tune_folder.iterdir():
                archive.write(path, path.name)
    else:
        with tarfile.open(tunes, "w:gz") as archive:
            archive.add(tune_folder, "tunes")
    return [first, bad, tunes, last]


def spoil_unnoticed(path: Path) -> None:
    """The same size and time, and no music."""
    status = path.stat()
    path.write_bytes(bytes(status.st_size))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.fixture
def going(checkpoint_folder, tmp_path, monkeypatch, capsys):
    """Runs the command with parts of two melodies; gives exit code and standard error.

    Asked to, it is interrupted in the third part.
    """
    monkeypatch.setattr(command, "INPUTS_PER_PART", 2)

    def run(*words, interrupt: bool = False, name: str = "x.parquet") -> tuple[int, str]:
        options = ["--checkpoint", str(checkpoint_folder), "--threads", "1"]
        with monkeypatch.context() as patch:
            if interrupt:
                write, calls = parts.Parts.write, []

                def stopped(self, rows):
                    calls.append(1)
                    if len(calls) == 3:
                        next(rows)
                        raise KeyboardInterrupt
                    return write(self, rows)

                patch.setattr(parts.Parts, "write", stopped)
            out = ["--out", str(tmp_path / name)]
            code = main(["embed", *options, *out, *map(str, words)])
        return code, capsys.readouterr().err

    return run


@pytest.mark.parametrize("more", [[], ["--per-note"]], ids=["", "per note"])
@pytest.mark.parametrize("kind", ["folder", "corpus", "zip", "tar"])
def test_an_interrupted_run_goes_on_and_ends_with_the_same_file(
    going, kind, more, tune_folder, tmp_path
):
    words = [*inputs(kind, tune_folder, tmp_path), *more]
    code, told = going(*words, name="whole.parquet")
    assert code == 1
    code, err = going(*words, interrupt=True)
    assert code == 130
    assert "x.parquet: 4 melodies are done and kept in" in err
    assert "go on with the same command and --resume" in err
    assert not (tmp_path / "x.parquet").exists()
    code, err = going(*words)
    assert (code, err.count("\n")) == (2, 1)
    assert "has kept 4 melodies of it; go on with --resume, or remove" in err
    # What is done is not read again: nobody notices that it cannot be.
    done = [words[0], *([words[2] / f"{min(TUNES)}.mid"] if kind == "folder" else [])]
    for path in done:
        spoil_unnoticed(path)
    code, err = going(*words, "--resume")
    assert (code, err) == (1, told + "seqmelody: going on after 4 melodies\n")
    resumed = (tmp_path / "x.parquet").read_bytes()
    assert resumed == (tmp_path / "whole.parquet").read_bytes()
    ids = pq.read_table(tmp_path / "x.parquet").column("id").to_pylist()
    assert ids[0] == "first"
    assert len(set(ids)) == len(ids) == len(TUNES) + 2
    assert not list(tmp_path.glob(".*"))


def test_a_part_that_was_cut_short_is_told_and_made_anew(going, tune_folder, tmp_path):
    words = inputs("folder", tune_folder, tmp_path)
    going(*words, name="whole.parquet")
    going(*words, interrupt=True)
    part = max((tmp_path / ".x.parquet.parts").glob("*.parquet"))
    part.write_bytes(part.read_bytes()[:-40])
    code, err = going(*words, "--resume")
    assert code == 1
    assert ".x.parquet.parts is damaged: from it on, all is made anew" in err
    assert (tmp_path / "x.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()


def test_an_input_that_has_changed_since_is_told(going, tune_folder, tmp_path):
    words = inputs("folder", tune_folder, tmp_path)
    going(*words, interrupt=True)
    os.utime(words[0], (0, 0))
    code, err = going(*words, "--resume")
    assert (code, err.count("\n")) == (2, 1)
    assert ".x.parquet.parts: the inputs have changed since; remove the folder to start ov" in err
    shutil.rmtree(tmp_path / ".x.parquet.parts")
    assert going(*words, "--resume")[0] == 1
    assert (tmp_path / "x.parquet").exists()


def test_a_file_that_came_or_went_since_is_told(going, tune_folder, tmp_path):
    words = inputs("folder", tune_folder, tmp_path)
    going(*words, interrupt=True)
    new = words[2] / "aaa.mid"
    shutil.copy(words[0], new)
    assert "the inputs have changed" in going(*words, "--resume")[1]
    new.unlink()
    (words[2] / f"{min(TUNES)}.mid").unlink()
    assert "the inputs have changed" in going(*words, "--resume")[1]


def test_a_corpus_that_was_prepared_anew_is_another(going, tune_folder, tmp_path):
    words = inputs("corpus", tune_folder, tmp_path)
    going(*words, interrupt=True)
    prepare([tune_folder], words[2], workers=1, progress=False, seed=7)
    code, err = going(*words, "--resume")
    assert code == 2
    assert "the interrupted run was with another corpus;" in err


@pytest.mark.parametrize(
    ("more", "named"), [(["--per-note"], "--per-note"), (["--line", "skyline"], "--line")]
)
def test_other_options_do_not_go_on(going, tune_folder, more, named):
    going(tune_folder, interrupt=True)
    code, err = going(tune_folder, "--resume", *more)
    assert code == 2
    assert f"the interrupted run was with another {named};" in err


def test_another_checkpoint_does_not_go_on(going, tune_folder, white_folder):
    going(tune_folder, interrupt=True)
    code, err = going(tune_folder, "--resume", "--checkpoint", white_folder)
    assert code == 2
    assert "the interrupted run was with another checkpoint;" in err


def test_resume_without_anything_to_go_on_from_is_a_run(embed, tune_folder):
    assert embed(tune_folder, "--resume")[1] == embed(tune_folder)[1]


def test_a_killed_run_goes_on(going, tune_folder, checkpoint_folder, tmp_path):
    words = list(map(str, inputs("zip", tune_folder, tmp_path)))
    assert going(*words, name="whole.parquet")[0] == 1
    options = ["--checkpoint", str(checkpoint_folder), "--threads", "1"]
    program = f"""
import time
from seqmelody.cli import embed, main
from seqmelody.embeddings import Layout
embed.INPUTS_PER_PART = 2
table, calls = Layout.table, []
def stopped(self, rows):
    calls.append(1)
    if len(calls) == 3:
        print("in the third part", flush=True)
        time.sleep(600)
    return table(self, rows)
Layout.table = stopped
main({["embed", *words, *options, "--out", str(tmp_path / "x.parquet")]!r})
"""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
    ) as process:
        assert process.stdout.readline() == "in the third part\n"
        assert "another process is writing it" in going(*words, "--resume")[1]
        process.send_signal(signal.SIGKILL)
        assert process.wait(60) == -signal.SIGKILL
    assert not (tmp_path / "x.parquet").exists()
    code, err = going(*words, "--resume")
    assert code == 1
    assert "going on after 4 melodies" in err
    assert (tmp_path / "x.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()


def test_the_bar_has_a_total_where_it_is_known(
    going, tune_folder, tune_corpus, tmp_path, monkeypatch
):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    going(tune_corpus.folder, tune_folder / "freude.mid", interrupt=True)
    _, err = going(tune_corpus.folder, tune_folder / "freude.mid", "--resume")
    assert f"/{len(TUNES) + 1} [" in err
    assert "| 4/" in err
    assert "| 0/" not in err
    _, err = going(tune_corpus.folder, tune_folder)
    assert "0 melodies [" in err
    assert "%|" not in err
