"""The errors a user can meet, each with the exit code the command line ends with.

A message is one line that says what went wrong, where, and what to do. Anything that is not a
``SeqmelodyError`` is a defect of the package, and shows its traceback.
"""

from __future__ import annotations


class SeqmelodyError(Exception):
    """Base of every error that the package raises on purpose.

    Attributes:
        exit_code: What the command line exits with: 1 some inputs failed, 2 wrong usage or
            configuration, or a missing extra, 3 unreadable checkpoint or corpus.
    """

    exit_code = 1


class InputError(SeqmelodyError):
    """One input cannot be used; other inputs are not affected.

    Args:
        name: The file, archive member or object that failed.
        reason: Why, in a few words, without the name.
    """

    exit_code = 1

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name = name
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


class UsageError(SeqmelodyError):
    """Wrong arguments or configuration, or an extra that they need is not installed."""

    exit_code = 2


class CorpusError(SeqmelodyError):
    """A corpus that cannot be read, or that another tokenizer wrote."""

    exit_code = 3


class CheckpointError(SeqmelodyError):
    """A checkpoint that cannot be read."""

    exit_code = 3
