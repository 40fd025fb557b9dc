import copy
import subprocess
from dataclasses import replace

import pytest

from stages.foundation import versions
from stages.foundation.errors import StudyError
from stages.methods import METHODS
from stages.methods.method import Computation
from stages.study.cells import VARIED
from stages.study.identity import Identity, Workspace, deciding_params, identity_of_experiment, versions_of
from stages.study.repository import git
from stages.study.store import read_results

TRAIN = {
    "seed": 42,
    "model": "minilm",
    "method": "lora",
    "train.epochs": 5,
    "train.max_steps": None,
    "train.batch_size": 32,
    "train.weight_decay": 0.0,
    "train.precision": "auto",
    "train.engine": "auto",
    "train.device": "auto",
    "train.checkpoint_seconds": 60,
    "train.lora": {"learning_rate": 5e-4, "target_modules": ["query", "value"]},
    "train.full": {"learning_rate": 5e-5},
    "train.tfidf": {"max_ngram": 2},
    "train.base_models": {
        "minilm": {"source": "package", "pin": "53aa"},
        "bert-base-uncased": {"source": "hub", "pin": "86b5"},
    },
}
LOCK = {
    "stages": {
        "prepare": {
            "cmd": "python -m stages.prepare",
            "deps": [
                {"path": "data/sources/mine", "md5": "d1.dir"},
                {"path": "stages/corpus", "md5": "c1.dir"},
            ],
            "params": {"params.yaml": {"dataset": "mine", "prepare.split_seed": 13, "prepare.partition": "grouped"}},
        },
        "subsample": {
            "cmd": "python -m stages.subsample",
            "deps": [{"path": "data/prepared", "md5": "p1.dir"}, {"path": "stages/corpus", "md5": "c1.dir"}],
            "params": {"params.yaml": {"samples": 1000, "seed": 42, "subsample.class_ratio": "balanced"}},
        },
        "train": {
            "cmd": "python -m stages.train",
            "deps": [{"path": "stages/engine", "md5": "e1.dir"}],
            "params": {"params.yaml": TRAIN},
        },
        "evaluate": {
            "cmd": "python -m stages.evaluate",
            "deps": [{"path": "stages/scoring", "md5": "s1.dir"}],
            "params": {"params.yaml": {"evaluate.device": "auto", "evaluate.confidence_level": 0.95}},
        },
        "report": {"cmd": "python -m stages.report", "deps": [{"path": "stages/reporting", "md5": "r1.dir"}]},
    }
}
METRICS = {
    "precision_used": "bf16",
    "engine_used": "packed",
    "device_used": "cpu",
    "corpus_version": 1,
    "training_version": 1,
    "method_version": 1,
    "scoring_version": 1,
}


def identity(lock=None, **metrics) -> Identity:
    found = identity_of_experiment(lock or LOCK, METRICS | metrics)
    assert found is not None
    return found


def changed(stage, change, **metrics):
    lock = copy.deepcopy(LOCK)
    change(lock["stages"][stage])
    return identity(lock, **metrics)


def with_params(stage="train", **values):
    """The lock with other params; dots are written as two underscores."""
    values = {name.replace("__", "."): value for name, value in values.items()}
    return changed(stage, lambda entry: entry["params"]["params.yaml"].update(values))


def test_the_same_lock_is_the_same_cell_whatever_the_order_in_it():
    turned = copy.deepcopy(LOCK)
    turned["stages"] = dict(reversed(turned["stages"].items()))
    turned["stages"]["prepare"]["deps"].reverse()

    assert identity(turned) == identity()
    assert identity(turned).key == identity().key


