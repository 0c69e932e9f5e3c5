from __future__ import annotations

import importlib
import re
import shlex
import shutil
from pathlib import Path

import pytest

from seqmelody import cli
from seqmelody.cli import train

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CI = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
INSTALL = "pip install -c constraints.txt -e '.[dev]'"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def shell_commands() -> list[str]:
    """Each command of the README's shell blocks, without comments and redirections."""
    text = "\n".join(blocks("bash")).replace("\\\n", " ").replace("&&\n", "&& ")
    lines = [re.sub(r"\s+#.*|\s+>.*", "", line) for line in text.splitlines()]
    return [part.strip() for line in lines for part in line.split("&&") if part.strip()]


COMMANDS = shell_commands()
CONFIGS = sorted(
    set((ROOT / "configs").glob("*.yaml")) - set((ROOT / "configs").glob("evaluation*.yaml"))
)


def test_the_readme_shows_every_command():
    shown = {shlex.split(command)[1] for command in COMMANDS if command.startswith("seqmelody ")}
    assert shown >= set(cli.COMMANDS)


@pytest.mark.parametrize("command", [line for line in COMMANDS if line.startswith("seqmelody ")])
def test_every_command_of_the_readme_parses(command, monkeypatch):
    monkeypatch.chdir(ROOT)  # a --config is read where it is named
    _, name, *arguments = shlex.split(command)
    if hasattr(importlib.import_module(cli.COMMANDS[name]), "run_raw"):
        parser = importlib.import_module(cli.COMMANDS[name]).build_parser()
    else:
        parser = cli.command_parser(name)
    parser.parse_args(arguments)


def test_the_first_ten_lines_score_one_file_and_compare_two():
    top = "\n".join(README.splitlines()[:10])
    assert "seqmelody score tune.mid" in top
    assert "similarity('a.mid', 'b.mid')" in top


@pytest.fixture
def two_tunes(tune_folder, tmp_path, monkeypatch, checkpoint_folder):
    """A folder with ``a.mid`` and ``b.mid`` as working directory, and a checkpoint to use."""
    for name, tune in (("a.mid", "freude"), ("b.mid", "greensleeves")):
        shutil.copy(tune_folder / f"{tune}.mid", tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("seqmelody.scorer.scorer.default_checkpoint", lambda: checkpoint_folder)


@pytest.mark.parametrize("program", blocks("python"))
def test_the_python_of_the_readme_runs(program, two_tunes, capsys):
    exec(compile(program, "README.md", "exec"), {})  # noqa: S102 - the README is ours
    assert capsys.readouterr().out


def test_comparing_two_files_as_the_readme_does_prints_their_similarity(two_tunes, capsys):
    (line,) = (command for command in COMMANDS if command.startswith("python -c"))
    exec(shlex.split(line)[2], {})  # noqa: S102 - the README is ours
    assert -1 <= float(capsys.readouterr().out) <= 1


def test_continuous_integration_runs_the_readmes_two_commands():
    headings = re.findall(r"\$\(block '(.*?)'\)", CI)
    assert len(headings) == 2
    for heading in headings:
        after = README.split(f"\n{heading}\n")[1]
        block = after.split("```bash\n")[1].split("```")[0]
        # Each does all its own set-up, by the same line.
        assert block.startswith("python3 -m venv .venv && . .venv/bin/activate && ")
        assert INSTALL in block
    assert README.count(INSTALL) == 2
    assert "pip install" not in CI


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_shipped_configuration_parses(path):
    config, resume = train.parse(["--config", str(path)])
    assert (config.steps > 0, resume) == (True, False)


def test_what_the_readme_points_to_is_there():
    pointed = set(re.findall(r"\b(?:benchmarks|checkpoints|configs|docs)/[\w./-]*\w", README))
    assert pointed
    assert sorted(path for path in pointed if not (ROOT / path).exists()) == []
