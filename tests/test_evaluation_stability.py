from __future__ import annotations

import numpy as np
import pytest
from stand_ins import By, mean_pitch

from seqmelody.evaluation.stability import stability_task

KEY = {"transposed by -5", "transposed by +1", "transposed by +6"}
TEMPO = {"durations doubled", "durations halved"}
ENDING = {"first three quarters", "first half"}


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return np.arange(150)


def stable(result) -> set[str]:
    return {name for name, found in result.by_change.items() if round(found.value, 9) == 1}


def test_a_score_is_stable_under_what_it_does_not_hear(essen_corpus, rows):
    length = stability_task(By(lambda melodies: np.diff(melodies.offsets)), essen_corpus, rows)
    assert set(length.by_change) == KEY | TEMPO | ENDING
    assert stable(length) >= KEY | TEMPO
    height = stability_task(By(mean_pitch), essen_corpus, rows)
    assert stable(height) == KEY | TEMPO
    classes = stability_task(
        By(lambda melodies: np.rint(mean_pitch(melodies)) % 12), essen_corpus, rows
    )
    assert stable(classes) == TEMPO
    assert classes.by_change["transposed by +6"].value < 0.9


def test_tempo_is_heard_by_a_score_that_hinges_on_it(essen_corpus, rows):
    def close_to_a_quarter(melodies):
        mean = np.add.reduceat(melodies.duration.astype(float), melodies.offsets[:-1])
        return -np.abs(mean / np.diff(melodies.offsets) - 24)

    result = stability_task(By(close_to_a_quarter), essen_corpus, rows)
    assert stable(result) == KEY
    assert all(result.by_change[name].value < 0.5 for name in TEMPO)


def test_melodies_that_cannot_be_changed_so_are_left_out_and_counted(essen_corpus):
    rows = np.arange(len(essen_corpus))
    result = stability_task(By(mean_pitch), essen_corpus, rows)
    durations = [essen_corpus.tokens(row).duration.max() for row in rows.tolist()]
    cap = essen_corpus.tokenizer.max_duration_steps
    assert max(durations) * 2 > cap
    assert result.melodies["durations doubled"] <= sum(longest * 2 <= cap for longest in durations)
    assert result.melodies["first half"] == len(essen_corpus)
    one = stability_task(By(mean_pitch), essen_corpus, rows[:1])
    assert np.isnan(one.by_change["first half"].value)
