"""Four families of learning curves, fitted so that no fit can miss.

Errors are fitted, accuracies told. Each family is an error a phi(n) + c that falls from at most 1 to an asymptote
c >= 0, with a shape phi that falls from 1 to 0. For a given shape, a and c are a two-number least-squares problem with
an exact solution; so the shapes are searched on a grid that closes in, and no fit can miss the best valley because it
started in another (separable least squares: Golub & Pereyra 1973, SIAM Journal on Numerical Analysis 10(2), 413-432).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

COARSE_STEPS, FINE_STEPS, NUM_ZOOMS = 24, 5, 4  # points per shape number: at first, and each time the grid closes in
TINY = 1e-12  # below it a sum of squares is rounding
ZOOM = 0.4  # new spacing over old, so that five points still cover the neighbours on either side


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """Shapes phi(x), x the size in units of the smallest; two shape numbers, each between its ends on its own scale."""

    name: str
    phi: Callable[[Floats, Floats, Floats], Floats]
    ends: tuple[tuple[float, float], tuple[float, float]]


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
    Family(name="pow3", phi=_pow3, ends=(RATES, (0.0, 0.0))),
    Family(name="pow4", phi=_pow4, ends=(RATES, (np.log(0.1), np.log(1e3)))),
    Family(name="mmf4", phi=_mmf4, ends=(SCALES, RATES)),
    Family(name="wbl4", phi=_wbl4, ends=(SCALES, RATES)),
)


def leave_one_out(family: Family, sizes: Floats, accuracy: Floats, weights: Floats) -> float:
    """Root mean squared error at sizes left out one at a time, all but the smallest, below which nothing is foretold.

    Args:
        family: Which shapes.
        sizes: (K,) training rows, rising.
        accuracy: (K,) fraction.
        weights: (K,) 1 / variance.
    """
    misses = []
    for left_out in range(1, len(sizes)):
        rest = np.arange(len(sizes)) != left_out
        foretold = fit_family(family, sizes[rest], weights[rest], accuracy[None, rest], sizes[left_out : left_out + 1])
        misses.append(foretold[0, 0] - accuracy[left_out])
    return float(np.sqrt(np.mean(np.square(misses))))


def shares_of(errors: Floats) -> Floats:
    """A family's share in the average: the inverse of its mean squared error."""
    inverse = 1 / np.maximum(errors, 1e-6) ** 2  # a millionth is an exact fit
    return np.asarray(inverse / inverse.sum())


def fit_family(family: Family, sizes: Floats, weights: Floats, accuracy: Floats, at: Floats) -> Floats:
    """Fit the family to each of M lines of accuracies.

    Args:
        family: Which shapes.
        sizes: (K,) training rows, rising.
        weights: (K,) 1 / variance.
        accuracy: (M, K) fractions at those sizes.
        at: (G,) sizes to foretell.

    Returns:
        (M, G) accuracies.
    """
    x, error, weights = sizes / sizes[0], 1 - accuracy, weights / weights.sum()
    shape = _search(family, x, error, weights)  # (M, 2)
    a, c, _ = nearest_in_triangle(family.phi(x, shape[:, :1], shape[:, 1:]), error, weights)
    foretold = family.phi(at / sizes[0], shape[:, :1], shape[:, 1:])
    return np.asarray(1 - c[:, None] - a[:, None] * foretold)


def _search(family: Family, x: Floats, error: Floats, weights: Floats) -> Floats:
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
