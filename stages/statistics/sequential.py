"""Looking at a study before its last seed, without being wrong more often for it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from stages.statistics.non_inferiority import NonInferiority, judge

Floats = NDArray[np.float64]

FARTHEST = 8.0  # standard deviations; what lies beyond does not count
NUM_POINTS = 801  # of the density, which is smooth
SPENT = 0.7  # of alpha, by simulation: t quantiles at small levels, few seeds and skewed rows together err by the rest
LEAST_CHANCE = 0.05  # of a verdict at the last look; below it no further seed is worth its time


@cache
def levels(looks: tuple[int, ...], *, alpha: float) -> tuple[float, ...]:
    """The level alpha_k at which to judge at each look, so that all looks together are wrong with chance alpha.

    `judge(..., alpha=alpha_k)` with the seeds so far: stop where it is non-inferior or inferior, else go on to the next
    look. What may be spent by a look with the fraction t of all seeds is 2 - 2 Phi(z(1 - alpha / 2) / sqrt(t)), next to
    nothing early and nearly all of alpha at the end (Lan & DeMets 1983, Biometrika 70(3), 659-663, after O'Brien &
    Fleming 1979); the level at a look is what a Brownian motion that did not cross before crosses there with the chance
    that is added (Armitage, McPherson & Rowe 1969, JRSS A 132(2), 235-244). With t quantiles at these levels in place
    of normal ones the error was up to 7 % for 5 % in simulated studies, so that `each_look` spends `SPENT` of alpha.

    `levels((3, 5, 8, 12), alpha=0.05)` is about 0.0001, 0.002, 0.016, 0.045.

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Looked:
    """Where a claim stands after its looks so far."""

    result: NonInferiority  # at the look that settled it, else at the last one; its intervals have the look's level
    num_seeds: int  # of that look
    level: float  # alpha at that look
    chance: float | None  # of a verdict at the last look of all, as it looks now; None: settled, or no look is left

    @property
    def is_over(self) -> bool:
        """Whether further seeds are not worth their time."""
        return self.chance is None or self.chance < LEAST_CHANCE


def each_look(
    first: NDArray[np.bool_],
    second: NDArray[np.bool_],
    *,
    margin: float,
    looks: Sequence[int],
    failed: NDArray[np.bool_],
    alpha: float,
) -> Iterator[Looked]:
    """Where a claim stands at every look that the seeds reach, up to the first verdict.

    Seeds beyond the last look that is reached do not count yet. Stopping where a verdict has become unlikely makes no
    false claim likelier, so the levels need not know of it.

    Args:
        first: (S, N) bool, hits of the method on trial, a line per seed, in the order in which seeds count.
        second: (S, N) bool, hits of the method it is held against; same seeds, same rows.
        margin: Largest loss of accuracy that still counts as none, fraction above 0.
        looks: Seeds at each look, rising.
        failed: (S,) bool, whether a run of either failed.
        alpha: Chance, over all looks together, of calling a method non-inferior that is worse by exactly the margin.
    """
    spent = levels(tuple(looks), alpha=SPENT * alpha)
    for look, level in zip(looks, spent, strict=True):
        if look > len(first):
            return
        result = judge(first[:look], second[:look], margin=margin, failed=failed[:look], alpha=level)
        is_open = result.verdict == "inconclusive" and look < looks[-1]
        chance = _chance(result, looks[-1], spent[-1]) if is_open else None
        yield Looked(result=result, num_seeds=look, level=level, chance=chance)
        if not is_open:
            return


def judge_looks(
    first: NDArray[np.bool_],
    second: NDArray[np.bool_],
    *,
    margin: float,
    looks: Sequence[int],
    failed: NDArray[np.bool_],
    alpha: float,
) -> Looked | None:
    """The last of `each_look`; None before the first."""
    found = None
    for found in each_look(first, second, margin=margin, looks=looks, failed=failed, alpha=alpha):  # noqa: B007
        pass
    return found


def _chance(result: NonInferiority, num_seeds: int, level: float) -> float:
    """Of a verdict, either one, with so many seeds on the same rows, if the seeds to come are as those at hand.

    The mean of all seeds varies about that of those at hand with (s_seed^2 + s_rest^2 / N) (1 / S - 1 / S_all), a flat
    prior on the truth (Spiegelhalter, Freedman & Blackburn 1986, Controlled Clinical Trials 7(1), 8-17).
    """
    now = result.variance
    if now is None:
        return 1.0
    half_width = replace(now, num_seeds=num_seeds).reach(level, power=0.5)
    to_come = sqrt((now.seed + now.rest / now.num_rows) * (1 / now.num_seeds - 1 / num_seeds))
    above = result.difference.value + result.margin  # by how much it clears the margin
    if to_come == 0:
        return float(abs(above) > half_width)
    return float(ndtr((above - half_width) / to_come) + ndtr((-above - half_width) / to_come))


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
