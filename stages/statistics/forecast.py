"""A learning curve beyond its largest size, from three forecasters of different kinds; none of them is best everywhere.

Each gives D draws of the curve, every draw a curve of its own, so that gains and targets can be read from them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtri

from stages.statistics.families import FAMILIES, fit_family, leave_one_out, shares_of

Floats = NDArray[np.float64]

Forecaster = Callable[["Measured", Floats, np.random.Generator], Floats]

NUM_DRAWS = 500  # of each forecaster
FEWEST_FAMILY_SIZES = 4  # below it no size can be left out
WANDERING = 0.04  # logits: SD by which a true curve leaves its smooth shape over one doubling of the labels
EXPONENTS = np.geomspace(0.05, 2.0, 40)  # b of the power law
COMMON_EXPONENT, EXPONENT_SPREAD = 0.4, 0.7  # median of b, and SD of its logarithm, before a curve is seen
REDUCIBLE = np.linspace(0.01, 0.99, 40)  # share of the error at the largest size that labels could still take away
DAMPINGS = np.linspace(0.4, 1.0, 13)  # share of a doubling's gain, in logits, that the next doubling brings
GAIN_SPREAD = 0.5  # logits per doubling: SD of the gain at the largest size, before a curve is seen


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """K sizes with their mean accuracies and how sure these are."""

    sizes: Floats  # (K,) training rows, rising
    accuracy: Floats  # (K,) fraction
    covariance: Floats  # (K, K) of the accuracies: all sizes share their test rows
    resampled: Floats  # (R, K) fraction

    @property
    def weights(self) -> Floats:
        """(K,) 1 / variance."""
        return np.asarray(1 / np.diag(self.covariance))

    @property
    def doublings(self) -> Floats:
        """(K,) of the labels from the largest size on; none is above 0."""
        return np.asarray(np.log2(self.sizes / self.sizes[-1]))

    @property
    def logits(self) -> Floats:
        """(K,) log odds of being right; half a hundredth of a point from 0 and 1 at least."""
        return np.asarray(logit(np.clip(self.accuracy, 5e-5, 1 - 5e-5)))

    @property
    def slopes(self) -> Floats:
        """(K,) accuracy per logit: what one more logit would add at this rate."""
        return np.asarray(np.clip(self.accuracy * (1 - self.accuracy), 5e-5, None))

    @property
    def logit_covariance(self) -> Floats:
        """(K, K) of the logits, with what a true curve wanders between a size and the largest."""
        back = -self.doublings
        walk = WANDERING**2 * np.minimum.outer(back, back)
        return np.asarray(self.covariance / np.outer(self.slopes, self.slopes) + walk)

    @property
    def logit_precision(self) -> Floats:
        """(K, K) its inverse."""
        return np.asarray(np.linalg.inv(self.logit_covariance + 1e-12 * np.eye(len(self.sizes))))


def families(measured: Measured, at: Floats, generator: np.random.Generator) -> Floats:
    """(D, G) draws of four families of curves, by how well each foresees sizes left out, fitted to every resample."""
    errors = [leave_one_out(family, measured.sizes, measured.accuracy, measured.weights) for family in FAMILIES]
    curves = np.concatenate(
        [fit_family(family, measured.sizes, measured.weights, measured.resampled, at) for family in FAMILIES]
    )
    each = np.repeat(shares_of(np.array(errors)), len(measured.resampled))
    return np.asarray(curves[_chosen(each, generator)])


def power_law(measured: Measured, at: Floats, generator: np.random.Generator) -> Floats:
    """(D, G) draws from the posterior of error e (1 - s + s (n / n_K)^-b), e the error at the largest size n_K.

    This is c + a n^-b in other words. Before a curve is seen every share s that labels could still take away is as
    likely as any other, log b is normal about 0.4, where most learning curves of LCDB lie (Mohr et al. 2022), and e is
    anything. For given s and b the error is linear in e, so e has a normal posterior in closed form; s and b are summed
    over a grid.
    """
    share, exponent = (axis.ravel()[:, None] for axis in np.meshgrid(REDUCIBLE, EXPONENTS))
    shape = 1 - share + share * (measured.sizes / measured.sizes[-1]) ** -exponent  # (M, K)
    precision = measured.logit_precision / np.outer(measured.slopes, measured.slopes)
    error = 1 - measured.accuracy
    information = np.einsum("mk,kl,ml->m", shape, precision, shape)
    level = shape @ precision @ error / information
    missed = error @ precision @ error - information * level**2
    prior = -0.5 * (np.log(exponent[:, 0] / COMMON_EXPONENT) / EXPONENT_SPREAD) ** 2
    chosen = _chosen(_likely(prior - missed / 2 - np.log(information) / 2), generator)
    drawn = level[chosen] + _normal(generator) / np.sqrt(information[chosen])
    curve = 1 - share[chosen] + share[chosen] * (at / measured.sizes[-1]) ** -exponent[chosen]
    return np.asarray(1 - np.clip(drawn[:, None] * curve, 0, 1))


def damped_trend(measured: Measured, at: Floats, generator: np.random.Generator) -> Floats:
    """(D, G) draws of a trend of the logit that every doubling of the labels damps by the same factor.

    logit(accuracy) = A + T (1 - phi^x) / -log(phi), x the doublings from the largest size on, T >= 0 the gain per
    doubling there (Gardner & McKenzie 1985, Management Science 31(10), 1237-1246, in doublings of labels for time). A
    and T are a linear regression with a closed posterior; phi, from 0.4 to 1, is summed over.
    """
    precision = measured.logit_precision
    means, roots, scores = [], [], []
    for damping in DAMPINGS:
        design = np.stack([np.ones(len(measured.sizes)), _damped(measured.doublings, damping)], axis=1)
        information = design.T @ precision @ design + np.diag([0, 1 / GAIN_SPREAD**2])
        mean = np.linalg.solve(information, design.T @ precision @ measured.logits)
        missed = measured.logits @ precision @ measured.logits - mean @ information @ mean
        means.append(mean)
        roots.append(np.linalg.cholesky(np.linalg.inv(information)))
        scores.append(-missed / 2 - np.linalg.slogdet(information)[1] / 2)
    chosen = _chosen(_likely(np.array(scores)), generator)
    noise = np.stack([_normal(generator), _normal(generator)], axis=1)
    drawn = np.array(means)[chosen] + np.einsum("dij,dj->di", np.array(roots)[chosen], noise)
    shapes = np.stack([_damped(np.log2(at / measured.sizes[-1]), damping) for damping in DAMPINGS])
    return np.asarray(expit(drawn[:, :1] + np.maximum(drawn[:, 1:], 0) * shapes[chosen]))


def pool(measured: Measured, at: Floats, *, seed: int) -> Floats:
    """(D', G) draws of all forecasters together, each with the same share.

    Beyond the largest size each draw leaves its shape as true curves do, by WANDERING a doubling (a random walk). With
    three sizes the families, which need four, are left out.

    Args:
        measured: K >= 3 sizes.
        at: (G,) sizes to foretell, rising.
        seed: Of the draws.
    """
    generator = np.random.default_rng(seed)
    parts = [_towards(measured, at, forecaster, generator) for forecaster in (power_law, damped_trend)]
    if len(measured.sizes) >= FEWEST_FAMILY_SIZES:
        parts.append(families(measured, at, generator))
    beyond = np.sqrt(np.maximum(0, np.log2(at / measured.sizes[-1])))
    leaving = np.concatenate([_normal(generator) for _ in parts])[:, None] * WANDERING * beyond
    return np.asarray(expit(_logit(np.concatenate(parts)) + leaving))


def _towards(measured: Measured, at: Floats, forecaster: Forecaster, generator: np.random.Generator) -> Floats:
    """(D, G) draws that between the measured sizes wander towards what was measured, as the random walk expects.

    The expectation of a walk that ends at the largest size, given how far the K accuracies lie from the draw: the
    covariance of the walk at the sizes asked with that at those measured, times precision, times distance.
    """
    drawn = _logit(forecaster(measured, np.concatenate([measured.sizes, at]), generator))
    num_measured = len(measured.sizes)
    back = np.maximum(0, -np.log2(at / measured.sizes[-1]))
    walk = WANDERING**2 * np.minimum.outer(back, -measured.doublings)
    distance = measured.logits - drawn[:, :num_measured]
    return np.asarray(expit(drawn[:, num_measured:] + distance @ measured.logit_precision @ walk.T))


def _logit(accuracy: Floats) -> Floats:
    return np.asarray(logit(np.clip(accuracy, 1e-9, 1 - 1e-9)))


def _damped(doublings: Floats, damping: float) -> Floats:
    if damping == 1:
        return doublings
    return np.asarray((1 - damping**doublings) / -np.log(damping))


def _likely(scores: Floats) -> Floats:
    """Probabilities of log-probabilities."""
    weights = np.exp(scores - scores.max())
    return np.asarray(weights / weights.sum())


def _chosen(weights: Floats, generator: np.random.Generator) -> NDArray[np.int64]:
    """(D,) positions, each as often as its weight says to within one, in random order."""
    even = (np.arange(NUM_DRAWS) + 0.5) / NUM_DRAWS
    found = np.searchsorted(np.cumsum(weights / weights.sum()), even).clip(max=len(weights) - 1)
    return np.asarray(generator.permutation(found))


def _normal(generator: np.random.Generator) -> Floats:
    """(D,) standard normal, evenly spread, in random order."""
    return np.asarray(generator.permutation(ndtri((np.arange(NUM_DRAWS) + 0.5) / NUM_DRAWS)))
