"""What the head reads: one meaning for every method, and the same where Transformers reads a saved model."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from peft import PeftModel
from tokenizers import Tokenizer
from transformers import (
    AlbertConfig,
    AlbertModel,
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)

from stages.engine.models.base_model import find_base_model
from stages.engine.models.encoder import load_encoder
from stages.engine.params import Reading
from stages.engine.pooling import configure_pooling, freeze_unread, is_of_head, reads_as_transformers
from stages.foundation.errors import StudyError
from stages.methods import TrainView, load
from stages.methods import build as build_method
from tests.engine.conftest import PARAMS, STILL_LORA, TRANSFORMERS, assert_near, build, opinions, train
from tests.tiny_models import LORA, TINY, VOCABULARY, save_tiny_bert, save_tiny_modernbert

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")

NAMES = ("negative", "positive")
READINGS = [Reading(pooling=pooling, pooler=pooler) for pooling in ("first", "mean") for pooler in ("own", "none")]
ROUNDING = 1e-5  # some 20 to 40 sums of up to 64 terms in float32
# What of each head lies before the output, by the start of its names.
BEFORE_OUTPUT = {
    "bert": "bert.pooler.",
    "roberta": "classifier.dense.",
    "xlm-roberta": "classifier.dense.",
    "camembert": "classifier.dense.",
    "distilbert": "pre_classifier.",
    "electra": "classifier.dense.",
    "mpnet": "classifier.dense.",
    "modernbert": "head.",
    "deberta-v2": "pooler.",
}


def base_at(folder):
    return find_base_model(str(folder), {})


def save_albert(folder):
    """An encoder that has no description."""
    save_tiny_bert(folder)  # for the tokenizer
    sizes = {"embedding_size": 16, "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}
    AlbertModel(AlbertConfig(vocab_size=len(VOCABULARY), **sizes)).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("reading", READINGS, ids=str)
def test_of_the_head_what_the_logits_hang_on_is_trained_and_nothing_else(tmp_path, name, reading):
    model, _ = load_encoder(base_at(TINY[name](tmp_path)), NAMES)
    freeze_unread(model, reading)

    frozen = {weight for weight, parameter in model.named_parameters() if not parameter.requires_grad}
    before = {weight for weight, _ in model.named_parameters() if weight.startswith(BEFORE_OUTPUT[name])}
    assert before
    assert frozen == (before if reading.pooler == "none" else set())


def test_what_was_frozen_before_stays_frozen(tmp_path):
    model, _ = load_encoder(base_at(save_tiny_bert(tmp_path)), NAMES)
    model.bert.requires_grad_(requires_grad=False)
    model.classifier.bias.requires_grad = False
    freeze_unread(model, Reading(pooling="mean", pooler="own"))

    assert [name for name, weight in model.named_parameters() if weight.requires_grad] == ["classifier.weight"]


@pytest.mark.parametrize("name", TINY)
def test_the_encoder_ends_where_the_head_begins(tmp_path, name):
    model, _ = load_encoder(base_at(TINY[name](tmp_path)), NAMES)
    head = {weight for weight, _ in model.named_parameters() if is_of_head(model, weight)}

    assert {weight for weight in head if weight.startswith(BEFORE_OUTPUT[name])}
    assert {weight.partition(".")[0] for weight in head} <= {"classifier", "pre_classifier", "head", "pooler", "bert"}
    assert not any("layer" in weight for weight in head)


@pytest.mark.parametrize("method", ["lora", "full", "head"])
@pytest.mark.parametrize("reading", READINGS, ids=str)
def test_a_model_without_a_description_is_read_in_transformers_way_or_refused_in_one_line(tmp_path, method, reading):
    lora = replace(LORA, target_modules=["attention.query"])
    params = replace(PARAMS, lora=lora, pooling=reading.pooling, pooler=reading.pooler)
    view = TrainView(seed=0, model=str(save_albert(tmp_path)), method=method, train=params)

    if reading == TRANSFORMERS and method != "head":
        assert build_method(view, NAMES).predict(opinions(3), 64).shape == (3, 2)
        return
    with pytest.raises(StudyError) as refused:
        build_method(view, NAMES)
    assert str(refused.value) == (
        "models of type albert are known by Transformers' own classifier alone: "
        "it takes train.pooling: first and train.pooler: own, and the methods lora and full"
    )


def classifier_on(base, reading, *, full=False, engine="auto"):
    lora = None if full else STILL_LORA
    return build(base, seed=0, lora=lora, pooling=reading.pooling, pooler=reading.pooler, engine=engine)


@torch.no_grad()
def logits_in_transformers(folder, base=None):
    """Of 12 opinions by a saved model; an adapter's goes onto the base model, under the saved configuration."""
    if base is None:
        model = AutoModelForSequenceClassification.from_pretrained(folder)
    else:
        config = AutoConfig.from_pretrained(folder)
        model = AutoModelForSequenceClassification.from_pretrained(base.folder, config=config)
        model = PeftModel.from_pretrained(model, folder)
    tokenizer, texts = AutoTokenizer.from_pretrained(folder), list(opinions(12, seed=3).sentences)
    encoded = tokenizer(texts, padding=True, return_tensors="pt", return_token_type_ids=False)
    return model.eval()(**encoded).logits


