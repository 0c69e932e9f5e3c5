from __future__ import annotations

import dataclasses
import io
import math
import subprocess
import sys
import tarfile
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from midi_bytes import midi, notes
from tunes import TUNES

from seqmelody.batching import collate
from seqmelody.checkpoint import load_checkpoint
from seqmelody.config import CONTEXTS
from seqmelody.corpus import Corpus, prepare
from seqmelody.errors import CheckpointError, CorpusError, InputError, UsageError
from seqmelody.melody import Melody
from seqmelody.midi import MelodyLine, iter_sources, to_midi
from seqmelody.scorer import MAX_NOTES, CorpusRows, Scorer, pipeline
from seqmelody.tokens import Tokenizer
from seqmelody.whitening import Whitening


@pytest.fixture(scope="module")
def scorer(checkpoint_folder) -> Scorer:
    return Scorer.load(checkpoint_folder, threads=1)


@st.composite
def melodies(draw: st.DrawFn) -> Melody:
    length = draw(st.integers(1, 60))
    column = {"min_size": length, "max_size": length}
    return Melody.from_streams(
        pitch=draw(st.lists(st.integers(0, 127), **column)),
        duration=draw(st.lists(st.integers(1, 300), **column)),
        rest=draw(st.lists(st.sampled_from([0, 0, 0, 12, 24, 300]), **column)),
    )


def random_melody(length: int, seed: int = 0) -> Melody:
    random = np.random.default_rng(seed)
    return Melody.from_streams(
        random.integers(48, 84, length), random.integers(6, 48, length), np.zeros(length, int)
    )


def test_every_kind_of_item_gives_the_same_score(scorer, tune_folder, tmp_path):
    path = tune_folder / "freude.mid"
    data = path.read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(path, "freude.mid")
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        archive.add(path, "freude.mid")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "freude.mid").write_bytes(data)
    items = [
        path,
        str(path),
        data,
        io.BytesIO(data),
        to_midi(TUNES["freude"]),
        TUNES["freude"],
        next(iter_sources([path])),
        tmp_path / "a.zip",
        tmp_path / "a.tar.gz",
        folder,
    ]
    scores = scorer.score(items)
    assert [score.error for score in scores] == [None] * len(items)
    assert {score.notes for score in scores} == {len(TUNES["freude"])}
    assert np.ptp([score.score for score in scores]) < 1e-5
    assert [score.path for score in scores] == [
        str(path),
        str(path),
        "<bytes 2>",
        "<BytesIO 3>",
        "<MidiFile 4>",
        "<Melody 5>",
        str(path),
        f"{tmp_path / 'a.zip'}!freude.mid",
        f"{tmp_path / 'a.tar.gz'}!freude.mid",
        str(folder / "freude.mid"),
    ]


def test_a_single_item_stands_for_a_list_of_one(scorer, tune_folder):
    path = tune_folder / "freude.mid"
    with path.open("rb") as stream:
        singles = [str(path), path, path.read_bytes(), TUNES["freude"], stream]
        singles.append(to_midi(TUNES["freude"]))
        scores = [scorer.score(item) for item in singles]
    assert [len(found) for found in scores] == [1] * len(singles)
    assert len({found[0].score for found in scores}) == 1


def test_an_item_of_no_known_kind_is_a_type_error(scorer):
    with pytest.raises(TypeError, match="dict"):
        scorer.score([TUNES["freude"], {}])


def test_no_items_give_no_results(scorer):
    assert scorer.score([]) == []
    assert scorer.embed([]).shape == (0, scorer.embedding_size)


@settings(max_examples=30)
@given(batch=st.lists(melodies(), min_size=1, max_size=12), data=st.data())
def test_neither_the_batch_nor_the_order_changes_a_result(scorer, batch, data):
    order = data.draw(st.permutations(range(len(batch))))
    together, embedded = scorer.score(batch), scorer.embed(batch)
    shuffled = scorer.score([batch[index] for index in order])
    for place, index in enumerate(order):
        alone = scorer.score(batch[index])[0]
        assert together[index].score == pytest.approx(alone.score, abs=1e-5)
        assert shuffled[place].score == pytest.approx(alone.score, abs=1e-5)
        assert np.allclose(embedded[index], scorer.embed(batch[index])[0], atol=1e-5)


