from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqmelody.corpus.families import NO_FAMILY, Families, block_counts, blocks
from seqmelody.corpus.labels import Labels
from seqmelody.errors import UsageError


@st.composite
def memberships(draw):
    """Groups from 0 without gaps, and families, of which some melodies have none."""
    melodies = draw(st.integers(0, 30))
    group = draw(st.lists(st.integers(0, 12), min_size=melodies, max_size=melodies))
    family = draw(st.lists(st.integers(NO_FAMILY, 9), min_size=melodies, max_size=melodies))
    group = np.unique(np.array(group, dtype=np.int32), return_inverse=True)[1]
    return group.astype(np.int32), np.array(family, dtype=np.int32)


def linked(group, family):
    """Blocks as sets of melodies, found by walking from one to the next."""
    left, found = set(range(len(group))), []
    while left:
        reached = {min(left)}
        while True:
            groups = {group[one] for one in reached}
            families = {family[one] for one in reached} - {NO_FAMILY}
            more = {one for one in left if group[one] in groups or family[one] in families}
            if more == reached:
                break
            reached = more
        found.append(reached)
        left -= reached
    return found


@given(memberships())
def test_a_block_is_all_that_groups_and_families_link(membership):
    group, family = membership
    block = blocks(group, family)
    # Numbered in the order of their first melodies, which is the order they are found in.
    expected = np.full(group.size, -1)
    for number, members in enumerate(linked(group, family)):
        expected[sorted(members)] = number
    assert block.tolist() == expected.tolist()


@given(memberships().filter(lambda membership: membership[0].size))
def test_counts_are_those_of_the_blocks(membership):
    group, family = membership
    counts = block_counts(group, family, blocks(group, family))
    found = linked(group, family)

    def distinct(column, members):
        return len({column[one] for one in members} - {NO_FAMILY})

    groups = [distinct(group, members) for members in found]
    families = [distinct(family, members) for members in found]
    largest = max(range(len(found)), key=lambda number: (len(found[number]), -number))
    assert counts == {
        "melodies": int((family != NO_FAMILY).sum()),
        "families": len(set(family.tolist()) - {NO_FAMILY}),
        "blocks": len(found),
        "joined_groups": sum(count for count in groups if count > 1),
        "chained_families": sum(count for count in families if count > 1),
        "largest": {
            "melodies": len(found[largest]),
            "groups": groups[largest],
            "families": families[largest],
        },
    }


def test_without_families_blocks_are_the_groups():
    group = np.array([0, 1, 0, 2], dtype=np.int32)
    assert blocks(group, np.full(4, NO_FAMILY, dtype=np.int32)).tolist() == group.tolist()


@pytest.mark.parametrize(
    "values", [["a", "", "b", "a"], ["7", "", "12", "7"], ["1.5", "", "2", "1.5"]]
)
def test_families_are_equal_cells_and_an_empty_one_is_none(tmp_path, values):
    path = tmp_path / "labels.csv"
    rows = [f"{id_},{value},x" for id_, value in zip("pqrs", values, strict=True)]
    path.write_text("\n".join(["id,tune,other", *rows]))
    families = Families.of(Labels.read(path), "tune")
    found = families.find(["s", "folder/p", "q", "r", "t"], [""] * 5).tolist()
    assert found[0] == found[1] != found[3]
    assert found[2] == found[4] == NO_FAMILY
    assert min(found[0], found[3]) >= 0


def test_a_column_without_any_value_is_no_family(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("id,tune,other\np,,1\nq,,2\n")
    assert Families.of(Labels.read(path), "tune").find(["p", "q"], ["", ""]).tolist() == [-1, -1]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("id,tune,year", "no column 'family' to keep together; there are tune, year"),
        ("id,path", "no column 'family' to keep together; it has no labels"),
    ],
)
def test_an_unknown_column_is_refused(tmp_path, header, message):
    path = tmp_path / "labels.csv"
    path.write_text(header + "\n" + ",".join(["1"] * len(header.split(","))) + "\n")
    with pytest.raises(UsageError, match=message) as caught:
        Families.of(Labels.read(path), "family")
    assert str(caught.value).startswith(str(path))