SAID = "is for stages.methods.load: the classifier of Transformers reads the first token"


@pytest.mark.parametrize("full", [False, True], ids=["lora", "full"])
@pytest.mark.parametrize("reading", READINGS, ids=str)
@pytest.mark.parametrize("name", ["bert", "roberta", "modernbert"])
def test_a_saved_model_is_another_one_in_transformers_where_that_is_said_and_only_there(
    tmp_path, capsys, name, reading, full
):
    base = base_at(TINY[name](tmp_path / "base"))
    classifier = classifier_on(base, reading, full=full)
    train(classifier, epochs=1)
    classifier.save(tmp_path / "saved")
    said = capsys.readouterr().out

    ours = torch.from_numpy(classifier.predict(opinions(12, seed=3), 256))
    theirs = logits_in_transformers(tmp_path / "saved", None if full else base)

    same = reading.pooler == "own" and (reading.pooling == "first" or name == "modernbert")
    assert reads_as_transformers(classifier.transformer, reading) == same
    assert (SAID in said) == (not same)
    assert said.count("Transformers") <= 1
    if same:
        assert_near(ours, theirs, rounding=ROUNDING)
    else:
        assert (ours - theirs).abs().max() > 0.01
    np.testing.assert_array_equal(load(tmp_path / "saved", "cpu").predict(opinions(12, seed=3), 256), ours)


@pytest.mark.parametrize("own", ["cls", "mean"])
@pytest.mark.parametrize("pooling", ["first", "mean"])
def test_train_pooling_decides_and_not_the_configuration_of_modernbert(tmp_path, capsys, own, pooling):
    """The published ones say `mean`."""
    base, reading = (
        base_at(save_tiny_modernbert(tmp_path, classifier_pooling=own)),
        Reading(pooling=pooling, pooler="own"),
    )
    packed, plain = (classifier_on(base, reading, engine=engine) for engine in ("packed", "plain"))
    said, split, wanted = capsys.readouterr().out, opinions(12), {"first": "cls", "mean": "mean"}[pooling]
    logits = packed.predict(split, 64)

    np.testing.assert_allclose(plain.predict(split, 64), logits, rtol=0, atol=1e-5)
    for classifier in (packed, plain):
        classifier.save(tmp_path / classifier.record.engine)
        loaded = load(tmp_path / classifier.record.engine, "cpu")
        np.testing.assert_allclose(loaded.predict(split, 64), logits, rtol=0, atol=1e-5)
    assert packed.transformer.config.classifier_pooling == wanted
    line = f"pools by '{own}' in its own config.json; train.pooling decides, there as well\n"
    assert said.count(line) == (0 if own == wanted else 2)

    other = classifier_on(base_at(tmp_path), Reading(pooling=({"first", "mean"} - {pooling}).pop(), pooler="own"))
    assert np.abs(other.predict(split, 64) - logits).max() > 0.01


def test_what_a_configuration_cannot_say_is_left_alone(tmp_path):
    model, _ = load_encoder(base_at(save_tiny_bert(tmp_path)), NAMES)
    before = model.config.to_dict()

    assert configure_pooling(model, Reading(pooling="mean", pooler="own")) is None
    assert model.config.to_dict() == before


LIMITS = {"none": {}, "1e30": {"model_max_length": int(1e30)}}


@pytest.mark.parametrize("limit", LIMITS.values(), ids=LIMITS)
@pytest.mark.parametrize("method", ["lora", "full", "head"])
def test_a_tokenizer_without_a_limit_of_length_is_cut_at_max_tokens(tiny_base, tmp_path, method, limit):
    folder = shutil.copytree(tiny_base.folder, tmp_path / "base")
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config.pop("model_max_length", None)
    (folder / "tokenizer_config.json").write_text(json.dumps(config | limit))
    assert Tokenizer.from_file(str(folder / "tokenizer.json")).truncation is None
    view = TrainView(seed=0, model=str(folder), method=method, train=replace(PARAMS, epochs=1, max_tokens=8))
    classifier, split = build_method(view, NAMES), opinions(20, seed=1)
    long = replace(split, sentences=[f"{text} " + "film " * 400 for text in split.sentences])
    cut = replace(split, sentences=[" ".join(text.split()[:6]) for text in long.sentences])

    classifier.fit(long, long, view.train, seed=0)
    classifier.save(tmp_path / "saved")

    predicted = load(tmp_path / "saved", "cpu").predict(long, 64)
    np.testing.assert_array_equal(predicted, classifier.predict(cut, 64))


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("reading", [TRANSFORMERS, READINGS[3]], ids=str)
def test_predictions_are_the_same_at_any_number_of_tokens_a_pass(tmp_path, name, reading):
    classifier, split = classifier_on(base_at(TINY[name](tmp_path)), reading), opinions(40)
    expected = torch.from_numpy(classifier.predict(split, 10**6))

    for batch_tokens in (1, 9, 50, 333):
        assert_near(torch.from_numpy(classifier.predict(split, batch_tokens)), expected, rounding=ROUNDING)
