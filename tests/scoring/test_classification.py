import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import accuracy_score, log_loss, precision_recall_fscore_support

from stages.scoring.classification import confusion_counts, score, score_classes
from stages.scoring.intervals import wilson


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


LABELLED = st.integers(2, 5).flatmap(
    lambda num_classes: st.integers(1, 40).flatmap(
        lambda rows: st.tuples(
            arrays(np.int64, rows, elements=st.integers(0, num_classes - 1)),
            arrays(np.float32, (rows, num_classes), elements=st.floats(-8, 8, width=32)),
        )
    )
)


@given(rows=LABELLED, positive=st.integers(0, 1))
@settings(deadline=None)
def test_agrees_with_scikit_learn_also_where_a_class_has_neither_rows_nor_predictions(rows, positive):
    labels, logits = rows
    classes = np.arange(logits.shape[1])
    scores = score(logits, labels, confidence_level=0.95, positive=positive)

    rated = {"average": "macro"} if len(classes) > 2 else {"labels": [positive], "average": "macro"}
    precision, recall, f1, _ = precision_recall_fscore_support(labels, logits.argmax(axis=1), zero_division=0, **rated)
    assert (scores.precision, scores.recall, scores.f1) == pytest.approx((precision, recall, f1))
    assert scores.accuracy.value == pytest.approx(accuracy_score(labels, logits.argmax(axis=1)))
    exponents = np.exp(logits.astype(np.float64))
    probabilities = exponents / exponents.sum(axis=1, keepdims=True)
    assert scores.loss == pytest.approx(log_loss(labels, probabilities, labels=classes), abs=1e-9)


@given(rows=LABELLED)
@settings(deadline=None)
def test_each_class_agrees_with_scikit_learn(rows):
    labels, logits = rows
    predicted, classes = logits.argmax(axis=1), np.arange(logits.shape[1])
    by_class = score(logits, labels, confidence_level=0.95).by_class

    precision, recall, f1, support = precision_recall_fscore_support(labels, predicted, labels=classes, zero_division=0)
    assert [one.precision for one in by_class] == pytest.approx(precision)
    assert [one.recall.value if one.recall else 0 for one in by_class] == pytest.approx(recall)
    assert [one.f1 for one in by_class] == pytest.approx(f1)
    assert [one.support for one in by_class] == support.tolist()
    assert [one.num_predicted for one in by_class] == np.bincount(predicted, minlength=len(classes)).tolist()
    assert [one.recall is None for one in by_class] == (support == 0).tolist()


def test_three_classes_of_which_the_test_split_has_two_can_all_be_right():
    """The other way to count, a third class with an F1 of 0, says 0.667 of a model without a mistake."""
    scores = score(np.eye(3, dtype=np.float32)[[0, 1, 1]], np.array([0, 1, 1]), confidence_level=0.95)

    assert (scores.precision, scores.recall, scores.f1) == (1, 1, 1)
    assert not scores.by_class[2].counts


def test_a_class_that_is_predicted_and_never_there_counts():
    scores = score(np.eye(3, dtype=np.float32)[[0, 1, 2]], np.array([0, 1, 1]), confidence_level=0.95)

    assert scores.by_class[2].counts
    assert scores.recall == pytest.approx((1 + 0.5 + 0) / 3)


def test_the_positive_class_of_two_can_be_chosen():
    logits, labels = np.eye(2, dtype=np.float32)[[0, 0, 1, 1, 1]], np.array([0, 1, 1, 1, 1])
    ham, spam = (score(logits, labels, confidence_level=0.95, positive=positive) for positive in (0, 1))

    assert (ham.precision, ham.recall) == (0.5, 1)
    assert (spam.precision, spam.recall) == (1, 0.75)
    assert (ham.accuracy, ham.loss, ham.by_class) == (spam.accuracy, spam.loss, spam.by_class)


def test_the_recall_of_a_class_has_the_interval_of_its_own_rows():
    few, many = score_classes(np.array([[3, 1], [10, 30]]), 0.95)

    assert few.recall == wilson(3, 4, 0.95)
    assert many.recall == wilson(30, 40, 0.95)


def test_the_confusion_matrix_has_true_classes_down_and_predictions_across():
    counts = confusion_counts(np.array([0, 1, 1, 1]), np.array([0, 0, 1, 1]), num_classes=3)

    assert counts.tolist() == [[1, 1, 0], [0, 2, 0], [0, 0, 0]]
