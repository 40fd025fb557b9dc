from dataclasses import replace

import numpy as np
import pytest

from stages.foundation.split import Split
from stages.methods import TrainView, build
from tests.engine.conftest import PARAMS, opinions, tiny_base  # noqa: F401 - a fixture

MOODS = ("good", "bad", "fine")


@pytest.fixture
def beside_the_model(tiny_base, monkeypatch):  # noqa: F811 - the same one
    """So that `model` can be a relative path."""
    monkeypatch.chdir(tiny_base.folder.parent)
    return tiny_base.folder.name


@pytest.fixture
def fresh(beside_the_model):
    """A classifier that has learned nothing yet."""

    def make(method, label_names=("negative", "positive"), seed=0, **changes):
        view = TrainView(seed=seed, model=f"./{beside_the_model}", method=method, train=replace(PARAMS, **changes))
        return build(view, label_names)

    return make


def moods(num_rows, *, seed=0) -> Split:
    """Three classes, each with a word of its own."""
    split = opinions(num_rows, seed=seed)
    labels = np.arange(num_rows) % 3
    sentences = [
        f"{text.rpartition(' ')[0]} {MOODS[label]}" for text, label in zip(split.sentences, labels, strict=True)
    ]
    return Split(row_ids=split.row_ids, sentences=sentences, labels=labels, label_names=MOODS)


def learn(classifier, rows=opinions, *, seed=0, **changes):
    return classifier.fit(rows(200), rows(60, seed=1), replace(PARAMS, **changes), seed=seed)
