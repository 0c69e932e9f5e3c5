"""Several processes share the work on each batch, and train as one process would.

Every process forms the same batch and draws the same spoiled copies, which is cheap, and scores its
share of them. The scores of all processes (a few hundred numbers) are then put together in each, so
that every process computes the very loss of the whole batch, comparisons across melodies included.
The size of a step, its loss and its gradient thus do not hinge on the number of processes; dropout
does, since each process draws its own.

Shapes: B melodies of the whole batch, S of them in the share of this process.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, distributed

from seqmelody.batching import Batch
from seqmelody.model import MelodyModel


@dataclass(frozen=True)
class Scores:
    """The scores of all melodies in a batch, whichever process scored them.

    Attributes:
        score_B: As the model gave them. Gradients flow into those of this process alone, and are
            so scaled that their mean over the processes is the gradient of the whole batch.
        embedding_BE: Likewise; ``None`` where they were not asked for.
    """

    score_B: Tensor
    embedding_BE: Tensor | None = None


def share_of(length_B: Tensor, rank: int, processes: int) -> Tensor:
    """The rows that a process scores, ``(S,)``: like numbers of rows, and of notes.

    Args:
        length_B: Notes of each melody, ``(B,)``.
        rank: Number of the process.
        processes: How many there are.
    """
    return length_B.argsort(stable=True)[rank::processes]


def shared_scores(model: MelodyModel, batch: Batch, *, embeddings: bool = False) -> Scores:
    """Scores a batch together with the other processes of the run, if there are any.

    Args:
        model: The same in all processes.
        batch: The same in all processes.
        embeddings: Whether the embeddings are wanted as well.
    """
    if not distributed.is_initialized() or distributed.get_world_size() == 1:
        output = model(batch)
        return Scores(output.score_B, output.embedding_BE if embeddings else None)
    processes = distributed.get_world_size()
    own_S = share_of(batch.length_B, distributed.get_rank(), processes)
    place_S = own_S
    if len(own_S) == 0:
        # Fewer melodies than processes. DistributedDataParallel waits for a gradient of each
        # process, so this one scores some melody, and puts the score where nobody looks.
        own_S, place_S = own_S.new_zeros(1), own_S.new_full((1,), len(batch))
    output = model(batch[own_S])
    if not embeddings:
        return Scores(_put_together(output.score_B, place_S, len(batch), processes))
    # In one exchange, the score in front.
    both_SE = torch.cat([output.score_B[:, None], output.embedding_BE], dim=1)
    both_BE = _put_together(both_SE, place_S, len(batch), processes)
    return Scores(both_BE[:, 0], both_BE[:, 1:])


def _put_together(own: Tensor, place_S: Tensor, rows: int, processes: int) -> Tensor:
    """What all processes found, in the order of the batch.

    Args:
        own: What this one found, ``(S, ...)``.
        place_S: Of which rows; the row after the last is nobody's.
        rows: Of the batch.
        processes: How many there are.
    """
    # All others' results arrive without their gradients, which stay with the process they belong to.
    whole = own.new_zeros(rows + 1, *own.shape[1:]).index_copy(0, place_S, own.detach())
    distributed.all_reduce(whole)
    # DistributedDataParallel takes the mean over processes where the sum is due. The value stays.
    own = own + (processes - 1) * (own - own.detach())
    return whole.index_copy(0, place_S, own)[:-1]
