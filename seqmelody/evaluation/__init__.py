"""How good a checkpoint or a baseline is: tasks, figures with intervals, reports."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seqmelody.evaluation.methods import CheckpointMethod, method
    from seqmelody.evaluation.protocols import Method, SimilarityMethod, VectorMethod
    from seqmelody.evaluation.report import Report, evaluate, evaluate_against
    from seqmelody.evaluation.results import SuiteReport
    from seqmelody.evaluation.running import run_suite
    from seqmelody.evaluation.suite import Suite

# Imported on first use: a wrong suite is told of before torch is imported.
_HOME = {
    "CheckpointMethod": "seqmelody.evaluation.methods",
    "Method": "seqmelody.evaluation.protocols",
    "Report": "seqmelody.evaluation.report",
    "SimilarityMethod": "seqmelody.evaluation.protocols",
    "Suite": "seqmelody.evaluation.suite",
    "SuiteReport": "seqmelody.evaluation.results",
    "VectorMethod": "seqmelody.evaluation.protocols",
    "evaluate": "seqmelody.evaluation.report",
    "evaluate_against": "seqmelody.evaluation.report",
    "method": "seqmelody.evaluation.methods",
    "run_suite": "seqmelody.evaluation.running",
}

__all__ = [
    "CheckpointMethod",
    "Method",
    "Report",
    "SimilarityMethod",
    "Suite",
    "SuiteReport",
    "VectorMethod",
    "evaluate",
    "evaluate_against",
    "method",
    "run_suite",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
