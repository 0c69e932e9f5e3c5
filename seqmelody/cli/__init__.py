"""The command ``seqmelody``: finds the sub-command, runs it, turns errors into one line.

A command is a module of this package. It imports nothing heavy when it is itself imported (torch,
NumPy, PyArrow, Lightning belong inside its functions), so that help and usage errors come at once.
It has

* ``HELP``: one line for the list of commands,
* ``DESCRIPTION``: what the command does, with an example,
* ``add_arguments(parser)`` and ``run(args) -> int``, the exit code;
* or, when another library parses its arguments, ``run_raw(argv) -> int`` in place of these two:
  it gets all that follows the command's name, ``--help`` among it.
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import sys
import traceback
from collections.abc import Sequence
from types import ModuleType

import seqmelody
from seqmelody.cli.scoring import printable
from seqmelody.errors import SeqmelodyError, UsageError

COMMANDS = {
    "corpus": "seqmelody.cli.corpus",
    "prepare": "seqmelody.cli.prepare",
    "train": "seqmelody.cli.train",
    "evaluate": "seqmelody.cli.evaluate",
    "score": "seqmelody.cli.score",
    "rank": "seqmelody.cli.rank",
    "adapt": "seqmelody.cli.adapt",
    "embed": "seqmelody.cli.embed",
    "index": "seqmelody.cli.index",
    "search": "seqmelody.cli.search",
    "map": "seqmelody.cli.map",
    "render": "seqmelody.cli.render",
    "fourier": "seqmelody.cli.fourier",
}
"""The commands in the order of the work, each with its module."""

INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 + SIGINT."""

CLOSED_PIPE = 141
"""Exit code when whoever read our output has gone: 128 + SIGPIPE."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        argv: The arguments without the program's name; those of the process if not given.

    Returns:
        The exit code: 0 done; 1 some inputs failed; 2 wrong usage or configuration; 3 unreadable
        checkpoint or corpus.

    Raises:
        SystemExit: By ``argparse``, after ``--help`` (0) or wrong usage (2).
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # The name of a file may be no text in the terminal's encoding, or in any.
        sys.stdout.reconfigure(errors="backslashreplace")
    parser = _top_parser()
    words = sys.argv[1:] if argv is None else argv
    if not words:
        parser.print_help(sys.stderr)
        return UsageError.exit_code
    chosen = parser.parse_args(words)
    debug = chosen.debug or "--debug" in chosen.rest
    try:
        code = _run(chosen.command, [word for word in chosen.rest if word != "--debug"])
        # What is still buffered must meet a closed pipe here, not in the interpreter's exit.
        if sys.stdout is not None:  # closed before we began
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED_PIPE
    except KeyboardInterrupt:
        print("seqmelody: interrupted", file=sys.stderr)
        return INTERRUPTED
    except SeqmelodyError as error:
        return _report(error, str(error), error.exit_code, debug=debug)
    except OSError as error:
        if error.filename is None and error.strerror is None:
            raise
        where = "" if error.filename is None else f"{error.filename}: "
        return _report(error, f"{where}{error.strerror}", SeqmelodyError.exit_code, debug=debug)
    return code


def command_parser(name: str) -> argparse.ArgumentParser:
    """The parser of one command.

    Raises:
        UsageError: The command parses its arguments by itself.
    """
    module = importlib.import_module(COMMANDS[name])
    if hasattr(module, "run_raw"):
        raise UsageError(f"{name} parses its arguments by itself")
    parser = argparse.ArgumentParser(
        prog=f"seqmelody {name}",
        description=module.DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.add_arguments(parser)
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def _run(name: str, rest: list[str]) -> int:
    module = importlib.import_module(COMMANDS[name])
    if hasattr(module, "run_raw"):
        return int(module.run_raw(rest))
    return int(module.run(command_parser(name).parse_args(rest)))


def _report(error: BaseException, message: str, code: int, *, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    print(f"seqmelody: error: {printable(' '.join(message.split()))}", file=sys.stderr)
    return code


class _TopParser(argparse.ArgumentParser):
    """Lists the commands in its help; only then are all their modules imported."""

    def format_help(self) -> str:
        modules: dict[str, ModuleType] = {
            name: importlib.import_module(path) for name, path in COMMANDS.items()
        }
        # Not by 'map': that is the name of a command's module here.
        width = max(len(name) for name in modules)
        lines = [f"  {name:<{width}}  {module.HELP}" for name, module in modules.items()]
        self.epilog = "\n".join(
            ["commands:", *lines, "", "seqmelody COMMAND --help explains a command."]
        )
        return super().format_help()


def _top_parser() -> argparse.ArgumentParser:
    parser = _TopParser(
        prog="seqmelody",
        usage="seqmelody [--version] [--debug] COMMAND ...",
        description="How melodic is a melody? Scores, embeds and explains melodies in MIDI files, "
        "and trains the model that does so.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=seqmelody.__version__)
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.add_argument(
        "command", metavar="COMMAND", choices=list(COMMANDS), help="one of those below"
    )
    rest = parser.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    rest.required = False  # or a missing COMMAND is told as "COMMAND, rest"
    return parser
