"""Which of several methods to take now, how sure that is, and what a wrong choice costs.

A test answers whether a difference is shown; who must choose today needs the chance of each method to be the best and
the accuracy that is lost on average if it is not. Both come from draws of the accuracies of all methods together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from stages.foundation.interval import Interval
from stages.statistics.bootstrap import seed_variance

Floats = NDArray[np.float64]

USUAL_SEED_SD = 0.012  # accuracy, fraction: between runs of one recipe, before any two of them were seen
PRIOR_FREEDOM = 4  # so many degrees of freedom is that worth
NUM_DRAWS = 4_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Option:
    """One method among those to choose from."""

    accuracy: Interval  # fraction, over fresh rows and fresh seeds
    chance: float  # of being the best of them
    loss: float  # accuracy that taking it is expected to lose against the best, fraction


@dataclass(frozen=True, kw_only=True, slots=True)
class Rivalry:
    """The choice against the next best."""

    position: int  # of the next best among the options
    difference: Interval  # of the choice less the next best, fraction
    by_rows: float  # variance of the difference that comes from the choice of test rows, fraction squared
    by_seeds: float  # that comes from the luck of the runs

    def half_width(self, *, rows: float = 1.0, seeds: float = 1.0) -> float:
        """About half the interval's width with so many times the test rows and so many times the seeds, fraction."""
        spread = sqrt(self.by_rows / rows + self.by_seeds / seeds)
        return float(ndtri((1 + self.difference.confidence_level) / 2)) * spread


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What to take, and how sure that is."""

    options: tuple[Option, ...]  # M, as they were given
    best: int  # position of the option with the smallest expected loss; of equals the first
    rivalry: Rivalry | None  # None: there is one option


def choose(
    hits: Sequence[NDArray[np.bool_]], *, confidence_level: float, seed: int, num_draws: int = NUM_DRAWS
) -> Decision:
    """Draw the accuracies of all methods together, and choose the one that is expected to lose least.

    The rows are drawn by the Bayesian bootstrap (Rubin 1981, Annals of Statistics 9(1), 130-134), the same for all
    methods; one row in all, on which each method in turn is alone right or alone wrong, joins them, so that methods
    that never differed are not equal for sure. To a method's accuracy comes Student's t for its seeds: their variance
    is a scaled inverse chi-square about USUAL_SEED_SD that the seeds at hand sharpen, so that one seed has an honest
    spread, too. Pairing over seeds is not used, which errs on the side of doubt.

    Args:
        hits: M arrays (S_m, N) bool, a line per seed; the same N test rows everywhere.
        confidence_level: Of the intervals, e.g. 0.95.
        seed: Of the draws.
        num_draws: Draws D.
    """
    generator = np.random.default_rng(seed)
    rows = _row_draws(hits, generator, num_draws)  # (D, M)
    draws = rows + np.stack([_seed_draws(of_method, generator, num_draws) for of_method in hits], axis=1)
    best_of_draw = draws.max(axis=1)
    winners = draws.argmax(axis=1)
    options = tuple(
        Option(
            accuracy=_interval(np.clip(draws[:, at], 0, 1), confidence_level),
            chance=float((winners == at).mean()),
            loss=float((best_of_draw - draws[:, at]).mean()),
        )
        for at in range(len(hits))
    )
    best, *others = sorted(range(len(hits)), key=lambda at: options[at].loss)
    return Decision(
        options=options,
        best=best,
        rivalry=_rivalry(best, others[0], hits, rows, draws, confidence_level) if others else None,
    )


def seed_spread(hits: NDArray[np.bool_]) -> tuple[float, int]:
    """Variance of one run's accuracy about its mean, fraction squared, and its degrees of freedom.

    Args:
        hits: (S, N) bool, a line per seed; S may be 1.
    """
    more = len(hits) - 1
    measured = seed_variance(hits.astype(np.int64)) if more else 0.0
    freedom = PRIOR_FREEDOM + more
    return (PRIOR_FREEDOM * USUAL_SEED_SD**2 + more * measured) / freedom, freedom


def _row_draws(hits: Sequence[NDArray[np.bool_]], generator: np.random.Generator, num_draws: int) -> Floats:
    """(D, M) accuracies over resampled rows; rows that all methods treat alike are drawn as one."""
    means = np.stack([of_method.mean(axis=0) for of_method in hits], axis=1)  # (N, M)
    patterns, counts = np.unique(means, axis=0, return_counts=True)
    alone = np.eye(len(hits))
    patterns = np.concatenate([patterns, alone, 1 - alone])
    weights = np.concatenate([counts, np.full(2 * len(hits), 1 / (2 * len(hits)))])
    drawn = generator.standard_gamma(weights, (num_draws, len(weights)))
    return np.asarray(drawn / drawn.sum(axis=1, keepdims=True) @ patterns)


def _seed_draws(hits: NDArray[np.bool_], generator: np.random.Generator, num_draws: int) -> Floats:
    variance, freedom = seed_spread(hits)
    return np.asarray(sqrt(variance / len(hits)) * generator.standard_t(freedom, num_draws))


def _rivalry(
    best: int,
    rival: int,
    hits: Sequence[NDArray[np.bool_]],
    rows: Floats,
    draws: Floats,
    confidence_level: float,
) -> Rivalry:
    spreads = [(*seed_spread(hits[at]), len(hits[at])) for at in (best, rival)]
    return Rivalry(
        position=rival,
        difference=_interval(draws[:, best] - draws[:, rival], confidence_level),
        by_rows=float((rows[:, best] - rows[:, rival]).var()),
        by_seeds=sum(variance / num_seeds * freedom / (freedom - 2) for variance, freedom, num_seeds in spreads),
    )


def _interval(draws: Floats, confidence_level: float) -> Interval:
    tail = (1 - confidence_level) / 2
    low, value, high = (float(edge) for edge in np.quantile(draws, [tail, 0.5, 1 - tail]))
    return Interval(value=value, low=low, high=high, confidence_level=confidence_level)
