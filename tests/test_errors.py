from __future__ import annotations

import pickle

import pytest

from seqmelody.errors import CheckpointError, CorpusError, InputError, SeqmelodyError, UsageError


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (InputError("a.zip!b.mid", "not a MIDI file"), 1, "a.zip!b.mid: not a MIDI file"),
        (UsageError("no such option"), 2, "no such option"),
        (CorpusError("x: damaged"), 3, "x: damaged"),
        (CheckpointError("x: cut short"), 3, "x: cut short"),
    ],
)
def test_every_error_tells_its_exit_code_also_after_a_trip_between_processes(error, code, text):
    for one in (error, pickle.loads(pickle.dumps(error))):
        assert isinstance(one, SeqmelodyError)
        assert type(one) is type(error)
        assert (one.exit_code, str(one)) == (code, text)
        assert vars(one) == vars(error)
