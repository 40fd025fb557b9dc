"""Accuracy against training-set size: the curve, its band, and how many labels a target takes.

Errors are fitted, accuracies told. Each family is an error a phi(n) + c that falls from at most 1 to an asymptote
c >= 0, with a shape phi that falls from 1 to 0. For a given shape, a and c are a two-number least-squares problem with
an exact solution; so the shapes are searched on a grid that closes in, and no fit can miss the best valley because it
started in another (separable least squares: Golub & Pereyra 1973, SIAM Journal on Numerical Analysis 10(2), 413-432).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.foundation.errors import StudyError
from stages.foundation.interval import Interval
from stages.statistics.bootstrap import resample_columns

Floats = NDArray[np.float64]

FEWEST_SIZES = 6
FEWEST_BACKTEST_SIZES = 4
HORIZON = 4  # times the largest measured size; beyond it the families disagree about everything
NUM_GRID_SIZES = 200
BASELINE = "last value"

COARSE_STEPS, FINE_STEPS, NUM_ZOOMS = 24, 5, 4  # points per shape number: at first, and each time the grid closes in
TINY = 1e-12  # below it a sum of squares is rounding
ZOOM = 0.4  # new spacing over old, so that five points still cover the neighbours on either side


@dataclass(frozen=True, kw_only=True, slots=True)
class FamilyFit:
    """How well one family of curves foresees."""

    name: str
    weight: float  # share in the averaged curve; all sum to 1, the baseline has 0
    leave_one_out: float  # root mean squared error at sizes left out of the fit, accuracy as a fraction


@dataclass(frozen=True, kw_only=True, slots=True)
class Backtest:
    """What would have been foretold from small sizes, and what came."""

    largest_fitted: int  # training rows
    predicted_size: int  # training rows
    predicted: Interval  # accuracy, fraction
    observed: float  # accuracy, fraction
    last_value: float  # the baseline's forecast: accuracy at the largest fitted size


@dataclass(frozen=True, kw_only=True, slots=True)
class CurveFit:
    """A learning curve with its band."""

    sizes: Floats  # (G,) training rows, log grid from the smallest measured to 4x the largest
    accuracy: Floats  # (G,) fraction, never falling
    low: Floats  # (G,) fraction, never falling
    high: Floats  # (G,) fraction, never falling
    confidence_level: float
    families: tuple[FamilyFit, ...]  # the baseline last
    backtest: Backtest | None  # None: fewer than four sizes up to a quarter of the largest
    largest: int  # training rows, largest measured size


@dataclass(frozen=True, kw_only=True, slots=True)
class _Family:
    """Shapes phi(x), x the size in units of the smallest; two shape numbers, each between its ends on its own scale."""

    name: str
    phi: Callable[[Floats, Floats, Floats], Floats]
    ends: tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Measured:
    """K sizes with their mean accuracies, and the same R times resampled."""

    sizes: Floats  # (K,) training rows, rising
    accuracy: Floats  # (K,) fraction
    resampled: Floats  # (R, K) fraction
    weights: Floats  # (K,) 1 / variance

    def take(self, chosen: NDArray[np.bool_]) -> "_Measured":
        """The chosen sizes alone."""
        return _Measured(
            sizes=self.sizes[chosen],
            accuracy=self.accuracy[chosen],
            resampled=self.resampled[:, chosen],
            weights=self.weights[chosen],
        )


def _pow3(x: Floats, log_b: Floats, _: Floats) -> Floats:
    return np.asarray(x ** -np.exp(log_b))


def _pow4(x: Floats, log_b: Floats, log_d: Floats) -> Floats:
    d = np.exp(log_d) - 1  # from -0.9: the power law may start up to 90 % of the smallest size later
    return np.asarray(((x + d) / (1 + d)) ** -np.exp(log_b))


def _mmf4(x: Floats, log_h: Floats, log_d: Floats) -> Floats:
    return np.asarray(1 / (1 + (x / np.exp(log_h)) ** np.exp(log_d)))


def _wbl4(x: Floats, log_h: Floats, log_d: Floats) -> Floats:
    return np.asarray(np.exp(-((x / np.exp(log_h)) ** np.exp(log_d))))


# Rates b and d from 0.02 (a flat curve) to 3; scales h from a 10,000th of the smallest size to 10,000 times it.
RATES, SCALES = (np.log(0.02), np.log(3.0)), (-np.log(1e4), np.log(1e4))
FAMILIES = (
    _Family(name="pow3", phi=_pow3, ends=(RATES, (0.0, 0.0))),
    _Family(name="pow4", phi=_pow4, ends=(RATES, (np.log(0.1), np.log(1e3)))),
    _Family(name="mmf4", phi=_mmf4, ends=(SCALES, RATES)),
    _Family(name="wbl4", phi=_wbl4, ends=(SCALES, RATES)),
)


def fit_curve(
    sizes: NDArray[np.int64],
    hits: tuple[NDArray[np.bool_], ...],
    *,
    confidence_level: float,
    seed: int,
    num_resamples: int = 200,
) -> CurveFit:
    """Fit four families, average them by how well they foresee, and put a band around.

    pow3 c + a n^-b, pow4 c + a (n + d)^-b, mmf4 c + a / (1 + (n / h)^d), wbl4 c + a exp(-(n / h)^d), the forms that
    foresee best in LCDB (Mohr et al. 2022; arXiv:2505.15657). Sizes count by 1 / (s^2 / S + p (1 - p) / N), s^2 the
    variance between seeds pooled over the sizes. A family's share in the average is the inverse of its mean squared
    error at sizes left out one at a time, all but the smallest, below which nothing is foretold. The baseline "last
    value" is judged alike, on the sizes after the first, and has no share.

    The band holds every family, by its share, fitted to every resample: seeds resampled size by size, test rows the
    same ones at all sizes, because all were tested on them. It is about accuracy over fresh seeds and rows. It knows
    only these families: a curve that dips, or a step yet to come, is outside what it can know, and beyond the largest
    size it leans on them alone.

    Args:
        sizes: (K,) int64 training rows, rising, K >= 6.
        hits: K arrays (S_k, N) bool, a line per seed; the same N test rows everywhere.
        confidence_level: Of the band, e.g. 0.95.
        seed: Of the resampling.
        num_resamples: Refits of each family.

    Raises:
        StudyError: With fewer than six sizes.
        ValueError: If the sizes do not rise.
    """
    if (np.diff(sizes) <= 0).any():
        raise ValueError(f"training-set sizes must be rising, got {list(sizes)}")
    if len(sizes) < FEWEST_SIZES:
        raise StudyError(f"a learning curve needs at least {FEWEST_SIZES} training-set sizes, got {len(sizes)}")
    measured = _measure(sizes, hits, seed=seed, num_resamples=num_resamples)
    errors = np.array([_leave_one_out(family, measured) for family in FAMILIES])
    shares = _shares(errors)
    grid = np.geomspace(measured.sizes[0], HORIZON * measured.sizes[-1], NUM_GRID_SIZES)
    accuracy, low, high = _predict(measured, shares, grid, confidence_level)
    families = [
        FamilyFit(name=family.name, weight=float(share), leave_one_out=float(error))
        for family, share, error in zip(FAMILIES, shares, errors, strict=True)
    ]
    return CurveFit(
        sizes=grid,
        accuracy=accuracy,
        low=low,
        high=high,
        confidence_level=confidence_level,
        families=(*families, _baseline(measured)),
        backtest=_backtest(sizes, hits, confidence_level=confidence_level, seed=seed, num_resamples=num_resamples),
        largest=int(sizes[-1]),
    )


def labels_to_target(fit: CurveFit, target: float) -> tuple[float | None, float | None, float | None]:
    """Training rows at which the band's upper edge, the curve and the lower edge first reach the target.

    None where that is beyond four times the largest measured size; the smallest measured size where it is reached
    there already, because what lies below was not measured.

    Args:
        fit: The curve.
        target: Accuracy, fraction.
    """
    return _crossing(fit, fit.high, target), _crossing(fit, fit.accuracy, target), _crossing(fit, fit.low, target)


def _crossing(fit: CurveFit, edge: Floats, target: float) -> float | None:
    if edge[-1] < target:
        return None
    at = int(np.argmax(edge >= target))
    if at == 0:
        return float(fit.sizes[0])
    part = (target - edge[at - 1]) / (edge[at] - edge[at - 1])
    return float(fit.sizes[at - 1] * (fit.sizes[at] / fit.sizes[at - 1]) ** part)


def _measure(
    sizes: NDArray[np.int64], hits: tuple[NDArray[np.bool_], ...], *, seed: int, num_resamples: int
) -> _Measured:
    accuracy = np.array([cell.mean() for cell in hits])
    num_seeds = np.array([len(cell) for cell in hits])
    squares = sum(float(((cell.mean(axis=1) - cell.mean()) ** 2).sum()) for cell in hits)
    between_seeds = squares / max(1, int((num_seeds - 1).sum()))
    num_rows = hits[0].shape[1]
    smoothed = (accuracy * num_rows + 1) / (num_rows + 2)  # a size without a miss must not count for everything
    return _Measured(
        sizes=np.asarray(sizes, dtype=np.float64),
        accuracy=accuracy,
        resampled=resample_columns(hits, seed=seed, num_resamples=num_resamples),
        weights=1 / (between_seeds / num_seeds + smoothed * (1 - smoothed) / num_rows),
    )


def _predict(measured: _Measured, shares: Floats, at: Floats, confidence_level: float) -> tuple[Floats, Floats, Floats]:
    """(G,) averaged accuracy at the given sizes, and its lower and upper ends."""
    many = np.vstack([measured.accuracy, measured.resampled])
    curves = np.stack([_fit(family, measured, many, at) for family in FAMILIES])  # (F, 1 + R, G)
    accuracy = shares @ curves[:, 0]
    num_resamples = len(measured.resampled)
    pooled = curves[:, 1:].reshape(-1, len(at))
    weights = np.repeat(shares / num_resamples, num_resamples)
    tail = (1 - confidence_level) / 2
    low, high = (_weighted_quantile(pooled, weights, level) for level in (tail, 1 - tail))
    return accuracy, np.minimum(low, accuracy), np.maximum(high, accuracy)


def _weighted_quantile(values: Floats, weights: Floats, level: float) -> Floats:
    """(G,) per column of (M, G) the smallest value that at least the given share of the weight does not exceed."""
    order = np.argsort(values, axis=0)
    reached = np.cumsum(weights[order], axis=0) >= level * (1 - 1e-12)
    return np.asarray(np.take_along_axis(values, order, axis=0)[reached.argmax(axis=0), np.arange(values.shape[1])])


def _leave_one_out(family: _Family, measured: _Measured) -> float:
    misses = []
    for left_out in range(1, len(measured.sizes)):
        rest = measured.take(np.arange(len(measured.sizes)) != left_out)
        at = measured.sizes[left_out : left_out + 1]
        foretold = _fit(family, rest, rest.accuracy[None, :], at)[0, 0]
        misses.append(foretold - measured.accuracy[left_out])
    return float(np.sqrt(np.mean(np.square(misses))))


def _shares(errors: Floats) -> Floats:
    inverse = 1 / np.maximum(errors, 1e-6) ** 2  # a millionth is an exact fit
    return np.asarray(inverse / inverse.sum())


def _baseline(measured: _Measured) -> FamilyFit:
    misses = np.diff(measured.accuracy)
    return FamilyFit(name=BASELINE, weight=0.0, leave_one_out=float(np.sqrt(np.mean(misses**2))))


def _backtest(
    sizes: NDArray[np.int64],
    hits: tuple[NDArray[np.bool_], ...],
    *,
    confidence_level: float,
    seed: int,
    num_resamples: int,
) -> Backtest | None:
    """Nothing of the larger sizes is used, in the weights and the families' shares neither."""
    num_known = int((sizes <= sizes[-1] / HORIZON).sum())
    if num_known < FEWEST_BACKTEST_SIZES:
        return None
    known = _measure(sizes[:num_known], hits[:num_known], seed=seed, num_resamples=num_resamples)
    shares = _shares(np.array([_leave_one_out(family, known) for family in FAMILIES]))
    value, low, high = _predict(known, shares, sizes[-1:].astype(np.float64), confidence_level)
    return Backtest(
        largest_fitted=int(known.sizes[-1]),
        predicted_size=int(sizes[-1]),
        predicted=Interval(
            value=float(value[0]), low=float(low[0]), high=float(high[0]), confidence_level=confidence_level
        ),
        observed=float(hits[-1].mean()),
        last_value=float(known.accuracy[-1]),
    )


