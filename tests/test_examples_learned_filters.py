from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path

import pytest
import torch
from sound import Harmonics, heard

from seqmelody.checkpoint import Checkpoint, save_checkpoint
from seqmelody.config import ModelConfig
from seqmelody.model import hearing
from seqmelody.model.waveform import FREQUENCIES, WaveformFrames
from seqmelody.tokens import Tokenizer

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "learned_filters.py"


@pytest.fixture(scope="module")
def example():
    import sys

    spec = importlib.util.spec_from_file_location("learned_filters", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    sys.modules["learned_filters"] = module  # its dataclass looks its module up
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        del sys.modules["learned_filters"]


def saved(folder: Path, **settings) -> Path:
    config = ModelConfig(channels=4, dilations=(), hidden_size=4, embedding_size=4, **settings)
    stored = dataclasses.asdict(config) | {"dilations": []}
    made = Checkpoint("heard", heard(config), Tokenizer(), {"model": stored})
    return save_checkpoint(folder / "heard", made, "# Heard")


@pytest.mark.parametrize("kind", ["filterbank", "butterfly"])
def test_the_fourier_transform_is_found_where_it_is_and_not_by_chance(example, kind):
    torch.manual_seed(0)
    exact = example.basis_of(WaveformFrames(kind, "exact", 1))
    assert exact.found == FREQUENCIES
    assert exact.best_K.min() > 0.999
    chance = example.basis_of(WaveformFrames(kind, "random", 1))
    assert chance.found == 0
    assert chance.best_K.median() < 0.6
    assert ((chance.correlation_KR >= 0) & (chance.correlation_KR <= 1.0001)).all()


def test_phase_and_order_do_not_count(example):
    torch.manual_seed(0)
    filters = WaveformFrames("filterbank", "exact", 1)
    with torch.no_grad():
        real_NK, imaginary_NK = filters.transform.parts_2NK
        # Turned by a quarter, conjugated, louder, backwards.
        turned = torch.stack([3 * imaginary_NK, 3 * real_NK]).flip(2)
        filters.transform.parts_2NK.copy_(turned)
        # Three filters are lost.
        filters.transform.parts_2NK[:, :, :3].normal_()
    found = example.basis_of(filters)
    assert found.found == FREQUENCIES - 3
    assert (found.best_K > 0.999).sum() == FREQUENCIES - 3


def test_the_figures_and_the_picture_of_a_checkpoint(example, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(hearing, "Synthesizer", Harmonics)
    folder = saved(tmp_path, front_end="butterfly", start="exact")
    example.main([str(folder), "--out", str(tmp_path / "filters.png")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split()[0] == "learned"
    assert lines[3].split()[0] == "random"
    assert f"0 of {FREQUENCIES}" in lines[3]
    assert (tmp_path / "filters.png").read_bytes().startswith(b"\x89PNG")


def test_what_learned_no_filters_is_refused(example, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(hearing, "Synthesizer", Harmonics)
    with pytest.raises(SystemExit) as end:
        example.main([str(saved(tmp_path, front_end="stft"))])
    assert end.value.code == 2
    assert "its front end is stft" in capsys.readouterr().err
