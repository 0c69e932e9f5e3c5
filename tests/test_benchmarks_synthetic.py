from __future__ import annotations

import numpy as np
import pytest

from benchmarks.synthetic import write_archive, write_piece
from seqmelody.corpus import Corpus, prepare
from seqmelody.midi import read_melody


@pytest.mark.parametrize("melodies", [1, 300])
def test_archive_holds_that_many_distinct_melodies(melodies, essen_corpus, tmp_path):
    archive = tmp_path / "drawn.tar"
    write_archive(essen_corpus, archive, melodies)
    report = prepare(archive, tmp_path / "corpus", progress=False)
    assert not report["failed"]
    assert not report["duplicates"]
    drawn = Corpus.open(tmp_path / "corpus")
    assert len(drawn) == melodies
    if melodies > 1:
        # Lengths are those of the corpus that they are drawn from.
        assert np.median(drawn.notes) == pytest.approx(np.median(essen_corpus.notes), rel=0.2)


def test_archive_depends_on_its_seed(essen_corpus, tmp_path):
    paths = [tmp_path / name for name in ("a.tar", "b.tar", "c.tar")]
    for path, seed in zip(paths, (0, 0, 1), strict=True):
        write_archive(essen_corpus, path, 20, seed)
    first, again, other = (path.read_bytes() for path in paths)
    assert first == again != other


@pytest.mark.parametrize("notes", [1, 100, 5_000])
def test_piece_has_that_many_notes(notes, essen_corpus, tmp_path):
    write_piece(essen_corpus, tmp_path / "piece.mid", notes)
    assert len(read_melody(tmp_path / "piece.mid").melody) == notes