def _fit(family: _Family, measured: _Measured, accuracy: Floats, at: Floats) -> Floats:
    """Fit the family to each of M lines of accuracies.

    Args:
        family: Which shapes.
        measured: Its sizes (K,) and weights are used.
        accuracy: (M, K) fractions at those sizes.
        at: (G,) sizes to foretell.

    Returns:
        (M, G) accuracies.
    """
    unit, weights = measured.sizes[0], measured.weights / measured.weights.sum()
    x, error = measured.sizes / unit, 1 - accuracy
    shape = _search(family, x, error, weights)  # (M, 2)
    a, c, _ = nearest_in_triangle(family.phi(x, shape[:, :1], shape[:, 1:]), error, weights)
    foretold = family.phi(at / unit, shape[:, :1], shape[:, 1:])
    return np.asarray(1 - c[:, None] - a[:, None] * foretold)


def _search(family: _Family, x: Floats, error: Floats, weights: Floats) -> Floats:
    """(M, 2) best shape numbers of each line: a grid over all shapes, then finer ones around the best so far."""
    low, high = np.array(family.ends).T
    lines = np.arange(len(error))
    best = np.broadcast_to((low + high) / 2, (len(error), 2))
    spacing, steps = (high - low) / (COARSE_STEPS - 1), COARSE_STEPS
    for _ in range(1 + NUM_ZOOMS):
        shapes = np.clip(best[:, None, :] + _offsets(spacing, steps), low, high)  # (M, G, 2)
        if steps == COARSE_STEPS:
            shapes = shapes[:1]  # all lines search the same shapes at first
        phi = family.phi(x, shapes[..., :1], shapes[..., 1:])  # (M or 1, G, K)
        loss = nearest_in_triangle(phi, error[:, None, :], weights)[2]  # (M, G)
        best = np.broadcast_to(shapes, (len(error), *shapes.shape[1:]))[lines, loss.argmin(axis=1)]
        spacing, steps = spacing * ZOOM, FINE_STEPS
    return best


