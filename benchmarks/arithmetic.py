"""The arithmetic limit: how much of what the cores can multiply, training and inference use.

A product of two square matrices on one core says what a core can do, in float32 and in bfloat16. The
model's operations are counted from its weights (``benchmarks.reference.flops_per_note``): two for each
weight of a convolution, a GRU and a linear layer, a note; three times that to train. The share is
what is used of all cores in float32.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks.harness import Ratio, Setting, Side, interleave
from benchmarks.inference import alone_side
from benchmarks.rows import Row
from benchmarks.side import Rounds
from benchmarks.training import ours_side

SIZE = 1024
LEAST_SECONDS = 0.5


def run(setting: Setting) -> Iterator[Row]:
    """Rows of ``arithmetic``."""
    from benchmarks.reference import PlainConvGRU, flops_per_note
    from seqmelody.config import ModelConfig
    from seqmelody.tokens import Tokenizer

    sides = {
        name: Side("benchmarks.arithmetic:product", {"kind": name}, threads=1)
        for name in ("float32", "bfloat16")
    }
    sides["training, `seqmelody train`"] = ours_side(setting)
    sides["inference, the model alone on ready batches"] = alone_side(setting)
    found = interleave(sides, max(2, setting.rounds - 2))
    for name in ("float32", "bfloat16"):
        yield Row(
            "arithmetic",
            f"matrix product, {name}, one core",
            f"{found[name].rate / 1e9:,.0f} GFLOP/s",
            figures={"ours": found[name].rates, "unit": "FLOP/s"},
        )
    forward = flops_per_note(PlainConvGRU(ModelConfig(), Tokenizer()))
    limit = [setting.cores * rate for rate in found["float32"].rates]
    for name, times in zip(list(sides)[2:], (3, 1), strict=True):
        used = [times * forward * rate for rate in found[name].rates]
        share = Ratio.of(used, limit)
        yield Row(
            "arithmetic",
            f"{name}, {times * forward / 1e6:.2f} MFLOP a note",
            f"{found[name].rate:,.0f} notes/s",
            f"limit of {setting.cores} cores in float32: "
            f"{limit[0] / (times * forward):,.0f} notes/s",
            str(share),
            figures={"ours": used, "against": limit, "unit": "FLOP/s"},
        )


def product(rounds: Rounds, kind: str) -> None:
    """Products of two matrices."""
    import torch

    a, b = (torch.randn(SIZE, SIZE).to(getattr(torch, kind)) for _ in range(2))
    out = a @ b
    while rounds.next():
        done, started = 0, time.perf_counter()
        # Where the processor has no instructions for bfloat16, a single product takes seconds.
        while time.perf_counter() - started < LEAST_SECONDS:
            torch.mm(a, b, out=out)
            done += 1
        rounds.report(done * 2 * SIZE**3, time.perf_counter() - started)
