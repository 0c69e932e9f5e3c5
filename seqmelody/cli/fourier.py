"""``seqmelody fourier``: a butterfly network learns the discrete Fourier transform."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqmelody.cli.out import require_writable
from seqmelody.errors import UsageError

if TYPE_CHECKING:
    from seqmelody.fourier import Learned

HELP = "learn the fast Fourier transform from examples"
DESCRIPTION = """\
Trains log2(N) sparse butterfly factors to be the discrete Fourier transform, from pairs of a random
vector and its transform alone, and says how near they came. The permutation that goes before the
factors is bit reversal, built in, or is learned too: log2(N) - 1 stages that separate even from odd
places or do not. All is in double precision.

  seqmelody fourier --n 64
  seqmelody fourier --n 64 --permutation learned --seeds 10 --json learned.json
  seqmelody fourier --n 16 --permutation learned --plot learned.png

RMSE is the root mean square difference from the entries of the unitary DFT matrix, which have modulus
1/sqrt(N). A restart is a random start that was given up because the permutation it came to was not
fit. The exit code is 1 if a seed ends with an RMSE above 1e-6."""

GOAL = 1e-6
"""RMSE of the matrix entries from which on the transform counts as learned."""
_SMALLEST = 4
_LARGEST = 4096


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument(
        "--n",
        type=int,
        required=True,
        metavar="N",
        help=f"size of the transform: a power of two from {_SMALLEST} to {_LARGEST}",
    )
    parser.add_argument(
        "--permutation",
        choices=("bit-reversal", "learned"),
        default="bit-reversal",
        help="built in (the default), or learned with the factors",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of the random start and the examples (default 0)"
    )
    parser.add_argument(
        "--seeds", type=int, default=1, metavar="K", help="train K times, from --seed on"
    )
    parser.add_argument(
        "--threads",
        type=int,
        default=1,
        metavar="T",
        help="threads of PyTorch (default 1: a step is mostly too small to be shared)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there as well")
    parser.add_argument(
        "--plot",
        type=Path,
        metavar="FILE.png",
        help="draw the error by step, and the first seed's matrix",
    )


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    _check(args)

    import torch
    from tabulate import tabulate

    from seqmelody.fourier import measure_cost

    torch.set_num_threads(args.threads)
    results: list[Learned] = []
    figures: list[dict[str, Any]] = []
    for seed in range(args.seed, args.seed + args.seeds):
        results.append(_learn(args.n, args.permutation, seed))
        figures.append({"seed": seed, **_figures(results[-1])})
    cost = measure_cost(results[0].transform)
    print(tabulate([_row(each) for each in figures], headers="keys", disable_numparse=True))
    reached = sum(each["rmse"] <= GOAL for each in figures)
    free, all_entries = results[0].transform.blocks.numel() // 2, args.n**2
    print(f"\nRMSE of {GOAL:.0e} or less: {reached} of {args.seeds}")
    print(
        f"parameters: {free:,} complex numbers in the factors, {free / all_entries:.0%} of the "
        f"{all_entries:,} in the matrix"
        + (f"; {args.n.bit_length() - 2} stages" if args.permutation == "learned" else "")
    )
    print(
        f"time for {cost.vectors} vectors: {cost.butterfly * 1e3:.3g} ms; a dense product takes "
        f"{cost.dense / cost.butterfly:.3g} times that, torch.fft {cost.library / cost.butterfly:.3g} "
        "times (processor time, single precision)"
    )
    if args.json is not None:
        written = {
            "n": args.n,
            "permutation": args.permutation,
            "parameters": free,
            "entries": all_entries,
            "cost": dataclasses.asdict(cost),
            "runs": figures,
        }
        args.json.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    if args.plot is not None:
        _plot(args.plot, results, [each["seed"] for each in figures])
    return 0 if reached == args.seeds else 1


def _check(args: argparse.Namespace) -> None:
    """Tells what cannot be done before torch is loaded and an hour is spent.

    Raises:
        UsageError: It cannot.
    """
    if not _SMALLEST <= args.n <= _LARGEST or args.n & (args.n - 1):
        raise UsageError(f"--n must be a power of two from {_SMALLEST} to {_LARGEST}, not {args.n}")
    if args.seeds < 1:
        raise UsageError(f"--seeds must be at least 1, not {args.seeds}")
    if not 0 <= args.seed < 2**32:
        raise UsageError(f"--seed must lie in 0 to 2^32 - 1, not {args.seed}")
    if args.threads < 1:
        raise UsageError(f"--threads must be at least 1, not {args.threads}")
    if args.plot is not None and args.plot.suffix.lower() != ".png":
        raise UsageError(f"{args.plot}: the name of a plot must end in .png")
    for path in filter(None, (args.json, args.plot)):
        if path.is_dir() or not path.absolute().parent.is_dir():
            raise UsageError(f"{path}: cannot be written; give a file in a folder that exists")
        if not path.exists():
            require_writable(str(path))


def _learn(n: int, permutation: str, seed: int) -> Learned:
    from tqdm import tqdm

    from seqmelody.fourier import Progress, learn_fourier

    with tqdm(
        desc=f"seed {seed}", unit=" steps", leave=False, disable=not sys.stderr.isatty()
    ) as bar:

        def told(progress: Progress) -> None:
            if progress.step == 1:
                bar.reset(progress.steps)
            bar.set_postfix(attempt=progress.attempt, error=f"{progress.loss:.1e}", refresh=False)
            bar.update()

        kind: Any = permutation
        return learn_fourier(n, permutation=kind, seed=seed, on_step=told)


def _figures(learned: Learned) -> dict[str, Any]:
    """What is told of one training."""
    from seqmelody.fourier import is_bit_reversal, matrix_error

    return {
        "rmse": matrix_error(learned.transform),
        "bit_reversal": is_bit_reversal(learned.transform.permutation()),
        "restarts": learned.restarts,
        "steps": learned.steps,
        "seconds": learned.seconds,
        "cpu_seconds": learned.cpu_seconds,
    }


def _row(figures: dict[str, Any]) -> dict[str, str]:
    return {
        "seed": str(figures["seed"]),
        "RMSE": f"{figures['rmse']:.1e}",
        "bit reversal up to symmetries": "yes" if figures["bit_reversal"] else "no",
        "restarts": str(figures["restarts"]),
        "steps": str(figures["steps"]),
        "seconds": f"{figures['seconds']:.1f}",
        "of the processor": f"{figures['cpu_seconds']:.1f}",
    }


def _plot(path: Path, results: list[Learned], seeds: list[int]) -> None:
    """Error by step, the matrix learned by the first seed, and how far it is from the DFT."""
    import torch
    from matplotlib.figure import Figure

    transform = results[0].transform
    with torch.no_grad():
        matrix = transform.matrix()
    away = (matrix - torch.fft.fft(torch.eye(transform.n, dtype=matrix.dtype), norm="ortho")).abs()
    figure = Figure(figsize=(12, 3.8), layout="constrained")
    curve, entries, error = figure.subplots(1, 3)
    for seed, learned in zip(seeds, results, strict=True):
        curve.semilogy(learned.losses, linewidth=0.8, label=f"seed {seed}")
    curve.set(xlabel="step", title="squared error, share of the power")
    if len(seeds) <= 10:
        curve.legend(fontsize="small")
    figure.colorbar(entries.imshow(matrix.real.numpy(), cmap="RdBu"), ax=entries)
    entries.set(title=f"learned matrix, real part (seed {seeds[0]})")
    shown = error.imshow(away.clamp_min(1e-17).log10().numpy(), cmap="viridis")
    figure.colorbar(shown, ax=error)
    error.set(title="distance from the DFT, power of ten")
    figure.savefig(path, dpi=120)
