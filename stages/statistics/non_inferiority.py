"""Is the cheaper method good enough? Three answers, of which "not significantly different" is none."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stages.foundation.interval import Interval
from stages.statistics.bootstrap import two_way_difference
from stages.statistics.power import rows_for_margin
from stages.statistics.variance import Variance

ALPHA = 0.05  # chance of calling a method non-inferior that is worse by exactly the margin
Verdict = Literal["non-inferior", "inferior", "inconclusive"]


@dataclass(frozen=True, kw_only=True, slots=True)
class NonInferiority:
    """Whether the first method is at most a margin worse than the second."""

    margin: float  # largest loss of accuracy that still counts as none, fraction
    verdict: Verdict  # that of all runs and that of those that did not fail, where they agree; else inconclusive
    difference: Interval  # of all runs: accuracy of the first less that of the second; confidence 1 - 2 alpha
    without_failed: Interval | None  # of the seeds of which neither run failed; None: none failed, or one is left
    variance: Variance | None  # of the runs that did not fail; None: one seed
    num_rows_needed: int | None  # test rows that would settle it with these seeds; None: settled, or no number would
    num_seeds_needed: int | None  # seeds that would settle it on these rows; None: settled, or no number would

    @property
    def disagree(self) -> bool:
        """Whether the failed runs decide the verdict."""
        apart = self.without_failed
        return apart is not None and _verdict(apart, self.margin) != _verdict(self.difference, self.margin)


def judge(
    first: NDArray[np.bool_],
    second: NDArray[np.bool_],
    *,
    margin: float,
    failed: NDArray[np.bool_] | None = None,
    alpha: float = ALPHA,
) -> NonInferiority:
    """Compare the whole interval of the difference with the margin, with the failed runs and without.

    A failed run of the second method would make the first look good, and one of the first is no reason to call it worse
    at what it learns; so a verdict stands only if the failed runs do not decide it. What holds at an error of 5 % is
    about runs that do not fail: that nothing fails in S runs shows no more than `failures.most_that_fail`.

    The rows, and the seeds, needed are the fewest with which 80 % of studies would call the first non-inferior if the
    truth were no difference at all, the other being as it is, by the variance of the very mean that is judged
    (`Variance`). Where those at hand would have been enough, neither is named: the difference itself keeps it open.
    One seed has Tango's interval, and the rows of Liu et al. (`power.rows_for_margin`).

    Args:
        first: (S, N) bool, hits of the method on trial, a line per seed.
        second: (S, N) bool, hits of the method it is held against; same seeds, same rows.
        margin: Largest loss of accuracy that still counts as none, fraction above 0.
        failed: (S,) bool, whether a run of either failed; None: none did.
        alpha: Chance of calling a method non-inferior that is worse by exactly the margin.
    """
    sound = np.ones(len(first), dtype=np.bool_) if failed is None else ~failed
    difference, _ = two_way_difference(first, second, confidence_level=1 - 2 * alpha)
    verdict = _verdict(difference, margin)
    without = None
    if not sound.all() and sound.sum() > 1:
        first, second = first[sound], second[sound]
        without, _ = two_way_difference(first, second, confidence_level=1 - 2 * alpha)
        verdict = verdict if _verdict(without, margin) == verdict else "inconclusive"
    variance = Variance.of(first.astype(np.int64) - second.astype(np.int64)) if len(first) > 1 else None
    rows, seeds = _needed(first, second, variance, margin, alpha) if verdict == "inconclusive" else (None, None)
    return NonInferiority(
        margin=margin,
        verdict=verdict,
        difference=difference,
        without_failed=without,
        variance=variance,
        num_rows_needed=rows,
        num_seeds_needed=seeds,
    )


def _needed(
    first: NDArray[np.bool_], second: NDArray[np.bool_], variance: Variance | None, margin: float, alpha: float
) -> tuple[int | None, int | None]:
    """Rows, and seeds, where there are too few of them."""
    if variance is None:
        rows = rows_for_margin(margin, float((first != second).mean()), alpha=alpha)
        return (rows if rows > first.shape[1] else None), None
    if variance.reach(alpha) <= margin:
        return None, None
    return variance.rows_needed(margin, alpha), variance.seeds_needed(margin, alpha)


def _verdict(difference: Interval, margin: float) -> Verdict:
    if difference.low > -margin:
        return "non-inferior"
    return "inferior" if difference.high < -margin else "inconclusive"
