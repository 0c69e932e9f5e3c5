"""Self-attention along a melody, as in a Transformer encoder, in memory that grows with its length.

Shapes: L notes, B melodies, D channels, H heads, E channels of a head; Q notes that attend, K notes
that they attend to.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

REACH = 512
"""A note attends to the notes no further away than this (sliding window; Beltagy et al., 2020)."""
PIECE = 1024
"""Notes of a longer melody that attend at once."""
SLOWEST = 10_000.0
"""Notes in which the slowest pair of channels turns by a radian (Su et al., 2021)."""


class EncoderBlock(nn.Module):
    """``x + attention(norm(x))``, then ``x + feed_forward(norm(x))`` (Xiong et al., 2020).

    Attention (Vaswani et al., 2017) is told how far one note stands from another, by rotary
    positions (Su et al., 2021), and never where it stands in the melody: so it takes melodies of
    any length. Dropout takes whole channels of a melody, as in ``ConvBlock``.

    Args:
        channels: D; an even number for each head.
        heads: H.
        width: Units of the feed-forward layer.
        dropout: Share of the channels dropped in training.
        reach: Notes that a note attends to on either side of itself.
    """

    def __init__(
        self, channels: int, heads: int, width: int, dropout: float, reach: int = REACH
    ) -> None:
        super().__init__()
        self.heads = heads
        self.reach = reach
        self.attention_norm = nn.LayerNorm(channels)
        self.attention_input = nn.Linear(channels, 3 * channels)
        self.attention_output = nn.Linear(channels, channels)
        self.norm = nn.LayerNorm(channels)
        self.feed_forward = nn.Sequential(
            nn.Linear(channels, width), nn.ReLU(), nn.Linear(width, channels)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden_LBD: Tensor, mask_LB: Tensor) -> Tensor:
        """Both residual steps, ``(L, B, D)`` to ``(L, B, D)``; padding means nothing.

        Args:
            hidden_LBD: What to read.
            mask_LB: True on notes; padding stands at the end.
        """
        L, B, D = hidden_LBD.shape
        # The same channels in every piece of a melody.
        kept_2BD = None
        if self.training and self.dropout.p > 0:
            kept_2BD = self.dropout(hidden_LBD.new_ones(2, B, D))
        if len(hidden_LBD) <= self.reach + 1:
            return self._advance(hidden_LBD, mask_LB, slice(0, L), kept_2BD)
        pieces = []
        for first in range(0, L, PIECE):
            last = min(L, first + PIECE)
            # What the notes of the piece can attend to.
            start, end = max(0, first - self.reach), min(L, last + self.reach)
            seen_KBD, mask_KB = hidden_LBD[start:end], mask_LB[start:end]
            piece = slice(first - start, last - start)
            pieces.append(self._advance(seen_KBD, mask_KB, piece, kept_2BD))
        return torch.cat(pieces)

    def _advance(
        self, seen_KBD: Tensor, mask_KB: Tensor, piece: slice, kept_2BD: Tensor | None
    ) -> Tensor:
        """The new states of the notes in a piece of what they see, ``(Q, B, D)``."""
        hidden_QBD = seen_KBD[piece]
        change_QBD = self._attend(self.attention_norm(seen_KBD), mask_KB, piece)
        hidden_QBD = _added(hidden_QBD, change_QBD, None if kept_2BD is None else kept_2BD[0])
        change_QBD = self.feed_forward(self.norm(hidden_QBD))
        return _added(hidden_QBD, change_QBD, None if kept_2BD is None else kept_2BD[1])

    def _attend(self, normed_KBD: Tensor, mask_KB: Tensor, piece: slice) -> Tensor:
        K, B, D = normed_KBD.shape
        parts_KB3HE = self.attention_input(normed_KBD).view(K, B, 3, self.heads, -1)
        query_BHKE, key_BHKE, value_BHKE = parts_KB3HE.permute(2, 1, 3, 0, 4)
        # Distances count, so the positions may begin anew in each piece.
        turns = _turns(K, D // self.heads, normed_KBD)
        out_BHQE = nn.functional.scaled_dot_product_attention(
            _rotated(query_BHKE, *turns)[:, :, piece],
            _rotated(key_BHKE, *turns),
            value_BHKE,
            attn_mask=self._visible(mask_KB, piece),
        )
        out_QBD: Tensor = self.attention_output(out_BHQE.permute(2, 0, 1, 3).flatten(2))
        return out_QBD

    def _visible(self, mask_KB: Tensor, piece: slice) -> Tensor:
        """Which notes attend to which, ``(B, 1, Q, K)`` or ``(B, 1, 1, K)``."""
        visible_B11K = mask_KB.T[:, None, None]
        if len(mask_KB) <= self.reach + 1:
            return visible_B11K
        place_K = torch.arange(len(mask_KB), device=mask_KB.device)
        distance_QK = (place_K[piece, None] - place_K).abs()
        # Padding that nothing could be seen from sees itself: an empty softmax has no value.
        return (visible_B11K & (distance_QK <= self.reach)) | (distance_QK == 0)


def _added(hidden_QBD: Tensor, change_QBD: Tensor, kept_BD: Tensor | None) -> Tensor:
    if kept_BD is None:
        return hidden_QBD + change_QBD
    return torch.addcmul(hidden_QBD, change_QBD, kept_BD.to(change_QBD.dtype))


def _turns(notes: int, channels: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine of each pair of channels at each place, ``(notes, channels / 2)``."""
    pair = torch.arange(channels // 2, device=like.device)
    angle = torch.arange(notes, device=like.device)[:, None] * SLOWEST ** (-2 * pair / channels)
    return angle.cos(), angle.sin()


def _rotated(channels_BHKE: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    one, other = channels_BHKE.float().chunk(2, dim=3)
    turned = torch.cat([one * cosine - other * sine, one * sine + other * cosine], dim=3)
    return turned.to(channels_BHKE.dtype)
