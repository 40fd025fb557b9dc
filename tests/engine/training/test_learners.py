"""What the loop trains gives the loop what it promises: logits of the asked rows, features in the order of the rows."""

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from stages.engine.packed.dropout import DropoutMasks
from stages.engine.packed.packing import pack
from stages.engine.predict import predict_logits
from stages.engine.tokens import sorted_batches
from stages.engine.training import learners
from stages.engine.training.learners import StateLearner, TextLearner, TextStates
from tests.engine.conftest import CPU, build, texts_of

TRAIN, VALIDATION = texts_of([4, 9, 3, 12, 5, 7]), texts_of([6, 3, 8], seed=1)


class Unkept:
    """Checkpoints that keep nothing; `found` is where the features go on from."""

    resumed, finished = 0, False

    def __init__(self, found=None):
        self.found, self.offered = found, []

    def undisturbed(self, _):
        return nullcontext()

    def kept_if_lost(self, _):
        return nullcontext()

    def offer(self, kept):
        self.offered.append({name: tensor.clone() for name, tensor in kept.tensors().items()})


def text_learner(classifier, *, seed=3):
    weights = list(classifier.trainable().values())
    return TextLearner(classifier.forward, weights, train=TRAIN, validation=VALIDATION, device=CPU, seed=seed)


def test_a_batch_is_the_forward_pass_of_its_rows_with_the_dropout_of_the_seed(tiny_classifier):
    learner = text_learner(tiny_classifier)
    masks = DropoutMasks(3, CPU)

    for rows in ([0, 3, 4], [5, 1]):
        asked = np.array(rows)
        expected = tiny_classifier.forward.logits(pack(TRAIN, asked), masks)
        assert torch.equal(learner.logits(asked), expected)
    assert not torch.equal(learner.logits(asked), learner.logits(asked))


def test_validation_drops_nothing_and_keeps_the_order_of_the_rows(tiny_classifier):
    expected = predict_logits(tiny_classifier.forward, VALIDATION, batch_tokens=10**6, device=CPU)

    np.testing.assert_array_equal(text_learner(tiny_classifier).validation_logits(), expected)


def test_a_texts_learner_has_the_weights_it_was_given_and_the_generators_of_its_masks(tiny_base):
    classifier = build(tiny_base, seed=0)
    learner, twin = text_learner(classifier), text_learner(classifier)
    learner.logits(np.array([0, 1]))
    for mine, theirs in zip(learner.generators(), twin.generators(), strict=True):
        if isinstance(mine, np.random.Generator):
            theirs.bit_generator.state = mine.bit_generator.state
        else:
            theirs.set_state(mine.get_state())

    assert torch.equal(learner.logits(np.array([2])), twin.logits(np.array([2])))
    assert learner.weights() == list(classifier.trainable().values())
    assert learner.tensors() == {}
    assert learner.lengths.tolist() == TRAIN.lengths.tolist()


@pytest.mark.parametrize("engine", ["packed", "plain"])
def test_dropout_that_is_drawn_anew_hangs_on_seed_worker_and_step_alone(tiny_base, engine):
    classifier, rows = build(tiny_base, seed=0, engine=engine), np.array([0, 3, 4])

    def drawn(worker, step, *, seed=3):
        learner = text_learner(classifier, seed=seed)
        torch.manual_seed(step)  # whatever was drawn before
        learner.draw_anew(worker, step)
        return learner.logits(rows).tolist()

    one = drawn(1, 7)
    assert drawn(1, 7) == one
    assert len({str(logits) for logits in (one, drawn(0, 7), drawn(1, 8), drawn(1, 7, seed=4))}) == 4


def first_tokens(texts):
    """In place of an encoder: what tells a text from every other, its place and its length."""
    return np.stack([texts.starts, texts.lengths], axis=1).astype(np.float32)


def features_of(train=TRAIN, validation=VALIDATION, *, budget=20, compute=first_tokens):
    return TextStates(compute, lambda lengths: sorted_batches(lengths, budget), train=train, validation=validation)


lengths = st.lists(st.integers(3, 20), min_size=1, max_size=30)


@given(train=lengths, validation=lengths, budget=st.integers(1, 60), batches=st.integers(1, 5))
@settings(max_examples=50, deadline=None)
def test_features_stand_in_the_order_of_the_rows_whatever_the_blocks(train, validation, budget, batches):
    train, validation = texts_of(train), texts_of(validation)
    features = features_of(train, validation, budget=budget)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learners, "BLOCK_BATCHES", batches)
        features.take(Unkept())

    for made, texts in zip(features.rows(), (train, validation), strict=True):
        np.testing.assert_array_equal(made.numpy(), first_tokens(texts))


@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_features_go_on_from_any_block_and_compute_none_twice(data):
    computed = []

    def compute(texts):
        computed.extend(zip(texts.starts.tolist(), texts.lengths.tolist(), strict=True))
        return first_tokens(texts)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learners, "BLOCK_BATCHES", 1)
        whole, checkpoints = features_of(compute=compute), Unkept()
        whole.take(checkpoints)
        every, left = sorted(computed), data.draw(st.sampled_from(checkpoints.offered))
        done = sum(len(left[name]) for name in learners.NAMES if name in left)
        computed.clear()
        again = features_of(compute=compute)
        again.take(Unkept(SimpleNamespace(tensors=left, facts={"finished": False}, age=0)))

    assert len(every) == len(set(every)) == len(TRAIN) + len(VALIDATION)
    assert len(computed) == len(every) - done
    for mine, theirs in zip(again.rows(), whole.rows(), strict=True):
        assert torch.equal(mine, theirs)


def test_progress_counts_the_rows_of_both_splits_and_seconds_those_of_the_training_rows_alone(monkeypatch):
    clock = iter(range(100))  # a second passes between two looks
    monkeypatch.setattr(learners.time, "perf_counter", lambda: float(next(clock)))
    monkeypatch.setattr(learners, "BLOCK_BATCHES", 1)
    features, checkpoints = features_of(budget=1), Unkept()  # a text is a batch
    assert features.progress == "states of row 0 of 9"
    features.take(checkpoints)

    assert features.progress == "states of row 9 of 9"
    assert [kept["features.seconds"].item() for kept in checkpoints.offered] == [1, 2, 3, 4, 5, 6, 6, 6, 6]


def test_a_training_that_ended_computes_no_features():
    checkpoints = Unkept()
    checkpoints.finished = True
    features = features_of(compute=lambda _: pytest.fail("it computed features"))
    features.take(checkpoints)

    assert [len(rows) for rows in features.rows()] == [len(TRAIN), len(VALIDATION)]


def test_a_head_learns_from_the_rows_it_is_asked_for_and_is_validated_on_the_others():
    features = features_of()
    features.take(Unkept())
    head = nn.Linear(2, 2)
    learner = StateLearner(head, list(head.parameters()), features, CPU)
    train, validation = features.rows()

    assert torch.equal(learner.logits(np.array([4, 0])), head(train[[4, 0]]))
    np.testing.assert_array_equal(learner.validation_logits(), head(validation).detach().numpy())
    assert learner.weights() == [head.weight, head.bias]
    assert learner.generators() == []
    assert set(learner.tensors()) == {*learners.NAMES, learners.SECONDS}
    assert learner.lengths.tolist() == [1] * len(TRAIN)  # features are all of one length: plain shuffling
