"""The packed pass computes what Transformers and PEFT compute, whatever the texts, and trains alike."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from stages.engine.models.base_model import find_base_model
from stages.engine.packed.dropout import DropoutMasks
from stages.engine.packed.packed_encoder import PackedEncoder
from stages.engine.packed.packing import pack
from stages.engine.plain import PlainForward
from stages.engine.training.history import best_epoch
from tests.engine.conftest import CPU, STILL_LORA, TRANSFORMERS, assert_near, build, opinions, stir, texts_of, train
from tests.tiny_models import NO_DROPOUT, save_tiny_bert

# float32 knows 6e-8 of a value. Logits and gradients have been through some 20 sums of up to 64 terms.
ROUNDING = 1e-5
TRAINED = [["query", "value"], ["key"], ["query", "key", "value", "dense"], None]  # adapters on these, or everything


@pytest.fixture(params=TRAINED, ids=lambda names: ",".join(names or ["full"]))
def classifier(request, still_base):
    lora = request.param and replace(STILL_LORA, target_modules=request.param)
    return stir(build(still_base, seed=0, lora=lora))


def batch_of(lengths):
    return pack(texts_of(lengths), np.arange(len(lengths)))


def packed_and_plain(classifier):
    return PackedEncoder(classifier.transformer, torch.float32, TRANSFORMERS), PlainForward(
        classifier.transformer, "fp32", TRANSFORMERS
    )


def outcome(classifier, forward, batch):
    """Logits, loss, and the gradient of every weight that is trained."""
    logits = forward.logits(batch, None)
    loss = cross_entropy(logits, torch.arange(len(logits)) % 2)
    weights = classifier.trainable()
    return logits, loss, dict(zip(weights, torch.autograd.grad(loss, list(weights.values())), strict=True))


def assert_same_outcome(classifier, batch):
    packed, plain = packed_and_plain(classifier)
    logits, loss, gradients = outcome(classifier, packed, batch)
    expected_logits, expected_loss, expected_gradients = outcome(classifier, plain, batch)

    assert_near(logits, expected_logits, rounding=ROUNDING)
    assert_near(loss, expected_loss, rounding=ROUNDING)
    largest = max(gradient.abs().max().item() for gradient in expected_gradients.values())
    for name, expected in expected_gradients.items():
        # Some are 0 but for the rounding of large terms: a key's bias, say, shifts all scores of a query alike.
        scale = max(expected.abs().max().item(), largest / 20)
        # A sum over all tokens and back through every layer; seen is 1.006 times ROUNDING, on AVX2.
        assert_near(gradients[name], expected, rounding=2 * ROUNDING, scale=scale)


@given(lengths=st.lists(st.integers(1, 60), min_size=1, max_size=8))
@example(lengths=[*range(1, 41)])
@example(lengths=[3, 40, 5, 17, 4, 33, 100])
@example(lengths=[1])
@example(lengths=[46, 43])
@example(lengths=[12] * 5)
@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_texts_give_the_logits_loss_and_gradients_of_transformers_and_peft(classifier, lengths):
    assert_same_outcome(classifier, batch_of(lengths))


@pytest.mark.parametrize("heads", [1, 4, 8])
def test_any_number_of_heads_and_layers_gives_the_same_outcome(tmp_path, heads):
    sizes = {"num_attention_heads": heads, "num_hidden_layers": heads % 3 + 1}
    base = find_base_model(str(save_tiny_bert(tmp_path, **NO_DROPOUT, **sizes)), {})

    assert_same_outcome(stir(build(base, seed=0, lora=STILL_LORA)), batch_of([3, 20, 7]))


def test_the_gradients_are_worth_comparing(classifier):
    """Not 0, but for those of which the comment above says why."""
    _, _, gradients = outcome(classifier, packed_and_plain(classifier)[0], batch_of([3, 20, 7]))

    assert all(gradient.abs().max() > 1e-4 for name, gradient in gradients.items() if ".key.bias" not in name)


@torch.no_grad()
def drawn_logits(classifier):
    """(400, B, C) logits of either engine with dropout on."""
    batch, masks = batch_of([3, 20, 7]), DropoutMasks(0, CPU)
    torch.manual_seed(0)  # the plain pass draws from PyTorch's own generator
    return [
        torch.stack([forward.logits(batch, masks) for _ in range(400)]).double()
        for forward in packed_and_plain(classifier)
    ]


def test_dropout_makes_every_pass_another_one_around_the_same_mean(tiny_base):
    """Over 400 draws each, packed and plain may differ by 4 standard errors, drawn with fixed seeds."""
    classifier = stir(build(tiny_base, seed=0))

    packed, plain = drawn_logits(classifier)

    assert not torch.equal(packed[0], packed[1])
    error = (packed.var(dim=0) / 400 + plain.var(dim=0) / 400).sqrt()
    assert ((packed.mean(dim=0) - plain.mean(dim=0)).abs() < 4 * error).all()
    # a deviation is known to 1 / sqrt(2 * 400) of itself, the ratio of two to 5 %
    assert (packed.std(dim=0) / plain.std(dim=0) - 1).abs().max() < 0.2


def test_both_engines_train_alike(still_base):
    """Dropout off, so that nothing but rounding differs; Adam's division carries that on from step to step."""
    results = [
        train(build(still_base, seed=0, lora=STILL_LORA, engine=engine), seed=0) for engine in ("packed", "plain")
    ]

    packed, plain = (result.history for result in results)
    assert best_epoch(packed).epoch == best_epoch(plain).epoch
    for ours, theirs in zip(packed, plain, strict=True):
        assert ours.train_loss == pytest.approx(theirs.train_loss, abs=1e-3)
        assert ours.val_loss == pytest.approx(theirs.val_loss, abs=1e-3)
        assert ours.val_accuracy == theirs.val_accuracy
        assert ours.learning_rate == theirs.learning_rate


@pytest.mark.parametrize("method", ["lora", "full"])
def test_the_packed_pass_predicts_as_the_plain_one_after_training(tiny_base, method):
    classifier = build(tiny_base, seed=0, **({} if method == "lora" else {"lora": None}))
    train(classifier, epochs=1)
    split = opinions(30, seed=2)
    plain = replace(classifier, record=replace(classifier.record, engine="plain"))

    predicted, expected = (torch.tensor(one.predict(split, 64)) for one in (classifier, plain))

    assert_near(predicted, expected, rounding=ROUNDING)
