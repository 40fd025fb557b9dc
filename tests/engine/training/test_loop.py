from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from stages.engine.packed.packing import pack
from stages.engine.predict import BATCH_TOKENS
from stages.engine.tokens import tokenize
from stages.engine.training import loop
from stages.engine.training.history import best_epoch
from stages.foundation.errors import ParamsError, StudyError
from stages.foundation.log import followed
from tests.engine.conftest import PARAMS, STILL_LORA, build, opinions, train, turned
from tests.tiny_models import LORA


def test_training_learns_what_can_be_learnt(tiny_classifier):
    result = train(tiny_classifier, opinions(200), opinions(60, seed=1))

    assert result.history[-1].val_accuracy > 0.95
    assert result.history[-1].val_loss < result.history[0].train_loss


def test_the_same_seed_gives_the_same_history_and_weights(tiny_base):
    def run(seed):
        classifier = build(tiny_base, seed=seed)
        return train(classifier, seed=seed), classifier

    (first, one), (again, two), (other, _) = run(1), run(1), run(2)

    assert first.history == again.history
    assert all(torch.equal(one.trainable()[name], two.trainable()[name]) for name in one.trainable())
    assert first.history != other.history


def test_the_weights_of_the_best_epoch_are_kept(tiny_classifier):
    validation = opinions(40, seed=1)
    wrong = turned(opinions(200))  # trained on the opposite, validation can only get worse
    result = train(tiny_classifier, wrong, validation, patience=2)

    logits = torch.tensor(tiny_classifier.predict(validation, BATCH_TOKENS)).double()
    kept = cross_entropy(logits, torch.tensor(validation.labels)).item()

    assert kept == pytest.approx(best_epoch(result.history).val_loss, abs=1e-12)
    assert kept < result.history[-1].val_loss


def test_training_stops_when_validation_no_longer_improves(tiny_classifier):
    result = train(tiny_classifier, turned(opinions(200)), opinions(40, seed=1), epochs=9, patience=2)

    assert len(result.history) == best_epoch(result.history).epoch + 2


def test_the_learning_rate_falls_linearly_to_zero(tiny_classifier):
    result = train(tiny_classifier)

    rates = [epoch.learning_rate for epoch in result.history]
    assert rates == pytest.approx([0.0075, 0.005, 0.0025, 0.0])


def test_the_base_model_stays_as_it_was(tiny_classifier):
    frozen = {
        name: weight.clone() for name, weight in tiny_classifier.model.named_parameters() if not weight.requires_grad
    }
    train(tiny_classifier, opinions(32))

    assert all(torch.equal(dict(tiny_classifier.model.named_parameters())[name], old) for name, old in frozen.items())


