"""Scores of a classifier from its logits and the true labels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from stages.foundation.interval import Interval
from stages.scoring.intervals import wilson


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassScores:
    """How well the rows of one class were told from the others."""

    support: int  # rows of the class
    num_predicted: int  # rows that were given the class
    precision: float  # fraction of the latter that are of the class; 0 where there is none
    recall: Interval | None  # fraction of the former that were given it, with Wilson's interval; None without rows
    f1: float  # fraction; 0 without a hit

    @property
    def counts(self) -> bool:
        """Whether a mean over the classes counts this one; scikit-learn's rule: it has rows or predictions."""
        return self.support + self.num_predicted > 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Scores:
    """How well N rows were classified."""

    num_examples: int  # N
    loss: float  # mean negative log-likelihood, nats
    accuracy: Interval  # fraction, with Wilson's interval
    precision: float  # fraction; of the positive class where there are two, else the mean over classes
    recall: float  # fraction, likewise
    f1: float  # fraction, likewise
    by_class: tuple[ClassScores, ...]  # C


def score(
    logits: NDArray[np.float32], labels: NDArray[np.int64], *, confidence_level: float, positive: int = 1
) -> Scores:
    """Score predictions.

    With two classes, precision, recall and F1 are those of the positive one; with more they are macro averages, the
    unweighted means over the classes. A ratio with nothing under the line counts as 0; a class with neither rows nor
    predictions does not count, as in scikit-learn (`precision_recall_fscore_support`, average "binary" and "macro").

    Args:
        logits: (N, C) float32, one per class.
        labels: (N,) int64, class index.
        confidence_level: Of the intervals, e.g. 0.95.
        positive: Class index; read only where C is 2.
    """
    log_probabilities = log_softmax(logits.astype(np.float64), axis=1)
    counts = confusion_counts(logits.argmax(axis=1), labels, num_classes=logits.shape[1])
    by_class = score_classes(counts, confidence_level)
    rated = [by_class[positive]] if len(by_class) == 2 else [one for one in by_class if one.counts]
    return Scores(
        num_examples=len(labels),
        loss=float(-log_probabilities[np.arange(len(labels)), labels].mean()),
        accuracy=wilson(int(np.trace(counts)), len(labels), confidence_level),
        precision=float(np.mean([one.precision for one in rated])),
        recall=float(np.mean([one.recall.value if one.recall else 0.0 for one in rated])),
        f1=float(np.mean([one.f1 for one in rated])),
        by_class=by_class,
    )


def score_classes(counts: NDArray[np.int64], confidence_level: float) -> tuple[ClassScores, ...]:
    """Precision, recall and F1 of each class.

    Args:
        counts: (C, C) numbers of rows, true class down, predicted class across.
        confidence_level: Of the recall's interval, e.g. 0.95.
    """
    hits, support, predicted = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    precision, f1 = _ratio(hits, predicted), _ratio(2 * hits, support + predicted)
    return tuple(
        ClassScores(
            support=int(support[label]),
            num_predicted=int(predicted[label]),
            precision=float(precision[label]),
            recall=wilson(int(hits[label]), int(support[label]), confidence_level) if support[label] else None,
            f1=float(f1[label]),
        )
        for label in range(len(counts))
    )


def confusion_counts(predicted: NDArray[np.int64], labels: NDArray[np.int64], *, num_classes: int) -> NDArray[np.int64]:
    """(C, C) int64 numbers of rows, true class down, predicted class across."""
    cells = np.bincount(labels * num_classes + predicted, minlength=num_classes**2)
    return cells.reshape(num_classes, num_classes).astype(np.int64)


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)
