"""Is the cheaper method good enough? Three answers, of which "not significantly different" is none."""

from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from stages.foundation.interval import Interval
from stages.statistics.bootstrap import seed_variance, two_way_difference
from stages.statistics.power import rows_for_margin

MOST_SEEDS = 1000  # more are never named
Verdict = Literal["non-inferior", "inferior", "inconclusive"]


@dataclass(frozen=True, kw_only=True, slots=True)
class NonInferiority:
    """Whether the first method is at most a margin worse than the second."""

    margin: float  # largest loss of accuracy that still counts as none, fraction
    difference: Interval  # accuracy of the first less that of the second; confidence 1 - 2 alpha
    verdict: Verdict
    num_rows_needed: int | None  # test rows that would settle it; None: settled, or more rows are not the remedy
    num_seeds_needed: int | None  # seeds without which no number of rows settles it; None: those at hand suffice


def judge(
    first: NDArray[np.bool_], second: NDArray[np.bool_], *, margin: float, seed: int, alpha: float = 0.05
) -> NonInferiority:
    """Compare the whole interval of the difference with the margin.

    The rows needed are for 80 % power if the truth were no difference at all, with the share of rows on which two runs
    of a pair disagree as observed. Where the formula asks for no more rows than there are, none are named: more rows
    like these are not the remedy, because the seeds differ too much or the methods do. The seeds needed are the fewest
    whose own spread, as observed, would leave an interval within the margin if there were no end of rows.

    Args:
        first: (S, N) bool, hits of the method on trial, a line per seed.
        second: (S, N) bool, hits of the method it is held against; same seeds, same rows.
        margin: Largest loss of accuracy that still counts as none, fraction above 0.
        seed: Of the resampling.
        alpha: Chance of calling a method non-inferior that is worse by exactly the margin.
    """
    difference, _ = two_way_difference(first, second, confidence_level=1 - 2 * alpha, seed=seed)
    verdict = _verdict(difference, margin)
    discordant = float((first != second).mean())
    is_open = verdict == "inconclusive" and discordant > 0
    needed = rows_for_margin(margin, discordant, alpha=alpha) if is_open else 0
    seeds = _seeds_needed(first, second, margin, alpha) if is_open and len(first) > 1 else None
    return NonInferiority(
        margin=margin,
        difference=difference,
        verdict=verdict,
        num_rows_needed=needed if needed > first.shape[1] else None,
        num_seeds_needed=seeds,
    )


def _seeds_needed(first: NDArray[np.bool_], second: NDArray[np.bool_], margin: float, alpha: float) -> int | None:
    """Fewest seeds S with t(S - 1) sd / sqrt(S) within the margin, where that is more than there are."""
    spread = sqrt(seed_variance(first.astype(np.int64) - second.astype(np.int64)))
    num_seeds = len(first)
    while num_seeds < MOST_SEEDS and stdtrit(num_seeds - 1, 1 - alpha) * spread / sqrt(num_seeds) > margin:
        num_seeds += 1
    return num_seeds if num_seeds > len(first) else None


def _verdict(difference: Interval, margin: float) -> Verdict:
    if difference.low > -margin:
        return "non-inferior"
    return "inferior" if difference.high < -margin else "inconclusive"
