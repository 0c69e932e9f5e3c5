"""``Synthesizer``: batches of melodies as sound, thousands of times faster than they last.

A melody on a sampled instrument is the sum of its notes. So each key is rendered once and kept
(``NoteBank``), and a melody is put together by adding notes where they begin. Rendering it as a whole
gives the same but for rounding, and for the renderer's clock, which begins notes up to 0.7 ms early
or late.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqmelody.audio.bank import HELD_STEPS, RING_STEPS, STEPS_PER_SECOND, NoteBank
from seqmelody.audio.rendering import Renderer
from seqmelody.batching import Batch
from seqmelody.cache import cache_folder
from seqmelody.errors import UsageError

LONGEST_SECONDS = 60
"""What comes later in a melody is left out."""


@dataclass(frozen=True)
class Waveforms:
    """The sound of a batch of melodies.

    Attributes:
        sample_BS: float32, within -1 to 1; zero where a melody has ended.
        length_B: Samples of each melody, int64: to the end of its last note and ``RING_STEPS`` more,
            at most ``LONGEST_SECONDS``.
        onset_BL: First sample of each note, int64; 0 on padding, and the melody's last sample for
            notes that begin too late to be heard.
    """

    sample_BS: Tensor
    length_B: Tensor
    onset_BL: Tensor


class Synthesizer:
    """Plays batches at 120 quarter notes a minute, all notes equally loud, without reverb.

    A grid step lasts 1/48 s. A note sounds at most ``HELD_STEPS`` (what follows keeps its place),
    rings on for ``RING_STEPS``, also into the notes after it, and a melody ends after
    ``LONGEST_SECONDS``: that bounds the memory of a call to 1.8 MB a melody at the default rate.

    The first use of a soundfont and rate takes some seconds, and 20 MB of the cache folder.

    Args:
        rate: Samples a second, a multiple of 48.
        soundfont: An ``.sf2`` file; by default the one that comes with pretty-midi.
        cache: Folder for the bank of notes; by default where downloads are kept, too
            (``$SEQMELODY_CACHE``, or the platform's folder for caches).

    Raises:
        UsageError: The extra is not installed.
        UsageError: The soundfont cannot be used, or the rate is no multiple of 48.
    """

    def __init__(
        self,
        *,
        rate: int = 7680,
        soundfont: str | Path | None = None,
        cache: str | Path | None = None,
    ) -> None:
        if rate < 1 or rate % STEPS_PER_SECOND:
            raise UsageError(
                f"the rate must be a multiple of {STEPS_PER_SECOND}, so that a grid step is a whole "
                f"number of samples, not {rate}"
            )
        self.rate = rate
        self.bank = NoteBank.load(
            Renderer(soundfont, rate=rate), cache_folder() if cache is None else Path(cache)
        )

    def __call__(self, batch: Batch) -> Waveforms:
        """The sound of a batch, on the device of the batch."""
        per_step = self.rate // STEPS_PER_SECOND
        duration_BL = batch.duration_BL.cpu().numpy()
        mask_BL = batch.mask_BL.cpu().numpy()
        steps_BL = (duration_BL + batch.rest_BL.cpu().numpy()) * mask_BL
        onset_BL = np.cumsum(steps_BL, axis=1) - steps_BL
        end_B = ((onset_BL + duration_BL) * mask_BL).max(axis=1, initial=0) + RING_STEPS
        length_B = np.minimum(end_B, LONGEST_SECONDS * STEPS_PER_SECOND) * per_step
        onset_BL = np.minimum(onset_BL * per_step, length_B[:, None] - 1) * mask_BL
        sample_BS = np.zeros((len(batch), int(length_B.max(initial=0))), dtype=np.float32)
        row_N, place_N = np.nonzero(mask_BL)
        self._add(
            sample_BS.reshape(-1),
            start_N=row_N * sample_BS.shape[1] + onset_BL[row_N, place_N],
            stop_N=row_N * sample_BS.shape[1] + length_B[row_N],
            key_N=batch.pitch_BL.cpu().numpy()[row_N, place_N],
            sounding_N=np.minimum(duration_BL[row_N, place_N], HELD_STEPS) * per_step,
        )
        device = batch.length_B.device
        return Waveforms(
            torch.from_numpy(sample_BS).to(device),
            torch.from_numpy(length_B).to(device),
            torch.from_numpy(onset_BL).to(device),
        )

    def _add(
        self,
        sample_S: NDArray[np.float32],
        *,
        start_N: NDArray[np.int64],
        stop_N: NDArray[np.int64],
        key_N: NDArray[np.int64],
        sounding_N: NDArray[np.int64],
    ) -> None:
        """Adds notes to melodies that lie end to end.

        Args:
            sample_S: The melodies.
            start_N: Where each note begins.
            stop_N: Where its melody ends.
            key_N: MIDI keys.
            sounding_N: Samples until each note is let go.
        """
        held_PS, release_PR = self.bank.held_PS, self.bank.release_PR
        ring = release_PR.shape[1]
        ringing_R = np.empty(ring, dtype=np.float32)
        columns = (start_N, stop_N, key_N, sounding_N)
        for start, stop, key, sounding in zip(*(c.tolist() for c in columns), strict=True):
            held_S = held_PS[key]
            released = start + sounding
            if released + ring <= stop:
                out_S = sample_S[start:released]
                np.add(out_S, held_S[:sounding], out=out_S)
                np.multiply(held_S[sounding : sounding + ring], release_PR[key], out=ringing_R)
                out_S = sample_S[released : released + ring]
                np.add(out_S, ringing_R, out=out_S)
            else:
                # The end of the melody cuts it off.
                sample_S[start:stop] += self.bank.note(key, sounding * RING_STEPS // ring)[
                    : stop - start
                ]
