"""People whom a checkpoint knows: how their ratings follow from a melody, and what is kept of them."""

from seqmelody.listeners.model import (
    PRIOR_AGREEMENT,
    PRIOR_NOISE,
    PRIOR_RATINGS,
    PRIOR_SLOPE,
    PRIOR_TASTE,
    Listener,
    RatingModel,
    probability,
    unit_of,
)
from seqmelody.listeners.store import Listeners

__all__ = [
    "PRIOR_AGREEMENT",
    "PRIOR_NOISE",
    "PRIOR_RATINGS",
    "PRIOR_SLOPE",
    "PRIOR_TASTE",
    "Listener",
    "Listeners",
    "RatingModel",
    "probability",
    "unit_of",
]
