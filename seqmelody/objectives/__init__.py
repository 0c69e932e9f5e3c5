"""What a model is trained to do: each objective turns a batch and a model into a loss."""

from seqmelody.objectives.catchy import Catchy
from seqmelody.objectives.contrast import Contrast
from seqmelody.objectives.family import Family
from seqmelody.objectives.preference import Preference
from seqmelody.objectives.rating import Rating

__all__ = ["Catchy", "Contrast", "Family", "Preference", "Rating"]
