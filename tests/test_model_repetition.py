from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from seqmelody.model.repetition import PLACED_RUN, RUNS, repetition

# Few symbols, so that there is much to repeat.
melodies = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=60), min_size=1, max_size=4)


def padded(rows: list[list[int]], *, first: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(map(len, rows))
    symbol_BL = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    place_L = torch.arange(width)
    length_B1 = torch.tensor([[len(row)] for row in rows])
    return symbol_BL, (place_L >= first) & (place_L < length_B1)


@given(melodies, st.integers(0, 1))
def test_runs_are_those_that_a_search_finds(rows, first):
    found = repetition(*padded(rows, first=first))
    for number, row in enumerate(rows):
        runs = {
            length: {
                end: tuple(row[end - length + 1 : end + 1])
                for end in range(first + length - 1, len(row))
            }
            for length in RUNS
        }
        for note in range(len(row)):
            ending = beginning = 0
            for level, length in enumerate(RUNS, start=1):
                at = runs[length]
                if any(at[end] == at.get(note) for end in at if end < note):
                    ending = level
                last = note + length - 1
                if note >= first and any(at[end] == at.get(last) for end in at if end > last):
                    beginning = level
            assert found.ending_BL[number, note] == ending
            assert found.beginning_BL[number, note] == beginning
            at = runs[PLACED_RUN]
            before = [end for end in at if end < note and at[end] == at.get(note)]
            assert found.earlier_BL[number, note] == max(before, default=-1)


@given(melodies, st.integers(1, 9))
def test_padding_repeats_nothing(rows, wider):
    symbol_BL, known_BL = padded(rows)
    narrow = repetition(symbol_BL, known_BL)
    wide = repetition(
        torch.nn.functional.pad(symbol_BL, (0, wider)),
        torch.nn.functional.pad(known_BL, (0, wider)),
    )
    for name in ("ending_BL", "beginning_BL", "earlier_BL"):
        found_BL = getattr(wide, name)
        assert torch.equal(found_BL[:, :-wider], getattr(narrow, name))
        assert (found_BL[:, -wider:] == (-1 if name == "earlier_BL" else 0)).all()


def test_a_level_melody_repeats_itself_all_along():
    found = repetition(torch.zeros(1, 40, dtype=torch.long), torch.ones(1, 40, dtype=torch.bool))
    assert found.ending_BL[0].tolist() == [0, 0, 1, 1, 2, 2, 2, 2] + [3] * 8 + [4] * 24
    assert found.earlier_BL[0].tolist() == [-1] * 4 + list(range(3, 39))
