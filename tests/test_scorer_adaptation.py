from __future__ import annotations

import dataclasses
import shutil
import zipfile

import numpy as np
import pytest
from judged import write_csv
from runs import same_weights, weights_of
from tunes import TUNES

from seqmelody.checkpoint import load_checkpoint, save_checkpoint
from seqmelody.errors import CheckpointError, UsageError
from seqmelody.scorer import Scorer
from seqmelody.scorer.adaptation import adapt
from seqmelody.whitening import Whitening


@pytest.fixture
def rated(tune_folder, tmp_path):
    """Writes ratings of the tunes beside their files."""
    folder = tmp_path / "rated"
    shutil.copytree(tune_folder, folder / "midi")

    def write(header: str = "path,score", rows=None):
        if rows is None:
            rows = [(f"midi/{name}.mid", place + 1) for place, name in enumerate(TUNES)]
        return write_csv(folder / "ratings.csv", header, rows)

    return write


def test_a_listener_is_known_and_no_weight_has_changed(
    checkpoint_folder, rated, tune_folder, tmp_path
):
    done = adapt(checkpoint_folder, rated(), tmp_path / "mine", listener="me")
    assert done.folder == tmp_path / "mine"
    assert done.listeners.keys() == {"me"}
    assert done.listeners["me"].ratings == len(TUNES)
    assert done.assumed
    assert done.failures == done.warnings == ()
    assert same_weights(weights_of(checkpoint_folder), weights_of(done.folder))
    loaded = load_checkpoint(done.folder)
    np.testing.assert_array_equal(
        loaded.score_quantiles, load_checkpoint(checkpoint_folder).score_quantiles
    )
    plain = Scorer.load(done.folder, threads=1).score(tune_folder)
    scores = Scorer.load(done.folder, threads=1, listener="me").score(tune_folder)
    assert [score.score for score in scores] == [score.score for score in plain]
    assert {score.rating for score in plain} == {None}
    ratings = np.array([score.rating for score in scores])
    # Five ratings are little, but they are the best that is known.
    assert np.corrcoef(ratings, np.arange(len(TUNES)))[0, 1] > 0.3
    assert 2 < ratings.mean() < 4
    assert "| me | 5 |" in (done.folder / "README.md").read_text()


def test_ranking_goes_by_the_listener(checkpoint_folder, rated, tune_folder, tmp_path):
    folder = adapt(checkpoint_folder, rated(), tmp_path / "mine", listener="me").folder
    ranked = Scorer.load(folder, threads=1, listener="me").rank(tune_folder)
    ratings = [score.rating for score in ranked]
    assert ratings == sorted(ratings, reverse=True)
    plain = Scorer.load(folder, threads=1).rank(tune_folder)
    assert [score.path for score in plain] != [score.path for score in ranked]


def test_each_rater_becomes_a_listener_and_the_known_ones_stay(checkpoint_folder, rated, tmp_path):
    rows = [
        (f"midi/{name}.mid", score, rater)
        for place, name in enumerate(TUNES)
        for score, rater in ((place, "ann"), (4, "bob"), (9 - place, "cid"))
    ]
    ratings = rated("path,score,rater", rows)
    one = adapt(checkpoint_folder, ratings, tmp_path / "one", listener="ann")
    assert one.listeners.keys() == {"ann"}
    two = adapt(one.folder, ratings, tmp_path / "two")
    assert not two.assumed
    known = load_checkpoint(two.folder).listeners
    assert known.listeners.keys() == {"ann", "bob", "cid"}
    # What was assumed at first is kept.
    assert known.rating.to_dict() == load_checkpoint(one.folder).listeners.rating.to_dict()
    assert "bob" in str(two.warnings)
    card = (two.folder / "README.md").read_text()
    assert card.count("## Listeners") == 1
    with pytest.raises(UsageError, match="has no ratings of 'eve', but of ann, bob, cid"):
        adapt(checkpoint_folder, ratings, tmp_path / "three", listener="eve")


def test_a_melody_that_cannot_be_read_is_left_out_and_told_of(checkpoint_folder, rated, tmp_path):
    rows = [(f"midi/{name}.mid", 3) for name in TUNES]
    ratings = rated(rows=[*rows, ("midi/broken.mid", 7)])
    (ratings.parent / "midi" / "broken.mid").write_bytes(b"not music")
    done = adapt(checkpoint_folder, ratings, tmp_path / "mine", listener="me")
    assert done.listeners["me"].ratings == len(TUNES)
    assert [failure.name for failure in done.failures] == [
        str(ratings.parent / "midi" / "broken.mid")
    ]
    alone = rated(rows=[("midi/broken.mid", 7)])
    with pytest.raises(UsageError, match="none of its melodies can be read"):
        adapt(checkpoint_folder, alone, tmp_path / "other", listener="me")
    assert not (tmp_path / "other").exists()


def test_paths_also_go_from_the_working_directory(
    checkpoint_folder, tune_folder, tmp_path, monkeypatch
):
    monkeypatch.chdir(tune_folder.parent)
    rows = [(f"{tune_folder.name}/freude.mid", 3)]
    ratings = write_csv(tmp_path / "ratings.csv", "path,score", rows)
    done = adapt(checkpoint_folder, ratings, tmp_path / "mine", listener="me")
    # One rating is enough for a start.
    assert done.listeners["me"].ratings == 1


