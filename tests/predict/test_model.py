"""What a model says of texts, and where it is found."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from stages.foundation import paths
from stages.foundation.errors import StudyError
from stages.predict.model import NO_TEXT, UNPROVEN, UNSURE, found_model, load_model
from stages.scoring.calibration import FILE, scaled_probabilities
from stages.study.repository import git
from tests.engine.conftest import opinions
from tests.faults.project import call

TEXTS = ["a good film", "", "the plot is very bad", "  ", "good good bad"]


@pytest.fixture(params=["tfidf", "lora"])
def model(request):
    folder = request.getfixturevalue(request.param)
    return load_model(folder, "mine")


def test_labels_and_probabilities_are_those_of_the_classifier_at_its_temperature(model):
    rows = opinions(30, seed=3)
    found = model.predict(rows.sentences)

    logits = model.classifier.predict(rows, 1000)
    assert found.labels == [rows.label_names[index] for index in logits.argmax(axis=1)]
    expected = scaled_probabilities(logits, model.calibrator.temperature)
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-5)


def test_a_row_without_a_text_gets_no_class_and_moves_no_other(model):
    found = model.predict(TEXTS)

    assert [label is None for label in found.labels] == [False, True, False, True, False]
    assert found.flags[1] == found.flags[3] == NO_TEXT
    assert np.isnan(found.probabilities[[1, 3]]).all()
    alone = model.predict([TEXTS[0], TEXTS[2], TEXTS[4]])
    np.testing.assert_allclose(found.probabilities[[0, 2, 4]], alone.probabilities, atol=1e-5)


def test_texts_that_are_too_long_to_be_read_whole_are_counted_also_of_pairs(lora, tfidf):
    model, whole, long = (
        load_model(lora, "mine"),
        "good film " * 7,
        "good film " * 8,
    )  # 16 tokens are read, 2 of them special
    short, half = ["good"] * 3, "good film " * 4

    assert model.predict([long, whole, "good", "", long]).rows_cut == 2
    assert model.predict([half, half, whole], [half, "good", *short[:1]]).rows_cut == 2
    assert load_model(tfidf, "mine").predict([long * 1000]).rows_cut == 0


def test_no_text_at_all_is_no_prediction(model):
    assert model.predict(["", ""]).labels == [None, None]
    assert model.predict([]).labels == []


def test_rows_are_flagged_where_validation_says_so(model):
    probabilities = model.predict(["a good film"]).probabilities
    top = float(probabilities.max())

    def flag(**changes):
        calibrator = replace(model.calibrator, **changes)
        return replace(model, calibrator=calibrator).predict(["a good film"]).flags[0]

    wide = tuple(replace(one, low=0.2, high=0.9) for one in model.calibrator.classes)
    narrow = tuple(replace(one, low=0.85, high=0.9) for one in model.calibrator.classes)
    assert flag(flag_below=top - 0.001, classes=narrow) is None
    assert flag(flag_below=top + 0.001, classes=narrow) == UNSURE
    assert flag(flag_below=None, classes=narrow) == UNSURE
    assert flag(flag_below=0.0, classes=wide) == UNPROVEN
    assert flag(flag_below=1.1, classes=wide) == f"{UNSURE}, {UNPROVEN}"


def test_pairs_are_read_as_pairs(model):
    seen = []

    class Noting:
        record = model.classifier.record

        def predict(self, split, _):
            seen.append((split.sentences, split.second))
            return np.zeros((len(split), 2), dtype=np.float32)

    replace(model, classifier=Noting()).predict(["a", "", ""], ["b", "c", " "])

    assert seen == [(["a", ""], ["b", "c"])]


def test_a_model_from_before_calibrations_flags_nothing_and_says_so(tfidf, tmp_path):
    folder = shutil.copytree(tfidf, tmp_path / "old")
    (folder / FILE).unlink()
    old, new = load_model(folder, "old"), load_model(tfidf, "new")

    found = old.predict(TEXTS)

    assert found.labels == new.predict(TEXTS).labels
    assert set(found.flags) == {None, NO_TEXT}
    assert "trained before calibrations were saved" in old.told()[1]


def test_weights_that_are_damaged_are_one_clear_line(lora, tfidf, tmp_path):
    for folder, weights in ((lora, "adapter_model.safetensors"), (tfidf, "tfidf.safetensors")):
        copy = shutil.copytree(folder, tmp_path / weights)
        (copy / weights).write_bytes((copy / weights).read_bytes()[:-10])

        with pytest.raises(StudyError, match="its weights are damaged"):
            load_model(copy, "mine")


@pytest.fixture
def experiments(tfidf, here):
    """A repository in which two experiments have a model each, and the workspace none."""
    git(here, "init", "-q", "-b", "main")
    call(here, "dvc", "init", "-q")
    for name in ("first", "second"):
        (here / "name").write_text(name)
        (here / "dvc.yaml").write_text(
            f"stages:\n  train:\n    cmd: mkdir -p data && cp -r {tfidf} data/model\n    deps: [name]\n"
            "    outs: [data/model]\n"
        )
        call(here, "dvc", "repro", "-q")
        git(here, "add", "-A")
        git(here, "-c", "user.name=n", "-c", "user.email=e@x.y", "commit", "-qm", name)
        head = git(here, "rev-parse", "HEAD").strip()
        git(here, "update-ref", f"refs/exps/{head[:2]}/{head[2:]}/{name}", head)
    shutil.rmtree(here / paths.MODEL)
    return here


@pytest.mark.slow
def test_the_model_of_any_experiment_is_found_by_its_name(experiments, tfidf):
    for name in ("first", "second", "HEAD~1", "main"):
        with found_model(None, name) as model:
            assert model.name == f"experiment {name}"
            assert model.predict(TEXTS).labels == load_model(tfidf, "mine").predict(TEXTS).labels


@pytest.mark.slow
def test_an_experiment_that_is_not_there_and_one_whose_cache_is_gone_are_one_clear_line(experiments):
    with pytest.raises(StudyError, match=r"no experiment, branch or commit is called third; `dvc exp list -A` names"):
        found_model(None, "third").__enter__()
    shutil.rmtree(experiments / ".dvc/cache")
    with pytest.raises(StudyError, match="the cache no longer holds all of first"):
        found_model(None, "first").__enter__()
