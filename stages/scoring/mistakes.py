"""The mistakes that a classifier was surest of: where to look first for noise in the labels."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax


@dataclass(frozen=True, kw_only=True, slots=True)
class Mistake:
    """A test row under the wrong label."""

    row_id: int  # row number in the source's test split, from 0
    sentence: str  # empty where the texts are not at hand
    actual: str  # class name
    predicted: str  # class name; of several seeds the most frequent wrong one
    confidence: float  # probability given to a wrong class, fraction; mean over the seeds
    num_wrong: int  # seeds that are wrong
    num_seeds: int


def surest_mistakes(
    logits: NDArray[np.floating],
    labels: NDArray[np.int64],
    *,
    row_ids: NDArray[np.int64],
    label_names: tuple[str, ...],
    sentences: Mapping[int, str],
    limit: int,
) -> list[Mistake]:
    """Rows that are got wrong: by most seeds first, then the surest, equals in the order of the rows.

    Args:
        logits: (S, N, C), a layer per seed.
        labels: (N,) int64, class index.
        row_ids: (N,) int64.
        label_names: C class names.
        sentences: Texts by row number, as far as they are at hand.
        limit: Most rows to return.
    """
    rows = np.arange(len(labels))
    predicted = logits.argmax(axis=2)
    probabilities = softmax(logits.astype(np.float64), axis=2)
    probabilities[:, rows, labels] = 0
    confidence = probabilities.max(axis=2).mean(axis=0)
    num_wrong = (predicted != labels).sum(axis=0)
    surest = np.lexsort((-confidence, -num_wrong))[:limit]
    return [
        Mistake(
            row_id=int(row_ids[row]),
            sentence=sentences.get(int(row_ids[row]), ""),
            actual=label_names[labels[row]],
            predicted=label_names[_most_frequent_wrong(predicted[:, row], labels[row])],
            confidence=float(confidence[row]),
            num_wrong=int(num_wrong[row]),
            num_seeds=len(logits),
        )
        for row in surest
        if num_wrong[row]
    ]


def _most_frequent_wrong(predicted: NDArray[np.int64], label: np.int64) -> int:
    return int(np.bincount(predicted[predicted != label]).argmax())
