"""What a checkpoint knows of people, as ``listeners.json`` holds it.

Shapes: E embedding size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from seqmelody.listeners.model import Listener, RatingModel


@dataclass(frozen=True, eq=False)
class Listeners:
    """What a checkpoint knows of people, as far as it was trained on their judgements.

    Attributes:
        rating: How ratings follow from the score; ``None`` if none were seen.
        listeners: Those it knows by name; of ratings.
        catchy: ``offset`` and ``scale``: the log-odds of a yes are ``offset + scale * score``.
        preference: ``scale`` and ``tie``: see ``seqmelody.objectives.preference``.
    """

    rating: RatingModel | None = None
    listeners: Mapping[str, Listener] = field(default_factory=dict)
    catchy: Mapping[str, float] | None = None
    preference: Mapping[str, float] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as ``listeners.json`` holds them."""
        return {
            "rating": None if self.rating is None else self.rating.to_dict(),
            "listeners": {name: entry.to_dict() for name, entry in self.listeners.items()},
            "catchy": None if self.catchy is None else dict(self.catchy),
            "preference": None if self.preference is None else dict(self.preference),
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any], embedding_size: int) -> Listeners:
        """What ``to_dict`` stored.

        Args:
            stored: The plain values.
            embedding_size: E, of the model.

        Raises:
            ValueError: Something is missing, unknown, not finite, or of another shape than it
                should be.
            KeyError: As ``ValueError``.
            TypeError: As ``ValueError``.
        """
        rating = None if stored["rating"] is None else RatingModel.from_dict(stored["rating"])
        if rating is not None and len(rating.embedding_mean) != embedding_size:
            raise ValueError(
                f"embeddings of {len(rating.embedding_mean)} numbers, the model's have "
                f"{embedding_size}"
            )
        listeners = {}
        for name, entry in stored["listeners"].items():
            taste = np.asarray(entry["taste"], dtype=np.float64).reshape(-1)
            listener = Listener(**{**entry, "taste": taste})
            effects = [listener.offset, listener.slope, *taste]
            if (
                rating is None
                or len(taste) != len(rating.taste_sd)
                or not np.isfinite(effects).all()
            ):
                raise ValueError(f"listener {name!r} does not fit the rating model")
            listeners[name] = listener
        known = {}
        for name, parts in (("catchy", ("offset", "scale")), ("preference", ("scale", "tie"))):
            found = stored[name]
            if found is not None and (
                set(found) != set(parts) or not all(math.isfinite(found[part]) for part in parts)
            ):
                raise ValueError(f"{name} must have {' and '.join(parts)}")
            if found is not None and found.get("tie", 0.0) < 0:
                raise ValueError(f"the tie of {name} is negative")
            known[name] = found
        return cls(rating, listeners, known["catchy"], known["preference"])
