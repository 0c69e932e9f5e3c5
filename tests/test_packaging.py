from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
PINS = dict(
    re.findall(
        r"^([a-z0-9-]+)==(\S+)",
        (ROOT / "constraints.txt").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
)


def requirements() -> list[str]:
    """Names of what the project and its development need."""
    tables = re.findall(r"^(?:dependencies|dev) = \[\n(.*?)^\]", PROJECT, re.DOTALL | re.MULTILINE)
    return re.findall(r'^    "([A-Za-z0-9-]+)', "\n".join(tables), re.MULTILINE)


@pytest.mark.parametrize("name", requirements())
def test_everything_needed_has_a_tested_pin(name):
    assert name in PINS


def test_pins_fit_every_kind_of_machine():
    # A local version such as 2.13.0+cpu exists on one index only.
    assert PINS["torch"] == "2.13.0"
    assert [name for name, version in PINS.items() if "+" in version] == []


@pytest.mark.slow
def test_the_wheel_carries_the_checkpoint_and_finds_it(tmp_path):
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    built = subprocess.run(
        [*pip, "wheel", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    if built.returncode and "hatchling" in built.stderr:
        pytest.skip("the build backend cannot be downloaded")
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {"seqmelody/py.typed", "seqmelody/map/parts/main.js"} <= set(names)
    assert not [name for name in names if name.startswith(("tests/", "checkpoints/"))]
    unpacked = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(unpacked)
    done = subprocess.run(
        [sys.executable, "-c", "from seqmelody.checkpoint import *; print(default_checkpoint())"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        cwd=unpacked,
    )
    expected = unpacked / "seqmelody" / "checkpoints" / "melodic"
    assert Path(done.stdout.strip()).resolve() == expected.resolve()