def test_threads_do_not_change_a_result(checkpoint_folder, scorer):
    # More than a chunk, and several batches in it.
    items = [random_melody(3 + 37 * seed % 200, seed) for seed in range(1100)]
    items[5] = b"no MIDI"
    one, four = scorer.score(items), Scorer.load(checkpoint_folder, threads=4).score(items)
    assert [row.path for row in one] == [row.path for row in four]
    assert np.allclose([row.score for row in one], [row.score for row in four], 0, 1e-5, True)
    assert [place for place, row in enumerate(one) if row.error] == [5]


def test_threads_leave_the_callers_torch_as_it_was(checkpoint_folder):
    before = torch.get_num_threads()
    Scorer.load(checkpoint_folder, threads=2).score([random_melody(3000, s) for s in range(4)])
    assert torch.get_num_threads() == before
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(torch.get_num_threads).result() == before


def test_results_come_before_all_items_are_read(scorer):
    read = []

    def endless():
        while True:
            read.append(1)
            yield TUNES["freude"]

    assert next(scorer.iter_scores(endless())).notes == len(TUNES["freude"])
    assert len(read) < 5000


def test_chunks_do_not_change_a_result(
    checkpoint_folder, scorer, tune_folder, tune_corpus, tmp_path, monkeypatch
):
    path = tune_folder / "freude.mid"
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for number in range(5):
            archive.write(path, f"{number}.mid")
    chords = midi(notes([(0, 480, 60), (0, 480, 64), (480, 960, 62)]))
    clipped = Melody.from_streams([60, 62], [24, 500], [400, 0])
    items = [
        *(path, b"", TUNES["freude"], tmp_path / "a.zip", tune_corpus, to_midi(TUNES["freude"])),
        *(random_melody(5), clipped, chords, tune_folder, tmp_path / "missing.mid", chords),
        *(random_melody(MAX_NOTES + 1), tune_corpus, path.read_bytes(), *iter_sources([path])),
    ]
    whole = scorer.score(items)
    assert len(whole) > len(items) + 15
    for first, largest, threads in ((1, 1, 1), (2, 3, 2), (1, 64, 3)):
        monkeypatch.setattr(pipeline, "FIRST_CHUNK", first)
        monkeypatch.setattr(pipeline, "LARGEST_CHUNK", largest)
        cut = Scorer.load(checkpoint_folder, threads=threads)
        for one, other in zip(whole, cut.score(items), strict=True):
            assert (one.path, one.notes, one.warnings) == (other.path, other.notes, other.warnings)
            assert str(one.error) == str(other.error)
            if one.error is None:
                assert one.score == pytest.approx(other.score, abs=1e-5)
                assert one.percentile == pytest.approx(other.percentile, abs=0.01)
        vectors = [vector for _, vector in cut.iter_embeddings(items)]
        for one, vector in zip(whole, vectors, strict=True):
            assert (vector is None) == (one.error is not None)


def test_items_are_drawn_in_the_callers_thread(checkpoint_folder):
    drawn_in = set()

    def items():
        for seed in range(1500):
            drawn_in.add(threading.get_ident())
            yield random_melody(20, seed)

    assert len(Scorer.load(checkpoint_folder, threads=2).score(items())) == 1500
    assert drawn_in == {threading.get_ident()}


def test_items_that_carry_their_data_are_not_drawn_far_ahead(scorer):
    drawn = []

    def items():
        while True:
            drawn.append(1)
            yield bytes(1 << 23)

    assert next(scorer.iter_scores(items())).error is not None
    assert len(drawn) <= 16


def test_leaving_early_and_errors_end_the_threads(checkpoint_folder):
    scorer = Scorer.load(checkpoint_folder, threads=2)

    def items():
        for seed in range(2000):
            yield random_melody(20, seed)
        raise KeyError("no more")

    before = threading.active_count()
    scores = scorer.iter_scores(items())
    next(scores)
    assert threading.active_count() > before
    scores.close()
    assert threading.active_count() == before
    with pytest.raises(KeyError, match="no more"):
        scorer.score(items())
    assert threading.active_count() == before


def test_a_bad_item_loses_nothing_of_the_others(scorer, tune_folder, tmp_path):
    good = tune_folder / "freude.mid"
    cut = tmp_path / "cut.mid"
    cut.write_bytes(good.read_bytes()[:-20])
    silent = midi(notes([]))
    empty = tmp_path / "empty"
    empty.mkdir()
    items = [good, cut, b"", good, tmp_path / "missing.mid", silent, empty, good]
    scores = scorer.score(items)
    assert [place for place, score in enumerate(scores) if score.error is None] == [0, 3, 7]
    assert np.ptp([score.score for score in scores if score.error is None]) < 1e-5
    for score in scores:
        if score.error is not None:
            assert isinstance(score.error, InputError)
            assert (score.notes, score.percentile) == (0, None)
            assert math.isnan(score.score)
            assert score.error.name == score.path
    assert "cut short" in scores[1].error.reason
    assert "holds no notes" in scores[5].error.reason