def test_one_step_is_the_textbook_adamw_step(still_base):
    """One batch, no dropout, no clipping: Adam's first step moves each weight by the rate, against its gradient."""
    classifier = build(still_base, seed=0, lora=STILL_LORA)
    split = opinions(8)
    rows = tokenize(classifier.tokenizer, split.sentences, 16)
    logits = classifier.forward.logits(pack(rows, np.arange(len(split))), None)
    loss = cross_entropy(logits, torch.tensor(split.labels))
    loss.backward()
    before = {name: (weight.detach().clone(), weight.grad.clone()) for name, weight in classifier.trainable().items()}

    rate = replace(STILL_LORA, learning_rate=1e-3)
    result = train(classifier, split, split, epochs=1, max_grad_norm=1e9, lora=rate)

    assert result.history[0].train_loss == pytest.approx(loss.item(), abs=1e-6)
    for name, weight in classifier.trainable().items():
        old, gradient = before[name]
        expected = old - 1e-3 * gradient / (gradient.abs() + 1e-8)
        torch.testing.assert_close(weight.detach(), expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("engine", ["packed", "plain"])
def test_a_loss_that_is_no_number_is_one_clear_error(tiny_base, engine):
    classifier = build(tiny_base, seed=0, engine=engine)
    with torch.no_grad():
        next(iter(classifier.trainable().values())).fill_(float("nan"))

    with pytest.raises(StudyError, match=r"no longer a number; lower the method's learning_rate in params\.yaml"):
        train(classifier, opinions(16))


@pytest.fixture
def batches(monkeypatch):
    """The rows of every optimizer step."""
    seen = []
    step = loop._train_step

    def watched(learner, rows, *others):
        seen.append(rows)
        step(learner, rows, *others)

    monkeypatch.setattr(loop, "_train_step", watched)
    return seen


@pytest.mark.parametrize(
    ("max_steps", "rounds"), [(4, [1, 1, 1, 1]), (7, [1, 2, 2, 2]), (35, [8, 9, 9, 9]), (None, [8, 8, 8, 8])]
)
def test_max_steps_is_the_exact_number_of_steps_in_as_many_rounds_as_epochs(
    tiny_classifier, batches, max_steps, rounds
):
    """A pass over 64 rows takes 8 steps: fewer in all, hardly one pass, and more."""
    result = train(tiny_classifier, max_steps=max_steps)

    assert replace(PARAMS, max_steps=max_steps).schedule(64).rounds == rounds
    assert len(batches) == sum(rounds)
    assert len(result.history) == PARAMS.epochs
    assert result.history[-1].learning_rate == 0
    share = np.cumsum(rounds) / sum(rounds)
    assert [epoch.learning_rate for epoch in result.history] == pytest.approx(LORA.learning_rate * (1 - share))


def test_steps_go_on_through_the_rows_from_round_to_round(tiny_classifier, batches):
    train(tiny_classifier, max_steps=18)

    first, second, rest = (np.concatenate(batches[at : at + 8]) for at in (0, 8, 16))
    assert sorted(first) == sorted(second) == list(range(64))
    assert len(rest) == len(set(rest)) == 16


def test_as_many_max_steps_as_the_passes_take_change_nothing(tiny_base):
    histories = [train(build(tiny_base, seed=0), max_steps=max_steps).history for max_steps in (None, 32)]

    assert histories[0] == histories[1]


@pytest.mark.parametrize("max_steps", [3, 0, -1])
def test_fewer_steps_than_rounds_are_refused(max_steps):
    complaint = rf"train\.max_steps must be at least train\.epochs, 4, got {max_steps}"
    with pytest.raises(ParamsError, match=complaint):
        replace(PARAMS, max_steps=max_steps)


def test_a_training_is_followed_by_what_its_last_validation_said(tiny_classifier, monkeypatch):
    told = []
    monkeypatch.setattr(loop, "tell", told.append)
    history = train(tiny_classifier).history

    assert [one["live_epoch"] for one in told] == [0, 1, 2, 3, 4]
    assert {one["live_epochs"] for one in told} == {PARAMS.epochs}
    assert [one["live_val_loss"] for one in told[1:]] == [epoch.val_loss for epoch in history]
    assert told[-1]["live_best_epoch"] == best_epoch(history).epoch


def test_following_a_training_changes_no_number_of_it(tiny_base, tmp_path):
    alone = train(build(tiny_base, seed=0)).history
    with followed(tmp_path / "training.json"):
        watched = train(build(tiny_base, seed=0)).history

    assert watched == alone


def test_the_protocol_trained_takes_its_steps_warms_up_and_validates_as_often_as_it_says(tiny_classifier, batches):
    """A pass over 64 rows takes 8 steps, and 4 passes 32, so that `min_steps` decides."""
    result = train(tiny_classifier, protocol="trained", trained=replace(PARAMS.trained, patience=5))

    assert len(batches) == PARAMS.trained.min_steps == 40
    assert len(result.history) == PARAMS.trained.validations == 5
    left = 1 - (np.array([8, 16, 24, 32, 40]) - 4) / 36
    assert [epoch.learning_rate for epoch in result.history] == pytest.approx(LORA.learning_rate * left)


def test_under_the_protocol_trained_patience_counts_validations(tiny_classifier):
    often = replace(PARAMS.trained, min_steps=200, validations=20, patience=3)
    result = train(tiny_classifier, turned(opinions(200)), opinions(40, seed=1), protocol="trained", trained=often)

    assert len(result.history) == best_epoch(result.history).epoch + 3 < 20


def test_the_validation_logits_of_every_epoch_are_kept(tiny_classifier):
    validation = opinions(40, seed=1)
    result = train(tiny_classifier, opinions(64), validation)

    losses = [loop.loss_and_accuracy(logits, validation.labels)[0] for logits in result.validation_logits]
    assert losses == [epoch.val_loss for epoch in result.history]
    kept = result.validation_logits[best_epoch(result.history).epoch - 1]
    np.testing.assert_allclose(tiny_classifier.predict(validation, 1000), kept, atol=1e-5)
