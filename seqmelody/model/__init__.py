"""Models that score and embed melodies, behind one interface."""

from seqmelody.model.network import MelodyNetwork
from seqmelody.model.output import MelodyModel, ModelOutput

__all__ = ["MelodyModel", "MelodyNetwork", "ModelOutput"]
