"""``ReadChunk``: some items that were read, as flat streams, with what to know of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from seqmelody.errors import InputError
from seqmelody.melody import STEPS_PER_QUARTER, Melodies
from seqmelody.tokens import PITCHES, TokenBatch, Tokenizer

FEW_NOTES = 8
"""A melody of fewer notes gets a warning."""
FEW_PITCHES = 3
"""A melody of fewer distinct pitches gets a warning: hardly any of the training had so few, so that a
score says little of it."""
MAX_NOTES = 200_000
"""A longer melody is refused: the model would need more than 400 MB of memory for it."""


@dataclass(frozen=True, eq=False)
class ReadChunk:
    """Some items that were read, one row each.

    Attributes:
        paths: What to call them.
        tokens: Their streams.
        warnings: What to know before a score is trusted.
        errors: Why a row has no score; ``None`` where it has one.
        melodies: The notes before any was clipped; ``None`` where some came from a corpus.
    """

    paths: list[str]
    tokens: TokenBatch
    warnings: list[tuple[str, ...]]
    errors: list[InputError | None]
    melodies: Melodies | None

    def __len__(self) -> int:
        return len(self.paths)

    @classmethod
    def checked(
        cls,
        paths: list[str],
        tokens: TokenBatch,
        tokenizer: Tokenizer,
        *,
        melodies: Melodies | None = None,
        warnings: list[tuple[str, ...]] | None = None,
        errors: list[InputError | None] | None = None,
    ) -> ReadChunk:
        """A chunk with warnings of what is odd about its streams, and too long ones refused.

        Args:
            paths: As for the class.
            tokens: Without notes where there is an error.
            tokenizer: What encoded them.
            melodies: As for the class.
            warnings: What reading warned of.
            errors: Why a row could not be read.
        """
        warnings = [()] * len(paths) if warnings is None else list(warnings)
        errors = [None] * len(paths) if errors is None else list(errors)
        notes = np.diff(tokens.offsets)
        heard = np.zeros((len(paths), PITCHES), dtype=bool)
        heard[np.repeat(np.arange(len(paths)), notes), tokens.pitch] = True
        few_pitches = heard.sum(1) < FEW_PITCHES
        clipped = (tokens.clipped_durations > 0) | (tokens.clipped_rests > 0)
        # Few rows are odd, and only those are looked at one by one.
        odd = (notes < FEW_NOTES) | (notes > MAX_NOTES) | few_pitches | clipped
        for row in np.flatnonzero(odd).tolist():
            if errors[row] is not None:
                continue
            count = int(notes[row])
            if count > MAX_NOTES:
                reason = f"{count:,} notes, more than the {MAX_NOTES:,} that can be scored at once"
                errors[row] = InputError(paths[row], reason)
                continue
            for what, cut, cap in (
                ("note", tokens.clipped_durations[row], tokenizer.max_duration_steps),
                ("rest", tokens.clipped_rests[row], tokenizer.max_rest_steps),
            ):
                if cut:
                    warnings[row] += (_clipped(what, int(cut), cap),)
            if count < FEW_NOTES:
                few = "only 1 note" if count == 1 else f"only {count} notes"
                warnings[row] += (f"{few}: below {FEW_NOTES} a score means little",)
            if few_pitches[row]:
                warnings[row] += (
                    f"fewer than {FEW_PITCHES} distinct pitches: the score means little",
                )
        return cls(paths, tokens, warnings, errors, melodies)

    def with_warnings(self, further: Mapping[int, str]) -> ReadChunk:
        """The same chunk with one more warning for some rows; those with an error get none."""
        warnings = list(self.warnings)
        for row, warning in further.items():
            if self.errors[row] is None:
                warnings[row] += (warning,)
        return replace(self, warnings=warnings)

    @classmethod
    def concatenate(cls, chunks: Sequence[ReadChunk]) -> ReadChunk:
        """One chunk of the rows of several."""
        if len(chunks) == 1:
            return chunks[0]
        return cls(
            [path for chunk in chunks for path in chunk.paths],
            _concatenate_tokens([chunk.tokens for chunk in chunks]),
            [warnings for chunk in chunks for warnings in chunk.warnings],
            [error for chunk in chunks for error in chunk.errors],
            # Only asked for where there is a single melody.
            None,
        )


def _concatenate_tokens(parts: Sequence[TokenBatch]) -> TokenBatch:
    starts = np.cumsum([0, *(part.offsets[-1] for part in parts)])
    joined = {
        field.name: np.concatenate([getattr(part, field.name) for part in parts])
        for field in fields(TokenBatch)
        if field.name != "offsets"
    }
    offsets = [part.offsets[:-1] + start for part, start in zip(parts, starts, strict=False)]
    return TokenBatch(offsets=np.concatenate([*offsets, starts[-1:]]), **joined)


def _clipped(what: str, count: int, cap_steps: int) -> str:
    plural = "" if count == 1 else "s"
    quarters = cap_steps / STEPS_PER_QUARTER
    return f"{count} {what}{plural} longer than {quarters:g} quarters, read as that long"