@pytest.mark.parametrize(
    ("other", "differs"),
    [
        (lambda: changed("prepare", lambda entry: entry["deps"][0].update(md5="d2.dir")), "other data"),
        (lambda: with_params(train__epochs=9), "other params (train.epochs)"),
        (lambda: with_params(train__max_steps=9), "other params (train.max_steps)"),
        (lambda: with_params(train__processes=2), "other params (train.processes)"),
        (lambda: with_params(train__lora={"learning_rate": 1e-3}), "other params (train.lora.learning_rate, "),
        (lambda: with_params("subsample", samples=8000), "other params (samples)"),
        (lambda: with_params("prepare", prepare__split_seed=14), "other params (prepare.split_seed)"),
        (lambda: with_params(train__base_models={"minilm": {"pin": "other"}}), "train.base_models.minilm.pin"),
        (lambda: identity(precision_used="fp32"), "fp32 not bf16"),
        (lambda: identity(engine_used="plain"), "plain not packed"),
        (lambda: of_weights("./mine", "b2"), "other base weights"),
        (lambda: identity(device_used="cuda"), "cuda not cpu"),
        (lambda: identity(corpus_version=2), "numerical version corpus 2 not 1"),
        (lambda: identity(training_version=2), "numerical version training 2 not 1"),
        (lambda: identity(method_version=2), "numerical version lora 2 not 1"),
        (lambda: identity(scoring_version=2), "numerical version scoring 2 not 1"),
    ],
)
def test_what_decides_the_numbers_makes_another_cell_and_says_so(other, differs):
    assert other().key != identity().key
    assert differs in other().differences(identity())


def of_weights(model, weights, entry=None):
    """The cell of a model, started from these weights; with an entry under base_models, or none."""
    lock = copy.deepcopy(LOCK)
    train = lock["stages"]["train"]["params"]["params.yaml"]
    train["model"] = model
    if entry:
        train["train.base_models"][model] = entry
    return identity(lock, weights_sha256=weights)


@pytest.mark.parametrize(
    ("model", "entry"),
    [
        ("./mine", None),
        (f"./mine@{'a' * 40}", None),
        ("owner/name", None),
        ("owner/name@main", None),
        ("mine", {"source": "folder", "location": "./mine", "pin": ""}),
        ("mine", {"source": "package", "location": "mine/model", "pin": ""}),
        ("mine", {"source": "hub", "location": "owner/name", "pin": ""}),
        ("mine", {"source": "hub", "location": "owner/name", "pin": "main"}),
    ],
)
def test_other_weights_behind_a_model_that_no_param_pins_make_another_cell(model, entry):
    one, other = of_weights(model, "a1", entry), of_weights(model, "b2", entry)

    assert one.key != other.key
    assert one.params_digest != other.params_digest
    assert one.differences(other) == "other base weights"
    assert one.key == of_weights(model, "a1", entry).key


@pytest.mark.parametrize(
    ("model", "entry"),
    [
        ("minilm", None),
        (f"owner/name@{'a' * 40}", None),
        ("mine", {"source": "folder", "location": "./mine", "pin": "a1"}),
        ("mine", {"source": "hub", "location": "owner/name", "pin": "a" * 40}),
    ],
)
def test_weights_that_a_param_pins_are_in_the_identity_through_it(model, entry):
    """So the cells that were recorded before their digest was written stay what they are."""
    assert of_weights(model, "a1", entry) == of_weights(model, None, entry)
    assert of_weights(model, "a1", entry).key == of_weights(model, None, entry).key


READ_WITH = {"mpnet": {"pooling": "mean", "pooler": "none"}}  # every method, where params.yaml says otherwise


def test_every_recorded_cell_has_the_key_that_the_params_of_its_time_give_it(repository, monkeypatch):
    """What is added to the identity must leave them valid; their versions may be older.

    Params that came later have the values that the cells were made with: minilm's `head` read the mean then.
    """
    monkeypatch.chdir(repository)
    workspace, recorded = Workspace(repository), read_results("sst2-files").by_key
    assert len(recorded) >= 207
    for key, result in recorded.items():
        told = {name: str(result.numbers[f"{name}_used"]) for name in ("precision", "engine", "device")}
        train = with_implied(workspace._params["train"], result.cell.method)
        then = workspace._params | {"train": train | READ_WITH.get(result.cell.model, {})}
        monkeypatch.setattr(workspace, "_params", then)
        now = workspace.identity(result.cell, Computation(**told), data=str(result.numbers["data"]))
        assert replace(now, versions=result.versions).key == key, result.cell.name
        assert now.params_digest == result.numbers["params_digest"]


def with_implied(train, method):
    """The section `train` with a method's implied values in it."""
    implied = {key.removeprefix("train."): value for key, value in METHODS[method].implied.items()}
    own = {key.removeprefix(f"{method}."): value for key, value in implied.items() if "." in key}
    shared = {key: value for key, value in implied.items() if "." not in key}
    return train | shared | ({method: train[method] | own} if own else {})