def test_a_scale_that_is_known_is_kept_to(checkpoint_folder, rated, tmp_path):
    done = adapt(checkpoint_folder, rated(), tmp_path / "one", listener="me", scale=(1, 5))
    rows = [("midi/freude.mid", 6)]
    with pytest.raises(UsageError, match="6 lies outside the scale from 1 to 5, in row 2"):
        adapt(done.folder, rated(rows=rows), tmp_path / "two", listener="you")
    with pytest.raises(UsageError, match=r"one: knows ratings from 1 to 5, .* cannot be 1 to 10;"):
        adapt(done.folder, rated(rows=rows), tmp_path / "two", listener="you", scale=(1, 10))
    assert not (tmp_path / "two").exists()
    again = adapt(done.folder, rated(), tmp_path / "two", listener="you", scale=(1, 5))
    assert load_checkpoint(again.folder).listeners.rating.high == 5


@pytest.mark.parametrize(
    ("header", "rows", "listener", "reason"),
    [
        ("path,score", [("midi/freude.mid", 3)], None, "names no rater, so say whose"),
        ("id,score", [("freude", 3)], "me", "needs a column 'path'"),
        ("path,score", [("midi/gone.mid", 3)], "me", r"gone\.mid: no such file, neither in"),
        ("path,score", [("midi/freude.mid", "good")], "me", "score 'good' is no number, in row 2"),
    ],
)
def test_what_cannot_be_used_leaves_nothing_behind(
    checkpoint_folder, rated, tmp_path, header, rows, listener, reason
):
    with pytest.raises(UsageError, match=reason):
        adapt(checkpoint_folder, rated(header, rows), tmp_path / "mine", listener=listener)
    assert not (tmp_path / "mine").exists()


def test_an_archive_is_no_melody(checkpoint_folder, rated, tmp_path):
    ratings = rated(rows=[("midi/all.zip", 3)])
    with zipfile.ZipFile(ratings.parent / "midi" / "all.zip", "w") as archive:
        archive.writestr("one.mid", b"")
    with pytest.raises(UsageError, match=r"all\.zip: an archive; unpack it"):
        adapt(checkpoint_folder, ratings, tmp_path / "mine", listener="me")


def test_nothing_but_a_checkpoint_is_replaced(checkpoint_folder, rated, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="is there, and no checkpoint; give another --out"):
        adapt(checkpoint_folder, rated(), precious, listener="me")
    assert (precious / "thesis.txt").is_file()
    first = adapt(checkpoint_folder, rated(), tmp_path / "mine", listener="me")
    with pytest.raises(UsageError, match="mine: holds a checkpoint already"):
        adapt(checkpoint_folder, rated(), first.folder, listener="you")
    assert load_checkpoint(first.folder).listeners.listeners.keys() == {"me"}
    other = adapt(checkpoint_folder, rated(), first.folder, listener="you", replace=True)
    assert load_checkpoint(other.folder).listeners.listeners.keys() == {"you"}
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        adapt(tmp_path / "nowhere", rated(), tmp_path / "other", listener="me")


def test_a_checkpoint_gets_to_know_a_listener_where_it_is(checkpoint_folder, rated, tmp_path):
    mine = adapt(checkpoint_folder, rated(), tmp_path / "mine", listener="me").folder
    (tmp_path / "link").symlink_to(mine)
    # However it is called.
    same = tmp_path / "rated" / ".." / "mine"
    for name, out in (("you", mine), ("she", same), ("he", tmp_path / "link")):
        assert adapt(mine, rated(), out, listener=name).warnings == ()
    found = load_checkpoint(mine).listeners.listeners
    assert found.keys() == {"me", "you", "she", "he"}
    assert (tmp_path / "link").is_symlink()
    assert same_weights(weights_of(checkpoint_folder), weights_of(mine))
    again = adapt(mine, rated(rows=[("midi/freude.mid", 3)]), mine, listener="me")
    assert "me: known before, and now fitted to these ratings alone" in again.warnings
    assert load_checkpoint(mine).listeners.listeners["me"].ratings == 1
    assert load_checkpoint(mine).listeners.listeners["you"].ratings == len(TUNES)


def test_ratings_in_the_folder_that_is_replaced_are_not_lost(checkpoint_folder, rated, tmp_path):
    mine = adapt(checkpoint_folder, rated(), tmp_path / "mine", listener="me").folder
    inside = mine / "ratings.csv"
    shutil.copy(rated(), inside)
    with pytest.raises(UsageError, match=r"ratings\.csv: lies in .*mine, which is replaced"):
        adapt(mine, inside, mine, listener="you")
    assert inside.is_file()


def test_an_unknown_listener_is_named_with_the_known_ones(checkpoint_folder, rated, tmp_path):
    folder = adapt(checkpoint_folder, rated(), tmp_path / "mine", listener="me").folder
    with pytest.raises(UsageError, match="mine: knows no listener 'you', but me;"):
        Scorer.load(folder, listener="you")
    with pytest.raises(UsageError, match="untrained: knows no listener 'me', but nobody;"):
        Scorer.load(checkpoint_folder, listener="me")


def test_tastes_are_looked_for_in_whitened_directions(checkpoint_folder, rated, tmp_path):
    loaded = load_checkpoint(checkpoint_folder)
    size = loaded.model.config.embedding_size
    axes = np.random.default_rng(0).normal(size=(size, size)).astype(np.float32)
    white = dataclasses.replace(loaded, whitening=Whitening(np.zeros(size, np.float32), axes))
    folder = save_checkpoint(tmp_path / "white", white, "# white\n")
    done = adapt(folder, rated(), tmp_path / "mine", listener="me")
    known = load_checkpoint(done.folder).listeners
    np.testing.assert_allclose(known.rating.directions, axes.T, rtol=1e-5)
    assert known.listeners["me"].taste.shape == (size,)
    # And in the model's own embeddings, of which the middle is that without a whitening.
    plain = load_checkpoint(adapt(checkpoint_folder, rated(), tmp_path / "p", listener="me").folder)
    np.testing.assert_allclose(
        known.rating.embedding_mean, plain.listeners.rating.embedding_mean, atol=1e-5
    )
