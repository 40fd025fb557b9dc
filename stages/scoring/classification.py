"""Scores of a classifier from its logits and the true labels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from stages.foundation.interval import Interval
from stages.scoring.intervals import wilson


@dataclass(frozen=True, kw_only=True, slots=True)
class Scores:
    """How well N rows were classified."""

    num_examples: int  # N
    loss: float  # mean negative log-likelihood, nats
    accuracy: Interval  # fraction, with Wilson's interval
    precision: float  # fraction; of class 1 where there are two, else the mean over classes
    recall: float  # fraction, likewise
    f1: float  # fraction, likewise


def score(logits: NDArray[np.float32], labels: NDArray[np.int64], *, confidence_level: float) -> Scores:
    """Score predictions.

    With two classes, precision, recall and F1 are those of class 1; with more they are macro averages,
    the unweighted means over the classes. A ratio with nothing under the line counts as 0.

    Args:
        logits: (N, C) float32, one per class.
        labels: (N,) int64, class index.
        confidence_level: Of the accuracy's interval, e.g. 0.95.
    """
    log_probabilities = log_softmax(logits.astype(np.float64), axis=1)
    predicted = logits.argmax(axis=1)
    counts = confusion_counts(predicted, labels, num_classes=logits.shape[1])
    hits = np.diag(counts)
    precision = _ratio(hits, counts.sum(axis=0))
    recall = _ratio(hits, counts.sum(axis=1))
    f1 = _ratio(2 * hits, counts.sum(axis=0) + counts.sum(axis=1))
    rated = slice(1, 2) if logits.shape[1] == 2 else slice(None)
    return Scores(
        num_examples=len(labels),
        loss=float(-log_probabilities[np.arange(len(labels)), labels].mean()),
        accuracy=wilson(int(hits.sum()), len(labels), confidence_level),
        precision=float(precision[rated].mean()),
        recall=float(recall[rated].mean()),
        f1=float(f1[rated].mean()),
    )


def confusion_counts(predicted: NDArray[np.int64], labels: NDArray[np.int64], *, num_classes: int) -> NDArray[np.int64]:
    """(C, C) int64 numbers of rows, true class down, predicted class across."""
    cells = np.bincount(labels * num_classes + predicted, minlength=num_classes**2)
    return cells.reshape(num_classes, num_classes).astype(np.int64)


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)
