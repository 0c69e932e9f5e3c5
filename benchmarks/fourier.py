"""What ``seqmelody fourier`` learns at each size, beside the published figures."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Literal

from benchmarks.harness import Setting, tell
from benchmarks.rows import Row

PUBLISHED = {
    8: 3.1e-6,
    16: 4.6e-6,
    32: 8.7e-6,
    64: 1.0e-5,
    128: 2.0e-5,
    256: 3.8e-5,
    512: 8.0e-5,
    1024: 5.7e-5,
}
"""RMSE of the entries of the DFT matrix, permutation learned (Dao, Gu, Eichhorn, Rudra & Ré, 2019)."""

GOAL = 1e-6
"""The same with bit reversal built in, to reach at every size."""

Kind = Literal["bit-reversal", "learned"]


def run(setting: Setting) -> Iterator[Row]:
    """Learns each size from several seeds, the permutation built in and then learned too."""
    import torch

    torch.set_num_threads(1)
    sizes = (8, 16) if setting.quick else tuple(PUBLISHED)
    for n in sizes:
        yield _row(n, "bit-reversal", 1 if setting.quick or n > 256 else 3, GOAL)
    for n in sizes:
        yield _row(n, "learned", 2 if setting.quick else _seeds(n), PUBLISHED[n])


def _seeds(n: int) -> int:
    if n <= 64:
        return 10
    return 3 if n <= 256 else 1


def _row(n: int, kind: Kind, seeds: int, goal: float) -> Row:
    from seqmelody.fourier import is_bit_reversal, learn_fourier, matrix_error

    results = [learn_fourier(n, permutation=kind, seed=seed) for seed in range(seeds)]
    errors = [matrix_error(each.transform) for each in results]
    found = sum(is_bit_reversal(each.transform.permutation()) for each in results)
    reached = sum(error <= goal for error in errors)
    restarts = [each.restarts for each in results]
    cpu = statistics.median(each.cpu_seconds for each in results)
    seconds = statistics.median(each.seconds for each in results)
    row = Row(
        "fourier",
        f"N = {n}, " + ("permutation learned" if kind == "learned" else "bit reversal built in"),
        f"RMSE {max(errors):.1e} at worst of {seeds}; {cpu:.1f} s of one core each "
        f"({seconds:.0f} s on the clock)"
        + (
            f"; bit reversal found by {found}, without restarts by {restarts.count(0)}"
            if kind == "learned"
            else ""
        ),
        f"published: {PUBLISHED[n]:.1e}",
        goal=f"{goal:.1e} or less" + (f": {reached} of {seeds}" if reached < seeds else ""),
        met=reached == seeds,
        figures={
            "rmse": errors,
            "bit_reversal_found": found,
            "restarts": restarts,
            "steps": [each.steps for each in results],
            "cpu_seconds": [each.cpu_seconds for each in results],
            "seconds": [each.seconds for each in results],
        },
    )
    tell(f"{row.what}: {row.ours}")
    return row
