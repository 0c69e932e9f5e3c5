from __future__ import annotations

import csv
import io
import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tunes import TUNES

from seqmelody.checkpoint import default_checkpoint
from seqmelody.cli import main
from seqmelody.midi import read_melody, write_midi
from seqmelody.retrieval import MelodyIndex
from seqmelody.scorer import Scorer


@pytest.fixture(scope="module")
def tunes_index(tune_folder, checkpoint_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("index") / "x.index"
    MelodyIndex.build(tune_folder, folder, Scorer.load(checkpoint_folder, threads=1))
    return folder


@pytest.fixture
def search(tunes_index, checkpoint_folder, capsys):
    """Runs the command; gives exit code, standard output and standard error."""

    def run(*arguments, index=tunes_index, checkpoint=checkpoint_folder) -> tuple[int, str, str]:
        words = ["search", str(index), *map(str, arguments)]
        code = main([*words, "--checkpoint", str(checkpoint), "--threads", "1"])
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def freude(tmp_path):
    """The middle of a tune, a fourth higher."""
    path = tmp_path / "freude-a-fourth-up.mid"
    write_midi(TUNES["freude"][4:].transpose(5), path)
    return path


def test_the_table_is_for_musicians(search, tune_folder):
    code, out, err = search(tune_folder / "freude.mid", "--top", "2", "--align")
    assert (code, err) == (0, "")
    title, header, _, first, second = out.splitlines()
    assert title == f"{tune_folder / 'freude.mid'} (62 notes)"
    assert header.split() == ["rank", "similarity", "path", "passage", "remarks"]
    assert first.split(maxsplit=3)[:3] == ["1", "1.000", str(tune_folder / "freude.mid")]
    assert "notes 1-62 ~ notes 1-62, at the same pitch, 62 of 62 alike" in first
    assert first.endswith("the same melody")
    assert "the same melody" not in second


def test_the_passage_is_told_in_the_key_of_the_hit(search, freude):
    _, out, _ = search(freude, "--align", "--top", "5")
    (row,) = (line for line in out.splitlines() if "/freude.mid" in line)
    assert "notes 1-58 ~ notes 5-62, down a fourth, 58 of 58 alike" in row


def test_json_has_it_in_full(search, freude, tune_folder):
    code, out, _ = search(freude, tune_folder / "freude.mid", "--align", "--format", "json")
    assert code == 0
    first, second = map(json.loads, out.splitlines())
    assert first["query"] == str(freude)
    assert [hit["rank"] for hit in first["hits"]] == [1, 2, 3, 4, 5]
    (hit,) = (hit for hit in first["hits"] if hit["id"] == "freude")
    assert hit["path"] == str(tune_folder / "freude.mid")
    passage = hit["passage"]
    assert (passage["query_from"], passage["query_to"]) == (1, 58)
    assert (passage["hit_from"], passage["hit_to"]) == (5, 62)
    assert (passage["transposition"], passage["time_scale"]) == (-5, 1.0)
    assert (passage["alike"], passage["length"], passage["identity"]) == (58, 58, 1.0)
    assert passage["pairs"] == [[note, note + 4] for note in range(1, 59)]
    assert second["hits"][0]["same"] is True
    assert second["hits"][0]["similarity"] == pytest.approx(1, abs=1e-5)


def test_csv_has_a_row_for_each_hit(search, freude, tmp_path):
    (tmp_path / "bad.mid").write_bytes(b"no music")
    code, out, _ = search(freude, tmp_path / "bad.mid", "--top", "2", "--format", "csv")
    assert code == 1
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [(row["query"], row["rank"]) for row in rows] == [
        (str(freude), "1"),
        (str(freude), "2"),
        (str(tmp_path / "bad.mid"), ""),
    ]
    assert rows[2]["error"].startswith("not a MIDI file")
    assert "alike" not in rows[0]
    _, out, _ = search(freude, "--align", "--format", "csv")
    (row,) = (row for row in csv.DictReader(io.StringIO(out)) if row["id"] == "freude")
    assert (row["transposition"], row["alike"], row["same"]) == ("-5", "58", "False")


def test_what_cannot_be_read_is_told_and_stops_no_other(search, freude, tmp_path):
    (tmp_path / "bad.mid").write_bytes(b"no music")
    write_midi(TUNES["freude"][:2], tmp_path / "two.mid")
    paths = [tmp_path / "bad.mid", tmp_path / "two.mid", freude]
    code, out, err = search(*paths, "--format", "json")
    assert code == 1
    bad, two, good = map(json.loads, out.splitlines())
    assert bad["error"].startswith("not a MIDI file")
    assert two["error"] == "only 2 notes: a query needs 4 or more"
    assert len(good["hits"]) == len(TUNES)
    assert [line.split(": ")[1] for line in err.splitlines()] == list(map(str, paths[:2]))
    code, out, _ = search(*paths, "--top", "1")
    assert code == 1
    assert f"{paths[1]}: error: only 2 notes: a query needs 4 or more" in out
    assert out.count("rank") == 1


def test_a_short_query_is_warned_of(search, tmp_path):
    write_midi(TUNES["freude"][:6], tmp_path / "six.mid")
    code, out, _ = search(tmp_path / "six.mid")
    assert code == 0
    assert out.splitlines()[0].startswith(f"{tmp_path / 'six.mid'} (6 notes): only 6 notes")


def test_hits_are_exported(search, freude, tmp_path):
    code, _, _ = search(freude, "--align", "--top", "5", "--export", tmp_path / "found")
    assert code == 0
    names = sorted(path.name for path in (tmp_path / "found").iterdir())
    assert len(names) == 10
    (whole,) = (name for name in names if name.endswith("-freude.mid"))
    assert whole.startswith("freude-a-fourth-up-")
    assert read_melody(tmp_path / "found" / whole).melody == TUNES["freude"]
    passage = (tmp_path / "found" / whole).with_name(whole.replace(".mid", "-passage.mid"))
    assert read_melody(passage).melody == TUNES["freude"][4:]


def test_long_names_are_cut_to_what_a_file_may_have(
    search, checkpoint_folder, tune_folder, tmp_path
):
    songs = tmp_path / "songs"
    songs.mkdir()
    long = songs / f"{'ø' * 120}.mid"
    shutil.copy(tune_folder / "freude.mid", long)
    index = tmp_path / "long.index"
    options = ["--checkpoint", str(checkpoint_folder)]
    assert main(["index", str(songs), "--out", str(index), *options]) == 0
    found = [
        "search",
        str(index),
        str(long),
        "--align",
        "--export",
        str(tmp_path / "out"),
        *options,
    ]
    assert main(found) == 0
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [f"{'ø' * 50}-1-{'ø' * 50}{end}.mid" for end in ("-passage", "")]


def test_queries_of_one_name_are_exported_side_by_side(search, tune_folder, tmp_path):
    other = shutil.copytree(tune_folder, tmp_path / "other")
    paths = [tune_folder / "freude.mid", other / "freude.mid"]
    search(*paths, "--top", "1", "--export", tmp_path / "found")
    names = sorted(path.name for path in (tmp_path / "found").iterdir())
    assert names == ["freude-1-freude.mid", "freude~2-1-freude.mid"]


def test_a_full_folder_is_not_exported_to(search, freude, tmp_path):
    code, out, err = search(freude, "--export", tmp_path)
    assert (code, out) == (2, "")
    assert err == f"seqmelody: error: {tmp_path}: not empty; give another --export\n"


def test_another_checkpoint_is_told(search, freude):
    code, out, err = search(freude, checkpoint=default_checkpoint())
    assert (code, out) == (2, "")
    assert "made with checkpoint 'untrained' (" in err
    assert "name the folder of 'untrained' with --checkpoint" in err
    assert err.count("\n") == 1


def test_a_damaged_index_is_told_before_torch_is_imported(search, freude, tunes_index, tmp_path):
    copy = shutil.copytree(tunes_index, tmp_path / "copy.index")
    (copy / "vectors.npy").write_bytes(b"")
    code, out, err = search(freude, index=copy, checkpoint="/nowhere")
    assert (code, out) == (3, "")
    assert err.startswith(f"seqmelody: error: {copy}: damaged index: vectors.npy has 0 bytes of")
    code, _, err = search(freude, index=tmp_path / "none.index", checkpoint="/nowhere")
    assert (code, "no such index; make one with 'seqmelody index'" in err) == (3, True)


def test_an_index_without_notes_finds_but_cannot_align(search, freude, checkpoint_folder, tmp_path):
    scorer = Scorer.load(checkpoint_folder, threads=1)
    vectors = scorer.embed(list(TUNES.values()))
    table = pa.table(
        {
            "id": list(TUNES),
            "embedding": pa.FixedSizeListArray.from_arrays(
                pa.array(np.ravel(vectors)), scorer.embedding_size
            ),
        }
    )
    told = {
        "seqmelody.checkpoint": "untrained",
        "seqmelody.model": scorer.checkpoint.fingerprint,
    }
    pq.write_table(table.replace_schema_metadata(told), tmp_path / "x.parquet")
    index = MelodyIndex.from_embeddings(tmp_path / "x.parquet", tmp_path / "bare.index").folder
    code, out, _ = search(freude, "--format", "json", index=index)
    assert (code, len(json.loads(out)["hits"])) == (0, len(TUNES))
    for option in (["--align"], ["--export", tmp_path / "found"]):
        code, _, err = search(freude, *option, index=index, checkpoint="/nowhere")
        assert code == 2
        assert "bare.index: has no notes, so that hits can be neither aligned nor" in err


@pytest.mark.parametrize("top", ["0", "-1", "ten"])
def test_top_must_be_a_number(search, freude, top, capsys):
    with pytest.raises(SystemExit):
        search(freude, "--top", top)
    assert "must be a number, 1 or more" in capsys.readouterr().err
