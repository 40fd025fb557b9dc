"""Every method, from fresh weights to a saved classifier and back."""

import pickletools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from stages.engine.lengths import READ_WHOLE
from stages.engine.models.record import read_record
from stages.foundation.errors import StudyError
from stages.methods import METHODS as DECLARED
from stages.methods import load
from stages.methods.head import HeadParams
from tests.engine.conftest import PARAMS, opinions, pairs
from tests.methods.conftest import learn, moods

METHODS = ["lora", "full", "head", "tfidf"]
ENOUGH = {  # three classes are harder than two, and what a random encoder makes of a text says little of one word
    "lora": {"epochs": 10},
    "head": {"epochs": 20, "patience": 20, "head": HeadParams(learning_rate=0.1)},
}
READ = {"head": {"pooling": "mean", "pooler": "none"}}  # the first token's state has to be taught to tell anything
LEARNT = {"lora": 0.9, "full": 0.9, "head": 0.7, "tfidf": 0.9}  # accuracy; chance is 0.5 or 0.33


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rows", [opinions, moods, pairs])
def test_every_method_learns_what_can_be_learnt_and_predicts_the_same_once_loaded(fresh, tmp_path, method, rows):
    classifier = fresh(method, rows(1).label_names, **READ.get(method, {}))
    result = learn(classifier, rows, **ENOUGH.get(method, {}))
    classifier.save(tmp_path)
    loaded, test = load(tmp_path, "cpu"), rows(50, seed=2)

    assert max(epoch.val_accuracy for epoch in result.history) > LEARNT[method]
    assert result.samples_per_second > 0
    assert type(loaded) is type(classifier)
    assert loaded.record == classifier.record
    assert loaded.record.method == method
    logits = loaded.predict(test, 64)
    assert (logits.dtype, logits.shape) == (np.float32, (50, len(test.label_names)))
    assert np.mean(logits.argmax(axis=1) == test.labels) > LEARNT[method]
    np.testing.assert_array_equal(logits, classifier.predict(test, 64))


@pytest.mark.parametrize("method", METHODS)
def test_every_method_repeats_itself_to_the_last_byte(fresh, tmp_path, method):
    histories = []
    for name in ("one", "two"):
        classifier = fresh(method)
        histories.append(learn(classifier, epochs=2).history)
        classifier.save(tmp_path / name)

    assert histories[0] == histories[1]
    files = sorted(file.name for file in (tmp_path / "one").iterdir())
    assert files == sorted(file.name for file in (tmp_path / "two").iterdir())
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


@pytest.mark.parametrize("method", METHODS)
def test_what_a_method_cuts_is_what_it_counts(fresh, capsys, method):
    rows = opinions(40)
    long = replace(rows, sentences=[f"{text} {'very ' * (row % 20)}" for row, text in enumerate(rows.sentences)])
    classifier = fresh(method)
    classifier.fit(long, opinions(20), replace(PARAMS, epochs=1), seed=0)
    told = classifier.lengths(long)
    said = [line for line in capsys.readouterr().out.splitlines() if "texts cut" in line]

    lengths = np.array([2 + len(text.split()) for text in long.sentences])  # and two special tokens
    if method == "tfidf":
        assert (told, said) == (READ_WHOLE, [])
        return
    cut, lost = int(np.sum(lengths > 16)), int(np.maximum(lengths - 16, 0).sum())
    assert cut > 3
    assert (told.num_rows, told.rows_cut, told.tokens_cut) == (40, cut, lost)
    assert said == [
        f"warning: texts cut at 16 tokens: train {cut} of 40 rows ({lost} tokens lost); "
        "if what is lost should count, raise train.max_tokens: the model reads up to 128"
    ]


def test_what_tfidf_declares_to_compute_with_is_what_its_classifier_says(fresh):
    declared, classifier = DECLARED["tfidf"].computation, fresh("tfidf")
    learn(classifier)

    assert (declared.engine, declared.precision) == (classifier.record.engine, classifier.record.precision)


