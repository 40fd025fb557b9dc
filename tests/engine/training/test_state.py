"""All that changes in a training: counted rightly, and taken up again to the last bit."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import cross_entropy, dropout

from stages.engine.params import Schedule
from stages.engine.training.history import Epoch
from stages.engine.training.state import BatchOrder, Tally, TrainingState
from stages.foundation.errors import StudyError
from tests.engine.conftest import CPU, PARAMS

LENGTHS = np.random.default_rng(0).integers(1, 30, size=30)
LABELS = torch.arange(30) % 2
SCHEDULE = Schedule(rounds=[4, 4, 4], warmup_steps=0, patience=3)


class DrawingLearner:
    """Draws from each kind of generator that a checkpoint has to keep."""

    def __init__(self, seed):
        self.lengths, self.device = LENGTHS, CPU
        self.own = [np.random.default_rng(seed), torch.Generator().manual_seed(seed)]
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(4, 2, generator=generator))
        self.rows = torch.randn(30, 4, generator=generator)

    def weights(self):
        return [self.weight]

    def generators(self):
        return self.own

    def tensors(self):
        return {"features": self.rows}

    def validation_logits(self):
        return (self.rows[:5] @ self.weight).detach().numpy()

    def logits(self, rows):
        noise = torch.from_numpy(self.own[0].normal(size=(len(rows), 4))) + torch.rand(4, generator=self.own[1])
        return dropout(self.rows[rows] + noise.float(), 0.2) @ self.weight


def fresh(seed=0):
    torch.manual_seed(seed)
    learner = DrawingLearner(seed)
    params = replace(PARAMS, weight_decay=0.1)
    return learner, TrainingState(learner, params, schedule=SCHEDULE, learning_rate=0.1, seed=seed)


def step(learner, state):
    """As the loop does it; gives the bits of what comes out."""
    rows = next(state.batches)
    logits = learner.logits(rows)
    loss = cross_entropy(logits, LABELS[rows])
    state.optimizer.zero_grad()
    loss.backward()
    state.optimizer.step()
    state.rates.step()
    state.step += 1
    state.tally.add(loss, logits, LABELS[rows])
    return rows.tolist(), loss.item(), state.rates.get_last_lr(), state.tally.means(), learner.weight.tolist()


def an_epoch(number, loss):
    return Epoch(
        epoch=number, train_loss=loss, val_loss=loss, train_accuracy=0.1, val_accuracy=1 / 3, learning_rate=1e-3
    )


def validated(learner, state):
    """As the loop does it."""
    state.validation_logits.append(learner.validation_logits())
    state.history.append(an_epoch(1, 0.7))


def kept(state):
    """What a checkpoint would hold: bytes of tensors, and facts as JSON."""
    return {name: tensor.detach().clone() for name, tensor in state.tensors().items()}, json.loads(
        json.dumps(state.facts())
    )


@given(done=st.integers(0, 11), ahead=st.integers(1, 6))
@settings(max_examples=25, deadline=None)
def test_another_state_goes_on_from_any_step_to_the_last_bit(done, ahead):
    learner, state = fresh()
    for at in range(done):
        step(learner, state)
        if at == 3:
            validated(learner, state)
            state.keep_best()
            state.tally = Tally(CPU)
    state.seconds, state.rows_seen = 1 / 3, 30
    tensors, facts = kept(state)
    expected = [step(learner, state) for _ in range(ahead)]

    other_learner, other = fresh(seed=1)
    step(other_learner, other)  # nothing of it may be left
    other.restore(tensors, facts)

    assert (other.step, other.seconds, other.rows_seen) == (done, 1 / 3, 30)
    assert other.history == state.history
    np.testing.assert_array_equal(other.validation_logits, state.validation_logits)
    assert torch.equal(other.best_weights[0], state.best_weights[0]) or not state.history
    assert [step(other_learner, other) for _ in range(ahead)] == expected


def test_of_a_finished_training_only_its_result_is_kept_and_taken_up():
    learner, state = fresh()
    step(learner, state)
    validated(learner, state)
    state.keep_best()
    best = learner.weight.detach().clone()
    step(learner, state)
    state.finished, state.seconds = True, 2.5
    tensors, facts = kept(state)

    other_learner, other = fresh(seed=1)
    other.restore(tensors, facts)
    other.take_best()

    assert set(tensors) == {"best.0", "history", "validation_logits", "seconds"}
    assert torch.equal(other_learner.weight, best)
    assert (other.finished, other.seconds, other.history) == (True, 2.5, state.history)


def test_the_best_weights_are_a_copy_that_later_steps_leave_alone():
    learner, state = fresh()
    step(learner, state)
    state.keep_best()
    best = learner.weight.detach().clone()
    step(learner, state)
    assert not torch.equal(learner.weight, best)

    state.take_best()

    assert torch.equal(learner.weight, best)


def test_steps_are_counted_within_the_epoch_and_told_of_all():
    learner, state = fresh()
    for _ in range(6):
        step(learner, state)
    validated(learner, state)

    assert state.steps_in_epoch == 2
    assert state.progress == "step 6 of 12"


@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=6), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_the_tally_is_the_mean_over_rows_whatever_the_batches(sizes, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(sum(sizes), 3, generator=generator)
    labels = torch.randint(0, 3, (sum(sizes),), generator=generator)
    tally = Tally(CPU)
    for some, wanted in zip(logits.split(sizes), labels.split(sizes), strict=True):
        tally.add(cross_entropy(some, wanted), some, wanted)

    loss, accuracy = tally.means()
    assert loss == pytest.approx(cross_entropy(logits.double(), labels).item(), rel=1e-6)  # batches' losses are float32
    assert accuracy == (logits.argmax(dim=1) == labels).double().mean().item()
    assert tally.num_rows == sum(sizes)


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_is_told_with_what_to_do(loss):
    tally = Tally(CPU)
    tally.add(torch.tensor(loss), torch.zeros(2, 2), torch.zeros(2, dtype=torch.int64))

    with pytest.raises(StudyError, match=r"no longer a number; lower the method's learning_rate in params\.yaml"):
        tally.means()


@given(seed=st.integers(0, 2**32 - 1), before=st.integers(0, 40), ahead=st.integers(1, 20))
@settings(max_examples=40, deadline=None)
def test_the_order_of_batches_goes_on_from_any_place(seed, before, ahead):
    lengths = np.random.default_rng(seed).integers(1, 30, size=50)
    order = BatchOrder(lengths, PARAMS, np.random.default_rng(seed))
    for _ in range(before):
        next(order)
    position = order.position()
    expected = [next(order).tolist() for _ in range(ahead)]

    other = BatchOrder(lengths, PARAMS, np.random.default_rng(seed + 1))
    next(other)
    other.move_to(position)

    assert [next(other).tolist() for _ in range(ahead)] == expected


@given(before=st.integers(1, 12))
def test_a_batch_that_was_put_back_comes_next_also_in_another_process(before):
    order, other = (BatchOrder(LENGTHS, PARAMS, np.random.default_rng(0)) for _ in range(2))
    for _ in range(before):
        taken = next(order).tolist()
    order.put_back()
    other.move_to(order.position())

    assert next(order).tolist() == next(other).tolist() == taken
    assert next(order).tolist() == next(other).tolist()


def test_every_pass_holds_every_row_once_in_an_order_of_its_own():
    order = BatchOrder(LENGTHS, PARAMS, np.random.default_rng(0))
    first, second = (np.concatenate([next(order) for _ in range(4)]).tolist() for _ in range(2))

    assert sorted(first) == sorted(second) == list(range(30))
    assert first != second