def test_embedding_a_bad_item_names_it(scorer, tmp_path):
    with pytest.raises(InputError, match=r"missing\.mid"):
        scorer.embed([TUNES["freude"], tmp_path / "missing.mid"])
    found = list(scorer.iter_embeddings([TUNES["freude"], tmp_path / "missing.mid"]))
    assert found[0][1].shape == (scorer.embedding_size,)
    assert found[1][1] is None
    assert found[1][0].error is not None


@pytest.mark.parametrize(("length", "warned"), [(1, True), (2, True), (7, True), (8, False)])
def test_few_notes_are_scored_with_a_warning(scorer, length, warned):
    score = scorer.score(random_melody(length))[0]
    assert (score.notes, score.error) == (length, None)
    assert math.isfinite(score.score)
    assert [text for text in score.warnings if text.startswith("only")] == (
        [f"only {length} note{'s' * (length > 1)}: below 8 a score means little"] if warned else []
    )


@pytest.mark.parametrize(
    ("pitches", "warned"), [([60], True), ([60, 67], True), ([60, 62, 67], False)]
)
def test_few_pitches_are_scored_with_a_warning(scorer, pitches, warned):
    melody = Melody.from_streams(pitches * 6, [24] * 6 * len(pitches), [0] * 6 * len(pitches))
    score = scorer.score(melody[:12])[0]
    assert score.error is None
    assert ("fewer than 3 distinct pitches: the score means little" in score.warnings) is warned


def test_warnings_tell_what_was_lost_on_the_way(scorer):
    long = Melody.from_streams([60, 62, 64] * 3, [24, 500, 193] + [24] * 6, [0, 0, 400] + [0] * 6)
    assert scorer.score(long)[0].warnings == (
        "2 notes longer than 8 quarters, read as that long",
        "1 rest longer than 8 quarters, read as that long",
    )
    chords = [(place * 480, place * 480 + 480, pitch) for place in range(9) for pitch in (60, 64)]
    warnings = scorer.score(midi(notes(chords)))[0].warnings
    assert any("9 of 18 notes" in warning for warning in warnings)


def test_what_is_unlike_the_training_melodies_gets_one_warning(checkpoint_folder):
    checkpoint = dataclasses.replace(
        load_checkpoint(checkpoint_folder),
        statistic_ranges={"mean_interval": (0.5, 5.0), "pitch_range": (3.0, 24.0)},
    )
    wild = Melody.from_streams([30, 90, 31, 91] * 5, [24] * 20, [0] * 20)
    items = [TUNES["freude"], b"", wild, midi(notes([(0, 480, 60)])), wild]
    scores = Scorer(checkpoint, threads=1).score(items)
    assert [len(score.warnings) for score in scores] == [0, 0, 1, 3, 1]
    assert scores[2].warnings == scores[4].warnings
    assert scores[2].warnings[0].startswith("unlike the training melodies: mean interval 59.9 semi")
    explanation = Scorer(checkpoint, threads=1).explain(wild)
    assert explanation.score.warnings == scores[2].warnings


def test_the_line_decides_what_is_read(checkpoint_folder):
    parts = [notes([(0, 480, 60)] * 1, name=b"one"), notes([(0, 480, 60), (480, 960, 62)])]
    for line, length in ((MelodyLine("track", track=0), 1), (MelodyLine("track", track=1), 2)):
        scorer = Scorer.load(checkpoint_folder, threads=1, line=line)
        assert scorer.score(midi(*parts))[0].notes == length


def test_percentile_follows_the_checkpoints_scores(scorer):
    scores = scorer.score(list(TUNES.values()))
    for score in scores:
        assert score.percentile == pytest.approx(50 + 50 * score.score, abs=0.01)


def test_scores_come_with_intervals_where_the_checkpoint_knows(scorer, sure_checkpoint_folder):
    sure = Scorer.load(sure_checkpoint_folder, threads=1)
    items = [*TUNES.values(), b"MThd"]
    assert not scorer.knows_intervals
    assert [row.interval for row in scorer.score(items)] == [None] * len(items)
    assert sure.knows_intervals
    *scores, failed = sure.score(items)
    assert failed.interval is None
    with torch.no_grad():
        outputs = [sure.checkpoint.model(collate([sure.tokenizer.encode(m)])) for m in items[:-1]]
    for score, output in zip(scores, outputs, strict=True):
        half = 1.6449 * float(output.sd_B[0])
        assert score.interval == pytest.approx((score.score - half, score.score + half), abs=1e-4)
    assert len({round(high - low, 4) for low, high in (row.interval for row in scores)}) > 1
    assert sure.explain(TUNES["freude"]).score.interval == pytest.approx(
        scores[list(TUNES).index("freude")].interval, abs=1e-4
    )


