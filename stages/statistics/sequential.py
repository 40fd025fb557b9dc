"""Looking at a study before its last seed, without being wrong more often for it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

Floats = NDArray[np.float64]

FARTHEST = 8.0  # standard deviations; what lies beyond does not count
NUM_POINTS = 801  # of the density, which is smooth


def levels(looks: Sequence[int], *, alpha: float) -> tuple[float, ...]:
    """The level alpha_k at which to judge at each look, so that all looks together are wrong with chance alpha.

    `judge(..., alpha=alpha_k)` with the seeds so far: stop where it is non-inferior or inferior, else go on to the next
    look. What may be spent by a look with the fraction t of all seeds is 2 - 2 Phi(z(1 - alpha / 2) / sqrt(t)), next to
    nothing early and nearly all of alpha at the end (Lan & DeMets 1983, Biometrika 70(3), 659-663, after O'Brien &
    Fleming 1979); the level at a look is what a Brownian motion that did not cross before crosses there with the chance
    that is added (Armitage, McPherson & Rowe 1969, JRSS A 132(2), 235-244). With t quantiles at these levels in place
    of normal ones, as few seeds ask for, and with test rows that all looks share, which makes looks more alike and
    crossing rarer, the error stays below alpha (`tests/statistics/test_sequential.py`).

    `levels([3, 5, 8, 12], alpha=0.05)` is about 0.0001, 0.002, 0.016, 0.045.

    Args:
        looks: Seeds at each look, rising; the last is the most that will be trained.
        alpha: One-sided, e.g. 0.05.

    Raises:
        ValueError: If the looks do not rise.
    """
    if not looks or looks[0] < 1 or (np.diff(looks) <= 0).any():
        raise ValueError(f"looks must rise, got {list(looks)}")
    times = np.array(looks) / looks[-1]
    chances = np.diff([0.0, *(2 - 2 * ndtr(ndtri(1 - alpha / 2) / np.sqrt(times)))])
    points, density = np.zeros(1), np.ones(1)  # the motion starts at 0
    found, before = [], 0.0
    for time, chance in zip(times, chances, strict=True):
        step = np.sqrt(time - before)
        bound = _bound(points, density, step, float(chance))
        found.append(float(ndtr(-bound / np.sqrt(time))))
        points, density = _go_on(points, density, step, bound)
        before = time
    return tuple(found)


def _bound(points: Floats, density: Floats, step: float, chance: float) -> float:
    """Where a motion with this mass at these points is above after the step with the given chance."""

    def excess(bound: float) -> float:
        return float(density @ ndtr((points - bound) / step)) - chance

    return float(brentq(excess, points[0] - FARTHEST * step, points[-1] + FARTHEST * step))


def _go_on(points: Floats, density: Floats, step: float, bound: float) -> tuple[Floats, Floats]:
    """The mass of the motions that stayed below the bound, at the middles of equal intervals."""
    edges = np.linspace(points[0] - FARTHEST * step, bound, NUM_POINTS + 1)
    below = density @ ndtr((edges[None, :] - points[:, None]) / step)
    return (edges[1:] + edges[:-1]) / 2, np.diff(below)
