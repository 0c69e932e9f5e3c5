"""How much of the Fourier transform did a network find that was given raw sound?

A checkpoint with the front end ``filterbank`` or ``butterfly`` has learned a complex filter for each
frequency of a Fourier transform. Each is compared with each row of the transform that it stands for,
window and all, by the absolute value of their correlation: 1 for the same filter at whatever phase.
(A row's conjugate counts as the row: of a real sound both have the same power.) A random start of
the same kind stands beside it, for among 257 rows some are alike by chance.

    seqmelody train --config configs/essen-filterbank.yaml
    python examples/learned_filters.py runs/essen-filterbank/checkpoint --out filters.png
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tabulate import tabulate
from torch import Tensor

from seqmelody.checkpoint import load_checkpoint
from seqmelody.errors import SeqmelodyError, UsageError
from seqmelody.model.frames import RATE
from seqmelody.model.waveform import FRAME, WaveformFrames

FOUND = 0.9
"""A row of the Fourier transform is found where some filter correlates so well with it."""


@dataclass(frozen=True)
class Basis:
    """How learned filters and the rows of the Fourier transform match.

    Attributes:
        correlation_KR: Of each filter (K) with each row (R), 0 to 1.
    """

    correlation_KR: Tensor

    @property
    def best_K(self) -> Tensor:
        """How well each filter is matched by the row that is most like it."""
        return self.correlation_KR.amax(1)

    @property
    def found(self) -> int:
        """How many rows some filter is like."""
        return int((self.correlation_KR.amax(0) > FOUND).sum())


def basis_of(filters: WaveformFrames) -> Basis:
    """Compares the filters of a front end with the Fourier transform's."""
    with torch.no_grad():
        learned_KN = _unit(filters.matrix())
        row_RN = _unit(WaveformFrames("stft", "exact", 1).matrix())
    return Basis(torch.maximum((learned_KN @ row_RN.mH).abs(), (learned_KN @ row_RN.mT).abs()))


def _unit(matrix_KN: Tensor) -> Tensor:
    return matrix_KN / torch.linalg.vector_norm(matrix_KN, dim=1, keepdim=True)


def bases(checkpoint: str | Path) -> dict[str, Basis]:
    """What a checkpoint learned, and a random start of the same kind.

    Raises:
        CheckpointError: It cannot be read.
        UsageError: It has learned no transform.
        SeqmelodyError: The extra ``audio`` is not installed.
    """
    model = load_checkpoint(checkpoint).model
    kind = model.config.front_end
    if kind not in {"filterbank", "butterfly"}:
        raise UsageError(
            f"{checkpoint}: its front end is {kind}, which learns no transform; give one trained "
            "with front_end filterbank or butterfly"
        )
    assert isinstance(model.features, WaveformFrames)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        start = WaveformFrames(kind, "random", 1)
    return {"learned": basis_of(model.features), "random": basis_of(start)}


def table(found: dict[str, Basis]) -> str:
    """The figures, as text."""
    rows = [
        (
            name,
            basis.best_K.mean().item(),
            basis.best_K.median().item(),
            basis.best_K.max().item(),
            f"{basis.found} of {basis.correlation_KR.shape[1]}",
        )
        for name, basis in found.items()
    ]
    heads = ("filters", "best match, mean", "median", "highest", f"rows found (above {FOUND})")
    return tabulate(rows, heads, floatfmt=".3f")


def draw(found: dict[str, Basis], path: str | Path) -> None:
    """Draws all correlations, and how well each row is matched."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    picture, curve = figure.subplots(1, 2)
    correlation_KR = found["learned"].correlation_KR
    # Filters have no order of their own.
    shown = picture.imshow(
        correlation_KR[correlation_KR.argmax(1).argsort()].numpy(),
        vmin=0,
        vmax=1,
        cmap="magma",
        aspect="auto",
        extent=(0, RATE / 2, len(correlation_KR), 0),
    )
    picture.set(
        xlabel="row of the Fourier transform, Hz",
        ylabel="learned filter, by its best row",
        title="absolute correlation",
    )
    figure.colorbar(shown, ax=picture)
    hertz_R = (torch.arange(correlation_KR.shape[1]) * RATE / FRAME).numpy()
    for name, basis in found.items():
        curve.plot(hertz_R, basis.correlation_KR.amax(0).numpy(), label=name)
    curve.axhline(FOUND, color="grey", linestyle="dotted", label="found")
    curve.set(xlabel="row of the Fourier transform, Hz", ylabel="best match", ylim=(0, 1.02))
    curve.legend()
    figure.savefig(path, dpi=150)


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the figures, and draws the picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", help="of a run with front_end filterbank or butterfly")
    parser.add_argument("--out", help="picture to draw, such as filters.png")
    args = parser.parse_args(argv)
    try:
        found = bases(args.checkpoint)
    except SeqmelodyError as error:
        parser.exit(error.exit_code, f"{parser.prog}: error: {error}\n")
    print(table(found))
    if args.out:
        draw(found, args.out)


if __name__ == "__main__":
    main()
