from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from seqmelody.errors import UsageError
from seqmelody.evaluation.suite import Suite, names_of
from seqmelody.evaluation.tasks import (
    CorruptionConfig,
    DetectionConfig,
    ProbeConfig,
    RetrievalConfig,
    StabilityConfig,
    SupervisedConfig,
)

MINIMAL = {
    "methods": ["length"],
    "corpora": {"songs": "songs.corpus"},
    "tasks": [{"task": "stability", "corpus": "songs"}],
}
RATED = {"liked": {"path": "ratings.csv", "corpus": "songs"}}


@pytest.fixture
def read(tmp_path):
    def read(**changes) -> Suite:
        values = {key: value for key, value in {**MINIMAL, **changes}.items() if value is not ...}
        (tmp_path / "suite.yaml").write_text(yaml.safe_dump(values))
        return Suite.read(tmp_path / "suite.yaml")

    return read


def test_what_is_not_said_has_a_default(read):
    suite = read(tasks=[{"task": "corruption", "corpus": "songs"}, *MINIMAL["tasks"]])
    assert suite.methods == {"length": ("length",)}
    assert suite.tasks == (CorruptionConfig("songs"), StabilityConfig("songs"))
    assert suite.learn_from == "songs"
    assert suite.ratings == {}


def test_settings_become_those_of_their_task(read):
    suite = read(
        ratings={"liked": {**RATED["liked"], "number": "stimulus"}},
        tasks=[
            {"task": "corruption", "corpus": "songs", "strengths": [0.5, 1], "split": "all"},
            {"task": "supervised", "ratings": "liked", "regression": "boosting", "stimuli": "dev"},
            {"task": "detection", "corpus": "songs", "column": "by", "people": ["*-Orig", "Bach"]},
            {"task": "retrieval", "corpus": "songs", "label": "tune", "methods": ["length"]},
            {"task": "probe", "corpus": "songs", "label": "region", "without": ["elsass"]},
        ],
    )
    assert suite.tasks == (
        CorruptionConfig("songs", split="all", strengths=(0.5, 1.0)),
        SupervisedConfig("liked", stimuli="dev", regression="boosting"),
        DetectionConfig("songs", "by", ("*-Orig", "Bach")),
        RetrievalConfig("songs", "tune", methods=("length",)),
        ProbeConfig("songs", "region", without=("elsass",)),
    )


def test_names_are_short_where_that_is_enough():
    specs = [
        "length",
        "runs/a/checkpoint",
        "x/b/checkpoint",
        "y/b/checkpoint",
        "checkpoints/melodic/",
    ]
    assert names_of(specs) == ["length", "a", "x/b/checkpoint", "y/b/checkpoint", "melodic"]


def test_several_trainings_are_one_method(read):
    suite = read(methods=["runs/a/checkpoint", {"gru": ["b", "c"]}, "length"])
    assert suite.methods == {
        "a": ("runs/a/checkpoint",),
        "gru": ("b", "c"),
        "length": ("length",),
    }


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        ([{"gru": []}], r"methods: \{'gru': \[\]\} is none of a list of checkpoints"),
        ([{"gru": "b"}], "a list of checkpoints"),
        ([{"gru": ["b"], "cnn": ["c"]}], "a list of checkpoints"),
        ([{"gru": ["b", 1]}], "a list of checkpoints"),
        ([{"gru": ["b", "b"]}], "gru names a training twice"),
        (["runs/gru", {"gru": ["b"]}], "gru occurs twice"),
    ],
)
def test_methods_that_are_none(read, methods, message):
    with pytest.raises(UsageError, match=message):
        read(methods=methods)


def test_kinds_are_chosen_by_name(read):
    task = {"task": "corruption", "corpus": "songs"}
    suite = read(tasks=[{**task, "kinds": ["markov_1", "retrograde"]}])
    assert suite.tasks[0].kinds == ("markov_1", "retrograde")
    with pytest.raises(UsageError, match=r"tasks\[0\].*kinds are .*, not 'noise'"):
        read(tasks=[{**task, "kinds": ["noise"]}])
    with pytest.raises(UsageError, match="kinds must hold one of shuffle_notes"):
        read(tasks=[{**task, "kinds": ["retrograde"]}])


