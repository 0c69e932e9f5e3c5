from __future__ import annotations

import dataclasses
import signal
from pathlib import Path

import pytest
import yaml
from runs import small_run

from seqmelody.cli import main
from seqmelody.cli.train import parse
from seqmelody.config import CardConfig, RatingConfig, TrainConfig
from seqmelody.training.data import ComparisonBatches

# All but the suites of 'seqmelody evaluate'.
CONFIGS = sorted(
    path
    for path in (Path(__file__).parents[1] / "configs").glob("*.yaml")
    if not path.stem.startswith("evaluation")
)


@pytest.fixture
def written(tune_corpus, tmp_path) -> Path:
    """A YAML file of a small run."""
    path = tmp_path / "small.yaml"
    config = small_run(tune_corpus, tmp_path / "run", steps=2, validate_every=1)
    path.write_text(yaml.safe_dump(config.to_dict()))
    return path


def error_of(capsys, *arguments: str) -> str:
    """The one line that a wrong use ends with."""
    assert main(["train", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    [line] = printed.err.splitlines()
    assert line.startswith("seqmelody: error: ")
    return line


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_shipped_configuration_is_one(path):
    config, resume = parse(["--config", str(path)])
    assert config.steps > 0
    assert not resume
    assert config.out == f"runs/{path.stem}"
    assert config.card.data != "not stated"
    assert config.card.licence != "not stated"
    assert path.read_text().startswith("#")


def test_there_are_shipped_configurations():
    assert {"quick", "melodic", "rated"} <= {path.stem for path in CONFIGS}


def test_options_override_the_file_whatever_their_order_and_the_rest_stays():
    plain, _ = parse(["--config", str(CONFIGS[0])])
    changed, resume = parse(
        [
            *("--steps", "7", "--config", str(CONFIGS[0]), "--model.hidden_size=5", "--resume"),
            *("--model.dilations", "[1, 3]", "--contrast.kinds", "{markov_1: 2.5}"),
            *("--optimizer.learning_rate", "1e-3", "--card.data", "my own: tunes"),
        ]
    )
    assert resume
    assert changed == dataclasses.replace(
        plain,
        steps=7,
        model=dataclasses.replace(plain.model, hidden_size=5, dilations=(1, 3)),
        contrast=dataclasses.replace(plain.contrast, kinds={"markov_1": 2.5}),
        optimizer=dataclasses.replace(plain.optimizer, learning_rate=1e-3),
        card=dataclasses.replace(plain.card, data="my own: tunes"),
    )


@pytest.mark.parametrize("options", [["--corpus", "mine"], ["--corpus=mine"]])
def test_what_a_file_says_of_its_corpus_is_not_said_of_another(options):
    file = ["--config", str(CONFIGS[0])]
    assert parse([*file, *options])[0].card == CardConfig()
    said, _ = parse([*options, *file, "--card.data", "my own"])
    assert said.card.data == "my own"


def test_options_alone_are_enough():
    config, resume = parse(["--corpus", "a", "--out", "b"])
    assert config == TrainConfig(corpus="a", out="b")
    assert not resume


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--steps", "-4"], "steps must be at least 1, not -4"),
        (["--steps", "many"], '"steps"'),
        (["--steps", "1.5"], '"steps"'),
        (["--nonsense", "3"], "unrecognized arguments: --nonsense 3"),
        (["--model.colour", "red"], "--model.colour"),
        (["--model.kernel_size", "4"], "kernel_size must be odd, not 4"),
        (["--model.dropout", "2"], "dropout must lie in [0, 1), not 2.0"),
        (["--contrast.kinds", "{retrograde: 1}"], "'retrograde' is no kind to train on"),
        (["--contrast.across", "-1"], "across must lie in [0, 1], not -1.0"),
        (["--optimizer.learning_rate", "0"], "learning_rate must be above 0"),
        (["--optimizer.weight_decay", ".inf"], "weight_decay must not be negative"),
        (["--contrast.kinds", "{shuffle_notes: .inf}"], "the weight of shuffle_notes"),
        (["--seed", "99999999999999999999999"], "seed must be below 2**63"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_a_wrong_option_is_one_line_and_exit_code_2(capsys, options, reason):
    assert reason in error_of(capsys, "--corpus", "a", "--out", "b", *options)


RATING = ["--rating.corpus", "a", "--rating.labels", "b.csv"]


def test_an_objective_is_switched_on_by_its_options_and_by_a_file(tmp_path):
    options = [*RATING, "--rating.scale", "[1, 7]", "--rating.leave_out", "system=x=y"]
    config, _ = parse(["--corpus", "a", "--out", "b", *options])
    assert config.rating == RatingConfig("a", "b.csv", scale=(1.0, 7.0), leave_out="system=x=y")
    assert config.preference is None
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(config.to_dict()))
    changed, _ = parse(["--config", str(path), "--rating.weight", "0.5"])
    assert changed.rating == dataclasses.replace(config.rating, weight=0.5)
    assert parse(["--config", str(path), "--rating", "null"])[0].rating is None


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ([*RATING, "--rating.weight", "0"], "rating.weight must be above 0, not 0.0"),
        ([*RATING, "--rating.scale", "[7, 1]"], "rating.scale must be two rising numbers"),
        ([*RATING, "--rating.taste_rank", "2"], "rating.taste_rank needs rating.raters"),
        ([*RATING, "--rating.melodies", "0"], "rating.melodies must be at least 1, not 0"),
        ([*RATING, "--rating.leave_out", "x"], "rating.leave_out must be COLUMN=VALUE, not 'x'"),
        ([*RATING, "--rating.colour", "red"], "rating: Option 'colour' is not accepted"),
        (["--rating.corpus", "a"], "rating: the following arguments are required: labels"),
        (["--rating", "3"], "rating: a table of settings"),
        (["--catchy.corpus", "a"], "catchy: the following arguments are required: labels"),
        (
            ["--preference.corpus", "a", "--preference.labels", "b", "--preference.melodies", "1"],
            "preference.melodies must be at least 2, not 1",
        ),
        (["--contrast.weight", "0"], "contrast.weight is 0 and there is no other objective"),
        (["--contrast.weight", "-1"], "contrast.weight must not be negative"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_a_wrong_objective_is_one_line_that_says_what_is_wrong_with_it(capsys, options, reason):
    line = error_of(capsys, "--corpus", "a", "--out", "b", *options)
    assert reason in line
    assert "Union" not in line


def test_a_missing_setting_is_named(capsys):
    line = error_of(capsys, "--corpus", "a")
    assert "out" in line


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("stepz: 4\n", "stepz"),
        ("model:\n  channelz: 4\n", "channelz"),
        ("steps: many\n", "steps"),
        ("steps: -4\n", "steps must be at least 1"),
        ("model:\n  kernel_size: 4\n", "kernel_size must be odd"),
        ("model: 3\n", "model, contrast, optimizer, card: a table of settings each"),
        ("card:\n", "card"),
        ("steps: [1\n", "parsing"),
        ("- steps\n", ""),
    ],
)
def test_a_wrong_file_is_one_line_and_exit_code_2(capsys, tmp_path, text, reason):
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    line = error_of(capsys, "--corpus", "a", "--out", "b", "--config", str(path))
    assert line.startswith(f"seqmelody: error: {path}: ")
    assert reason in line


def test_a_wrong_file_is_told_apart_from_a_wrong_option(capsys, tmp_path):
    good, wrong = tmp_path / "good.yaml", tmp_path / "wrong.yaml"
    good.write_text("corpus: a\nout: b\n")
    wrong.write_text("model:\n  kernel_size: 4\n")
    line = error_of(capsys, "--config", str(good), "--steps", "many")
    assert "steps" in line
    assert ".yaml" not in line
    assert error_of(capsys, "--config", str(good), "--config", str(wrong)).startswith(
        f"seqmelody: error: {wrong}: kernel_size must be odd"
    )
    # The file's fault is told before what else is missing.
    assert "kernel_size must be odd" in error_of(capsys, f"--config={wrong}")


def test_a_file_that_cannot_be_read_is_one_line_and_exit_code_2(capsys, tmp_path):
    assert "nowhere.yaml" in error_of(capsys, "--config", str(tmp_path / "nowhere.yaml"))
    assert str(tmp_path) in error_of(capsys, "--config", str(tmp_path))
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\x00\xff\xfe")
    assert str(binary) in error_of(capsys, "--config", str(binary))


def test_help_says_what_every_setting_is(capsys):
    with pytest.raises(SystemExit) as end:
        main(["train", "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    # The text under a field, the field's type and its default.
    assert "Optimizer steps. (type: int, default: 10000)" in " ".join(text.split())

    def names(config: type, prefix: str = "") -> list[str]:
        found = []
        for field in dataclasses.fields(config):
            nested = type(getattr(TrainConfig("c", "o"), field.name, None))
            inner = dataclasses.is_dataclass(nested)
            found += names(nested, f"{field.name}.") if inner else [f"--{prefix}{field.name}"]
        return found

    for name in names(TrainConfig):
        assert name in text, name


def test_a_run_from_the_command_line(capsys, written, tmp_path):
    run = tmp_path / "run"
    assert main(["train", "--config", str(written), "--threads", "1"]) == 0
    assert capsys.readouterr().out == f"checkpoint: {run / 'checkpoint'}\n"
    line = error_of(capsys, "--config", str(written))
    assert line.endswith(f"{run}: holds a run already; go on with --resume, or give another --out")
    assert main(["train", "--config", str(written), "--resume"]) == 0
    other = ["--out", str(tmp_path / "other")]
    assert main(["train", "--config", str(written), *other, "--resume"]) == 3
    assert main(["train", "--config", str(written), *other, "--corpus", "nowhere"]) == 3
    assert "nowhere: no such folder" in capsys.readouterr().err


def test_an_interrupted_run_says_how_to_go_on(capsys, written, monkeypatch):
    batches_of = ComparisonBatches.__iter__

    def iterate(self):
        for number, batch in enumerate(batches_of(self)):
            if number == 0:
                signal.raise_signal(signal.SIGINT)
            yield batch

    monkeypatch.setattr(ComparisonBatches, "__iter__", iterate)
    assert main(["train", "--config", str(written)]) == 130
    assert "go on with the same command and --resume" in capsys.readouterr().out
    monkeypatch.undo()
    assert main(["train", "--config", str(written), "--resume"]) == 0


@pytest.mark.parametrize(
    "options",
    [["--accelerator", "nonsense"], ["--devices", "-3"]],
    ids=" ".join,
)
def test_what_the_trainer_refuses_is_one_line_and_leaves_no_run(capsys, written, tmp_path, options):
    reason = error_of(capsys, "--config", str(written), *options)
    assert "accelerator or devices" in reason
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("precision", ["nonsense", "bf16-true", "16"])
def test_only_precisions_that_work_are_taken(capsys, written, tmp_path, precision):
    reason = error_of(capsys, "--config", str(written), "--precision", precision)
    assert "precision must be one of 32-true, bf16-mixed, 16-mixed" in reason
    assert not (tmp_path / "run").exists()


def test_training_that_diverges_says_so(capsys, written):
    options = ["--optimizer.learning_rate", "1e30", "--optimizer.warmup_steps", "0"]
    code = main(["train", "--config", str(written), "--steps", "8", "--log_every", "1", *options])
    assert code == 1
    [line] = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert "diverged; lower optimizer.learning_rate" in line
