"""What to train next when there is so much time and not a grid: which sizes, methods and seeds, and in which order.

Everything here is arithmetic; `stages/study/answering.py` trains.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, islice
from statistics import median
from typing import Literal

import numpy as np

from stages.statistics.curves import FEWEST_SIZES, HORIZON
from stages.study.plan import SECONDS_BESIDE_TRAINING
from stages.study.pool import Pool

CHEAP = ("tfidf", "head")  # seconds where the others take minutes
ORDER = (*CHEAP, "lora")  # the others after these
MOST_SIZES = 6  # halvings of the largest size: a 32nd is far enough down
FEWEST_OF_CLASS = 8  # rows of a class in the smallest size
CHEAP_SHARE = 1 / 3  # of the time, at most, for a first look at the cheap methods, if three sizes allow it
MOST_SEEDS = 10
LEAST_CHANCE = 0.05  # of being the best; below it a method gets no more time
PILOT_WORK = 1_000  # optimizer steps, or rows where there are none
PILOT_SECONDS = 30.0  # of training that a pilot must have time for; if it takes longer, the next call goes on with it
SLACK = 1.2  # a cell may take so many times its forecast

Reason = Literal["cheap", "dear", "seeds"]
Key = tuple[str, int]  # method, training rows
Work = Callable[[str, int], float]  # what a method does at a size: optimizer steps, or rows where it takes none


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """What planning has to know of a finished cell."""

    method: str
    samples: int  # training rows
    seed: int
    seconds: float  # of training alone


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """The cell to make next."""

    method: str
    samples: int  # training rows
    seed: int
    seconds: float | None  # forecast, wall time; None: a pilot, whose speed nothing has told yet
    reason: Reason


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """What may be trained."""

    sizes: tuple[int, ...]  # training rows, rising
    methods: tuple[str, ...]  # cheap ones first
    seeds: tuple[int, ...]  # in the order in which they are taken
    work: Work

    def keys(self) -> list[Key]:
        """Every method at every size."""
        return [(method, size) for method in self.methods for size in self.sizes]


def in_order(methods: Collection[str]) -> tuple[str, ...]:
    """The methods, cheap ones first."""
    rank = {method: at for at, method in enumerate(ORDER)}
    return tuple(sorted(methods, key=lambda method: (rank.get(method, len(rank)), method)))


def seeds_of(first: Sequence[int], tuning: Collection[int], number: int) -> tuple[int, ...]:
    """So many seeds at least: those of params.yaml, then the numbers after them that tuning does not use."""
    further = (seed for seed in count(max(first) + 1) if seed not in tuning)
    return (*first, *islice(further, max(0, number - len(first))))


def ladder(pool: Pool) -> list[int]:
    """The largest size, its half, a quarter and so on, rising; each goes evenly into the classes.

    More time adds smaller sizes and moves none, so that what was trained before still counts.
    """
    halves = [pool.nearest(pool.largest // 2**halvings) for halvings in range(MOST_SIZES)]
    least = FEWEST_OF_CLASS * pool.num_classes
    kept = [size for at, size in enumerate(halves) if size >= least or at < FEWEST_SIZES]
    return sorted({size for size in kept if not pool.fault(size)})


def affordable(sizes: Sequence[int], *, seconds: float, methods: Collection[str]) -> tuple[int, ...]:
    """Of the ladder as many of the largest sizes as a first look at the cheap methods may take, three at least."""
    of_size = SECONDS_BESIDE_TRAINING * max(1, sum(method in CHEAP for method in methods))
    number = int(CHEAP_SHARE * seconds / of_size)
    return tuple(sizes[-max(FEWEST_SIZES, number) :])


def forecast(method: str, samples: int, trained: Sequence[Trained], work: Work, *, beside: float) -> float | None:
    """Wall time of a cell from the finished ones of its method that did most nearly as much; None: there is none.

    Args:
        method: Of the cell.
        samples: Its training rows.
        trained: Finished cells, of any method.
        work: What a method does at a size.
        beside: Seconds that a cell takes beside training.
    """
    own = [cell for cell in trained if cell.method == method]
    if not own:
        return None
    wanted = work(method, samples)
    distance = min(abs(work(method, cell.samples) - wanted) for cell in own)
    near = [cell for cell in own if abs(work(method, cell.samples) - wanted) == distance]
    return beside + wanted * median(cell.seconds / work(method, cell.samples) for cell in near)


def lever(sizes: Sequence[int], size: int) -> float:
    """How far one size moves what is foretold at four times the largest, squared: of a line over the log of the rows.

    Args:
        sizes: Those of the curve; the size is one of them.
        size: Training rows.
    """
    if len(sizes) < 2:
        return 0.0
    x = np.log(np.array(sizes, dtype=np.float64))
    ahead = np.log(HORIZON * max(sizes)) - x.mean()
    return float((1 / len(sizes) + ahead * (np.log(size) - x.mean()) / ((x - x.mean()) ** 2).sum()) ** 2)


def worth_of_seed(
    spreads: Mapping[Key, tuple[float, int]], chances: Mapping[str, float], *, decided_at: int
) -> dict[Key, float]:
    """What one more seed takes off the variance of what is judged, for each method at each size; fractions squared.

    Judged are the choice at one size and what the curves foretell, each method as far as it may be the best. Of S runs
    with variance v, one more takes v / S - v / (S + 1) off the variance of their mean.

    Args:
        spreads: Variance of one run and number of runs, of what was trained.
        chances: Of each method to be the best; a method that is not named may be.
        decided_at: The size at which the methods are compared.
    """
    worth = {}
    for (method, size), (variance, number) in spreads.items():
        chance = chances.get(method, 1.0)
        sizes = [each for name, each in spreads if name == method]
        judged = (size == decided_at) + lever(sizes, size)
        worth[method, size] = chance * judged * variance / (number * (number + 1)) if chance >= LEAST_CHANCE else 0.0
    return worth


def next_step(
    budget: Budget,
    trained: Sequence[Trained],
    *,
    left: float,
    beside: float,
    chances: Mapping[str, float],
    worth: Mapping[Key, float],
) -> Step | None:
    """The cell to make next; None where nothing is left that fits into the time.

    First one seed of every cheap method at all sizes, the largest first. Then the dear ones, at the largest size and
    down to the third, below the largest only where they may be the best. Then the seed that takes most off the variance
    per minute.

    Args:
        budget: What may be trained.
        trained: Finished cells.
        left: Seconds.
        beside: Seconds that a cell takes beside training.
        chances: Of each method to be the best, as far as it was compared.
        worth: Of one more seed, by method and size.
    """

    def seconds(key: Key) -> float | None:
        return forecast(*key, trained, budget.work, beside=beside)

    def fits(taken: float | None) -> bool:
        return SLACK * (beside + PILOT_SECONDS if taken is None else taken) <= left

    for reason, key in _first_round(budget, trained, chances):
        if fits(seconds(key)):
            return _step(key, budget.seeds[0], seconds(key), reason)
    best, most = None, 0.0
    for key, value in worth.items():
        seed, taken = _next_seed(budget, trained, key), seconds(key)
        if seed is not None and taken is not None and fits(taken) and value / taken > most:
            best, most = _step(key, seed, taken, "seeds"), value / taken
    return best


def _first_round(
    budget: Budget, trained: Sequence[Trained], chances: Mapping[str, float]
) -> Iterator[tuple[Reason, Key]]:
    """What has no seed yet, in the order of its turn; a method of which nothing is known begins with its pilot."""
    cheap = [method for method in budget.methods if method in CHEAP]
    dear = [method for method in budget.methods if method not in CHEAP]
    down = budget.sizes[::-1]
    turns: list[tuple[Reason, Key]] = [("cheap", (method, size)) for size in down for method in cheap]
    turns += [("dear", (method, down[0])) for method in dear]
    turns += [
        ("dear", (method, size))
        for size in down[1:FEWEST_SIZES]
        for method in dear
        if chances.get(method, 1.0) >= LEAST_CHANCE
    ]
    there = {(cell.method, cell.samples) for cell in trained}
    known = {cell.method for cell in trained}
    for reason, (method, size) in turns:
        if method not in known:
            yield reason, (method, pilot(budget, method))
        elif (method, size) not in there:
            yield reason, (method, size)


def pilot(budget: Budget, method: str) -> int:
    """The largest size that is little work, or least: enough steps may be as many at all small sizes."""
    little = max(PILOT_WORK, min(budget.work(method, size) for size in budget.sizes))
    return max(size for size in budget.sizes if budget.work(method, size) <= little)


def _next_seed(budget: Budget, trained: Sequence[Trained], key: Key) -> int | None:
    there = {cell.seed for cell in trained if (cell.method, cell.samples) == key}
    return next((seed for seed in budget.seeds if seed not in there), None)


def _step(key: Key, seed: int, seconds: float | None, reason: Reason) -> Step:
    method, samples = key
    return Step(method=method, samples=samples, seed=seed, seconds=seconds, reason=reason)


def decision_size(seeds: Mapping[Key, int]) -> int | None:
    """The size at which most methods have a cell that counts; of equals the largest; None where none has."""
    methods: dict[int, int] = {}
    for (_, size), number in seeds.items():
        methods[size] = methods.get(size, 0) + (number > 0)
    return max(methods, key=lambda size: (methods[size], size), default=None)
