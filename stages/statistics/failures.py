"""Runs that failed, told by validation alone, and cells that were not trained enough to count.

Fine-tuning now and then gives a run that learned next to nothing (Mosbach et al. 2021, arXiv:2006.04884). Such a run
says something of the method, which fails that often, and nothing of what it learns where it does not fail. So they are
counted and named, and a verdict is given with them and without.
"""

from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

FAR_BELOW = 0.05  # accuracy, fraction: runs of one cell that are healthy differ by less
SPREADS = 3  # ... and by less than so many robust standard deviations
TO_DEVIATION = 1.4826  # median absolute deviation to standard deviation, were it normal
KNOWING_NOTHING = 0.9  # times ln C: a validation loss above it is next to that of knowing nothing, ln C
ENOUGH_STEPS = (
    1_000  # optimizer steps from which a best checkpoint at the end is late improvement, not lack of training
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Runs:
    """S seeds of one cell, as validation saw the checkpoint that was kept."""

    accuracies: NDArray[np.float64]  # (S,) validation accuracy, fraction
    losses: NDArray[np.float64]  # (S,) validation loss, nats
    ended_at_best: NDArray[np.bool_]  # (S,) the best checkpoint is the last one: training was not allowed to go on
    steps: NDArray[np.float64]  # (S,) optimizer steps taken; 0: the method has none, and is trained to its end
    num_classes: int

    @property
    def limit(self) -> float:
        """The loss above which a run knows next to nothing, nats."""
        return KNOWING_NOTHING * log(self.num_classes)


def left_out(runs: Runs) -> str:
    """Why the cell does not count, for it was not trained enough; empty where it does.

    It does not where the mean validation loss is above 0.9 ln C, or where most seeds kept the last checkpoint that they
    were allowed and took fewer than 1,000 steps. A method without steps is solved, not trained, and always counts.
    """
    if not runs.steps.any():
        return ""
    loss = float(runs.losses.mean())
    if loss > runs.limit:
        return f"validation loss {loss:.2f}, where knowing nothing is {log(runs.num_classes):.2f}"
    ended = runs.ended_at_best & (runs.steps < ENOUGH_STEPS)
    if 2 * ended.sum() > len(ended):
        steps = f"{runs.steps.mean():,.0f} steps"
        return f"{ended.sum()} of {len(ended)} seeds were best at their last checkpoint, after {steps}"
    return ""


def failed(runs: Runs) -> list[str]:
    """Why each run of the cell failed; empty where it did not.

    Runs are held against the upper quartile of the cell, which is a sound run as long as two of five are. A run failed
    whose validation accuracy lies below it by more than five points and by more than three robust standard deviations
    (1.4826 times the median distance from it) of the runs within five points; or whose loss is above 0.9 ln C where the
    lower quartile of the losses is not. Two runs do not tell which of them is usual; the test rows are not asked.
    """
    if len(runs.accuracies) < 3:
        return [""] * len(runs.accuracies)
    usual = float(np.quantile(runs.accuracies, 0.75, method="higher"))
    distances = np.abs(runs.accuracies - usual)
    deviation = TO_DEVIATION * float(np.median(distances[distances <= FAR_BELOW]))
    lowest = usual - max(FAR_BELOW, SPREADS * deviation)
    taught = runs.steps.any() and float(np.quantile(runs.losses, 0.25, method="lower")) <= runs.limit
    told = []
    for accuracy, loss in zip(runs.accuracies, runs.losses, strict=True):
        if accuracy < lowest:
            told.append(f"validation accuracy {100 * accuracy:.1f} %, where the better seeds have {100 * usual:.1f} %")
        elif taught and loss > runs.limit:
            told.append(f"validation loss {loss:.2f}, where knowing nothing is {log(runs.num_classes):.2f}")
        else:
            told.append("")
    return told


def most_that_fail(num_failed: int, num_runs: int, confidence_level: float) -> float:
    """The largest share of runs that may fail in truth, one-sided.

    Source: Clopper & Pearson 1934, Biometrika 26(4), 404-413. Of five runs none failed: up to 45 % may, at 95 %.
    """
    if num_failed == num_runs:
        return 1.0
    return float(betaincinv(num_failed + 1, num_runs - num_failed, confidence_level))
