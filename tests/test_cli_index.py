from __future__ import annotations

import shutil

import pytest
from tunes import TUNES

from seqmelody.cli import main
from seqmelody.corpus import prepare
from seqmelody.retrieval import MelodyIndex
from seqmelody.tokens import Tokenizer


@pytest.fixture
def index(checkpoint_folder, tmp_path, capsys):
    """Runs the command; gives exit code, the index or None, and standard error."""

    def run(*arguments) -> tuple[int, MelodyIndex | None, str]:
        out = tmp_path / "out" / "x.index"
        words = ["index", *map(str, arguments), "--out", str(out)]
        if not any(str(word).endswith(".parquet") for word in arguments):
            words += ["--checkpoint", str(checkpoint_folder), "--threads", "1"]
        code = main(words)
        # Nothing but the result is left behind.
        assert [path.name for path in out.parent.glob("*")] in ([], ["x.index"])
        return code, MelodyIndex.open(out) if out.exists() else None, capsys.readouterr().err

    return run


@pytest.fixture
def embeddings(checkpoint_folder, tmp_path):
    """Runs 'seqmelody embed'."""

    def run(path):
        out = tmp_path / "embedded.parquet"
        words = [str(path), "--out", str(out), "--checkpoint", str(checkpoint_folder)]
        assert main(["embed", *words, "--threads", "1"]) == 0
        return out

    return run


def contents(index) -> list[tuple[str, str]]:
    return [index._melodies.names(row) for row in range(len(index))]


def test_midi_files_make_an_index(index, tune_folder, capsys):
    code, made, err = index(tune_folder)
    assert (code, err) == (0, "")
    paths = sorted(map(str, tune_folder.iterdir()))
    assert contents(made) == list(zip(sorted(TUNES), paths, strict=True))
    assert [made.melody(row) for row in range(len(made))] == [TUNES[name] for name in sorted(TUNES)]


def test_the_end_says_what_was_made(checkpoint_folder, tune_folder, tmp_path, capsys):
    out = tmp_path / "x.index"
    words = ["--out", str(out), "--checkpoint", str(checkpoint_folder)]
    main(["index", str(tune_folder), *words])
    assert capsys.readouterr().out == f"{out}: 5 melodies, checkpoint 'untrained'\n"


def test_what_embed_wrote_makes_the_same_index(index, embeddings, tune_corpus):
    _, by_notes, _ = index(tune_corpus.folder)
    before = contents(by_notes), by_notes.fingerprint
    code, made, err = index(embeddings(tune_corpus.folder), "--notes", tune_corpus.folder)
    assert (code, err) == (0, "")
    assert (contents(made), made.fingerprint) == before
    assert made.melody(0) == TUNES[contents(made)[0][0]]
    _, bare, _ = index(embeddings(tune_corpus.folder))
    assert (contents(bare), bare.tokenizer) == (before[0], None)


def test_a_bad_file_is_told_and_left_out(index, tune_folder, tmp_path):
    folder = shutil.copytree(tune_folder, tmp_path / "mixed")
    (folder / "f.mid").write_bytes(b"not music")
    code, made, err = index(folder)
    assert (code, len(made)) == (1, len(TUNES))
    assert err.startswith(f"seqmelody: {folder / 'f.mid'}: not a MIDI file")
    assert err.count("\n") == 1


def test_an_empty_collection_is_told(index, tmp_path):
    (tmp_path / "empty").mkdir()
    code, made, err = index(tmp_path / "empty")
    assert (code, made) == (1, None)
    first, last = err.splitlines()
    assert first.startswith(f"seqmelody: {tmp_path / 'empty'}: the folder holds no MIDI files")
    assert last.endswith("x.index: not written, no melody could be read")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--checkpoint", "c"], "its embeddings are computed already"),
        (["more.mid"], "a Parquet file of embeddings makes an index alone"),
    ],
)
def test_embeddings_stand_alone(embeddings, tune_folder, tmp_path, capsys, more, message):
    path = embeddings(tune_folder)
    capsys.readouterr()
    assert main(["index", str(path), *more, "--out", str(tmp_path / "x.index")]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_notes_are_for_embeddings(index, tune_folder, tune_corpus):
    code, made, err = index(tune_folder, "--notes", tune_corpus.folder)
    assert (code, made) == (2, None)
    assert "--notes is for a Parquet file of embeddings" in err


@pytest.mark.parametrize("content", [b"PAR1 and no more", b"PAR1", b""])
def test_a_file_of_embeddings_cut_short_is_told(index, tmp_path, content):
    (tmp_path / "x.parquet").write_bytes(content)
    code, made, err = index(tmp_path / "x.parquet")
    assert (code, made) == (1, None)
    assert "x.parquet: cut short, or not a Parquet file" in err


def test_a_corpus_of_another_tokenizer_is_refused(index, tune_folder, tmp_path):
    other = Tokenizer(max_rest_steps=96)
    prepare([tune_folder], tmp_path / "corpus", workers=1, tokenizer=other, progress=False)
    code, made, err = index(tmp_path / "corpus")
    assert (code, made) == (3, None)
    assert other.fingerprint in err


def test_what_is_no_index_is_not_replaced(checkpoint_folder, tune_folder, tmp_path, capsys):
    words = ["--checkpoint", str(checkpoint_folder), "--out", str(tmp_path)]
    (tmp_path / "letter").touch()
    assert main(["index", str(tune_folder), *words]) == 2
    err = capsys.readouterr().err
    assert err == f"seqmelody: error: {tmp_path}: is there and is no index; give another --out\n"