def _offsets(spacing: Floats, steps: int) -> Floats:
    """(G, 2) steps to either side; a number that cannot move has none."""
    axes = [np.arange(steps) - (steps - 1) / 2 if step > 0 else np.zeros(1) for step in spacing]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2) * spacing


def nearest_in_triangle(phi: Floats, error: Floats, weights: Floats) -> tuple[Floats, Floats, Floats]:
    """The a and c that bring a phi + c closest to the error, with a >= 0, c >= 0 and a + c <= 1.

    Either the minimum of the free problem is in that triangle, or the answer is the best point of one of its sides.
    Shapes (..., K) of phi and error; a, c and the weighted mean squared residual have (...).
    """
    p, e, pp, pe = phi @ weights, error @ weights, phi**2 @ weights, _product(phi, error, weights)
    free = _quotient(pe - p * e, pp - p**2)
    only_a = np.clip(_quotient(pe, pp), 0, 1)  # side c = 0
    full = np.clip(_quotient(1 - p - e + pe, 1 - 2 * p + pp), 0, 1)  # side a + c = 1
    none = np.zeros_like(free)  # side a = 0
    a = np.stack([free, only_a, full, none])
    c = np.stack([e - free * p, none, 1 - full, np.clip(e + none, 0, 1)])
    loss = error**2 @ weights + a**2 * pp + c**2 - 2 * a * pe - 2 * c * e + 2 * a * c * p
    loss[(a < 0) | (c < 0) | (a + c > 1 + TINY)] = np.inf
    best = loss.argmin(axis=0)[None]
    a, c, loss = (np.take_along_axis(part, best, axis=0)[0] for part in (a, c, loss))
    return a, c, loss


def _quotient(part: Floats, whole: Floats) -> Floats:
    shape = np.broadcast_shapes(part.shape, whole.shape)
    return np.divide(part, whole, out=np.zeros(shape), where=np.broadcast_to(whole, shape) > TINY)


def _product(phi: Floats, error: Floats, weights: Floats) -> Floats:
    """Weighted mean of phi times error; as one matrix product where every line meets every shape."""
    if phi.ndim == 3 and len(phi) == 1:
        return np.asarray((error[:, 0] * weights) @ phi[0].T)
    return np.asarray(((phi * error) * weights).sum(axis=-1))
