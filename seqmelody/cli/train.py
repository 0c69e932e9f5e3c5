"""``seqmelody train``: a run from a YAML file, every setting of which an option overrides."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Any

from seqmelody.errors import UsageError

if TYPE_CHECKING:
    from seqmelody.config import TrainConfig

HELP = "train a model on a corpus"
DESCRIPTION = """\
Trains a model on a corpus that 'seqmelody prepare' made.

  seqmelody train --config configs/quick.yaml
  seqmelody train --config configs/quick.yaml --steps 2000 --model.hidden_size 64
  seqmelody train --config configs/quick.yaml --resume     # after an interrupt
  seqmelody train --config configs/rated.yaml            # learns from people's ratings as well

--rating.help, --preference.help and --catchy.help tell how to learn from people. With --corpus the card
says what --card.data and --card.licence say of it, and nothing that the file says of its own corpus.

Watch a run with 'tensorboard --logdir runs'. The run folder (out) ends up with the released
checkpoint in checkpoint/, which 'seqmelody score --checkpoint' takes."""


def build_parser() -> Any:
    """The parser: a ``jsonargparse.ArgumentParser`` of the fields of ``TrainConfig``."""
    import argparse

    import jsonargparse

    from seqmelody.config import TrainConfig

    # The text under each field is its help.
    jsonargparse.set_parsing_settings(docstring_parse_attribute_docstrings=True)

    class Formatter(argparse.RawDescriptionHelpFormatter, jsonargparse.DefaultHelpFormatter):
        pass

    parser = jsonargparse.ArgumentParser(
        prog="seqmelody train",
        description=DESCRIPTION,
        formatter_class=Formatter,
        # An error is one line, as with every other command, and not the usage of forty options.
        exit_on_error=False,
    )
    parser.add_argument("--config", action="config", help="YAML file of settings")
    parser.add_argument(
        "--resume", action="store_true", help="go on from where the run in OUT was interrupted"
    )
    parser.add_class_arguments(TrainConfig, as_group=True)
    return parser


def parse(argv: list[str]) -> tuple[TrainConfig, bool]:
    """The configuration that the arguments ask for, and whether to resume.

    Raises:
        UsageError: An unknown or missing setting, a value of the wrong type or out of range, or a
            YAML file that cannot be read.
    """
    try:
        return _parse(argv)
    except UsageError as error:
        # jsonargparse does not name the file in every error: is one of them at fault by itself?
        for file in _config_files(argv):
            fault = _fault(file)
            if fault is not None and file not in str(error):
                raise UsageError(f"{file}: {fault}") from error
        raise


def _parse(argv: list[str]) -> tuple[TrainConfig, bool]:
    import argparse
    import dataclasses

    from seqmelody.config import CardConfig, TrainConfig

    parser = build_parser()
    try:
        argv = _files_first(argv)
        settings = parser.instantiate(parser.parse_args(argv)).as_dict()
        settings.pop("config")
        resume = bool(settings.pop("resume"))
        config = TrainConfig(**settings)
    except TypeError as error:
        # Only where a group is given one value does jsonargparse let this through.
        raise UsageError(
            "model, contrast, optimizer, card: a table of settings each; see seqmelody train --help"
        ) from error
    except (argparse.ArgumentError, ValueError) as error:
        raise UsageError(f"{_reason(error)}; see seqmelody train --help") from error
    if _gives(argv, "corpus") and not _gives(argv, "card"):
        # What a file says of its own corpus is not true of another.
        config = dataclasses.replace(config, card=CardConfig())
    return config, resume


def _gives(argv: list[str], setting: str) -> bool:
    """Whether an option gives a setting, or one of its group."""
    return any(re.match(rf"--{setting}(\.\w+)?(=|$)", argument) for argument in argv)


def _files_first(argv: list[str]) -> list[str]:
    """The arguments in such an order that options override files wherever they stand.

    Otherwise a file would override the options before it.
    """
    files, options = [], []
    left = iter(argv)
    for argument in left:
        if argument == "--config":
            files += [argument, *islice(left, 1)]
        elif argument.startswith("--config="):
            files.append(argument)
        else:
            options.append(argument)
    return files + options


def _reason(error: Exception) -> str:
    """What an error says; of a table that may also be absent, what is wrong with the table."""
    text = str(error)
    found = re.search(
        r'(?:Parser key "(\w+)":)?\s*Does not validate .*?Errors:\s+- (.*?)\n\s+- ', text, re.DOTALL
    )
    if found is None:
        return text
    key, reason = found.groups()
    reason = re.sub(r"Problem with given class_path '[^']*':\s*", "", reason)
    if "import path" in reason:
        reason = "a table of settings"
    return f"{key}: {reason}" if key else reason


def _config_files(argv: list[str]) -> list[str]:
    import argparse

    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    finder.add_argument("--config", action="append", default=[])
    try:
        files: list[str] = finder.parse_known_args(argv)[0].config
    except argparse.ArgumentError:  # a --config without a file
        return []
    return files


def _fault(config_file: str) -> UsageError | None:
    """What is wrong with a file of settings, whatever the other arguments are."""
    try:
        _parse(["--config", config_file, "--corpus", "any", "--out", "any"])
    except UsageError as error:
        return error
    return None


def run_raw(argv: list[str]) -> int:
    """Runs the command on its unparsed arguments."""
    import os
    import signal
    import sys

    if int(os.environ.get("LOCAL_RANK", "0")) > 0:
        # One of several processes of a run: the first one ends them all, and were this one to end
        # before, Lightning would kill the first. Once training, all listen again.
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    config, resume = parse(argv)

    from seqmelody.training.run import train

    released = train(config, resume=resume, progress=sys.stderr.isatty())
    if released is None:
        print(f"interrupted; go on with the same command and --resume ({config.out})")
        return 130
    print(f"checkpoint: {released}")
    return 0