@pytest.mark.parametrize(("method", "key"), [(method, key) for method in METHODS for key in METHODS[method].implied])
def test_a_param_that_came_later_is_in_the_identity_by_any_other_value(method, key):
    implied = METHODS[method].implied[key]
    before, as_before, other = (
        deciding_params({"method": method, "model": "minilm", **values})
        for values in ({}, {key: implied}, {key: f"not {implied}"})
    )

    assert as_before == before
    assert other == before | {key: f"not {implied}"}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("key", "before", "other"),
    [("prepare.validation_ratio", "balanced", "natural"), ("subsample.validation_share", 0.0, 0.2)],
)
def test_how_validation_rows_are_drawn_is_in_the_identity_where_it_is_another_way_than_before(
    method, key, before, other
):
    plain, as_before, otherwise = (
        deciding_params({"method": method, "model": "minilm", **told}) for told in ({}, {key: before}, {key: other})
    )

    assert as_before == plain
    assert otherwise == plain | {key: other}


UNDER_TRAINED = {"train.protocol": "trained", "train.trained": {"min_steps": 1000, "validations": 20}}


def test_what_the_other_protocol_alone_reads_makes_no_other_cell():
    def cell(**values):
        return changed("train", lambda entry: entry["params"]["params.yaml"].update(values))

    trained = cell(**UNDER_TRAINED)
    assert trained.key != identity().key
    assert cell(**UNDER_TRAINED, **{"train.patience": 9}).key == trained.key
    assert cell(**UNDER_TRAINED | {"train.trained": {"min_steps": 500, "validations": 20}}).key != trained.key
    assert cell(**UNDER_TRAINED | {"train.protocol": "seed"}).key == identity().key


def test_the_order_of_adapted_layers_makes_no_other_cell():
    one, other, third = (
        deciding_params({"method": "lora", "model": "minilm", "train.lora.target_modules": names})
        for names in (["query", "value"], ["value", "query", "value"], ["query", "key"])
    )

    assert one == other
    assert one != third


def test_a_head_that_reads_as_fine_tuning_does_is_no_cell_of_before_that_was_a_choice():
    lock = copy.deepcopy(LOCK)
    params = lock["stages"]["train"]["params"]["params.yaml"] | {
        "method": "head",
        "train.head": {"learning_rate": 0.01},
    }

    def reading(**values):
        lock["stages"]["train"]["params"]["params.yaml"] = params | values
        return identity(lock)

    recorded = reading()
    assert reading(**{"train.pooling": "mean", "train.pooler": "none"}).key == recorded.key
    now = reading(**{"train.pooling": "first", "train.pooler": "own"})
    assert now.key != recorded.key
    assert now.differences(recorded) == "other params (train.pooler, train.pooling)"


@pytest.mark.parametrize("revision", ["", "revision: main", "revision: v1.0"])
def test_a_study_refuses_a_data_set_of_the_hub_without_a_commit_and_says_what_to_write(project, revision):
    describe(project, revision)

    with pytest.raises(StudyError, match=r"`revision: <40 hexadecimal digits>` in .*data/sources/far/dataset\.yaml"):
        Workspace(project).require_pinned_source("far")


@pytest.mark.parametrize("name", ["far", "near", "nowhere"])
def test_a_data_set_that_stays_as_it_is_is_none_to_refuse(project, name):
    describe(project, f"revision: {'a' * 40}")
    (project / "data/sources/near").mkdir()

    Workspace(project).require_pinned_source(name)


@pytest.fixture
def project(tmp_path):
    git(tmp_path, "init", "-q")
    subprocess.run(["dvc", "init", "-q"], cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "params.yaml").write_text("samples: 1000\n")
    return tmp_path


def describe(project, revision):
    """A data set of the Hub."""
    folder = project / "data/sources/far"
    folder.mkdir(parents=True)
    (folder / "dataset.yaml").write_text(f"kind: hub\nrepo: owner/name\n{revision}\n")


