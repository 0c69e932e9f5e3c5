from __future__ import annotations

import json

import pytest

from seqmelody import cli, fourier
from seqmelody.fourier import Schedule


@pytest.fixture
def short(monkeypatch):
    """Trainings that end at once."""
    plan = Schedule(batch=2, steps=2, soft_steps=1, trial_steps=1, attempts=2)
    monkeypatch.setattr(Schedule, "of", classmethod(lambda cls, n, permutation: plan))


def test_learns_and_tells(capsys, tmp_path):
    plot = tmp_path / "a.png"
    assert cli.main(["fourier", "--n", "8", "--plot", str(plot)]) == 0
    out, err = capsys.readouterr()
    assert "RMSE of 1e-06 or less: 1 of 1" in out
    assert "48 complex numbers in the factors, 75% of the 64 in the matrix" in out
    assert "a dense product takes" in out
    assert "torch.fft" in out
    assert err == ""
    assert plot.read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("short")
def test_what_was_not_learned_is_told_and_is_no_success(capsys, tmp_path):
    file = tmp_path / "a.json"
    words = ["--permutation", "learned", "--seed", "5", "--seeds", "2", "--json", str(file)]
    assert cli.main(["fourier", "--n", "16", *words]) == 1
    out = capsys.readouterr().out
    assert "RMSE of 1e-06 or less: 0 of 2" in out
    assert "3 stages" in out
    written = json.loads(file.read_text())
    assert [each["seed"] for each in written["runs"]] == [5, 6]
    assert all(each["restarts"] == 1 for each in written["runs"])
    assert all(each["rmse"] > 0.01 for each in written["runs"])
    assert written["parameters"] == 2 * 16 * 4
    for row, each in zip(out.splitlines()[2:4], written["runs"], strict=True):
        assert row.split()[:4] == [
            str(each["seed"]),
            f"{each['rmse']:.1e}",
            "yes" if each["bit_reversal"] else "no",
            "1",
        ]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--n", "12"], "--n must be a power of two from 4 to 4096, not 12"),
        (["--n", "2"], "--n must be a power of two from 4 to 4096, not 2"),
        (["--n", "-8"], "not -8"),
        (["--n", "8192"], "--n must be a power of two from 4 to 4096, not 8192"),
        (["--n", "8", "--seeds", "0"], "--seeds must be at least 1, not 0"),
        (["--n", "8", "--seed", "-1"], "--seed must lie in 0 to 2^32 - 1, not -1"),
        (["--n", "8", "--threads", "0"], "--threads must be at least 1, not 0"),
        (["--n", "8", "--plot", "a.pdf"], "a.pdf: the name of a plot must end in .png"),
        (["--n", "8", "--json", "nowhere/a.json"], "nowhere/a.json: cannot be written"),
        (["--n", "8", "--json", "."], "cannot be written"),
        (["--n", "8", "--json", "/proc/a.json"], "/proc/a.json: cannot be written"),
    ],
)
def test_wrong_usage_is_one_line(words, told, capsys):
    assert cli.main(["fourier", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert told in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("words", [[], ["--n", "eight"], ["--n", "8", "--permutation", "none"]])
def test_wrong_arguments(words):
    with pytest.raises(SystemExit, match="2"):
        cli.main(["fourier", *words])


def test_ctrl_c(monkeypatch, capsys):
    def stop(*args, **options):
        options["on_step"](fourier.Progress(1, 1, 9, 0.5))
        raise KeyboardInterrupt

    monkeypatch.setattr(fourier, "learn_fourier", stop)
    assert cli.main(["fourier", "--n", "8"]) == 130
    assert capsys.readouterr().err == "seqmelody: interrupted\n"
