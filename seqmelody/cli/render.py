"""``seqmelody render``: MIDI files as WAV files."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from seqmelody.cli.scoring import Failures, printable
from seqmelody.errors import UsageError

if TYPE_CHECKING:
    from seqmelody.audio.files import RenderTask

HELP = "render MIDI files as WAV files"
DESCRIPTION = """\
Renders the melody of each MIDI file with a soundfont, as a WAV file (16 bits, one channel) of the
same name. Needs the extra 'audio': pip install 'seqmelody[audio]'.

  seqmelody render tune.mid --out audio
  seqmelody render songs/ more.zip --out audio --what file --rate 22050

By default the melody alone is rendered, since that is what scores and explanations speak of: to
hear what 'seqmelody score' has judged. It is played on the piano at the file's tempo, from its first
note on, all notes equally loud and without reverb, for a model knows no more of it. '--what file'
renders all tracks with their instruments, as a player would.

What a file cannot be rendered for is told in a line on standard error, and the exit code is then 1;
so is what was cut or made quieter. A file without notes, or that would be silent, gives no WAV file.
What would clip is made quieter until it does not. A second of audio takes about 1 MB of memory in
each process while it is rendered."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="MIDI file, folder (walked), or .zip or .tar archive of MIDI files",
    )
    parser.add_argument(
        "--out",
        required=True,
        type=Path,
        metavar="DIR",
        help="folder for the WAV files; what lies in subfolders of PATH lies in subfolders there",
    )
    parser.add_argument(
        "--what",
        choices=("melody", "file"),
        default="melody",
        help="the melody alone (default), or all that the file plays",
    )
    parser.add_argument(
        "--line",
        metavar="LINE",
        default="auto",
        help="which line of a file is its melody: auto (default; the track that looks most like "
        "one), skyline, track:NUMBER or name:TRACKNAME",
    )
    parser.add_argument(
        "--rate",
        type=int,
        default=44_100,
        metavar="HZ",
        help="samples a second (default: %(default)s)",
    )
    parser.add_argument(
        "--soundfont", metavar="SF2", help="soundfont (default: the one in pretty-midi)"
    )
    parser.add_argument(
        "--longest",
        type=float,
        default=600.0,
        metavar="SECONDS",
        help="cut what comes later (default: %(default)g)",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace files that exist; else they stay as they are",
    )
    parser.add_argument(
        "--workers", type=int, metavar="N", help="processes that render (default: one per core)"
    )


def run(args: argparse.Namespace) -> int:
    """Runs the command; 1 if some files could not be rendered."""
    from tqdm import tqdm

    from seqmelody.config import usable_cores
    from seqmelody.midi import MelodyLine

    line = MelodyLine.parse(args.line)
    workers = usable_cores() if args.workers is None else args.workers
    if workers < 1:
        raise UsageError(f"workers must be at least 1, not {workers}")
    if not 0 < args.longest < math.inf:
        raise UsageError(f"--longest must be a number of seconds above 0, not {args.longest}")
    if args.line != "auto" and args.what == "file":
        raise UsageError("--line says which melody to render, and goes with --what melody only")
    if args.out.exists() and not args.out.is_dir():
        raise UsageError(f"{args.out}: --out must name a folder, and this is a file")

    from seqmelody.audio.files import RenderSettings, render_files

    settings = RenderSettings(
        what=args.what,
        line=line,
        rate=args.rate,
        soundfont=args.soundfont,
        longest_seconds=args.longest,
        overwrite=args.overwrite,
    )
    failures = Failures()
    files, seconds = 0, 0.0
    rendered = render_files(_tasks(args.paths, args.out), settings, workers)
    for file in tqdm(rendered, unit=" files", disable=not sys.stderr.isatty()):
        for remark in file.remarks:
            tqdm.write(f"seqmelody: {printable(f'{file.name}: {remark}')}", file=sys.stderr)
        if file.error is not None:
            failures.tell(file.error)
        else:
            files += 1
            seconds += file.seconds
    print(f"{args.out}: {files:,} WAV files, {seconds:,.1f} seconds of audio")
    return failures.exit_code


def _tasks(paths: Sequence[str], out: Path) -> Iterator[RenderTask]:
    """The MIDI files, each with a WAV file of its own within ``out``."""
    from seqmelody.audio.files import RenderTask
    from seqmelody.cli.names import UniqueNames
    from seqmelody.corpus.reading import melody_id, rooted_sources

    names = UniqueNames()
    for found in rooted_sources(paths):
        # A member of an archive may be called '../../x', or 'C:\\x'.
        parts = melody_id(found.relative).replace("\\", "/").replace(":", "_").split("/")
        inner = PurePosixPath(*(part for part in parts if part not in ("", ".", ".."))).as_posix()
        # Some file systems do not tell upper from lower case.
        folded = inner.casefold()
        (unique,) = names.take([folded])
        yield RenderTask(found.source, out / f"{inner}{unique.removeprefix(folded)}.wav")
