"""Ways in which a folk tune varies and stays the same tune, on batches of tensors.

Those who assign melodies to tune families go by short characteristic motifs most, by contour and
rhythm at large less (Volk & van Kranenburg, 2012, "Melodic similarity among folk songs", Musicae
Scientiae 16(3)): a variation leaves most motifs alone.
"""

from __future__ import annotations

from seqmelody.variation.composition import KINDS, Variation

__all__ = ["KINDS", "Variation"]
