import re

import pytest

from stages.foundation import paths
from stages.foundation.errors import ParamsError
from stages.foundation.files import read_json, write_text
from stages.foundation.params import read_params
from stages.reporting.methods import chosen_by, classifier, curves_note, headline, training
from stages.reporting.params import ReportView
from tests.reporting.finished_experiment import PARAMS, write_experiment

DESCENT = {"batch", "weight decay, gradient norm", "longest text", "protocol", "epochs", "patience, in epochs"}


@pytest.fixture(autouse=True)
def experiment(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_experiment()


def view(method, *, max_steps="null"):
    changed = PARAMS.replace("method: lora", f"method: {method}").replace("max_steps: null", f"max_steps: {max_steps}")
    write_text(paths.PARAMS, changed)
    return read_params("report", ReportView)


def rows(params):
    return dict(training(params, read_json(paths.SCORES), read_json(paths.PROVENANCE_METRICS)))


@pytest.mark.parametrize(
    ("method", "name", "rate", "own"),
    [
        ("lora", "minilm with LoRA", "0.0005", {"adapter", "adapted layers"}),
        ("full", "minilm with all parameters trained", "5e-05", set()),
        ("head", "a head on the frozen minilm", "0.01", set()),
    ],
)
def test_a_method_of_gradient_descent_tells_its_own_learning_rate_and_rows(method, name, rate, own):
    params = view(method)
    told = rows(params)

    assert classifier(params) == name
    assert headline(params) == f"1,000 samples of reviews: {method} on minilm"
    assert told["learning rate"] == f"{rate} at the first step, falling linearly to 0"
    shared = {"model", "method", "learning rate", "the head reads", "trained parameters", "engine", "precision"}
    assert set(told) == shared | DESCENT | own


@pytest.mark.parametrize(
    ("changes", "adapter", "others"),
    [
        ({}, "rank 8, alpha 16, dropout 0.1", {}),
        ({"use_rslora": "true"}, "rank 8, alpha 16, dropout 0.1, scaled by alpha / √rank", {}),
        ({"use_dora": "true"}, "DoRA, rank 8, alpha 16, dropout 0.1", {}),
        ({"bias": "all"}, "rank 8, alpha 16, dropout 0.1", {"trained biases": "all"}),
        ({"bias": "lora_only"}, "rank 8, alpha 16, dropout 0.1", {"trained biases": "of adapted layers"}),
    ],
)
def test_nothing_passes_as_plain_lora(changes, adapter, others):
    view("lora")
    changed = PARAMS
    for key, value in changes.items():
        changed = re.sub(rf"{key}: \w+", f"{key}: {value}", changed)
    write_text(paths.PARAMS, changed)
    told = rows(read_params("report", ReportView))

    assert told["adapter"] == adapter
    assert {key: value for key, value in told.items() if key == "trained biases"} == others


@pytest.mark.parametrize(
    ("pooling", "pooler", "read"),
    [
        ("first", "own", "what Transformers' classifier of this model reads"),
        ("first", "none", "the last state of the first token"),
        ("mean", "none", "the mean of the last states of all tokens"),
        ("mean", "own", "the mean of the last states of all tokens, through the architecture's own dense layer"),
    ],
)
def test_the_report_says_what_the_head_reads(pooling, pooler, read):
    changed = PARAMS.replace("pooling: first", f"pooling: {pooling}").replace("pooler: own", f"pooler: {pooler}")
    write_text(paths.PARAMS, changed)

    assert rows(read_params("report", ReportView))["the head reads"].startswith(read)


def test_tfidf_has_no_model_no_learning_rate_and_no_epochs():
    params = view("tfidf")
    told = rows(params)

    assert headline(params) == "1,000 samples of reviews: tfidf"
    assert set(told) == {"method", "features", "regularization", "trained parameters", "engine", "precision"}
    assert told["features"] == "TF-IDF weights; longest run of words: 2"
    assert told["regularization"] == "C = 1"
    assert told["trained parameters"] == "148,226"
    assert "minilm" not in f"{told} {classifier(params)}"
    assert "epoch" not in chosen_by(params)


def test_only_what_drops_out_is_said_to():
    assert {method for method in ("lora", "full", "head", "tfidf") if "dropout" in curves_note(view(method), 1000)} == {
        "lora",
        "full",
    }


def test_a_budget_in_steps_is_told_and_what_an_epoch_then_is():
    assert "optimizer steps" not in rows(view("full"))
    params = view("full", max_steps=2000)

    assert rows(params)["optimizer steps"] == "at most 2,000, in 5 equal rounds, here called epochs"
    assert "an equal share of 2,000 steps" in curves_note(params, 1000)


def test_a_small_share_of_trained_parameters_is_not_rounded_to_none():
    scores = read_json(paths.SCORES) | {"trainable_parameters": 770, "trainable_percent": 100 * 770 / 22713986}

    told = dict(training(view("head"), scores, read_json(paths.PROVENANCE_METRICS)))
    assert "(0.00339" in told["trained parameters"]


def test_a_method_that_is_none_is_refused():
    with pytest.raises(ParamsError, match="method must be full or head or lora or tfidf, got 'magic'"):
        view("magic")
