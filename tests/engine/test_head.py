"""A head on a frozen encoder reads what the head of a fine-tuned one reads."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForSequenceClassification

from stages.engine.head import build_head_classifier
from stages.engine.models.base_model import find_base_model
from stages.engine.models.encoder import Setup
from stages.engine.predict import text_states
from tests.engine.conftest import CPU, PARAMS, opinions
from tests.tiny_models import TINY


def head_on(folder, *, pooling, pooler):
    setup = Setup(base=find_base_model(str(folder), {}), device=CPU, precision="fp32")
    params = replace(PARAMS, pooling=pooling, pooler=pooler)
    names = ("negative", "positive")
    return build_head_classifier(setup, params, method="head", method_version=1, label_names=names, seed=0)


@pytest.mark.parametrize("pooling", ["first", "mean"])
@pytest.mark.parametrize("name", TINY)
@torch.no_grad()
def test_the_states_are_those_of_transformers_text_by_text(tmp_path, name, pooling):
    head, split = head_on(TINY[name](tmp_path), pooling=pooling, pooler="none"), opinions(12)
    encoder = AutoModel.from_pretrained(tmp_path).eval()

    states = text_states(head.forward, head._tokenized(split), batch_tokens=5, device=CPU)

    for sentence, state in zip(split.sentences, states, strict=True):  # one text at a time needs no padding
        encoded = head.tokenizer(sentence, return_tensors="pt")
        hidden = encoder(input_ids=encoded.input_ids, attention_mask=encoded.attention_mask).last_hidden_state[0]
        expected = hidden[0] if pooling == "first" else hidden.mean(dim=0)
        torch.testing.assert_close(torch.from_numpy(state), expected, rtol=0, atol=1e-5)  # float32, values up to 3


@pytest.mark.parametrize("name", TINY)
@torch.no_grad()
def test_with_the_architectures_own_pooler_it_is_the_classifier_of_transformers(tmp_path, name):
    head, split = head_on(TINY[name](tmp_path), pooling="first", pooler="own"), opinions(12)
    whole = AutoModelForSequenceClassification.from_pretrained(tmp_path, num_labels=2).eval()
    whole.load_state_dict(head.model.state_dict())

    logits = torch.from_numpy(head.predict(split, 64))

    encoded = head.tokenizer(list(split.sentences), padding=True, return_tensors="pt", return_token_type_ids=False)
    torch.testing.assert_close(logits, whole(**encoded).logits, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("pooler", "trained"), [("none", 32 * 2 + 2), ("own", 32 * 2 + 2 + 32 * 32 + 32)])
def test_what_the_head_does_not_read_is_not_trained(tmp_path, pooler, trained):
    head = head_on(TINY["roberta"](tmp_path), pooling="mean", pooler=pooler)

    assert sum(weight.numel() for weight in head.trainable().values()) == trained
    assert head.record.trainable_parameters == trained


def test_a_pretrained_pooler_belongs_to_the_frozen_model(tmp_path):
    head = head_on(TINY["bert"](tmp_path), pooling="first", pooler="own")

    assert set(head.trainable()) == {"classifier.weight", "classifier.bias"}


@pytest.mark.parametrize(("pooler", "trained"), [("none", 32 * 2 + 2), ("own", 32 * 2 + 2 + 32 * 32 + 32)])
def test_a_pooler_that_pretraining_left_out_is_counted_once(tmp_path, pooler, trained):
    file = TINY["bert"](tmp_path) / "model.safetensors"
    weights = {name: weight for name, weight in load_file(file).items() if "pooler" not in name}
    save_file(weights, file, metadata={"format": "pt"})

    head = head_on(tmp_path, pooling="first", pooler=pooler)

    assert head.record.trainable_parameters == trained
    assert head.record.total_parameters == sum(weight.numel() for weight in head.model.parameters())
