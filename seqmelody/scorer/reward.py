"""``MelodyReward``: the score of token batches, as a reward inside someone's training loop.

    reward = MelodyReward.load(scale="percentile", penalty=1.0)
    reward_B = reward(pitch_BL, duration_BL, rest_BL, length_B)

A policy that is trained on a score finds what the score is wrong about, sooner or later; and what
it finds is mostly unlike any melody that the model learnt from. Hence ``penalty``.

Shapes: B melodies, L notes of the longest.
"""

from __future__ import annotations

import os
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from seqmelody.batching import Batch
from seqmelody.checkpoint import Checkpoint, default_checkpoint, find_checkpoint, load_checkpoint
from seqmelody.errors import CheckpointError, UsageError
from seqmelody.familiarity import Familiarity
from seqmelody.tokens import PITCHES, TokenBatch

Scale = Literal["score", "percentile", "z-score"]
"""What a reward is: the score itself; the share of the training melodies that score lower, 0 to 1;
or the score in standard deviations of theirs from their mean."""

_NOTES_AT_ONCE = 65_536
"""Padding counted: so memory does not grow with the batch."""


class MelodyReward:
    """Rewards for batches of token streams: a plain callable, never trained, always the same.

    It is no ``torch.nn.Module``: whatever module holds it neither trains it, nor moves it, nor saves
    it. A melody's reward does not depend on the others in the batch, nor on what stands on padding.

    Args:
        checkpoint: The model, its tokenizer, and what its scores mean.
        device: Where the model runs; batches may come from any device.
        scale: What a reward is; see ``Scale``. A percentile does not tell apart melodies that score
            above all training melodies, or below them.
        penalty: Taken off the reward of a melody that is unlike the training melodies: once for
            being so, and again for each unit of ``unfamiliarity``, so that the way back is uphill.
            With percentiles, 1 puts every such melody below all others.

    Raises:
        UsageError: There is no such device or scale, or the penalty is no number from 0 on.
        CheckpointError: The checkpoint lacks what ``scale`` or ``penalty`` need.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        device: str | torch.device = "cpu",
        scale: Scale = "score",
        penalty: float = 0.0,
    ) -> None:
        if scale not in get_args(Scale):
            raise UsageError(f"scale must be one of {', '.join(get_args(Scale))}, not {scale!r}")
        if not 0 <= penalty < float("inf"):
            raise UsageError(f"the penalty must be a number from 0 on, not {penalty}")
        if scale != "score" and checkpoint.score_quantiles.size < 2:
            raise CheckpointError(
                f"{checkpoint.name}: does not know how training melodies score; "
                "use a released checkpoint folder, or scale='score'"
            )
        if penalty and not checkpoint.statistic_ranges:
            raise CheckpointError(
                f"{checkpoint.name}: does not know what training melodies are like; "
                "use a released checkpoint folder, or penalty=0"
            )
        try:
            self.device = torch.device(device)
            self._model = checkpoint.model.to(self.device).eval()
        except (RuntimeError, AssertionError) as error:
            reason = str(error).splitlines()[0]
            raise UsageError(f"device {str(device)!r} cannot be used: {reason}") from error
        checkpoint.require_scores()
        self.checkpoint = checkpoint
        self.scale: Scale = scale
        self.penalty = penalty
        self._familiarity = Familiarity(checkpoint.statistic_ranges)
        quantiles = checkpoint.score_quantiles.astype(np.float64)
        # Evenly spaced quantiles have the mean and the spread of what they were taken from.
        self._mean = float(quantiles.mean()) if quantiles.size else 0.0
        self._sd = max(float(quantiles.std()), 1e-6) if quantiles.size else 1.0

    @classmethod
    def load(
        cls,
        checkpoint: str | os.PathLike[str] | None = None,
        *,
        device: str | torch.device = "cpu",
        scale: Scale = "score",
        penalty: float = 0.0,
    ) -> MelodyReward:
        """A reward with a checkpoint from disk.

        Args:
            checkpoint: A checkpoint folder or a ``.ckpt`` file, or the name of one that ships with
                the package; by default ``melodic``.
            device: As for the class.
            scale: As for the class.
            penalty: As for the class.

        Raises:
            CheckpointError: It cannot be read, or as for the class.
            UsageError: As for the class.
        """
        path = default_checkpoint() if checkpoint is None else find_checkpoint(checkpoint)
        return cls(load_checkpoint(path), device=device, scale=scale, penalty=penalty)

    @torch.no_grad()
    def __call__(
        self, pitch_BL: Tensor, duration_BL: Tensor, rest_BL: Tensor, length_B: Tensor
    ) -> Tensor:
        """The rewards, ``(B,)`` float32, without a gradient, on the device of ``length_B``.

        Args:
            pitch_BL: MIDI keys, of any integer type, as are the others.
            duration_BL: In steps of 1/24 quarter note, 1 or more; above the tokenizer's cap, they
                count as the cap.
            rest_BL: Steps of silence after each note, likewise; after the last note they do not
                count.
            length_B: Notes of each melody, 1 to L; what stands beyond does not count.

        Raises:
            UsageError: A shape, a type or a value is not as said.
        """
        batch = self._batch(pitch_BL, duration_BL, rest_BL, length_B)
        # Tensors made in inference mode could not be part of the caller's loss.
        reward_B = torch.zeros(len(batch), dtype=torch.float32, device=self.device)
        rows = max(1, _NOTES_AT_ONCE // max(1, batch.pitch_BL.shape[1]))
        with torch.autocast(self.device.type, enabled=False):
            for start in range(0, len(batch), rows):
                part = batch[start : start + rows]
                reward_B[start : start + rows] = self._model(part).score_B
        reward_B = self._scaled(reward_B)
        if self.penalty:
            far_B = self._unfamiliarity(batch)
            reward_B -= self.penalty * ((far_B > 0).float() + far_B)
        return reward_B.to(length_B.device)

    def unfamiliarity(
        self, pitch_BL: Tensor, duration_BL: Tensor, rest_BL: Tensor, length_B: Tensor
    ) -> Tensor:
        """How far melodies are outside of what the training melodies are like, ``(B,)`` float32.

        0 for most melodies; else the distance from the range of the statistic that is furthest
        outside its own, in widths of that range. All 0 where the checkpoint knows no ranges.

        Args:
            pitch_BL: As for a reward; as are the others.
            duration_BL: Likewise.
            rest_BL: Likewise.
            length_B: Likewise.

        Raises:
            UsageError: As for a reward.
        """
        batch = self._batch(pitch_BL, duration_BL, rest_BL, length_B)
        return self._unfamiliarity(batch).to(length_B.device)

    def _unfamiliarity(self, batch: Batch) -> Tensor:
        host = batch.to("cpu")
        mask_BL = host.mask_BL
        tokens = TokenBatch(
            pitch=host.pitch_BL[mask_BL].numpy().astype(np.uint8),
            duration=host.duration_BL[mask_BL].numpy().astype(np.uint16),
            rest=host.rest_BL[mask_BL].numpy().astype(np.uint16),
            offsets=np.concatenate([[0], host.length_B.numpy().cumsum()]).astype(np.int64),
            clipped_durations=np.zeros(len(host), dtype=np.int64),
            clipped_rests=np.zeros(len(host), dtype=np.int64),
        )
        return torch.from_numpy(self._familiarity.distance(tokens)).float().to(self.device)

    def _scaled(self, score_B: Tensor) -> Tensor:
        if self.scale == "z-score":
            return (score_B - self._mean) / self._sd
        if self.scale == "percentile":
            percentile_B = self.checkpoint.percentile(score_B.cpu().numpy())
            assert percentile_B is not None  # checked at the beginning
            return torch.from_numpy(percentile_B / 100).float().to(self.device)
        return score_B

    def _batch(
        self, pitch_BL: Tensor, duration_BL: Tensor, rest_BL: Tensor, length_B: Tensor
    ) -> Batch:
        """The streams as the model reads them: checked, capped, and zero on padding."""
        streams = {"pitch_BL": pitch_BL, "duration_BL": duration_BL, "rest_BL": rest_BL}
        for name, tensor in {**streams, "length_B": length_B}.items():
            kind = getattr(tensor, "dtype", type(tensor).__name__)
            if not isinstance(tensor, Tensor) or tensor.is_floating_point() or tensor.is_complex():
                raise UsageError(f"{name} must be a tensor of whole numbers, not {kind}")
        shape = tuple(pitch_BL.shape)
        if length_B.ndim != 1 or any(
            tensor.ndim != 2 or tuple(tensor.shape) != (length_B.shape[0], *shape[1:])
            for tensor in streams.values()
        ):
            shapes = ", ".join(
                f"{name} {tuple(tensor.shape)}"
                for name, tensor in {**streams, "length_B": length_B}.items()
            )
            raise UsageError(f"the streams must be (B, L) and the lengths (B,), not {shapes}")
        length_B = length_B.to(self.device, torch.int64)
        _require("length_B", length_B[:, None], 1, shape[1])
        longest = int(length_B.max()) if length_B.numel() else 0
        batch = Batch(
            pitch_BL[:, :longest].to(self.device, torch.int64),
            duration_BL[:, :longest].to(self.device, torch.int64),
            rest_BL[:, :longest].to(self.device, torch.int64),
            length_B,
        )
        mask_BL = batch.mask_BL
        _require("pitch_BL", batch.pitch_BL, 0, PITCHES - 1, mask_BL)
        _require("duration_BL", batch.duration_BL, 1, None, mask_BL)
        _require("rest_BL", batch.rest_BL, 0, None, mask_BL)
        tokenizer = self.checkpoint.tokenizer
        sounds_on_BL = torch.arange(longest, device=self.device) < length_B[:, None] - 1
        return Batch(
            batch.pitch_BL * mask_BL,
            batch.duration_BL.clamp(max=tokenizer.max_duration_steps) * mask_BL,
            batch.rest_BL.clamp(max=tokenizer.max_rest_steps) * sounds_on_BL,
            length_B,
        )


def _require(
    name: str, value_BL: Tensor, low: int, high: int | None, mask_BL: Tensor | None = None
) -> None:
    """Raises unless all values under the mask lie within the bounds; names the first that does not.

    Raises:
        UsageError: One does not.
    """
    wrong_BL = value_BL < low
    if high is not None:
        wrong_BL |= value_BL > high
    if mask_BL is not None:
        wrong_BL &= mask_BL
    if wrong_BL.any():
        row, note = wrong_BL.nonzero()[0].tolist()
        place = f"row {row}" if name == "length_B" else f"row {row}, note {note}"
        allowed = f"{low} or more" if high is None else f"from {low} to {high}"
        raise UsageError(f"{name} must be {allowed}, but is {int(value_BL[row, note])} ({place})")
