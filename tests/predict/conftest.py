from contextlib import chdir
from dataclasses import replace

import pytest

from stages.methods import TrainView, build
from stages.scoring.calibration import fit_calibrator, write_calibrator
from tests.engine.conftest import PARAMS, opinions, tiny_base  # noqa: F401 - a fixture

NAMES = ("negative", "positive")


def save_model(folder, method="tfidf", *, model="none", names=NAMES, rows=opinions, **changes):
    """What the stage train leaves in data/model."""
    classifier = build(TrainView(seed=0, model=model, method=method, train=replace(PARAMS, **changes)), names)
    train, validation = rows(200), rows(60, seed=1)
    classifier.fit(train, validation, replace(PARAMS, **changes), seed=0)
    classifier.save(folder)
    write_calibrator(folder, fit_calibrator(classifier.predict(validation, 1000), validation.labels, names))
    return folder


@pytest.fixture(scope="session")
def tfidf(tmp_path_factory):
    """The folder of a trained model that needs no torch."""
    return save_model(tmp_path_factory.mktemp("tfidf") / "model")


@pytest.fixture(scope="session")
def lora(tiny_base, tmp_path_factory):  # noqa: F811 - the same one
    """The folder of a tiny encoder with an adapter."""
    with chdir(tiny_base.folder.parent):
        return save_model(tmp_path_factory.mktemp("lora") / "model", "lora", model=str(tiny_base.folder))


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
