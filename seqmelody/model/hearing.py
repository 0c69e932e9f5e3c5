"""A network that hears a melody: rendered as sound, read frame by frame, answered note by note.

Only the first vectors differ from those of the network that reads notes: a front end makes one for
each eighth of a second of sound, a sixteenth note at 120 quarters a minute. Convolutions, context
and head are the same.

Shapes: B melodies, L notes, F hidden states, D channels, S samples, E size of the melody's vector.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor, nn

from seqmelody.audio.synthesis import LONGEST_SECONDS, Synthesizer
from seqmelody.batching import Batch, bucket
from seqmelody.config import ModelConfig
from seqmelody.model.frames import RATE, STATE_HOP
from seqmelody.model.network import MelodyNetwork
from seqmelody.model.output import ModelOutput
from seqmelody.model.spectrogram import SpectrogramCNN
from seqmelody.model.waveform import WaveformFrames
from seqmelody.tokens import Tokenizer

SAMPLES_PER_STEP = 160
"""Of a step of the grid, at 120 quarters a minute."""
STATES_AT_ONCE = 4096
"""Hidden states, padding counted, whose sound is in memory at once."""

_Result = TypeVar("_Result")


class HearingNetwork(MelodyNetwork):
    """Scores and embeds melodies by their sound.

    Each batch is rendered as it comes, on the CPU and without gradients, a few minutes at a time:
    no sound is kept. The head gives each hidden state a weight and a value. A state belongs to the
    note that sounds at its middle or sounded last, and a note has the sum of its states' weights and
    the mean of their values, by those weights; so its share of the score is exact here as well. A
    note without a state of its own, as one shorter than a sixteenth may be, or one after the first
    minute, which is all that is heard, has weight 0.

    The score hinges on the key, the register and the tempo of 120 quarters a minute.

    Args:
        config: The parts and their sizes; the front end is none but ``notes``.
        tokenizer: Whose streams are rendered.

    Raises:
        SeqmelodyError: The extra ``audio`` is not installed.
    """

    def __init__(self, config: ModelConfig, tokenizer: Tokenizer) -> None:
        super().__init__(config, tokenizer)
        self._synthesizer = Synthesizer(rate=RATE)

    def _front_end(self, config: ModelConfig, tokenizer: Tokenizer) -> nn.Module:
        if config.front_end == "mel":
            return SpectrogramCNN(
                config.bands,
                config.filters,
                config.channels,
                config.dropout,
                config.feature_dropout,
            )
        return WaveformFrames(
            config.front_end, config.start, config.channels, config.feature_dropout
        )

    def forward(self, batch: Batch) -> ModelOutput:
        """Scores a batch. The other rows and the padding do not change a row's result."""

        def scored(piece: Batch) -> ModelOutput:
            hidden_FBD, mask_FB, note_BF = self._hear(piece)
            return _by_note(self.head(hidden_FBD, mask_FB), note_BF, piece.pitch_BL.shape[1])

        outputs, place_B = _in_pieces(batch, scored)
        return _joined(outputs, place_B)

    def vectors(self, batch: Batch) -> Tensor:
        """What the score is linear in, ``(B, E)``: the melodies' vectors, not at unit length."""

        def vector(piece: Batch) -> Tensor:
            hidden_FBD, mask_FB, _ = self._hear(piece)
            return self.head.vectors(hidden_FBD, mask_FB)

        vectors, place_B = _in_pieces(batch, vector)
        return torch.cat(vectors)[place_B]

    def with_note_vectors(self, batch: Batch) -> tuple[ModelOutput, Tensor]:
        """Scores a batch, and gives each note's vector: the weighted mean of its states' vectors.

        Returns:
            As for a network that reads notes.
        """

        def scored(piece: Batch) -> tuple[ModelOutput, Tensor]:
            hidden_FBD, mask_FB, note_BF = self._hear(piece)
            output = self.head(hidden_FBD, mask_FB)
            vector_BFE = self.head.note_vectors(hidden_FBD, mask_FB)
            notes = piece.pitch_BL.shape[1]
            return _by_note(output, note_BF, notes), _vectors_by_note(
                output.weight_BL, vector_BFE, note_BF, notes
            )

        results, place_B = _in_pieces(batch, scored)
        outputs, vectors = zip(*results, strict=True)
        return _joined(outputs, place_B), torch.cat(vectors)[place_B]

    def _hear(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """The hidden states, where there are any, and each one's note.

        Returns:
            ``(F, B, D)``, ``(F, B)`` and ``(B, F)``.
        """
        with torch.no_grad():
            sound = self._synthesizer(batch.to("cpu"))
            states_B = -(-sound.length_B // STATE_HOP)
            F = int(states_B.max())
            mask_BF = torch.arange(F) < states_B[:, None]
            S = F * STATE_HOP
            sample_BS = sound.sample_BS[:, :S]
            sample_BS = nn.functional.pad(sample_BS, (0, S - sample_BS.shape[1]))
            sample_BS = sample_BS * (torch.arange(S) < sound.length_B[:, None])
            # A note of the padding begins after every state.
            onset_BL = sound.onset_BL.masked_fill(~batch.mask_BL.to("cpu"), S)
            middle_F = torch.arange(F) * STATE_HOP + STATE_HOP // 2
            middle_BF = middle_F.expand(len(batch), F).contiguous()
            note_BF = (torch.searchsorted(onset_BL, middle_BF, right=True) - 1).clamp(min=0)
            device = batch.pitch_BL.device
            sample_BS, mask_BF, note_BF = (
                tensor.to(device) for tensor in (sample_BS, mask_BF, note_BF)
            )
        mask_FB = mask_BF.T.contiguous()
        return self._in_context(self.features(sample_BS, mask_BF), mask_FB), mask_FB, note_BF


def _in_pieces(batch: Batch, work: Callable[[Batch], _Result]) -> tuple[list[_Result], Tensor]:
    """Works on a batch a few rows at a time, those of like length together.

    Returns:
        The results, and where in them each row is, ``(B,)``.
    """
    step_B = ((batch.duration_BL + batch.rest_BL) * batch.mask_BL).sum(1)
    states_B = (step_B * SAMPLES_PER_STEP).clamp(max=LONGEST_SECONDS * RATE) // STATE_HOP + 1
    pieces = bucket(states_B.cpu().numpy(), STATES_AT_ONCE, window=len(batch))
    rows = [torch.from_numpy(piece).to(batch.length_B.device) for piece in pieces]
    return [work(batch[row]) for row in rows], torch.cat(rows).argsort()


def _joined(outputs: Sequence[ModelOutput], place_B: Tensor) -> ModelOutput:
    """The rows of several outputs, in the order of the places."""
    sds = [output.sd_B for output in outputs if output.sd_B is not None]
    return ModelOutput(
        score_B=torch.cat([output.score_B for output in outputs])[place_B],
        embedding_BE=torch.cat([output.embedding_BE for output in outputs])[place_B],
        weight_BL=torch.cat([output.weight_BL for output in outputs])[place_B],
        value_BL=torch.cat([output.value_BL for output in outputs])[place_B],
        sd_B=torch.cat(sds)[place_B] if sds else None,
    )


def _by_note(output: ModelOutput, note_BF: Tensor, notes: int) -> ModelOutput:
    """Puts weights and values of hidden states together by note.

    Args:
        output: Of the states.
        note_BF: The note of each state; of padding, which has weight 0, any.
        notes: L.
    """
    nothing_BL = output.weight_BL.new_zeros(len(note_BF), notes)
    weight_BL = nothing_BL.scatter_add(1, note_BF, output.weight_BL)
    share_BL = nothing_BL.scatter_add(1, note_BF, output.weight_BL * output.value_BL)
    value_BL = share_BL / weight_BL.clamp(min=torch.finfo(weight_BL.dtype).tiny)
    return replace(output, weight_BL=weight_BL, value_BL=value_BL)


def _vectors_by_note(weight_BF: Tensor, vector_BFE: Tensor, note_BF: Tensor, notes: int) -> Tensor:
    """The means of the states' vectors by note, ``(B, L, E)``; zeros where a note has no state."""
    weight_BL = weight_BF.new_zeros(len(note_BF), notes).scatter_add(1, note_BF, weight_BF)
    summed_BLE = vector_BFE.new_zeros(len(note_BF), notes, vector_BFE.shape[2]).scatter_add(
        1, note_BF[:, :, None].expand_as(vector_BFE), weight_BF[:, :, None] * vector_BFE
    )
    return summed_BLE / weight_BL.clamp(min=torch.finfo(weight_BL.dtype).tiny)[:, :, None]
