"""The mistakes that the model was surest of: where to look first for noise in the labels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from stages.foundation.split import Split


@dataclass(frozen=True, kw_only=True, slots=True)
class Mistake:
    """A test text under the wrong label."""

    row_id: int  # row number in the source's test split, from 0
    sentence: str
    actual: str  # class name
    predicted: str  # class name
    confidence: float  # probability given to the wrong class, fraction


def worst_errors(test: Split, logits: NDArray[np.float64], *, limit: int) -> list[Mistake]:
    """Return the most confident wrong predictions, the surest first, equals in the order of the rows.

    Args:
        test: N texts.
        logits: (N, C), one row per text.
        limit: Most mistakes to return.
    """
    probabilities = softmax(logits, axis=1)
    predicted = logits.argmax(axis=1)
    wrong = np.flatnonzero(predicted != test.labels)
    confidence = probabilities[wrong, predicted[wrong]]
    surest = wrong[np.argsort(-confidence, kind="stable")][:limit]
    return [
        Mistake(
            row_id=int(test.row_ids[row]),
            sentence=test.sentences[row],
            actual=test.label_names[test.labels[row]],
            predicted=test.label_names[predicted[row]],
            confidence=float(probabilities[row, predicted[row]]),
        )
        for row in surest
    ]
