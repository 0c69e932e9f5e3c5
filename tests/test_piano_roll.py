from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure
from tunes import TUNES

from seqmelody.melody import Melody
from seqmelody.piano_roll import draw_piano_roll


@pytest.mark.parametrize("melody", TUNES.values(), ids=list(TUNES))
def test_every_note_is_a_bar_in_its_place(melody):
    axes = Figure().add_subplot()
    draw_piano_roll(axes, melody, np.linspace(-1, 1, len(melody)))
    bars = axes.patches
    assert [bar.get_x() for bar in bars] == pytest.approx((melody.onset / 24).tolist())
    assert [bar.get_width() for bar in bars] == pytest.approx((melody.duration / 24).tolist())
    middles = [bar.get_y() + bar.get_height() / 2 for bar in bars]
    assert middles == pytest.approx(melody.pitch.tolist())
    low, high = axes.get_ylim()
    assert low < melody.pitch.min() <= melody.pitch.max() < high
    assert axes.get_xlim() == pytest.approx((0, melody.span_steps / 24))


def test_notes_that_raise_the_score_are_green_those_that_lower_it_red_and_idle_ones_pale():
    axes = Figure().add_subplot()
    draw_piano_roll(axes, Melody([0, 24, 48], [24] * 3, [60, 62, 64]), np.array([2.0, -2.0, 0.0]))
    good, bad, idle = (bar.get_facecolor() for bar in axes.patches)
    assert good[1] > good[0]
    assert bad[0] > bad[1]
    assert min(idle[:2]) > 0.9


def test_shares_of_nothing_and_one_note_can_be_drawn():
    axes = Figure().add_subplot()
    draw_piano_roll(axes, Melody([0], [24], [60]), np.zeros(1))
    axes.figure.draw_without_rendering()
    assert len(axes.patches) == 1