def is_pickle(content):
    try:
        return any(opcode.name == "STOP" for opcode, _, _ in pickletools.genops(content))
    except ValueError:
        return False


@pytest.mark.parametrize("method", METHODS)
def test_no_folder_holds_a_pickle_or_the_path_of_this_machine(fresh, tiny_base, tmp_path, method):
    classifier = fresh(method)
    learn(classifier, epochs=1)
    classifier.save(tmp_path)
    files = [file for file in tmp_path.rglob("*") if file.is_file()]

    assert {file.suffix for file in files} <= {".json", ".safetensors", ".jinja", ".txt"}
    for file in files:
        content = file.read_bytes()
        assert not content.startswith((b"\x80", b"PK"))
        assert not is_pickle(content)
        for place in (tmp_path, tiny_base.folder.parent, Path.home(), Path(__file__).parents[2]):
            assert str(place).encode() not in content, file.name


def test_transformers_own_from_pretrained_loads_the_fully_trained_model(fresh, tmp_path):
    classifier, test = fresh("full"), opinions(30, seed=2)
    learn(classifier)
    classifier.save(tmp_path)

    model, tokenizer = (kind.from_pretrained(tmp_path) for kind in (AutoModelForSequenceClassification, AutoTokenizer))
    encoded = tokenizer(test.sentences, padding=True, return_tensors="pt")
    with torch.no_grad():
        logits = model.eval()(input_ids=encoded.input_ids, attention_mask=encoded.attention_mask).logits.numpy()

    assert model.config.id2label == {0: "negative", 1: "positive"}
    # float32 keeps 6e-8 of a value; padding changes the order of the sums
    np.testing.assert_allclose(logits, classifier.predict(test, 64), rtol=1e-5, atol=1e-5)


def test_each_method_counts_what_it_trains(fresh):
    head = 2 * 32 + 2
    records = {method: fresh(method).record for method in ("lora", "full", "head")}
    encoder = records["head"].total_parameters - head

    assert records["head"].trainable_parameters == head
    assert records["full"].trainable_parameters == records["full"].total_parameters == encoder + head
    assert records["lora"].total_parameters == encoder + 2 * head + 2 * 2 * 2 * 4 * 32
    assert all(record.base.location.startswith("./") for record in records.values())


@pytest.mark.parametrize("method", ["lora", "full", "head"])
def test_the_seed_decides_what_is_learnt(fresh, method):
    histories = [learn(fresh(method, seed=seed), seed=seed, epochs=1).history for seed in (1, 2)]

    assert histories[0] != histories[1]


def test_the_head_leaves_the_encoder_as_it_was(fresh, tiny_base):
    classifier = fresh("head")
    before = {name: weight.clone() for name, weight in classifier.model.named_parameters()}
    learn(classifier)

    changed = {name for name, weight in classifier.model.named_parameters() if not torch.equal(weight, before[name])}
    assert changed == {"classifier.weight", "classifier.bias"}


@pytest.mark.parametrize("method", ["lora", "full", "head"])
def test_the_engine_that_was_used_is_recorded_and_used_again(fresh, tmp_path, method):
    for wanted in ("packed", "plain"):
        fresh(method, engine=wanted).save(tmp_path / wanted)
        assert read_record(tmp_path / wanted).engine == wanted
    packed, plain = (load(tmp_path / wanted, "cpu").predict(opinions(20), 64) for wanted in ("packed", "plain"))

    np.testing.assert_allclose(packed, plain, rtol=0, atol=1e-5)


def test_a_device_that_is_not_there_is_told_before_anything_is_loaded(fresh, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    with pytest.raises(StudyError, match="there is no cuda device here"):
        fresh("lora", device="cuda")


def test_what_was_chosen_is_said(fresh, capsys):
    fresh("lora")

    assert "device cpu: as params.yaml says; precision fp32: as params.yaml says" in capsys.readouterr().out
