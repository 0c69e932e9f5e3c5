"""How melodic a melody is, where it lies among others, and which notes make it so.

    from seqmelody import Scorer

    scorer = Scorer.load()
    for score in scorer.score(["a.mid", "b.mid"]):
        print(score.path, score.score, score.percentile)

The names below load on first use: importing the package alone imports nothing else, so that the
command line answers at once.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seqmelody.errors import (
        CheckpointError,
        CorpusError,
        InputError,
        SeqmelodyError,
        UsageError,
    )
    from seqmelody.melody import Melody
    from seqmelody.scorer import Explanation, MelodyReward, Score, Scorer
    from seqmelody.tokens import Tokenizer, Tokens

__version__ = "0.1.0"

_HOME = {
    "CheckpointError": "seqmelody.errors",
    "CorpusError": "seqmelody.errors",
    "Explanation": "seqmelody.scorer",
    "InputError": "seqmelody.errors",
    "Melody": "seqmelody.melody",
    "MelodyReward": "seqmelody.scorer",
    "Score": "seqmelody.scorer",
    "Scorer": "seqmelody.scorer",
    "SeqmelodyError": "seqmelody.errors",
    "Tokenizer": "seqmelody.tokens",
    "Tokens": "seqmelody.tokens",
    "UsageError": "seqmelody.errors",
}

__all__ = [
    "CheckpointError",
    "CorpusError",
    "Explanation",
    "InputError",
    "Melody",
    "MelodyReward",
    "Score",
    "Scorer",
    "SeqmelodyError",
    "Tokenizer",
    "Tokens",
    "UsageError",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
