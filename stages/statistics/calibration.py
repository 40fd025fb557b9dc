"""Does "90 % sure" mean right nine times in ten?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from stages.foundation.interval import Interval

NUM_RESAMPLES = 500
NOISE_DRAWS = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class ReliabilityBin:
    """Predictions of like confidence."""

    confidence: float  # mean probability of the predicted class
    accuracy: float  # fraction of them that were right
    num_rows: int  # over all seeds


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """Probabilities as the classifier gives them, and after temperature scaling; means over the seeds."""

    nll: float  # mean negative log-likelihood, nats
    brier: float  # mean squared error of the probabilities
    temperature: float
    nll_after: float
    brier_after: float
    ece: Interval  # expected calibration error, fraction
    ece_after: Interval
    ece_of_noise: float  # what ece_after would be on average, were its probabilities exactly right
    bins: tuple[ReliabilityBin, ...]  # equal mass, pooled over the seeds
    bins_after: tuple[ReliabilityBin, ...]


def calibrate(
    logits: NDArray[np.floating],
    labels: NDArray[np.int64],
    temperatures: NDArray[np.float64],
    *,
    confidence_level: float,
    seed: int,
    num_bins: int = 15,
) -> Calibration:
    """Judge the probabilities of S runs on the same N test rows, before and after temperature scaling.

    The Brier score sums the squared errors over the classes; of two classes it counts class 1 alone, as scikit-learn
    does. The expected calibration error is the mean gap between confidence and accuracy in bins of equal mass. It is
    biased upwards: noise in a bin counts as a gap, so that with 872 rows in 15 bins a perfect classifier still shows
    two to four points. Resampled errors carry that bias twice, so they are moved back until their mean is the
    measured error; the interval is about the measured error, bias and all.

    Args:
        logits: (S, N, C) float, one per class.
        labels: (N,) int64, class index.
        temperatures: (S,) float64, one per run, fitted on validation rows.
        confidence_level: Of the intervals, which are over rows, e.g. 0.95.
        seed: Of the resampling.
        num_bins: Bins of equal mass.
    """
    before = log_softmax(logits.astype(np.float64), axis=2)
    after = log_softmax(logits.astype(np.float64) / temperatures[:, None, None], axis=2)
    rows = np.random.default_rng(seed).integers(0, len(labels), (NUM_RESAMPLES, len(labels)))
    return Calibration(
        nll=float(np.mean([_nll(run, labels) for run in before])),
        brier=float(np.mean([_brier(run, labels) for run in before])),
        temperature=float(temperatures.mean()),
        nll_after=float(np.mean([_nll(run, labels) for run in after])),
        brier_after=float(np.mean([_brier(run, labels) for run in after])),
        ece=_calibration_error(before, labels, rows, num_bins, confidence_level),
        ece_after=_calibration_error(after, labels, rows, num_bins, confidence_level),
        ece_of_noise=_error_of_noise(after, num_bins, seed),
        bins=_reliability(before, labels, num_bins),
        bins_after=_reliability(after, labels, num_bins),
    )


def _nll(log_probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    return -float(log_probabilities[np.arange(len(labels)), labels].mean())


def _brier(log_probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    num_classes = log_probabilities.shape[1]
    squared = (np.exp(log_probabilities) - np.eye(num_classes)[labels]) ** 2  # (N, C)
    return float(squared[:, 1].mean() if num_classes == 2 else squared.sum(axis=1).mean())


def _calibration_error(
    log_probabilities: NDArray[np.float64],
    labels: NDArray[np.int64],
    rows: NDArray[np.int64],
    num_bins: int,
    confidence_level: float,
) -> Interval:
    """Mean over the runs; rows are (R, N) resampled row numbers, the same for every run."""
    gaps = [_sorted_gaps(run, labels) for run in log_probabilities]
    value = float(np.mean([_binned(gap[None, :], num_bins)[0] for gap, _ in gaps]))
    resampled = np.mean([_binned(gap[np.sort(rank[rows], axis=1)], num_bins) for gap, rank in gaps], axis=0)
    tail = (1 - confidence_level) / 2
    low, high = np.quantile(resampled - resampled.mean() + value, [tail, 1 - tail])
    return Interval(
        value=value, low=max(0.0, min(value, float(low))), high=max(value, float(high)),
        confidence_level=confidence_level,
    )  # fmt: skip


def _error_of_noise(log_probabilities: NDArray[np.float64], num_bins: int, seed: int) -> float:
    """Mean error over the runs (S, N, C) with labels drawn from their own probabilities: all of it is noise."""
    generator, errors = np.random.default_rng(seed), []
    for run in log_probabilities:
        confidence = np.sort(np.exp(run.max(axis=1)))
        hits = generator.random((NOISE_DRAWS, len(confidence))) < confidence
        errors.append(_binned(hits - confidence, num_bins).mean())
    return float(np.mean(errors))


def _sorted_gaps(
    log_probabilities: NDArray[np.float64], labels: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Hit less confidence of each row in the order of confidence, and each row's place in that order."""
    confidence, hits = _confidence(log_probabilities, labels)
    order = np.argsort(confidence, kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return (hits - confidence)[order], rank


def _binned(gaps: NDArray[np.float64], num_bins: int) -> NDArray[np.float64]:
    """(R,) calibration errors from (R, N) gaps in the order of confidence: a bin's share times its mean gap."""
    num_rows = gaps.shape[1]
    sums = np.add.reduceat(gaps, _starts(num_rows, num_bins), axis=1)
    errors: NDArray[np.float64] = np.abs(sums).sum(axis=1) / num_rows
    return errors


def _reliability(
    log_probabilities: NDArray[np.float64], labels: NDArray[np.int64], num_bins: int
) -> tuple[ReliabilityBin, ...]:
    pairs = [_confidence(run, labels) for run in log_probabilities]
    confidence, hits = (np.concatenate(part) for part in zip(*pairs, strict=True))
    order = np.argsort(confidence, kind="stable")
    members = np.split(order, _starts(len(order), num_bins)[1:])
    return tuple(
        ReliabilityBin(confidence=float(confidence[rows].mean()), accuracy=float(hits[rows].mean()), num_rows=len(rows))
        for rows in members
    )


def _confidence(
    log_probabilities: NDArray[np.float64], labels: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(N,) probability of the predicted class, and (N,) 1 where it is the true one."""
    hits = (log_probabilities.argmax(axis=1) == labels).astype(np.float64)
    return np.exp(log_probabilities.max(axis=1)), hits


def _starts(num_rows: int, num_bins: int) -> NDArray[np.int64]:
    """First row of each bin; no more bins than rows."""
    bins = min(num_bins, num_rows)
    return np.arange(bins) * num_rows // bins
