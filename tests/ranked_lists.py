"""A list that is ordered by similarity, and how good it is."""

from __future__ import annotations


def textbook_figures(wanted) -> tuple[float, float, float]:
    """Average precision, precision at 1 and recall at 10 of a list, as textbooks write them."""
    hits, total, recalled = 0, 0.0, 0
    for place, hit in enumerate(wanted, start=1):
        if hit:
            hits += 1
            total += hits / place
            recalled += place <= 10
    return total / hits, float(wanted[0]), recalled / hits
