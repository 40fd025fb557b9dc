from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from stages.engine.history import best_epoch, read_history, write_history
from stages.engine.loop import fit
from stages.engine.params import TrainParams
from stages.engine.predict import predict_logits, tokenized
from stages.engine.tokens import pad
from stages.foundation.errors import StudyError
from tests.engine.conftest import build, opinions
from tests.tiny_bert import LORA

PARAMS = TrainParams(
    epochs=4,
    batch_size=8,
    learning_rate=0.01,
    weight_decay=0.0,
    max_grad_norm=1.0,
    patience=4,
    max_tokens=16,
    bucket_batches=2,
    precision="fp32",
    lora=LORA,
    base_models={},
)


def test_training_learns_what_can_be_learnt(tiny_classifier):
    result = fit(tiny_classifier, opinions(200), opinions(60, seed=1), PARAMS, seed=0)

    assert result.history[-1].val_accuracy > 0.95
    assert result.history[-1].val_loss < result.history[0].train_loss


def test_the_same_seed_gives_the_same_history_and_weights(tiny_base):
    def run(seed):
        classifier = build(tiny_base, seed=seed)
        return fit(classifier, opinions(64), opinions(20, seed=1), PARAMS, seed=seed), classifier

    (first, one), (again, two), (other, _) = run(1), run(1), run(2)

    assert first.history == again.history
    assert all(torch.equal(one.trainable()[name], two.trainable()[name]) for name in one.trainable())
    assert first.history != other.history


def test_the_weights_of_the_best_epoch_are_kept(tiny_classifier):
    validation = opinions(40, seed=1)
    wrong = replace_labels(opinions(200))  # trained on the opposite, validation can only get worse
    result = fit(tiny_classifier, wrong, validation, replace(PARAMS, patience=2), seed=0)

    rows = tokenized(tiny_classifier, validation)
    logits = torch.tensor(predict_logits(tiny_classifier, rows, 128)).double()
    kept = cross_entropy(logits, torch.tensor(validation.labels)).item()

    assert kept == pytest.approx(best_epoch(result.history).val_loss, abs=1e-12)
    assert kept < result.history[-1].val_loss


def test_training_stops_when_validation_no_longer_improves(tiny_classifier):
    wrong = replace_labels(opinions(200))

    result = fit(tiny_classifier, wrong, opinions(40, seed=1), replace(PARAMS, epochs=9, patience=2), seed=0)

    assert len(result.history) == best_epoch(result.history).epoch + 2


def test_the_learning_rate_falls_linearly_to_zero(tiny_classifier):
    result = fit(tiny_classifier, opinions(64), opinions(20, seed=1), PARAMS, seed=0)

    rates = [epoch.learning_rate for epoch in result.history]
    assert rates == pytest.approx([0.0075, 0.005, 0.0025, 0.0])


def test_the_base_model_stays_as_it_was(tiny_classifier):
    frozen = {
        name: weight.clone() for name, weight in tiny_classifier.model.named_parameters() if not weight.requires_grad
    }
    fit(tiny_classifier, opinions(32), opinions(20, seed=1), PARAMS, seed=0)

    assert all(torch.equal(dict(tiny_classifier.model.named_parameters())[name], old) for name, old in frozen.items())


def test_one_step_is_the_textbook_adamw_step(tiny_base):
    """One batch, no dropout, no clipping: Adam's first step moves each weight by the rate, against its gradient."""
    classifier = build(tiny_base, seed=0)
    for module in classifier.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    split = opinions(8)
    params = replace(PARAMS, epochs=1, max_grad_norm=1e9, learning_rate=1e-3)
    rows = tokenized(classifier, split)
    loss = cross_entropy(classifier.logits(pad(rows.token_ids, rows.pad_token_id)), torch.tensor(split.labels))
    loss.backward()
    before = {name: (weight.detach().clone(), weight.grad.clone()) for name, weight in classifier.trainable().items()}

    result = fit(classifier, split, split, params, seed=0)

    assert result.history[0].train_loss == pytest.approx(loss.item(), abs=1e-6)
    for name, weight in classifier.trainable().items():
        old, gradient = before[name]
        expected = old - 1e-3 * gradient / (gradient.abs() + 1e-8)
        torch.testing.assert_close(weight.detach(), expected, rtol=0, atol=2e-5)


def test_a_loss_that_is_no_number_is_one_clear_error(tiny_classifier):
    with torch.no_grad():
        next(iter(tiny_classifier.trainable().values())).fill_(float("nan"))

    with pytest.raises(StudyError, match=r"no longer a number; lower train\.learning_rate"):
        fit(tiny_classifier, opinions(16), opinions(20, seed=1), PARAMS, seed=0)


def test_predictions_do_not_depend_on_batching_or_order(tiny_classifier):
    split = opinions(50)
    rows = tokenized(tiny_classifier, split)
    together = predict_logits(tiny_classifier, rows, 50)
    turned = split.take(np.arange(50)[::-1].copy())

    np.testing.assert_allclose(predict_logits(tiny_classifier, rows, 7), together, rtol=0, atol=1e-5)
    backwards = predict_logits(tiny_classifier, tokenized(tiny_classifier, turned), 50)
    np.testing.assert_allclose(backwards[::-1], together, rtol=0, atol=1e-5)


def test_a_history_survives_its_file_to_the_last_bit(tiny_classifier, tmp_path):
    history = fit(tiny_classifier, opinions(32), opinions(20, seed=1), PARAMS, seed=0).history

    write_history(tmp_path / "history.csv", history)

    assert read_history(tmp_path / "history.csv") == history


def replace_labels(split):
    return replace(split, labels=1 - split.labels)
