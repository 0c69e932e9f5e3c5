"""Hypothesis strategies that several test files share."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seqmelody.batching import collate
from seqmelody.config import (
    CONTEXTS,
    TRAINED_KINDS,
    CardConfig,
    CatchyConfig,
    ContrastConfig,
    FamilyConfig,
    ModelConfig,
    OptimizerConfig,
    PreferenceConfig,
    RatingConfig,
    TrainConfig,
)
from seqmelody.tokens import Tokenizer, Tokens

seeds = st.integers(0, 2**31)


@st.composite
def token_streams(
    draw, min_notes=1, max_notes=40, lowest=0, highest=127, tokenizer=Tokenizer()
) -> Tokens:
    """A melody's streams; some dwell on few pitches, some at the edge of the MIDI range."""
    notes = draw(st.integers(min_notes, max_notes))
    low = draw(st.integers(lowest, highest))
    high = draw(st.integers(low, highest))
    pitch = draw(arrays(np.uint8, notes, elements=st.integers(low, high)))
    longest = draw(st.integers(1, tokenizer.max_duration_steps))
    duration = draw(arrays(np.uint16, notes, elements=st.integers(1, longest)))
    longest = draw(
        st.sampled_from([0, min(12, tokenizer.max_rest_steps), tokenizer.max_rest_steps])
    )
    rest = draw(arrays(np.uint16, notes, elements=st.integers(0, longest)))
    rest[-1] = 0
    return Tokens(pitch=pitch, duration=duration, rest=rest)


def batches(min_size=1, max_size=5, **options) -> st.SearchStrategy:
    """Batches of such melodies; every other one of melodies of one to three notes."""
    short = token_streams(**{**options, "max_notes": 3})
    return st.one_of(
        st.lists(streams, min_size=min_size, max_size=max_size).map(collate)
        for streams in (token_streams(**options), short)
    )


@st.composite
def model_configs(draw) -> ModelConfig:
    """Models of any parts and small sizes."""
    context, heads = draw(st.sampled_from(CONTEXTS)), draw(st.integers(1, 3))
    channels, pools = draw(st.integers(1, 9)), draw(st.integers(1, 3))
    return ModelConfig(
        channels=2 * heads * draw(st.integers(1, 3)) if context == "attention" else channels,
        kernel_size=draw(st.sampled_from([1, 3, 5, 7])),
        dilations=tuple(draw(st.lists(st.integers(1, 9), max_size=3))),
        context=context,
        hidden_size=draw(st.integers(1, 9)),
        layers=draw(st.integers(1, 3)),
        heads=heads,
        embedding_size=pools * draw(st.integers(1, 5)),
        pools=pools,
        dropout=draw(st.floats(0, 0.9)),
        feature_dropout=draw(st.floats(0, 0.9)),
    )


tokenizers = st.builds(
    Tokenizer,
    max_duration_steps=st.integers(1, 400),
    max_rest_steps=st.integers(1, 400),
)

_text = st.text(
    st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=20
)
_weights = st.floats(0.01, 100)

_judged = {
    "corpus": _text,
    "labels": _text,
    "weight": st.floats(1e-3, 100),
    "melodies": st.integers(2, 100),
    "leave_out": st.none() | st.builds("{}={}".format, *[st.text("abc", min_size=1)] * 2),
}
_raters = st.sampled_from([(False, 0), (True, 0), (True, 3)])


def _rated(config, **settings) -> st.SearchStrategy:
    """An objective that learns from people, or none."""
    made = st.builds(
        lambda raters, **chosen: config(raters=raters[0], taste_rank=raters[1], **chosen),
        _raters,
        **_judged,
        **settings,
    )
    return st.none() | made


train_configs = st.builds(
    TrainConfig,
    corpus=_text,
    out=_text,
    steps=st.integers(1, 10**6),
    tokens_per_batch=st.integers(1, 10**5),
    seed=seeds,
    validate_every=st.integers(1, 10**5),
    validation_melodies=st.integers(1, 10**5),
    log_every=st.integers(1, 10**4),
    model=model_configs(),
    contrast=st.builds(
        ContrastConfig,
        kinds=st.dictionaries(st.sampled_from(TRAINED_KINDS), _weights, min_size=1),
        copies=st.integers(1, 9),
        strengths=st.sets(st.floats(0.01, 1), min_size=1, max_size=4).map(
            lambda shares: tuple(sorted(shares))
        ),
        across=st.floats(0, 1),
    ),
    rating=_rated(
        RatingConfig,
        column=_text,
        scale=st.none() | st.tuples(st.floats(-9, 0), st.floats(1, 9)),
    ),
    preference=_rated(PreferenceConfig),
    catchy=_rated(CatchyConfig, column=_text),
    family=st.none()
    | st.builds(
        FamilyConfig,
        column=_text,
        weight=st.floats(1e-3, 100),
        families=st.integers(2, 100),
        members=st.integers(2, 9),
        singles=st.integers(0, 100),
        temperature=st.floats(1e-3, 10),
        variation=st.floats(0, 1),
        max_notes=st.integers(8, 512),
    ),
    init=st.none() | _text.map("runs/{}".format),
    optimizer=st.builds(
        OptimizerConfig,
        learning_rate=st.floats(1e-7, 1),
        weight_decay=st.floats(0, 1),
        warmup_steps=st.integers(0, 10**4),
        largest_gradient_norm=st.floats(1e-3, 100),
    ),
    card=st.builds(CardConfig, data=_text, licence=_text),
    accelerator=st.sampled_from(["auto", "cpu", "gpu"]),
    devices=st.one_of(st.just("auto"), st.integers(1, 8)),
    precision=st.sampled_from(["32-true", "bf16-mixed"]),
    threads=st.integers(0, 64),
)
"""Runs with every setting drawn."""
