from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from seqmelody.cli.names import UniqueNames

# Few letters, and suffixes that collide with those that are given out.
NAMES = st.sampled_from(["a", "b", "a~2", "a~3", "a~2~2", "é", ""])


def one_by_one(names: list[str]) -> list[str]:
    """What the names become, by the rule."""
    taken: list[str] = []
    for name in names:
        candidates = itertools.chain([name], (f"{name}~{number}" for number in itertools.count(2)))
        taken.append(next(candidate for candidate in candidates if candidate not in taken))
    return taken


@given(st.lists(st.lists(NAMES, max_size=6), max_size=8))
def test_repeated_names_are_numbered_within_and_across_calls(groups):
    names = UniqueNames()
    given_out = [name for group in groups for name in names.take(group)]
    assert given_out == one_by_one([name for group in groups for name in group])


def test_many_names_and_many_repeats():
    names = UniqueNames()
    fresh = [str(number) for number in range(50_000)]
    assert [
        name for start in range(0, 50_000, 700) for name in names.take(fresh[start:][:700])
    ] == (fresh)
    # Counting anew for each of them would take minutes.
    assert names.take(["7"] * 20_000) == [f"7~{number}" for number in range(2, 20_002)]
