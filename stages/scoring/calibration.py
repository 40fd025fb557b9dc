"""What a classifier's probabilities are worth: fitted on validation rows, saved with the model, used by predict."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import exp, log
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from stages.foundation.errors import StudyError
from stages.foundation.files import read_json, write_json
from stages.scoring.intervals import wilson

FILE = "calibration.json"  # in the model's folder
TEMPERATURES = (0.05, 20.0)  # a classifier beyond them is broken rather than miscalibrated
CONFIDENCE_LEVEL = 0.95  # of the intervals that are saved
ERRORS_LEFT = 0.5  # of the error rate: what the rows that are not flagged may have of it
WIDEST_INTERVAL = 0.3  # of a class's precision, from end to end; of a wider one validation says next to nothing


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassPrecision:
    """How often one predicted class was the true one on validation; an interval from 0 to 1 without any such row."""

    name: str
    predicted: int  # validation rows that were given this class
    right: int  # of them
    low: float  # ends of Wilson's interval, fractions
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibrator:
    """What makes logits probabilities, and which of these are too unsure to be taken unread."""

    temperature: float  # probabilities are softmax(logits / temperature)
    reads_pairs: bool  # whether each row that it was fitted on is a pair of texts
    validation_rows: int  # that all of this was fitted on
    validation_accuracy: float  # fraction
    flag_below: float | None  # probability of the top class under which a row is flagged; None: every row is
    unflagged_rows: int  # validation rows at or above it
    unflagged_accuracy: float  # fraction of them, with Wilson's interval
    unflagged_accuracy_low: float
    unflagged_accuracy_high: float
    confidence_level: float  # of the intervals
    classes: tuple[ClassPrecision, ...]  # in the order of the class indices

    def is_unsure(self, probabilities: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(N,) whether the top class of (N, C) probabilities lies below the threshold."""
        if self.flag_below is None:
            return np.ones(len(probabilities), dtype=np.bool_)
        is_unsure: NDArray[np.bool_] = probabilities.max(axis=1) < self.flag_below
        return is_unsure

    def is_unproven(self) -> NDArray[np.bool_]:
        """(C,) whether the interval of a class is too wide to rely on what is predicted of it."""
        return np.array([one.high - one.low > WIDEST_INTERVAL for one in self.classes])


def scaled_probabilities(logits: NDArray[np.floating], temperature: float) -> NDArray[np.float64]:
    """(N, C) probabilities of (N, C) logits, softmax(logits / temperature); rows sum to 1."""
    probabilities: NDArray[np.float64] = softmax(logits.astype(np.float64) / temperature, axis=1)
    return probabilities


def fit_temperature(logits: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
    """The temperature T that makes softmax(logits / T) most likely; above 1 the classifier was too sure of itself.

    Fit it on validation rows, never on those it is judged by. The likelihood has one peak in 1 / T, so a search
    between two ends finds it. Source: Guo et al. 2017, arXiv:1706.04599.

    Args:
        logits: (N, C) float, one per class.
        labels: (N,) int64, class index.
    """
    rows, values = np.arange(len(labels)), logits.astype(np.float64)
    found = minimize_scalar(
        lambda log_t: -float(log_softmax(values / exp(log_t), axis=1)[rows, labels].mean()),
        bounds=(log(TEMPERATURES[0]), log(TEMPERATURES[1])),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return exp(float(found.x))


def fit_calibrator(
    logits: NDArray[np.floating], labels: NDArray[np.int64], label_names: Sequence[str], *, reads_pairs: bool = False
) -> Calibrator:
    """Fit temperature and threshold on validation rows.

    The threshold is the smallest at which the rows at or above it have at most half the error rate of all rows
    (`ERRORS_LEFT`). To leave the least probable predictions to a person is the best that can be done at any number of
    rows left to him (Chow 1970, IEEE Trans. Inf. Theory 16(1), 41-46).

    Args:
        logits: (N, C) float of the validation rows, N at least 1.
        labels: (N,) int64, class index.
        label_names: C class names.
        reads_pairs: Whether each row is a pair of texts, which whoever predicts must know.
    """
    temperature = fit_temperature(logits, labels)
    confidence = scaled_probabilities(logits, temperature).max(axis=1)
    predicted = logits.argmax(axis=1)
    hits = predicted == labels
    flag_below = _threshold(confidence, hits)
    kept = hits[confidence >= flag_below] if flag_below is not None else hits[:0]
    accuracy = wilson(int(kept.sum()), len(kept), CONFIDENCE_LEVEL) if len(kept) else None
    return Calibrator(
        temperature=temperature,
        reads_pairs=reads_pairs,
        validation_rows=len(labels),
        validation_accuracy=float(hits.mean()),
        flag_below=flag_below,
        unflagged_rows=len(kept),
        unflagged_accuracy=accuracy.value if accuracy else 0.0,
        unflagged_accuracy_low=accuracy.low if accuracy else 0.0,
        unflagged_accuracy_high=accuracy.high if accuracy else 1.0,
        confidence_level=CONFIDENCE_LEVEL,
        classes=tuple(_precision(name, hits[predicted == index]) for index, name in enumerate(label_names)),
    )


def write_calibrator(folder: Path, calibrator: Calibrator) -> None:
    """Write it beside the model's weights."""
    write_json(folder / FILE, asdict(calibrator))


def read_calibrator(folder: Path) -> Calibrator | None:
    """Read what `write_calibrator` wrote; None if there is none: models were saved without one before.

    Raises:
        StudyError: If it holds something else.
    """
    if not (folder / FILE).is_file():
        return None
    content = read_json(folder / FILE)
    try:
        return Calibrator(**content | {"classes": tuple(ClassPrecision(**one) for one in content["classes"])})
    except (KeyError, TypeError) as error:
        raise StudyError(f"{folder / FILE} was written by another version of this project: train again") from error


def _threshold(confidence: NDArray[np.float64], hits: NDArray[np.bool_]) -> float | None:
    """The confidence of the least sure row of the most rows that meet the target; None if no number of them does."""
    order = np.argsort(-confidence, kind="stable")
    sorted_confidence, errors = confidence[order], np.cumsum(~hits[order])
    number = np.arange(1, len(order) + 1)
    ends_a_tie = np.append(sorted_confidence[1:] < sorted_confidence[:-1], True)
    meets = ends_a_tie & (errors / number <= ERRORS_LEFT * (~hits).mean())
    if not meets.any():
        return None
    most = int(np.flatnonzero(meets)[-1])
    return 0.0 if most == len(order) - 1 else float(sorted_confidence[most])


def _precision(name: str, hits: NDArray[np.bool_]) -> ClassPrecision:
    share = wilson(int(hits.sum()), len(hits), CONFIDENCE_LEVEL) if len(hits) else None
    low, high = (share.low, share.high) if share else (0.0, 1.0)
    return ClassPrecision(name=name, predicted=len(hits), right=int(hits.sum()), low=low, high=high)
