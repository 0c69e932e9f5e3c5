from __future__ import annotations

import importlib
import os
import shlex
import subprocess
import sys
import types

import pytest

import seqmelody
from seqmelody import cli
from seqmelody.errors import CheckpointError, InputError, UsageError

HEAVY = ("torch", "lightning", "pyarrow", "numpy", "pandas", "matplotlib", "symusic")


def seqmelody_process(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "seqmelody", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,
    )


@pytest.fixture
def command(monkeypatch):
    """Puts a command named ``try`` in place, which does what the test says."""

    def put(run, *, raw=False):
        module = types.ModuleType("seqmelody.cli.stand_in")
        module.HELP = "one line of help"
        module.DESCRIPTION = "What it does.\n\n  seqmelody try 1"
        if raw:
            module.run_raw = run
        else:
            module.add_arguments = lambda parser: parser.add_argument("number", type=int)
            module.run = run
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setitem(cli.COMMANDS, "try", module.__name__)

    return put


def raising(error):
    def run(args):
        raise error

    return run


@pytest.mark.parametrize("name", [None, *cli.COMMANDS])
def test_help_comes_without_heavy_imports(name):
    asked = [name, "--help"] if name else ["--help"]
    program = (
        "import sys; from seqmelody.cli import main\n"
        f"try: main({asked!r})\n"
        "except SystemExit as end: print('exit', end.code)\n"
        f"print('heavy', sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr == ""
    assert done.stdout.endswith("exit 0\nheavy []\n")
    assert f"usage: seqmelody {name or ''}".rstrip() in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], 2),
        (["scores"], 2),
        (["score"], 2),
        (["score", "a.mid", "--threads", "none"], 2),
        (["score", "a.mid", "--threads", "0"], 2),
        (["score", "a.mid", "--line", "tenor"], 2),
        (["score", "a.mid", "--checkpoint", "nowhere"], 3),
        (["rank", "a.mid", "--top", "0"], 2),
        (["rank", "a.mid", "--line", "tenor"], 2),
        (["rank", "a.mid", "--checkpoint", "nowhere"], 3),
        (["embed", "a.mid"], 2),
        (["embed", "a.mid", "--out", "."], 2),
        (["embed", "a.mid", "--out", "a.parquet", "--threads", "-1"], 2),
        (["evaluate", "nowhere"], 2),
        (["evaluate", "nowhere", "nowhere", "--copies", "0"], 2),
        (["train", "--nonsense"], 2),
        (["train", "--config", "nowhere.yaml"], 2),
        (["train", "--corpus", "a", "--out", "b", "--steps", "0"], 2),
        (["prepare"], 2),
        (["prepare", "a.mid", "--out", "b", "--workers", "none"], 2),
        (["prepare", "a.mid", "--out", "b", "--line", "tenor"], 2),
        (["corpus"], 2),
        (["corpus", "essen"], 2),
    ],
    ids=str,
)
def test_wrong_usage_is_told_without_torch(arguments, code, tmp_path):
    program = (
        "import sys; from seqmelody.cli import main\n"
        f"try: print('exit', main({arguments!r}))\n"
        "except SystemExit as end: print('exit', end.code)\n"
        "print('heavy', sorted({'torch', 'lightning', 'pyarrow', 'matplotlib'} & set(sys.modules)))"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=tmp_path,
        env=environment,
    )
    assert done.stdout.endswith(f"exit {code}\nheavy []\n")
    assert done.stderr


def test_help_lists_every_command_with_one_line(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["--help"])
    assert end.value.code == 0
    listing = capsys.readouterr().out.split("commands:")[1]
    for name, path in cli.COMMANDS.items():
        assert f"  {name:<8}  {importlib.import_module(path).HELP}\n" in listing


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_help_teaches_with_an_example(name, capsys):
    with pytest.raises(SystemExit):
        cli.main([name, "--help"])
    assert f"  seqmelody {name} " in capsys.readouterr().out


