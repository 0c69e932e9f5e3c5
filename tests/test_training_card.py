from __future__ import annotations

import pytest

from seqmelody.config import (
    CardConfig,
    ContrastConfig,
    FamilyConfig,
    ModelConfig,
    TrainConfig,
)
from seqmelody.training.card import model_card


def card(model: ModelConfig | None = None, **about) -> str:
    return model_card(
        TrainConfig(
            corpus="c",
            out="runs/folk",
            steps=6000,
            seed=7,
            model=model or ModelConfig(),
            card=CardConfig(**about),
        ),
        title="folk",
        parameters=1234567,
        fingerprint="0123456789abcdef",
        splits={"train": 6530, "validation": 816, "test": 815},
        used=400,
        accuracies={"shuffle_notes": 0.98765, "markov_1": 1.0},
    )


def test_a_card_says_what_was_trained_on_what_and_how_well():
    text = card(data="Folk songs {of all sorts}", licence="free")
    assert text.startswith("# folk\n")
    assert "1,234,567 parameters" in text
    assert "Folk songs {of all sorts}" in text
    assert "Rights: free" in text
    assert "6,530 to train, 816 to validate, 815 to test" in text
    assert "0123456789abcdef" in text
    assert "6,000 steps" in text
    assert "seed 7" in text
    assert "400 melodies" in text
    assert "| shuffle_notes | 0.988 |\n| markov_1 | 1.000 |" in text


def test_a_card_says_what_the_score_is_not_and_what_is_not_known():
    text = card()
    assert "## What the score is not" in text
    assert "without a single human rating" in text
    assert text.count("not stated") == 2


@pytest.mark.parametrize(
    ("context", "dilations", "name"),
    [
        ("gru", (1, 2), "a 1-D convolutional and GRU network"),
        ("gru", (), "a GRU network"),
        ("none", (1, 2), "a 1-D convolutional network"),
        ("attention", (), "an attention network"),
        ("none", (), "a bag-of-notes network"),
    ],
)
def test_a_card_names_the_network(context, dilations, name):
    text = card(model=ModelConfig(context=context, dilations=dilations))
    assert f"A seqmelody checkpoint: {name} of 1,234,567 parameters" in text


def test_a_card_of_a_model_that_hears_says_what_the_score_hinges_on():
    text = card(model=ModelConfig(front_end="mel", context="none"))
    assert "a mel-spectrogram 2-D convolutional and 1-D convolutional network" in text
    assert "hinges on key and register" in text
    assert "hinges on key" not in card(model=ModelConfig())


def test_a_card_of_a_run_that_learnt_from_people_says_so_and_how_well():
    config = TrainConfig(corpus="c", out="runs/folk")
    text = model_card(
        config,
        title="folk",
        parameters=1,
        fingerprint="f",
        splits={"train": 1, "validation": 1, "test": 1},
        used=1,
        accuracies={"markov_1": 1.0},
        judged={"rating": {"spearman": 0.6789}, "catchy": {}},
    )
    assert "without a single human rating" not in text
    assert "what people said of melodies (rating, catchy)" in text
    assert "| rating | spearman | 0.679 |" in text


@pytest.mark.parametrize("alignment", [0.0, 2.0])
def test_a_card_of_a_run_that_learnt_families_alone_tells_of_no_score(alignment):
    config = TrainConfig(
        corpus="c",
        out="runs/folk",
        contrast=ContrastConfig(weight=0),
        family=FamilyConfig(alignment=alignment),
    )
    text = model_card(
        config,
        title="folk",
        parameters=1,
        fingerprint="f",
        splits={"train": 1, "validation": 1, "test": 1},
        used=1,
        accuracies={},
        family={"map": 0.7654},
    )
    assert "It gives no score" in text
    assert "precision of 0.765" in text
    assert "Pairwise accuracy" not in text
    assert ("edit distance" in text) == (alignment > 0)
    assert "{" not in text
