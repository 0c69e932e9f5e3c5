"""Scores, embeddings and reasons for melodies, with a trained checkpoint."""

from __future__ import annotations

from seqmelody.scorer.chunk import MAX_NOTES
from seqmelody.scorer.items import CorpusRows, Item, Items
from seqmelody.scorer.ranking import Ranking, Selection
from seqmelody.scorer.results import Explanation, NoteEmbeddings, Preferred, Score
from seqmelody.scorer.reward import MelodyReward
from seqmelody.scorer.scorer import Scorer

__all__ = [
    "MAX_NOTES",
    "CorpusRows",
    "Explanation",
    "Item",
    "Items",
    "MelodyReward",
    "NoteEmbeddings",
    "Preferred",
    "Ranking",
    "Score",
    "Scorer",
    "Selection",
]
