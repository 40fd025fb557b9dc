"""Two classifiers on the same rows: how sure the difference of their accuracies is, from one run each."""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtri
from scipy.stats import binomtest

from stages.foundation.interval import Interval

STEP_ASIDE = 1e-9  # with an empty table the score equation has a second root, at the observed difference itself


@dataclass(frozen=True, kw_only=True, slots=True)
class PairedCounts:
    """Numbers of rows by which of two classifiers was right."""

    both: int
    first_only: int
    second_only: int
    neither: int

    @property
    def num_rows(self) -> int:
        """All of them."""
        return self.both + self.first_only + self.second_only + self.neither


def count_pairs(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> PairedCounts:
    """Count the rows by who was right.

    Args:
        first: (N,) bool, hits of the first classifier.
        second: (N,) bool, hits of the second on the same rows.
    """
    return PairedCounts(
        both=int((first & second).sum()),
        first_only=int((first & ~second).sum()),
        second_only=int((~first & second).sum()),
        neither=int((~first & ~second).sum()),
    )


def mcnemar(counts: PairedCounts) -> float:
    """Two-sided exact p-value for equal accuracies: given the discordant rows, each side wins one with chance 1/2.

    Source: McNemar 1947, Psychometrika 12(2), 153-157. 1 where no row is discordant.
    """
    num_discordant = counts.first_only + counts.second_only
    return float(binomtest(counts.first_only, num_discordant).pvalue) if num_discordant else 1.0


def tango_interval(counts: PairedCounts, confidence_level: float) -> Interval:
    """Accuracy of the first less that of the second, with Tango's score interval.

    Both ends solve (b - c - n d)^2 = z^2 n (2 q(d) + d (1 - d)), b and c the rows that only the first and only the
    second had right, q(d) the likeliest share behind c if the difference were d. Without a discordant row, too, it has
    a width: z^2 / (n + z^2) to either side.

    Source: Tango 1998, Statistics in Medicine 17(8), 891-908, equations 3 and 4.

    Raises:
        ValueError: Without rows.
    """
    if counts.num_rows == 0:
        raise ValueError("no rows, no difference")
    z = float(ndtri((1 + confidence_level) / 2))
    value = (counts.first_only - counts.second_only) / counts.num_rows
    return Interval(
        value=value, low=-_upper_end(-value, _swapped(counts), z), high=_upper_end(value, counts, z),
        confidence_level=confidence_level,
    )  # fmt: skip


def _swapped(counts: PairedCounts) -> PairedCounts:
    return PairedCounts(
        both=counts.both, first_only=counts.second_only, second_only=counts.first_only, neither=counts.neither
    )


def _upper_end(value: float, counts: PairedCounts, z: float) -> float:
    def excess(difference: float) -> float:
        gap = counts.num_rows * (value - difference)
        return gap + z * sqrt(max(0.0, _restricted_variance(difference, counts)))

    start = value + STEP_ASIDE
    return float(brentq(excess, start, 1.0, xtol=1e-12)) if start < 1 else 1.0


def _restricted_variance(difference: float, counts: PairedCounts) -> float:
    """Variance of b - c where the difference is as given and the rest as likely as can be."""
    n, b, c = counts.num_rows, counts.first_only, counts.second_only
    linear = (2 * n - b + c) * difference - b - c
    constant = -c * difference * (1 - difference)
    share = (sqrt(max(0.0, linear**2 - 8 * n * constant)) - linear) / (4 * n)
    return n * (2 * share + difference * (1 - difference))
