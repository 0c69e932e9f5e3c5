"""Training and inference on a CUDA device, where there is one."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.harness import Setting, Side, interleave
from benchmarks.rows import Row, compared
from benchmarks.training import HERE as TRAINING
from benchmarks.training import ours_side


def run(setting: Setting) -> Iterator[Row]:
    """Rows of ``gpu``."""
    import torch

    if not torch.cuda.is_available():
        yield Row("gpu", "training and inference on a GPU", "skipped: there is no CUDA device")
        return
    device = torch.cuda.get_device_name()
    common = {"corpus": str(setting.corpus), "device": "cuda"}
    for precision in ("32-true", "bf16-mixed"):
        ours = ours_side(setting, accelerator="gpu", devices=1, precision=precision, steps=100)
        plain = Side(f"{TRAINING}plain_loop", {**common, "steps": 100, "precision": precision})
        found = interleave({"ours": ours, "plain": plain}, setting.rounds)
        what = f"training, {precision}, {device}"
        against = "the plain PyTorch loop, same precision"
        yield compared("gpu", what, found["ours"], against, found["plain"], "notes/s")
    inference = "benchmarks.inference:"
    sides = {
        "ours": Side(f"{inference}scorer", common),
        "plain": Side(f"{inference}plain", {**common, "every": 1, "bucketed": False}),
    }
    found = interleave(sides, setting.rounds)
    what = f"inference, `Scorer.score` of a corpus, {device}"
    against = "the plain PyTorch loop, same device"
    yield compared("gpu", what, found["ours"], against, found["plain"], "notes/s")
