"""The model card that a run writes into its checkpoint."""

from __future__ import annotations

from collections.abc import Mapping

from seqmelody.config import TrainConfig

_TEXT = """# {title}

A seqmelody checkpoint: a 1-D convolutional and GRU network of {parameters:,} parameters that gives
a melody a score, an embedding, and each note's share of the score.

## What the score is
The score tells melodies that people kept from machine-spoiled copies of them: notes, pitches or
durations shuffled, pitches redrawn or jittered, segments swapped, the tail transposed, walks of
Markov chains. The difference of two scores is a log-odds under that training. The percentile is
the share of the training melodies that score lower.

## What the score is not
It is a stand-in for "melodic", learnt without a single human rating. It says how much a melody
behaves like those it was trained on, and may well be wrong about other styles, about polyphony
flattened to one line, and about what anybody likes. No spoiled copy is dull, so it has never learnt
that dullness is a fault: one note repeated may score high. Do not use it to judge people's work.

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
    """
    rows = [f"| {kind} | {accuracy:.3f} |" for kind, accuracy in accuracies.items()]
    return _TEXT.format(
        title=title,
        parameters=parameters,
        data=config.card.data,
        licence=config.card.licence,
        fingerprint=fingerprint,
        steps=config.steps,
        seed=config.seed,
        used=used,
        table="\n".join(["| Kind of copy | Pairwise accuracy |", "|---|---|", *rows]),
        **splits,
    )
