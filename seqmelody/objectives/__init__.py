"""What a model is trained to do: each objective turns a batch and a model into a loss."""

from seqmelody.objectives.contrast import Contrast

__all__ = ["Contrast"]