def test_no_arguments_show_the_help_on_stderr(capsys):
    assert cli.main([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("usage: seqmelody ")
    assert all(f"\n  {name} " in err for name in cli.COMMANDS)


def test_version(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"{seqmelody.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["scores"], "invalid choice: 'scores'"),
        (["--verbose"], "required: COMMAND\n"),
        (["score"], "required: PATH"),
        (["score", "a.mid", "--format", "xml"], "invalid choice: 'xml'"),
        (["score", "a.mid", "--check", "x"], "unrecognized arguments: --check x"),
        (["try", "one"], "invalid int value: 'one'"),
    ],
)
def test_wrong_usage_exits_2(arguments, message, command, capsys):
    command(raising(KeyboardInterrupt()))
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    assert end.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("a.mid", "not a MIDI file"), 1, "a.mid: not a MIDI file"),
        (UsageError("no such\nthing"), 2, "no such thing"),
        (CheckpointError("c: cut short"), 3, "c: cut short"),
        (PermissionError(13, "Permission denied", "x.csv"), 1, "x.csv: Permission denied"),
        (OSError(28, "No space left on device"), 1, "No space left on device"),
    ],
)
def test_errors_are_one_line_and_an_exit_code(error, code, line, command, capsys):
    command(raising(error))
    assert cli.main(["try", "1"]) == code
    assert capsys.readouterr().err == f"seqmelody: error: {line}\n"


@pytest.mark.parametrize("arguments", [["--debug", "try", "1"], ["try", "1", "--debug"]])
@pytest.mark.parametrize("raw", [False, True])
def test_debug_adds_the_traceback(arguments, raw, command, capsys):
    command(raising(UsageError("wrong")), raw=raw)
    assert cli.main(arguments) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("Traceback (most recent call last):")
    assert shown.endswith("\nseqmelody: error: wrong\n")


@pytest.mark.parametrize("error", [ValueError("a defect"), OSError("a defect")])
def test_a_defect_keeps_its_traceback(error, command):
    command(raising(error))
    with pytest.raises(type(error), match="a defect"):
        cli.main(["try", "1"])


def test_interrupt_is_one_line(command, capsys):
    command(raising(KeyboardInterrupt()))
    assert cli.main(["try", "1"]) == 130
    assert capsys.readouterr().err == "seqmelody: interrupted\n"


def test_the_commands_exit_code_is_the_programs(command):
    command(lambda args: args.number)
    assert cli.main(["try", "1"]) == 1
    assert cli.main(["try", "0"]) == 0


def test_a_raw_command_gets_all_that_follows_its_name(command):
    seen = []
    command(lambda argv: seen.extend(argv) or 0, raw=True)
    assert cli.main(["try", "--help", "--a.b", "1", "--", "-x"]) == 0
    assert seen == ["--help", "--a.b", "1", "--", "-x"]


def test_a_closed_pipe_is_quiet():
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, types; from seqmelody import cli\n"
            "module = types.ModuleType('stand_in'); sys.modules['stand_in'] = module\n"
            "module.run_raw = lambda argv: print('x' * 100_000) or 0\n"
            "cli.COMMANDS['try'] = 'stand_in'\n"
            "sys.exit(cli.main(['try']))",
        ],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_runs_as_a_module():
    done = seqmelody_process("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{seqmelody.__version__}\n", "")


def test_importing_the_package_imports_nothing_heavy():
    program = f"import sys, seqmelody; print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("name", seqmelody.__all__)
def test_every_public_name_is_there(name):
    assert getattr(seqmelody, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Scores'"):
        seqmelody.Scores  # noqa: B018


@pytest.mark.skipif(sys.platform == "win32", reason="closes a stream by the shell")
def test_without_an_output_work_is_done_all_the_same(tune_folder, checkpoint_folder, tmp_path):
    words = ["embed", str(tune_folder), "--out", str(tmp_path / "x.parquet")]
    words += ["--checkpoint", str(checkpoint_folder)]
    command = shlex.join([sys.executable, "-m", "seqmelody", *words])
    done = subprocess.run(
        ["/bin/sh", "-c", f"{command} >&-"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "x.parquet").exists()