def test_rank_is_best_first_and_failures_last(scorer):
    items = [b"", *TUNES.values(), b"MThd"]
    ranked = scorer.rank(items)
    assert sorted(row.path for row in ranked) == sorted(row.path for row in scorer.score(items))
    values = [row.score for row in ranked[:-2]]
    assert values == sorted(values, reverse=True)
    assert [row.path for row in ranked[-2:]] == ["<bytes 0>", f"<bytes {len(items) - 1}>"]


def test_similarity_sees_embeddings_from_their_middle(scorer):
    """As they are, two unrelated melodies may have nearly the same embedding."""
    vectors = scorer.embed(list(TUNES.values())).astype(np.float64)
    whitening = Whitening.from_moments(vectors.mean(0), vectors.T @ vectors / len(vectors))
    seen = Scorer(dataclasses.replace(scorer.checkpoint, whitening=whitening))
    freude, greensleeves = TUNES["freude"], TUNES["greensleeves"]
    assert seen.similarity(freude, freude) == pytest.approx(1.0, abs=1e-5)
    assert seen.similarity(freude, greensleeves) < 0.5 < scorer.similarity(freude, greensleeves)
    # Those that are given out are the same that are compared.
    items = [*TUNES.values(), b"no MIDI"]
    given = [vector for _, vector in seen.iter_embeddings(items)]
    assert given.pop() is None
    assert np.allclose(given, whitening(vectors.astype(np.float32)), atol=1e-5)
    assert np.allclose(seen.embed(items[:-1]), given, atol=1e-5)
    notes = [found.embedding for _, found in seen.iter_note_embeddings(items[:-1])]
    assert np.allclose(notes, given, atol=1e-5)
    # What ratings follow from stays as it was.
    raw = np.concatenate([chunk.embedding_NE for chunk in seen.chunks(items[:-1])])
    assert np.allclose(raw, vectors, atol=1e-5)


@pytest.mark.parametrize("whitened", [False, True])
def test_embeddings_are_unit_vectors_and_similarity_their_product(scorer, whitened):
    if whitened:
        random = np.random.default_rng(0)
        size = scorer.embedding_size
        whitening = Whitening(
            random.normal(size=size).astype(np.float32) / 8,
            random.normal(size=(size, size)).astype(np.float32),
        )
        scorer = Scorer(dataclasses.replace(scorer.checkpoint, whitening=whitening), threads=1)
    vectors = scorer.embed(list(TUNES.values()))
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    a, b = TUNES["freude"], TUNES["greensleeves"]
    assert scorer.similarity(a, a) == pytest.approx(1.0, abs=1e-5)
    index = list(TUNES).index
    product = vectors[index("freude")] @ vectors[index("greensleeves")]
    assert scorer.similarity(a, b) == pytest.approx(float(product), abs=1e-5)
    assert scorer.similarity(a, b) == scorer.similarity(b, a)


@pytest.mark.parametrize("name", list(TUNES))
def test_the_notes_shares_add_up_to_the_score(scorer, name):
    melody = TUNES[name]
    explanation = scorer.explain(melody)
    alone = scorer.score(melody)[0]
    assert explanation.score == dataclasses.replace(
        alone, score=explanation.score.score, percentile=explanation.score.percentile
    )
    assert explanation.score.score == pytest.approx(alone.score, abs=1e-5)
    assert explanation.share.sum() == pytest.approx(explanation.score.score, abs=1e-5)
    assert explanation.weight.sum() == pytest.approx(1.0, abs=1e-5)
    assert np.array_equal(explanation.share, explanation.weight * explanation.value)
    assert explanation.pitch.tolist() == melody.pitch.tolist()
    assert (explanation.onset_quarters * 24).tolist() == melody.onset.tolist()
    assert (explanation.duration_quarters * 24).tolist() == melody.duration.tolist()


def test_one_melody_is_asked_for_where_one_is_meant(scorer, tune_folder):
    with pytest.raises(ValueError, match="several melodies"):
        scorer.explain(tune_folder)
    with pytest.raises(InputError, match=r"<bytes 0>: the file is empty"):
        scorer.similarity(TUNES["freude"], b"")


