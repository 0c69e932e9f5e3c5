"""Random numbers that each melody of a batch has for itself."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from seqmelody.tokens import Tokenizer

# SplitMix64 (Steele et al. 2014), in the signed numbers that torch has; they overflow silently.
_STEP = 0x9E3779B97F4A7C15 - 2**64
_FACTORS = ((30, 0xBF58476D1CE4E5B9 - 2**64), (27, 0x94D049BB133111EB - 2**64))


class Draws:
    """Random numbers by melody, call and place.

    What a melody draws hinges on its key, on how often was drawn before, and on the place, as in
    the counter-based generators of Salmon et al. (2011, "Parallel random numbers: as easy as 1, 2,
    3"): so the melodies beside it, and how wide these made the batch, change nothing.

    Args:
        key_B: A random number for each melody, int64.
    """

    def __init__(self, key_B: Tensor) -> None:
        self._key_B = key_B
        self._calls = 0

    @classmethod
    def of(cls, rows: int, generator: torch.Generator) -> Draws:
        """Keys for some melodies from a generator on the CPU."""
        return cls(torch.randint(-(2**63), 2**63 - 1, (rows,), generator=generator))

    def of_rows(self, rows_R: Tensor, number: int) -> Draws:
        """Another source for some of the melodies, by number."""
        return Draws(_mix(self._key_B[rows_R] ^ number))

    def uniform(self, width: int = 1) -> Tensor:
        """Numbers from 0 to below 1, ``(B, width)`` float64."""
        self._calls += 1
        call_B1 = _mix(self._key_B + torch.tensor(self._calls) * _STEP)[:, None]
        bits_BW = _mix(call_B1 + torch.arange(width) * _STEP)
        return _shifted(bits_BW, 11).double() * 2.0**-53

    def below(self, count: Tensor | int, width: int = 1) -> Tensor:
        """Whole numbers from 0 to below a count, ``(B, width)`` int64; 0 where it is 0."""
        return (self.uniform(width) * count).long()

    def pick(self, weight_BN: Tensor) -> tuple[Tensor, Tensor]:
        """One place of each row, likelier where the weight is larger.

        Args:
            weight_BN: 0 or more; 0 is never picked.

        Returns:
            The places ``(B, 1)``, and which rows have one at all ``(B, 1)``.
        """
        # The largest of exponentially distributed numbers, each scaled by its weight.
        score_BN = (
            weight_BN.log() - (-self.uniform(weight_BN.shape[1]).clamp(min=1e-300).log()).log()
        )
        return score_BN.argmax(1, keepdim=True), (weight_BN > 0).any(1, keepdim=True)


@dataclass(frozen=True)
class Manner:
    """How a melody is to be varied.

    Attributes:
        draws: What is random in it.
        strength: How much at most: above 0, 1 at most.
        tokenizer: Its caps hold for the variant too.
    """

    draws: Draws
    strength: float
    tokenizer: Tokenizer

    def places(self, width: int, share: float) -> Tensor:
        """Random places: for each melody a share between none and ``share`` times the strength.

        Returns:
            Which of ``width`` places, ``(B, width)`` bool.
        """
        share_B1 = share * self.strength * self.draws.uniform()
        return self.draws.uniform(width) < share_B1


def _mix(value: Tensor) -> Tensor:
    for shift, factor in _FACTORS:
        value = (value ^ _shifted(value, shift)) * factor
    return value ^ _shifted(value, 31)


def _shifted(value: Tensor, by: int) -> Tensor:
    """Shifted right, with zeros coming in from the left."""
    return (value >> by) & ((1 << (64 - by)) - 1)
