"""All five pages, one after the other, for each method."""

from pathlib import Path

import pytest

from stages import evaluate, prepare, report, subsample, train
from stages.foundation import paths
from stages.foundation.files import read_json
from tests.pages.workspace import write_own_data, write_params
from tests.reporting.page import words
from tests.tiny_models import save_tiny_bert

CHANGES = {
    "dataset": "mine",
    "samples": 60,
    "model": "./tiny",
    "prepare.validation_rows": 20,
    "train.epochs": 3,
    "train.device": "cpu",
    "train.precision": "fp32",
    "evaluate.device": "cpu",
}
TOLD = {
    "lora": ["./tiny with LoRA names", "model ./tiny", "adapter rank 8", "learning rate 0.0005", "engine packed"],
    "full": ["./tiny with all parameters trained names", "model ./tiny", "learning rate 5e-05", "engine packed"],
    "head": ["a head on the frozen ./tiny names", "model ./tiny", "learning rate 0.01", "engine packed"],
    "tfidf": ["logistic regression on TF-IDF weights names", "C = 1", "engine scikit-learn", "precision fp64"],
}


def run_study(changes):
    save_tiny_bert(Path("tiny"))
    write_own_data()
    write_params(CHANGES | changes)
    for page in (prepare, subsample, train, evaluate, report):
        page.main()


@pytest.mark.parametrize("method", TOLD)
def test_each_method_goes_from_data_to_a_page_that_tells_how(method):
    run_study({"method": method})
    told = words()

    assert f"method {method}: " in told
    for part in TOLD[method]:
        assert part in told
    assert ("./tiny" in told) == (method != "tfidf")
    assert read_json(paths.SCORES)["train_rows"] == 60


def test_a_budget_in_steps_is_told():
    run_study({"train.max_steps": 7})
    told = words()

    assert "optimizer steps at most 7, in 3 equal rounds, here called epochs" in told
    assert "An epoch is here an equal share of 7 steps" in told