def test_a_corpus_gives_one_result_a_row(scorer, tune_corpus, tune_folder):
    rows, files = scorer.score(tune_corpus), scorer.score(tune_folder)
    assert [row.path for row in rows] == tune_corpus.column("path")
    by_path = {row.path: row.score for row in files}
    assert [row.score for row in rows] == pytest.approx(
        [by_path[row.path] for row in rows], abs=1e-5
    )


def test_rows_of_a_corpus_give_what_the_corpus_gives(scorer, tune_corpus):
    paths = [f"row {row}" for row in range(1, 4)]
    rows = CorpusRows(tune_corpus, 1, 4, paths)
    found, whole = scorer.score(rows), scorer.score(tune_corpus)
    assert [score.path for score in found] == paths
    assert [score.notes for score in found] == [score.notes for score in whole[1:4]]
    assert [score.score for score in found] == pytest.approx(
        [score.score for score in whole[1:4]], abs=1e-5
    )


def test_a_corpus_of_another_tokenizer_is_refused(scorer, tune_folder, tmp_path):
    prepare([tune_folder], tmp_path / "other", workers=1, tokenizer=Tokenizer(max_rest_steps=96))
    with pytest.raises(CorpusError, match=scorer.tokenizer.fingerprint):
        scorer.score([Corpus.open(tmp_path / "other")])


def test_a_corpus_that_was_replaced_is_told(scorer, tune_folder, tmp_path):
    prepare([tune_folder], tmp_path / "corpus", workers=1, progress=False)
    opened = Corpus.open(tmp_path / "corpus")
    prepare([tune_folder], tmp_path / "corpus", workers=1, progress=False, seed=7)
    with pytest.raises(CorpusError, match="the corpus was replaced; open it again"):
        scorer.score(opened)


def test_a_melody_beyond_the_limit_is_refused(scorer):
    refused, scored = scorer.score([random_melody(MAX_NOTES + 1), TUNES["freude"]])
    assert "200,001 notes, more than the 200,000" in refused.error.reason
    assert scored.error is None


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
@pytest.mark.parametrize("context", CONTEXTS)
def test_a_hundred_thousand_notes_need_no_more_than_half_a_gigabyte(context):
    # The default sizes, in a process of its own, since a peak cannot be reset.
    program = f"""
import pathlib, re, numpy, torch
from seqmelody.checkpoint import Checkpoint
from seqmelody.config import ModelConfig
from seqmelody.melody import Melody
from seqmelody.model import MelodyNetwork
from seqmelody.scorer import Scorer
from seqmelody.tokens import Tokenizer
# Not ru_maxrss, which begins at what the parent has.
status = pathlib.Path("/proc/self/status")
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read_text())[1]) / 1024
model = MelodyNetwork(ModelConfig(context="{context}"), Tokenizer()).eval()
scorer = Scorer(Checkpoint("untrained", model, Tokenizer(), {{}}), threads=1)
pitch = numpy.random.default_rng(0).integers(48, 84, 100_000)
melody = Melody.from_streams(pitch, numpy.full(100_000, 24), numpy.zeros(100_000, int))
scorer.score(melody[:100])
before = peak()
score = scorer.score(melody)[0]
assert score.error is None and score.score == score.score, score
print(peak() - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=300
    )
    assert 0 < float(done.stdout) < 512


def test_wrong_settings_are_usage_errors(checkpoint_folder, tmp_path):
    with pytest.raises(UsageError, match="threads must be at least 1"):
        Scorer.load(checkpoint_folder, threads=0)
    with pytest.raises(UsageError, match="'nonsense' cannot be used"):
        Scorer.load(checkpoint_folder, device="nonsense")
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        Scorer.load(tmp_path / "none")


def test_progress_is_shown_when_asked_for(scorer, capsys):
    scorer.score(list(TUNES.values()))
    assert capsys.readouterr().err == ""
    scorer.score(list(TUNES.values()), progress=True)
    assert "melodies" in capsys.readouterr().err


@pytest.mark.gpu
def test_a_gpu_gives_the_same_scores(checkpoint_folder, scorer):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    items = [random_melody(5 + seed, seed) for seed in range(200)]
    on_gpu = Scorer.load(checkpoint_folder, device="cuda").score(items)
    assert [row.score for row in on_gpu] == pytest.approx(
        [row.score for row in scorer.score(items)], abs=1e-4
    )
