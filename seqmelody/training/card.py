"""The model card that a run writes into its checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from seqmelody.config import ModelConfig, TrainConfig

_TEXT = """# {title}

A seqmelody checkpoint: {network} of {parameters:,} parameters that gives
a melody a score, an embedding, and each note's share of the score.

## What the score is
The score tells melodies that people kept from machine-spoiled copies of them: notes, pitches or
durations shuffled, pitches redrawn or jittered, segments swapped, the tail transposed, passages set
on one pitch, walks of Markov chains. The difference of two scores is a log-odds under that training. The percentile is
the share of the training melodies that score lower.
{heard}
Where a score comes with an interval, a training that differs in nothing but its seed would give a
score within it nine times in ten, once both are at the same mean and scale. That is estimated from
dropout, and tells how much of a score is chance, not whether people agree with it.

## What the score is not
{people} It says how much a melody
behaves like those it was trained on, and may well be wrong about other styles, about polyphony
flattened to one line, and about what anybody likes. {dull}{heard_only}Do not use it to judge people's work.

## Data
{data}

Rights: {licence}

Melodies: {train:,} to train, {validation:,} to validate, {test:,} to test. Near-duplicates (the
shorter shares a third of its runs of eight intervals with the other) never lie in two splits; a
stock phrase may. Tokenizer {fingerprint}.

## Training
`seqmelody train --config config.yaml`, with the file of that name in this folder: {steps:,} steps,
seed {seed}.

## Measured
On the validation split ({used:,} melodies, one copy of each kind): how often the melody outscores
its copy.

{table}
{judged}"""

_FAMILY_TEXT = """# {title}

A seqmelody checkpoint: {network} of {parameters:,} parameters that gives
a melody an embedding: a unit vector whose dot product with another melody's tells how likely the two
are variants of one tune. It gives no score.

## What the embedding is
Trained so that melodies of a tune family lie close together and others apart (supervised contrastive
learning; Khosla et al., 2020), each varied in every step as folk tunes vary.{aligned} It is the same
in all keys and hardly hinges on tempo.

## What it is not
What a tune family is was decided by those who catalogued the collection; other traditions, other
ideas of likeness. A high similarity is no proof that one melody stems from another: melodies of few
notes, and scales and stock phrases, are alike by chance. Register, words, harmony and performance are
not seen.

## Data
{data}

Rights: {licence}

Melodies: {train:,} to train, {validation:,} to validate, {test:,} to test. No family, and no
near-duplicates, lie in two splits. Tokenizer {fingerprint}.

## Training
`seqmelody train --config config.yaml`, with the file of that name in this folder: {steps:,} steps,
seed {seed}.

## Measured
{judged}"""

_ALIGNED = (
    " It was also taught how alike the edit distance of their notes, in the key in which they agree "
    "best, finds any two melodies."
)
_DULL = (
    "No spoiled copy that it met was dull, so it has never learnt that dullness is a fault: one note "
    "repeated may score high. "
)
_HEARD_ONLY = (
    "It hears a piano at 120 quarters a minute, so that the score hinges on key and register, which a "
    "score of notes does not; of a melody longer than a minute it hears the first. "
)
_FRONT_ENDS = {
    "mel": "mel-spectrogram 2-D convolutional",
    "stft": "Fourier-transform",
    "filterbank": "learned-filter-bank",
    "butterfly": "learned-butterfly-transform",
}
"""What models that hear have before the rest."""
_UNHEARD = 'It is a stand-in for "melodic", learnt without a single human rating.'
_HEARD = """
It was also trained to follow what people said of melodies ({names}), so that it is no plain
log-odds any more. Further down stands how far it does.
"""
_SOME_PEOPLE = (
    "It follows the people whose judgements it was trained on, as far as the figures below say, on "
    "melodies like those that they judged; others may differ."
)
_JUDGED = """
On melodies of the validation split that people judged:

{table}
"""
_FOUND = """
On the validation split, where each melody that has relatives there searches all such: a mean average
precision of {map:.3f}.
"""


def model_card(
    config: TrainConfig,
    *,
    title: str,
    parameters: int,
    fingerprint: str,
    splits: Mapping[str, int],
    used: int,
    accuracies: Mapping[str, float],
    judged: Mapping[str, Mapping[str, float]] = MappingProxyType({}),
    family: Mapping[str, float] = MappingProxyType({}),
) -> str:
    """The card's Markdown.

    Args:
        config: Of the run.
        title: Name of the checkpoint.
        parameters: Of the model.
        fingerprint: Of the tokenizer.
        splits: Melodies in train, validation and test.
        used: Melodies of the validation split that were used.
        accuracies: Share of comparisons won by kind, on the validation split.
        judged: Figures of each objective that learns from people, likewise; none where nothing was
            said of the validation split.
        family: Figures of the objective that learns tune families.
    """
    found = _FOUND.format(**family) if "map" in family else ""
    said = {
        "title": title,
        "network": _network(config.model),
        "parameters": parameters,
        "data": config.card.data,
        "licence": config.card.licence,
        "fingerprint": fingerprint,
        "steps": config.steps,
        "seed": config.seed,
        **splits,
    }
    if not config.trains_scores:
        return _FAMILY_TEXT.format(
            judged=found.strip(),
            aligned=_ALIGNED if config.family is not None and config.family.alignment else "",
            **said,
        )
    rows = [f"| {kind} | {accuracy:.3f} |" for kind, accuracy in accuracies.items()]
    return _TEXT.format(
        used=used,
        heard=_HEARD.format(names=", ".join(judged)) if judged else "",
        heard_only="" if config.model.front_end == "notes" else _HEARD_ONLY,
        dull="" if config.contrast.kinds.get("level_pitches", 0) > 0 else _DULL,
        people=_SOME_PEOPLE if judged else _UNHEARD,
        judged=_judged_table(judged) + found,
        table="\n".join(["| Kind of copy | Pairwise accuracy |", "|---|---|", *rows]),
        **said,
    )


def _judged_table(judged: Mapping[str, Mapping[str, float]]) -> str:
    rows = [
        f"| {name} | {figure} | {value:.3f} |"
        for name, figures in judged.items()
        for figure, value in figures.items()
    ]
    heads = ["| Judgement | Figure | Value |", "|---|---|---|"]
    return _JUDGED.format(table="\n".join([*heads, *rows])) if rows else ""


def _network(config: ModelConfig) -> str:
    """What the parts of the model make."""
    parts = ["1-D convolutional"] if config.dilations else []
    parts += {"gru": ["GRU"], "attention": ["attention"], "none": []}[config.context]
    if config.front_end != "notes":
        parts.insert(0, _FRONT_ENDS[config.front_end])
    name = " and ".join(parts) or "bag-of-notes"
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name} network"
