"""Encoders that the packed pass does not know, from params.yaml to predictions."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from stages.engine.models.base_model import find_base_model
from stages.foundation.errors import StudyError
from stages.methods import TrainView, build, load
from tests.engine.conftest import PARAMS, opinions, pairs
from tests.engine.conftest import build as build_on
from tests.tiny_models import (
    LORA,
    save_tiny_bert,
    save_tiny_deberta,
    save_tiny_mpnet,
    save_tiny_roberta,
    save_tiny_xlnet,
)

FAMILIES = {
    "deberta": (save_tiny_deberta, ["query_proj", "value_proj"], "models of type deberta-v2"),
    "bert as a decoder": (lambda folder: save_tiny_bert(folder, is_decoder=True), ["query", "value"], "decoders"),
}


@pytest.fixture(params=FAMILIES.values(), ids=FAMILIES.keys())
def other(request, tmp_path):
    """Params for an encoder that is not the packed pass's BERT, and the reason that is said."""
    save, target_modules, reason = request.param
    lora = replace(LORA, target_modules=target_modules)
    view = TrainView(seed=0, model=str(save(tmp_path / "base")), method="lora", train=replace(PARAMS, lora=lora))
    return view, reason


@pytest.mark.parametrize("method", ["lora", "full", "head"])
def test_another_encoder_is_trained_saved_and_loaded_in_the_plain_way(other, tmp_path, capsys, method):
    view, reason = other
    classifier = build(replace(view, method=method), ("negative", "positive"))
    assert f"engine plain, several times slower: the packed one does not know {reason}\n" in capsys.readouterr().out

    result = classifier.fit(opinions(64), opinions(20, seed=1), replace(view.train, epochs=1), seed=0)
    classifier.save(tmp_path / "saved")
    loaded, test = load(tmp_path / "saved", "cpu"), opinions(30, seed=2)

    assert len(result.history) == 1
    assert classifier.record.engine == loaded.record.engine == "plain"
    np.testing.assert_array_equal(loaded.predict(test, 64), classifier.predict(test, 64))
    # padding to another length leaves the answer as it is, but for float32's rounding
    np.testing.assert_allclose(loaded.predict(test, 1), classifier.predict(test, 30), rtol=0, atol=1e-5)


def test_the_packed_engine_is_refused_for_it_in_one_clear_line(other):
    view, reason = other
    with pytest.raises(StudyError, match=reason) as caught:
        build(replace(view, train=replace(view.train, engine="packed")), ("negative", "positive"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("rows", [opinions, pairs])
def test_a_classifier_that_reads_the_last_token_finds_it_whatever_the_texts_beside(tmp_path, rows):
    """XLNet: no limit of length, segments of its own, and padding on the left."""
    classifier = build_on(find_base_model(str(save_tiny_xlnet(tmp_path)), {}), seed=0, lora=None)
    classifier.fit(rows(32), rows(20, seed=1), replace(PARAMS, epochs=1), seed=0)
    test = rows(12, seed=2)

    alone = []
    for row in range(len(test)):
        text, second = test.sentences[row], test.second and test.second[row]
        encoded = classifier.tokenizer(text, second, return_tensors="pt")
        with torch.no_grad():
            alone.append(classifier.model.eval()(**encoded).logits[0].numpy())

    # padding to another length leaves the answer as it is, but for float32's rounding
    np.testing.assert_allclose(classifier.predict(test, 1000), alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "changes", [{"bias": "all"}, {"bias": "lora_only"}, {"target_modules": ["query", "word_embeddings"]}], ids=str
)
def test_adapters_that_the_packed_pass_does_not_know_are_trained_and_saved(tiny_base, tmp_path, changes):
    classifier = build_on(tiny_base, seed=0, lora=replace(LORA, **changes))
    before, test = classifier.predict(opinions(30, seed=2), 64), opinions(30, seed=2)
    classifier.fit(opinions(64), opinions(20, seed=1), replace(PARAMS, epochs=1), seed=0)
    classifier.save(tmp_path)

    assert classifier.record.engine == "plain"
    assert not np.allclose(classifier.predict(test, 64), before)
    np.testing.assert_array_equal(load(tmp_path, "cpu").predict(test, 64), classifier.predict(test, 64))


@pytest.mark.parametrize(
    ("save", "positions", "target_modules"),
    [(save_tiny_roberta, 16, ["query", "value"]), (save_tiny_mpnet, 17, ["q", "v"])],  # padding is token 0, and 1
)
def test_a_model_reads_as_many_tokens_as_it_has_positions_behind_that_of_padding(
    tmp_path, save, positions, target_modules
):
    base = find_base_model(str(save(tmp_path, max_position_embeddings=positions)), {})
    long, lora = (
        replace(opinions(2), sentences=["film " * 40, "good " * 40]),
        replace(LORA, target_modules=target_modules),
    )

    assert build_on(base, seed=0, lora=lora, max_tokens=15).predict(long, 2).shape == (2, 2)
    with pytest.raises(StudyError, match=r"train\.max_tokens is 16, but model .* reads at most 15 tokens"):
        build_on(base, seed=0, lora=lora, max_tokens=16)
