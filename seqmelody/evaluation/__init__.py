"""How good a checkpoint is: tasks, figures with intervals, a report."""

from seqmelody.evaluation.report import Report, evaluate

__all__ = ["Report", "evaluate"]
