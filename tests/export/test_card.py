"""The model card: true, readable by the Hub, and safe whatever a class is called."""

from dataclasses import replace

import pytest
from huggingface_hub import ModelCard

from stages.engine.models.record import read_record
from stages.export.card import model_card
from stages.export.exports import Check
from stages.export.trained import find_trained
from stages.foundation import paths
from stages.foundation.files import read_json
from stages.foundation.interval import Interval
from stages.reporting.numbers import NONE
from tests.export.conftest import NAMES

CHECK = Check(
    rows=41,
    differences={"ONNX Runtime": 2.5e-6},
    limit=1e-4,
    precision="bf16",
    drift=0.0123,
    changed=2,
    accuracy=Interval(value=0.8, low=0.7, high=0.9, confidence_level=0.95),
    int8_change=None,
)


def plain(text):
    return text.replace("\N{NARROW NO-BREAK SPACE}", " ").replace("\N{MINUS SIGN}", "-")


def card_of(name="merged", *, model=None, licence=None, check=CHECK, **changes):
    with find_trained(None, model) as trained:
        record = read_record(trained.folder)
        return plain(model_card(name, replace(trained, **changes), record, check, licence=licence))


@pytest.mark.parametrize(
    ("method", "name", "library"),
    [
        ("lora", "adapter", "peft"),
        ("lora", "merged", "transformers"),
        ("head", "onnx", "onnx"),
        ("tfidf", "files", None),
    ],
)
def test_the_hubs_own_reader_finds_the_results_in_the_metadata(experiment, method, name, library):
    experiment(method)
    data, scores = ModelCard(card_of(name, licence="mit")).data, read_json(paths.SCORES)

    assert (data.library_name, data.pipeline_tag, data.license) == (library, "text-classification", "mit")
    results = {(found.dataset_split, found.metric_type): found.metric_value for found in data.eval_results}
    assert results["test", "accuracy"] == scores["test_accuracy"]
    assert results["test", "f1"] == scores["test_f1"]
    assert {found.dataset_name for found in data.eval_results} == {"mine | ours"}
    assert data.base_model is None  # a folder of this machine is no base model that the Hub knows


def test_a_base_model_of_the_hub_is_named_in_the_metadata(experiment):
    experiment()
    with find_trained(None, None) as trained:
        record = read_record(trained.folder)
        hub = replace(record, base=replace(record.base, source="hub", location="owner/name"))
        assert ModelCard(model_card("merged", trained, hub, CHECK, licence=None)).data.base_model == "owner/name"


def test_every_number_of_the_card_was_recorded(experiment):
    experiment()
    card, scores = card_of(), read_json(paths.SCORES)

    for split in ("test", "val"):
        assert f"{100 * scores[f'{split}_accuracy']:.1f} %" in card
        assert (
            f"{100 * scores[f'{split}_accuracy_low']:.1f} % to {100 * scores[f'{split}_accuracy_high']:.1f} %" in card
        )
    assert "| labels paid for | 161: 120 trained on, 41 to validate |" in card
    assert "| validation, with the pool | 0 | 3 | 0 | 3 (7.3 %) |" in card
    assert "seed 42" in card
    assert "| train.lora.learning\\_rate | 0.01 |" in card
    assert "| train.full.learning\\_rate" not in card  # another method's
    assert "2.5e-06 by ONNX Runtime (limit 1.0e-04)" in card
    assert "differ from these by 1.2e-02 at most" in card
    assert "Rows with another class than by the engine as it was trained: 2." in card


@pytest.mark.parametrize(("licence", "told"), [("apache-2.0", "apache-2.0"), (None, "not stated in the files")])
def test_the_licence_is_the_one_that_the_files_state(experiment, licence, told):
    experiment()

    assert f"| of the base model ./tiny (./tiny) | {told} |" in card_of(licence=licence)


def test_a_class_may_bear_any_name(experiment):
    experiment()
    body = card_of().partition("\n---\n")[2].partition("## How it is loaded")[0]

    assert "<script>" not in body
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in body
    assert "a\\|b \\*c\\* \\[d](e)" in body
    assert NAMES[1] not in body


def test_calibration_and_classes_are_told_where_they_were_recorded(experiment):
    experiment()
    classes = {
        "test": {
            NAMES[0]: {"support": 30, "predicted": 20, "precision": 0.5, "recall": 0.25, "f1": 0.333},
            NAMES[1]: {"support": 0, "predicted": 0},
        }
    }
    with find_trained(None, None) as trained:
        facts = replace(trained.facts, classes=classes)
    card = card_of(
        facts=facts, calibration={"temperature": 1.25, "validation_rows": 41, "flag_below": None, "more": [1]}
    )

    assert "| temperature by which logits are divided | 1.25 |" in card
    assert f"| probability below which a prediction is unsure | {NONE} |" in card
    assert "No test row is of class a\\|b" in card
    assert "| 0.500 | 0.250 | 0.333 | 30 |" in card
    assert f"| {NONE} | {NONE} | {NONE} | 0 |" in card
    assert "not calibrated" not in card
    bare = card_of(facts=replace(facts, classes={}), calibration={})
    assert "not calibrated" in bare
    assert "By class" not in bare


def test_of_a_folder_alone_the_card_says_what_is_not_known(experiment):
    experiment()
    card = card_of(model=paths.MODEL)

    assert "its data, its protocol and its test scores are not known here" in card
    assert "80.0 % \\[70.0, 90.0]" in card  # what the export itself measured
    assert "seed" not in card
    assert ModelCard(card).data.eval_results is None


def test_int8_is_told_and_the_example_loads_that_file(experiment):
    experiment()
    card = card_of("onnx", check=replace(CHECK, int8_change=-0.012))

    assert "The int8 weights change the accuracy on these rows by -1.2 points." in card
    assert 'InferenceSession("model_int8.onnx")' in card
    assert 'InferenceSession("model.onnx")' in card_of("onnx")


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("merged", 'classify([{"text": "a text", "text_pair": "its second"}], truncation=True'),
        ("adapter", 'classify([{"text": "a text", "text_pair": "its second"}], truncation=True'),
        ("onnx", 'encode_batch([("a text", "its second")])'),
        ("files", 'classify([("a text", "its second")])'),
    ],
)
def test_a_model_of_pairs_is_called_one_and_is_given_pairs(experiment, name, given):
    experiment()
    with find_trained(None, None) as trained:
        validation = trained.validation

    of_pairs = card_of(name, validation=replace(validation, second=validation.sentences))
    assert "A classifier of pairs of texts into" in of_pairs
    assert given in of_pairs
    of_texts = card_of(name)
    assert "A classifier of texts into" in of_texts
    assert '["a text"]' in of_texts
