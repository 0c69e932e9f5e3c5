"""Models that score and embed melodies, behind one interface."""

from seqmelody.model.conv_gru import ConvGRU
from seqmelody.model.output import MelodyModel, ModelOutput

__all__ = ["ConvGRU", "MelodyModel", "ModelOutput"]
