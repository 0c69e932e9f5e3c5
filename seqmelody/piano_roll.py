"""Piano rolls, with each note coloured by its share of the score."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seqmelody.melody import STEPS_PER_QUARTER, Melody

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_piano_roll(axes: Axes, melody: Melody, share: NDArray[np.floating[Any]]) -> None:
    """Draws a melody: time in quarter notes across, MIDI key upwards.

    Notes that raise the score are green, those that lower it are red; the paler, the less.

    Args:
        axes: Matplotlib axes to draw on.
        melody: The notes.
        share: Each note's part of the score, ``(notes,)``.
    """
    largest = max(float(np.abs(share).max()), 1e-9)
    bars = axes.barh(
        y=melody.pitch,
        width=melody.duration / STEPS_PER_QUARTER,
        left=melody.onset / STEPS_PER_QUARTER,
        height=0.9,
        edgecolor="0.4",
        linewidth=0.5,
    )
    from matplotlib import colormaps

    colours = colormaps["RdYlGn"]
    for bar, part in zip(bars, share, strict=True):
        bar.set_facecolor(colours(0.5 + 0.5 * float(part) / largest))
    axes.set_xlabel("quarter notes")
    axes.set_ylabel("MIDI key")
    axes.set_xlim(0, melody.span_steps / STEPS_PER_QUARTER)
    axes.set_ylim(float(melody.pitch.min()) - 2, float(melody.pitch.max()) + 2)
