"""Which model is meant, and whether the numbers beside it are its own."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stages.export.trained import CALIBRATION, CLASS_SCORES, find_trained
from stages.foundation import paths
from stages.foundation.errors import StudyError
from stages.foundation.files import read_json, write_json
from stages.foundation.split import read_split, write_split


@pytest.fixture
def copied(finished, tmp_path, monkeypatch):
    """A finished experiment that may be changed."""
    shutil.copytree(finished("lora"), tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")


def complaint(experiment=None, model=None):
    with pytest.raises(StudyError) as caught, find_trained(experiment, model):
        pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.usefixtures("copied")
def test_the_workspaces_model_comes_with_what_its_stages_recorded():
    with find_trained(None, None) as trained:
        assert trained.folder == paths.MODEL
        assert len(trained.validation) == 41
        assert trained.facts.scores == read_json(paths.SCORES)
        assert trained.facts.params["train.lora.rank"] == 8


@pytest.mark.usefixtures("copied")
def test_params_are_those_of_the_training_and_not_what_was_edited_since():
    paths.PARAMS.write_text(paths.PARAMS.read_text().replace("samples: 120", "samples: 7"))

    with find_trained(None, None) as trained:
        assert trained.facts.params["samples"] == 120


@pytest.mark.usefixtures("copied")
@pytest.mark.parametrize("file", [paths.MODEL / "classifier.json", paths.SCORES, paths.POOL_METRICS])
def test_metrics_that_may_be_of_another_model_are_refused_and_the_model_alone_is_offered(file):
    file.write_text(file.read_text() + "\n")

    told = complaint()
    assert str(file if file.parts[0] == "metrics" else paths.MODEL) in told
    assert "run `dvc repro`" in told
    assert "--model data/model" in told
    with find_trained(None, paths.MODEL) as trained:
        assert trained.facts is None


@pytest.mark.usefixtures("copied")
def test_calibration_that_lies_with_the_model_is_read():
    write_json(paths.MODEL / CALIBRATION, {"temperature": 1.5})

    with find_trained(None, paths.MODEL) as trained:
        assert trained.calibration == {"temperature": 1.5}


@pytest.mark.usefixtures("copied")
def test_scores_of_each_class_are_read_where_the_experiment_has_them():
    CLASS_SCORES.unlink(missing_ok=True)
    with find_trained(None, None) as trained:
        assert trained.facts.classes == {}
    write_json(CLASS_SCORES, {"test": {"good": {"support": 1}}})
    with find_trained(None, None) as trained:
        assert trained.facts.classes == {"test": {"good": {"support": 1}}}


@pytest.mark.usefixtures("copied")
def test_validation_rows_of_other_classes_are_refused():
    write_split(paths.VALIDATION, replace(read_split(paths.VALIDATION), label_names=("x", "y")))

    assert "has x, y: prepare the data that it was trained on" in complaint(model=paths.MODEL)


@pytest.mark.usefixtures("copied")
@pytest.mark.parametrize(
    "other",
    [
        lambda split: split.take(np.arange(40)),
        lambda split: replace(split, second=split.sentences),
    ],
)
def test_other_validation_rows_than_the_models_own_are_refused(other):
    write_split(paths.VALIDATION, other(read_split(paths.VALIDATION)))

    assert "has other rows than those that data/model was validated on" in complaint(model=paths.MODEL)


def test_what_is_not_there_is_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert "there is no model in data/model; `dvc repro` trains one" in complaint()
    assert "there is no model in nowhere" in complaint(model=Path("nowhere"))
