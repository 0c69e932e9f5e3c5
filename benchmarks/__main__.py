"""Prints the figures that the README reports.

    python -m benchmarks                 # all of them, about five minutes on two cores
    python -m benchmarks prepare score   # some of them

Run it in a source checkout while nothing else keeps the cores busy. It gets the Essen folk songs
and prepares them in ``data/`` where they are not there yet. ``--json FILE`` writes the figures with
the machine and the versions.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from pathlib import Path

import torch
from tabulate import tabulate

import seqmelody
from benchmarks.figures import FIGURES, essen


def main() -> int:
    """Runs the chosen figures."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help=", ".join(FIGURES))
    parser.add_argument("--json", metavar="FILE", help="write the figures here as well")
    args = parser.parse_args()
    unknown = set(args.figures) - set(FIGURES)
    if unknown:
        parser.error(f"no figure {', '.join(sorted(unknown))}; there are {', '.join(FIGURES)}")

    midi, corpus = essen(Path("data"))
    rows = []
    for name in args.figures or FIGURES:
        print(f"{name} ...", file=sys.stderr, flush=True)
        rows += [(name, *row) for row in FIGURES[name](midi, corpus)]
    print(tabulate(rows, ["figure", "what", "value"], tablefmt="github", disable_numparse=True))
    machine = {
        "processor": _processor(),
        "cores": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "seqmelody": seqmelody.__version__,
    }
    print("\n" + ", ".join(f"{key} {value}" for key, value in machine.items()))
    if args.json:
        figures = [dict(zip(("figure", "what", "value"), row, strict=True)) for row in rows]
        Path(args.json).write_text(json.dumps({"machine": machine, "figures": figures}, indent=2))
    return 0


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


if __name__ == "__main__":
    sys.exit(main())
