from __future__ import annotations

import os
import shutil
import stat

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tunes import TUNES

from seqmelody.cli import embed as command
from seqmelody.cli import main
from seqmelody.corpus import Corpus, prepare
from seqmelody.scorer import Scorer
from seqmelody.tokens import Tokenizer


@pytest.fixture
def embed(checkpoint_folder, tmp_path, capsys):
    """Runs the command; gives exit code, the table or None, and standard error."""

    def run(*paths) -> tuple[int, pa.Table | None, str]:
        out = tmp_path / "out" / "x.parquet"
        options = ["--checkpoint", str(checkpoint_folder), "--threads", "1", "--out", str(out)]
        code = main(["embed", *map(str, paths), *options])
        # Nothing but the result is left behind.
        assert [path.name for path in out.parent.glob("*")] in ([], ["x.parquet"])
        return code, pq.read_table(out) if out.exists() else None, capsys.readouterr().err

    return run


@pytest.fixture
def scorer(checkpoint_folder) -> Scorer:
    return Scorer.load(checkpoint_folder, threads=1)


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
    monkeypatch.setattr(command, "ROWS_PER_GROUP", 2)
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