def one(**settings):
    return {"tasks": [settings]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": ["length"]}, "the suite: no key 'method'; there are methods, corpora, tasks"),
        ({"tasks": ...}, "the suite: key 'tasks' is missing"),
        ({"methods": "length"}, "methods: a list"),
        ({"methods": []}, "methods: a list"),
        ({"methods": ["length", 3]}, "methods: 3 is none of a list"),
        ({"methods": ["length", "length"]}, "methods: length occurs twice"),
        ({"corpora": ["a"]}, "corpora: a folder for each name"),
        ({"corpora": {"songs": 3}}, "corpora: a folder for each name"),
        ({"tasks": {}}, "tasks: a list of tables"),
        ({"ratings": ["a"]}, "ratings: a table of settings for each name"),
        ({"learn_from": "essen"}, "learn_from: no 'essen'; there are songs"),
        ({"learn_from": ["songs"]}, "learn_from: the name of a corpus"),
        ({"tasks": [{"task": ["stability"]}]}, "needs 'task', one of"),
        (one(task="swimming"), r"tasks\[0\]: needs 'task', one of .*, not 'swimming'"),
        ({"tasks": ["stability"]}, r"tasks\[0\]: needs 'task'"),
        (one(task="stability"), r"tasks\[0\] \(stability\): key 'corpus' is missing"),
        (
            one(task="stability", corpus="songs", copies=2),
            r"tasks\[0\] \(stability\): no key 'copies'; there are corpus, split",
        ),
        (one(task="stability", corpus="essen"), r"tasks\[0\]: corpus: no 'essen'; there are songs"),
        (one(task="retrieval", corpus="songs"), r"\(retrieval\): key 'label' is missing"),
        (
            one(task="probe", corpus="songs", label="by", methods=["ngram"]),
            r"tasks\[0\]: methods: no 'ngram'; there are length",
        ),
        (one(task="probe", corpus="songs", label="by", least=4), "least must be at least 5, not 4"),
        (one(task="probe", corpus="songs", label="by", most=0), "most must be at least 5, not 0"),
        (one(task="ratings", ratings="liked"), "ratings: no 'liked'; there are none"),
        (one(task="stability", corpus="songs", split="some"), "split is one of train, .*'some'"),
        (one(task="corruption", corpus="songs", copies="many"), '"copies".*int'),
        (one(task="corruption", corpus="songs", copies=0), "copies must be at least 1, not 0"),
        (one(task="corruption", corpus="songs", strengths=[0.0]), "strengths lie above 0"),
        (one(task="corruption", corpus="songs", strengths=[2]), "strengths lie above 0"),
        ({"ratings": {"liked": {"path": "a"}}}, "ratings.liked: key 'corpus' is missing"),
        (
            {"ratings": {"liked": {"path": "a", "corpus": "b"}}},
            "ratings.liked: corpus: no 'b'; there are songs",
        ),
        (
            {"ratings": RATED, **one(task="ratings", ratings="liked", stimuli="dev")},
            r"tasks\[0\]: stimuli 'dev' needs the key 'number' at ratings.liked",
        ),
        (
            {"ratings": RATED, **one(task="supervised", ratings="liked", regression="lasso")},
            "regression is one of ridge, boosting, not 'lasso'",
        ),
    ],
    ids=str,
)
def test_what_is_wrong_is_named_with_the_file(read, changes, message, tmp_path):
    with pytest.raises(UsageError, match=message) as found:
        read(**changes)
    assert str(found.value).startswith(f"{tmp_path / 'suite.yaml'}: ")


@pytest.mark.parametrize("text", ["a: [", "", "- 1", "\0"], ids=repr)
def test_what_is_no_table_is_told(tmp_path, text):
    (tmp_path / "suite.yaml").write_text(text)
    with pytest.raises(UsageError, match=r"suite\.yaml"):
        Suite.read(tmp_path / "suite.yaml")
    with pytest.raises(UsageError, match=r"nowhere\.yaml"):
        Suite.read(tmp_path / "nowhere.yaml")


def test_the_suites_that_ship_can_be_read():
    configs = Path(__file__).parents[1] / "configs"
    suites = [Suite.read(path) for path in sorted(configs.glob("evaluation*.yaml"))]
    assert {type(task).__name__ for suite in suites for task in suite.tasks} == {
        "CorruptionConfig",
        "RatingsTaskConfig",
        "SupervisedConfig",
        "DetectionConfig",
        "StabilityConfig",
        "CostConfig",
        "RetrievalConfig",
        "ProbeConfig",
    }
