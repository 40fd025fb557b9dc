import copy

import pytest

from stages.study.identity import identity_of_lock

LOCK = {
    "stages": {
        "prepare": {
            "cmd": "python -m stages.prepare",
            "deps": [
                {"path": "data/sources/mine", "md5": "d1.dir"},
                {"path": "stages/corpus", "md5": "c1.dir"},
            ],
            "params": {"params.yaml": {"dataset": "mine", "prepare.split_seed": 13}},
        },
        "subsample": {
            "cmd": "python -m stages.subsample",
            "deps": [{"path": "data/prepared", "md5": "p1.dir"}, {"path": "stages/corpus", "md5": "c1.dir"}],
            "params": {"params.yaml": {"samples": 1000}},
        },
        "train": {
            "cmd": "python -m stages.train",
            "deps": [{"path": "stages/engine", "md5": "e1.dir"}],
            "params": {"params.yaml": {"train.lora.learning_rate": 5e-4, "train.max_steps": None}},
        },
        "evaluate": {
            "cmd": "python -m stages.evaluate",
            "deps": [{"path": "stages/scoring", "md5": "s1.dir"}],
            "params": {"params.yaml": {"evaluate.batch_size": 128}},
        },
        "report": {"cmd": "python -m stages.report", "deps": [{"path": "stages/reporting", "md5": "r1.dir"}]},
    }
}


def changed(stage, change):
    lock = copy.deepcopy(LOCK)
    change(lock["stages"][stage])
    return identity_of_lock(lock)


def test_the_same_lock_is_the_same_cell_whatever_the_order_in_it():
    turned = copy.deepcopy(LOCK)
    turned["stages"] = dict(reversed(turned["stages"].items()))
    turned["stages"]["prepare"]["deps"].reverse()

    assert identity_of_lock(turned) == identity_of_lock(LOCK)
    assert identity_of_lock(turned).key == identity_of_lock(LOCK).key


@pytest.mark.parametrize(
    ("stage", "change", "differs"),
    [
        ("prepare", lambda entry: entry["deps"][0].update(md5="d2.dir"), "data"),
        ("prepare", lambda entry: entry["deps"][1].update(md5="c2.dir"), "code"),
        ("train", lambda entry: entry.update(cmd="python -m stages.other"), "code"),
        ("train", lambda entry: entry["params"]["params.yaml"].update({"train.max_steps": 9}), "params"),
        ("subsample", lambda entry: entry["params"]["params.yaml"].update(samples=8000), "params"),
        ("evaluate", lambda entry: entry["deps"][0].update(md5="s2.dir"), "code"),
    ],
)
def test_other_data_params_or_code_is_another_cell_and_says_which(stage, change, differs):
    other = changed(stage, change)

    assert other.key != identity_of_lock(LOCK).key
    assert other.differences(identity_of_lock(LOCK)) == differs


def test_how_an_experiment_is_drawn_makes_no_other_cell():
    assert changed("report", lambda entry: entry["deps"][0].update(md5="r2.dir")) == identity_of_lock(LOCK)


def test_what_lies_between_the_stages_makes_no_other_cell():
    """It follows from data, params and code."""

    def prepared(md5):
        lock = copy.deepcopy(LOCK)
        lock["stages"]["prepare"]["outs"] = [{"path": "data/prepared", "md5": md5}]
        lock["stages"]["subsample"]["deps"][0]["md5"] = md5
        return lock

    assert identity_of_lock(prepared("p2.dir")) == identity_of_lock(LOCK)


def test_stages_that_were_not_run_on_each_others_outputs_are_no_experiment():
    """`dvc exp run -S samples=8000 train` leaves the scores of the size before."""
    lock = copy.deepcopy(LOCK)
    lock["stages"]["train"]["outs"] = [{"path": "data/model", "md5": "m2.dir"}]
    lock["stages"]["evaluate"]["deps"].append({"path": "data/model", "md5": "m1.dir"})

    assert identity_of_lock(lock) is None
    lock["stages"]["evaluate"]["deps"][-1]["md5"] = "m2.dir"
    assert identity_of_lock(lock) == identity_of_lock(LOCK)


@pytest.mark.parametrize("stage", ["prepare", "subsample", "train", "evaluate"])
def test_an_experiment_without_one_of_its_stages_is_none(stage):
    lock = copy.deepcopy(LOCK)
    del lock["stages"][stage]

    assert identity_of_lock(lock) is None
    assert identity_of_lock({}) is None
