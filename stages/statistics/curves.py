"""Accuracy against training-set size: the curve, its band, what more labels bring and how many a target takes."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from stages.foundation.errors import StudyError
from stages.foundation.interval import Interval
from stages.statistics.bootstrap import resample_columns
from stages.statistics.families import FAMILIES, leave_one_out, shares_of
from stages.statistics.forecast import FEWEST_FAMILY_SIZES, Measured, pool

Floats = NDArray[np.float64]

FEWEST_SIZES = 3  # two tell a slope and not how it bends
HORIZON = 4  # times the largest measured size; beyond it the forecasters disagree about everything
NUM_GRID_SIZES = 200
BASELINE = "last value"
AXES = {"rows": 0.0, "between rows and source sentences": 0.5, "source sentences": 1.0}  # share of the sentences


@dataclass(frozen=True, kw_only=True, slots=True)
class FamilyFit:
    """How well one family of curves foresees."""

    name: str
    weight: float  # share among the families; all sum to 1, the baseline has 0
    leave_one_out: float  # root mean squared error at sizes left out of the fit, accuracy as a fraction


@dataclass(frozen=True, kw_only=True, slots=True)
class Backtest:
    """What would have been foretold from small sizes, and what came."""

    largest_fitted: int  # training rows
    predicted_size: int  # training rows, at least HORIZON times as many
    predicted: Interval  # accuracy, fraction
    observed: float  # accuracy, fraction
    last_value: float  # the baseline's forecast: accuracy at the largest fitted size

    @property
    def covered(self) -> bool:
        """Whether what came lies in what was foretold."""
        return self.predicted.low <= self.observed <= self.predicted.high


@dataclass(frozen=True, kw_only=True, slots=True)
class CurveFit:
    """A learning curve with its band."""

    sizes: Floats  # (G,) training rows, log grid from the smallest measured to the reach
    accuracy: Floats  # (G,) fraction, never falling
    low: Floats  # (G,) fraction, never falling
    high: Floats  # (G,) fraction, never falling
    draws: Floats  # (D, G) fraction: curves that may be the true one, each as likely as any other
    confidence_level: float
    families: tuple[FamilyFit, ...]  # the baseline last; empty: too few sizes for them
    backtests: tuple[Backtest, ...]  # of every size that is HORIZON times as large as FEWEST_SIZES others
    axis: str  # of AXES: what counts as the size of a training set
    largest: int  # training rows, largest measured size
    reach: int  # training rows up to which something is foretold

    @property
    def backtest(self) -> Backtest | None:
        """The one that asks for the largest size, from the most sizes."""
        largest = (test for test in self.backtests if test.predicted_size == self.largest)
        return max(largest, key=lambda test: test.largest_fitted, default=None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Axis:
    """What counts as the size of a training set: rows, the source sentences that they come from, or between."""

    name: str
    sizes: Floats  # (K,) training rows, rising
    sources: Floats  # (K,) source sentences
    share: float  # 0: rows alone; 1: source sentences alone

    def __call__(self, rows: Floats) -> Floats:
        """Sizes on this axis of so many rows, rows^(1 - share) sources^share.

        Between the sizes that are known the source sentences lie on straight lines of the logarithms. Beyond the
        largest, rows that bring no new sentence become more frequent in step with the rows, as when one draws from a
        finite number of sentences, until none is new.
        """
        x, y, at = np.log(self.sizes), np.log(self.sources), np.log(rows)
        repeated = 1 - min(1.0, (y[-1] - y[-2]) / (x[-1] - x[-2]))  # share of the new rows, half way to the largest
        per_row = repeated / float(np.exp((x[-1] + x[-2]) / 2))
        ahead = np.minimum(rows, 1 / per_row) if per_row else rows
        new = np.log(ahead / self.sizes[-1]) - per_row * (ahead - self.sizes[-1])
        sources = np.where(at > x[-1], y[-1] + np.maximum(0, new), np.interp(at, x, y))
        return np.asarray(np.exp((1 - self.share) * at + self.share * sources))

    def first(self, number: int) -> "Axis":
        """The same as the smallest sizes alone tell it."""
        return replace(self, sizes=self.sizes[:number], sources=self.sources[:number])


def fit_curve(
    sizes: NDArray[np.int64],
    hits: tuple[NDArray[np.bool_], ...],
    *,
    confidence_level: float,
    seed: int,
    most_rows: int | None = None,
    sources: NDArray[np.float64] | None = None,
    seed_variance: float = 0.0,
    num_resamples: int = 200,
) -> CurveFit:
    """Draw curves that may be the true one, from a pool of forecasters, and put a band around their median.

    The forecasters are `forecast.families`, `forecast.power_law` and `forecast.damped_trend`. In the backtests of the
    study that this is for none of them alone was both near and sure enough, and the pool was; its bands hold planted
    curves of six shapes (`tests/statistics/simulate.py`). The accuracies of the sizes vary together, since all were
    measured on the same test rows, and by the variance between seeds, pooled over the sizes. The band is about accuracy
    over fresh seeds and rows. A step yet to come is outside what it can know.

    Rows that were cut from the same sentences teach less than as many sentences; so of AXES the one is taken whose
    backtests miss least, rows where there are none.

    Args:
        sizes: (K,) int64 training rows, rising, K >= 3; leave out those that were not trained enough.
        hits: K arrays (S_k, N) bool, a line per seed; the same N test rows everywhere.
        confidence_level: Of the band, e.g. 0.95.
        seed: Of the resampling and the draws.
        most_rows: Labels that there are; nothing is told beyond. None: not known.
        sources: (K,) source sentences of these rows, not falling; None: not known, or as many as rows.
        seed_variance: Of one run's accuracy, fraction squared, where no size has two seeds that would tell it.
        num_resamples: Refits of each family.

    Raises:
        StudyError: With fewer than three sizes.
        ValueError: If the sizes do not rise.
    """
    if (np.diff(sizes) <= 0).any():
        raise ValueError(f"training-set sizes must be rising, got {list(sizes)}")
    if len(sizes) < FEWEST_SIZES:
        raise StudyError(f"a curve needs at least {FEWEST_SIZES} training-set sizes that count, got {len(sizes)}")
    measure = partial(_measure, seed_variance=seed_variance, seed=seed, num_resamples=num_resamples)
    rows = sizes.astype(np.float64)
    known = AXES if sources is not None and (sources < rows).any() else {"rows": AXES["rows"]}
    axes = [
        Axis(name=name, sizes=rows, sources=rows if sources is None else sources, share=share)
        for name, share in known.items()
    ]
    tested = [_backtests(axis, hits, measure, confidence_level=confidence_level, seed=seed) for axis in axes]
    axis, backtests = min(zip(axes, tested, strict=True), key=lambda one: _missed(one[1]))
    measured = measure(axis(rows), hits)
    largest = int(sizes[-1])
    reach = HORIZON * largest if most_rows is None else max(largest, min(HORIZON * largest, most_rows))
    grid = np.geomspace(rows[0], reach, NUM_GRID_SIZES)
    draws = pool(measured, axis(grid), seed=seed)
    low, accuracy, high = (np.maximum.accumulate(edge) for edge in _band(draws, confidence_level))
    return CurveFit(
        sizes=grid,
        accuracy=accuracy,
        low=low,
        high=high,
        draws=draws,
        confidence_level=confidence_level,
        families=_families(measured),
        backtests=backtests,
        axis=axis.name,
        largest=largest,
        reach=reach,
    )


def labels_to_target(fit: CurveFit, target: float) -> tuple[float | None, float | None, float | None]:
    """Training rows at which the band's upper edge, the curve and the lower edge first reach the target.

    None where that is beyond the reach of the curve; the smallest measured size where it is reached there already,
    because what lies below was not measured.

    Args:
        fit: The curve.
        target: Accuracy, fraction.
    """
    return _crossing(fit, fit.high, target), _crossing(fit, fit.accuracy, target), _crossing(fit, fit.low, target)


def gain(fit: CurveFit, more: int) -> Interval:
    """What so many labels more than the largest measured size bring, fraction: median and central interval.

    They do not hurt: a curve that wanders down brings nothing.

    Raises:
        ValueError: Beyond the reach of the curve.
    """
    if fit.largest + more > fit.reach:
        raise ValueError(f"{fit.largest + more} rows are beyond the reach of the curve, {fit.reach}")
    gains = np.maximum(0, _at(fit, fit.largest + more) - _at(fit, fit.largest))
    low, value, high = (float(edge) for edge in _band(gains, fit.confidence_level))
    return Interval(value=value, low=low, high=high, confidence_level=fit.confidence_level)


def chance_of(fit: CurveFit, target: float, samples: int) -> float:
    """Share of the drawn curves that have reached the target with so many training rows."""
    return float((_at(fit, samples) >= target).mean())


def _at(fit: CurveFit, samples: int) -> Floats:
    """(D,) accuracies of the drawn curves at one size, by its neighbours on the log grid."""
    place = np.interp(np.log(samples), np.log(fit.sizes), np.arange(len(fit.sizes)))
    below = min(int(place), len(fit.sizes) - 2)
    part = place - below
    return np.asarray(fit.draws[:, below] * (1 - part) + fit.draws[:, below + 1] * part)


def _crossing(fit: CurveFit, edge: Floats, target: float) -> float | None:
    if edge[-1] < target:
        return None
    at = int(np.argmax(edge >= target))
    if at == 0:
        return float(fit.sizes[0])
    part = (target - edge[at - 1]) / (edge[at] - edge[at - 1])
    return float(fit.sizes[at - 1] * (fit.sizes[at] / fit.sizes[at - 1]) ** part)


def _band(draws: Floats, confidence_level: float) -> tuple[Floats, Floats, Floats]:
    """Low end, median and high end over the draws, the first axis."""
    tail = (1 - confidence_level) / 2
    low, middle, high = np.quantile(draws, [tail, 0.5, 1 - tail], axis=0)
    return low, middle, high


def _measure(
    sizes: Floats,
    hits: tuple[NDArray[np.bool_], ...],
    *,
    seed_variance: float,
    seed: int,
    num_resamples: int,
) -> Measured:
    num_seeds = np.array([len(cell) for cell in hits])
    squares = sum(float(((cell.mean(axis=1) - cell.mean()) ** 2).sum()) for cell in hits)
    freedom = int((num_seeds - 1).sum())
    between_seeds = squares / freedom if freedom else seed_variance
    resampled = resample_columns(hits, seed=seed, num_resamples=num_resamples)
    if not freedom and seed_variance:
        luck = np.random.default_rng([seed, 1]).normal(scale=np.sqrt(seed_variance), size=resampled.shape)
        resampled = np.clip(resampled + luck, 0, 1)
    row_means = np.stack([cell.mean(axis=0) for cell in hits])  # (K, N)
    num_rows = row_means.shape[1]
    least = 1 / num_rows**2  # a size without a miss must not count for everything
    return Measured(
        sizes=sizes,
        accuracy=row_means.mean(axis=1),
        covariance=np.cov(row_means) / num_rows + np.diag(between_seeds / num_seeds + least),
        resampled=resampled,
    )


def _families(measured: Measured) -> tuple[FamilyFit, ...]:
    if len(measured.sizes) < FEWEST_FAMILY_SIZES:
        return ()
    errors = [leave_one_out(family, measured.sizes, measured.accuracy, measured.weights) for family in FAMILIES]
    shares = shares_of(np.array(errors))
    misses = np.diff(measured.accuracy)
    baseline = FamilyFit(name=BASELINE, weight=0.0, leave_one_out=float(np.sqrt(np.mean(misses**2))))
    told = [
        FamilyFit(name=family.name, weight=float(share), leave_one_out=error)
        for family, share, error in zip(FAMILIES, shares, errors, strict=True)
    ]
    return (*told, baseline)


def _backtests(
    axis: Axis,
    hits: tuple[NDArray[np.bool_], ...],
    measure: Callable[[Floats, tuple[NDArray[np.bool_], ...]], Measured],
    *,
    confidence_level: float,
    seed: int,
) -> tuple[Backtest, ...]:
    """From each number of the smallest sizes, all that are far enough; nothing of the larger sizes is used."""
    sizes, found = axis.sizes, []
    for num_known in range(FEWEST_SIZES, len(sizes)):
        asked = np.flatnonzero(sizes >= HORIZON * sizes[num_known - 1])
        if not len(asked):
            break
        known = axis.first(num_known)
        measured = measure(known(known.sizes), hits[:num_known])
        edges = _band(pool(measured, known(sizes[asked]), seed=seed), confidence_level)
        for at, low, value, high in zip(asked, *edges, strict=True):
            predicted = Interval(
                value=float(value), low=float(low), high=float(high), confidence_level=confidence_level
            )
            found.append(
                Backtest(
                    largest_fitted=int(known.sizes[-1]),
                    predicted_size=int(sizes[at]),
                    predicted=predicted,
                    observed=float(hits[at].mean()),
                    last_value=float(measured.accuracy[-1]),
                )
            )
    return tuple(found)


def _missed(backtests: tuple[Backtest, ...]) -> float:
    """Mean squared miss; 0 without any, so that the first axis is taken."""
    misses = [test.predicted.value - test.observed for test in backtests]
    return float(np.mean(np.square(misses))) if misses else 0.0
