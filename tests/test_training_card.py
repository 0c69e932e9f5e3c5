from __future__ import annotations

from seqmelody.config import CardConfig, TrainConfig
from seqmelody.training.card import model_card


def card(**about) -> str:
    return model_card(
        TrainConfig(corpus="c", out="runs/folk", steps=6000, seed=7, card=CardConfig(**about)),
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
