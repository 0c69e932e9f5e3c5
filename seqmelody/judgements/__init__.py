"""Judgements: what people said of melodies, read from CSV files.

A *rating* is a number, or 1 and 0 for yes and no; a *preference* is a pair of melodies of which
one was liked better. ``Ratings.read`` and ``Preferences.read`` find the melodies in a corpus, by
``id`` or ``path`` as labels do (``seqmelody.corpus.tables``). What cannot be meant is an error
that names the row, counted as a spreadsheet does: the header is row 1. What is merely odd is
kept, under a rule that the class states, and told in its ``warnings``.
"""

from seqmelody.judgements.preferences import Preferences
from seqmelody.judgements.ratings import Ratings, RatingTable

__all__ = ["Preferences", "RatingTable", "Ratings"]
