import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import accuracy_score, log_loss, precision_recall_fscore_support

from stages.scoring.classification import confusion_counts, score


def test_two_classes_worked_by_hand():
    """Predicted 1 1 0 0 against 1 0 1 0: one hit of each class, probabilities e/(e+1) and 1/(e+1)."""
    logits = np.array([[0, 1], [0, 1], [1, 0], [1, 0]], dtype=np.float32)
    scores = score(logits, np.array([1, 0, 1, 0]), confidence_level=0.95)

    right, wrong = np.log(1 + np.exp(-1)), np.log(1 + np.exp(1))
    assert scores.loss == pytest.approx((right + wrong) / 2)
    assert scores.accuracy.value == scores.precision == scores.recall == scores.f1 == 0.5
    assert scores.num_examples == 4


def test_a_class_that_is_never_predicted_counts_as_zero():
    scores = score(np.array([[1, 0], [1, 0]], dtype=np.float32), np.array([0, 1]), confidence_level=0.95)

    assert (scores.precision, scores.recall, scores.f1) == (0, 0, 0)


@given(num_classes=st.integers(2, 5), data=st.data())
@settings(deadline=None)
def test_agrees_with_scikit_learn(num_classes, data):
    labels = np.array(data.draw(st.lists(st.integers(0, num_classes - 1), min_size=1, max_size=40)))
    logits = data.draw(arrays(np.float32, (len(labels), num_classes), elements=st.floats(-8, 8, width=32)))
    classes = np.arange(num_classes)
    scores = score(logits, labels, confidence_level=0.95)

    average, rated = ("binary", None) if num_classes == 2 else ("macro", classes)
    precision, recall, f1, _ = precision_recall_fscore_support(
        labels, logits.argmax(axis=1), labels=rated, average=average, zero_division=0
    )
    assert (scores.precision, scores.recall, scores.f1) == pytest.approx((precision, recall, f1))
    assert scores.accuracy.value == pytest.approx(accuracy_score(labels, logits.argmax(axis=1)))
    exponents = np.exp(logits.astype(np.float64))
    probabilities = exponents / exponents.sum(axis=1, keepdims=True)
    assert scores.loss == pytest.approx(log_loss(labels, probabilities, labels=classes), abs=1e-9)


def test_the_confusion_matrix_has_true_classes_down_and_predictions_across():
    counts = confusion_counts(np.array([0, 1, 1, 1]), np.array([0, 0, 1, 1]), num_classes=3)

    assert counts.tolist() == [[1, 1, 0], [0, 2, 0], [0, 0, 0]]