@pytest.mark.parametrize(
    "other",
    [
        lambda: changed("train", lambda entry: entry["deps"][0].update(md5="e2.dir")),
        lambda: changed("prepare", lambda entry: entry["deps"][1].update(md5="c2.dir")),
        lambda: changed("evaluate", lambda entry: entry["deps"][0].update(md5="s2.dir")),
        lambda: changed("train", lambda entry: entry.update(cmd="python -m stages.training")),
        lambda: changed("report", lambda entry: entry["deps"][0].update(md5="r2.dir")),
        lambda: with_params("prepare", dataset="another name for the same data"),
        lambda: with_params("evaluate", evaluate__confidence_level=0.9),
        lambda: with_params(train__checkpoint_seconds=5),
        lambda: with_params(train__tfidf={"max_ngram": 3}),
        lambda: with_params(train__full={"learning_rate": 1.0}),
        lambda: with_params(train__weight_decay=0),
        lambda: with_params(train__processes=1),
        lambda: with_params(train__base_models=TRAIN["train.base_models"] | {"mine": {"pin": "x"}}),
        lambda: with_params(train__precision="bf16", train__engine="packed", train__device="cpu"),
        lambda: with_params(train__a_param_of_tomorrow=None),
    ],
)
def test_code_and_what_another_method_reads_make_no_other_cell(other):
    assert other() == identity()
    assert other().key == identity().key


def test_a_method_without_a_model_or_steps_reads_neither():
    lock = copy.deepcopy(LOCK)
    lock["stages"]["train"]["params"]["params.yaml"]["method"] = "tfidf"
    told = {"precision_used": "fp64", "engine_used": "scikit-learn"}
    tfidf = identity(lock, **told, training_version=None)
    lock["stages"]["train"]["params"]["params.yaml"] |= {
        "model": "other",
        "train.epochs": 9,
        "train.lora": {"rank": 64},
    }

    assert identity(lock, **told, training_version=None) == tfidf
    assert tfidf.versions == {"corpus": 1, "tfidf": 1, "scoring": 1}


def test_the_params_that_cells_of_one_method_share_have_one_digest():
    shared = identity().params_digest

    assert with_params("subsample", samples=8000).params_digest == shared
    assert with_params("prepare", prepare__partition="random").params_digest == shared
    assert with_params(train__epochs=9).params_digest != shared
    assert {"samples", "prepare.partition", "train.max_steps"} <= set(VARIED)


def test_what_was_made_before_versions_were_recorded_is_no_cell_of_today():
    old = identity(corpus_version=None, training_version=None, method_version=None, scoring_version=None)

    assert old.versions == {}
    assert "made before numerical versions were recorded" in old.differences(identity())


def test_what_lies_between_the_stages_makes_no_other_cell():
    """It follows from data, params and versions."""

    def prepared(md5):
        lock = copy.deepcopy(LOCK)
        lock["stages"]["prepare"]["outs"] = [{"path": "data/prepared", "md5": md5}]
        lock["stages"]["subsample"]["deps"][0]["md5"] = md5
        return lock

    assert identity(prepared("p2.dir")) == identity()


def test_stages_that_were_not_run_on_each_others_outputs_are_no_experiment():
    """`dvc exp run -S samples=8000 train` leaves the scores of the size before."""
    lock = copy.deepcopy(LOCK)
    lock["stages"]["train"]["outs"] = [{"path": "data/model", "md5": "m2.dir"}]
    lock["stages"]["evaluate"]["deps"].append({"path": "data/model", "md5": "m1.dir"})

    assert identity_of_experiment(lock, METRICS) is None
    lock["stages"]["evaluate"]["deps"][-1]["md5"] = "m2.dir"
    assert identity(lock) == identity()


@pytest.mark.parametrize("stage", ["prepare", "subsample", "train", "evaluate"])
def test_an_experiment_without_one_of_its_stages_is_none(stage):
    lock = copy.deepcopy(LOCK)
    del lock["stages"][stage]

    assert identity_of_experiment(lock, METRICS) is None
    assert identity_of_experiment({}, {}) is None


def test_versions_are_those_of_the_rooms_that_a_method_goes_through():
    assert versions_of("lora") == {
        "corpus": versions.CORPUS,
        "training": versions.TRAINING,
        "lora": 1,
        "scoring": versions.SCORING,
    }
    assert "training" not in versions_of("tfidf")


def test_a_computation_is_passed_on_in_full():
    chosen = Computation(precision="bf16", engine="packed", device="cpu").overrides()

    assert chosen == {
        "train.precision": "bf16",
        "train.engine": "packed",
        "train.device": "cpu",
        "evaluate.device": "cpu",
    }
