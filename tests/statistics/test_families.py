import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from stages.statistics.families import FAMILIES, fit_family, leave_one_out, nearest_in_triangle, shares_of

SIZES = np.array([250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 56_000], dtype=float)
EVEN = np.ones(len(SIZES))


def pow3(n):
    return 0.06 + 2.0 * n**-0.45


def pow4(n):
    return 0.05 + 3.0 * (n + 400.0) ** -0.45


def mmf4(n):
    return 0.07 + 0.43 / (1 + (n / 600.0) ** 0.8)


def wbl4(n):
    return 0.08 + 0.42 * np.exp(-((n / 1500.0) ** 0.45))


@pytest.mark.parametrize("planted", [pow3, pow4, mmf4, wbl4])
def test_a_planted_curve_is_recovered_by_its_family(planted):
    """Within a tenth of a point where it was measured, within half a point up to four times as many labels."""
    (family,) = [family for family in FAMILIES if family.name == planted.__name__]
    at = np.geomspace(250, 224_000, 50)
    miss = np.abs(fit_family(family, SIZES, EVEN, 1 - planted(SIZES)[None], at)[0] - (1 - planted(at)))

    assert miss[at <= SIZES[-1]].max() < 0.001
    assert miss.max() < 0.005


@pytest.mark.parametrize("planted", [pow3, pow4, mmf4, wbl4])
def test_the_planted_family_foresees_among_the_best(planted):
    """On an exact curve its error at sizes left out is a twentieth of a point at most: the search finds the shape."""
    (family,) = [family for family in FAMILIES if family.name == planted.__name__]

    assert leave_one_out(family, SIZES, 1 - planted(SIZES), EVEN) < 0.0005


def test_accuracy_that_falls_with_size_is_fitted_flat():
    falling = 0.9 - 0.01 * np.log(SIZES / 250)
    for family in FAMILIES:
        fitted = fit_family(family, SIZES, EVEN, falling[None], SIZES)[0]
        assert fitted[-1] - fitted[0] < 1e-6


def test_a_family_that_foresees_twice_as_badly_counts_a_quarter():
    assert shares_of(np.array([0.01, 0.02])) == pytest.approx([0.8, 0.2])


def columns(low, high):
    return arrays(np.float64, 5, elements=st.floats(low, high))


@given(phi=columns(0, 1), error=columns(-0.2, 1.4), weights=columns(0.1, 1))
@settings(deadline=None)
def test_no_other_errors_from_nought_to_one_come_closer(phi, error, weights):
    """Against every a and c of a fine lattice on the triangle."""
    weights = weights / weights.sum()
    a, c, loss = nearest_in_triangle(phi, error, weights)
    lattice = np.linspace(0, 1, 81)
    some_a, some_c = (axis.ravel() for axis in np.meshgrid(lattice, lattice))
    some_c = some_c * (1 - some_a)
    others = ((error - some_a[:, None] * phi - some_c[:, None]) ** 2) @ weights

    assert min(a, c) >= 0
    assert a + c <= 1 + 1e-9
    assert loss == pytest.approx(((error - a * phi - c) ** 2) @ weights, abs=1e-9)
    assert loss <= others.min() + 1e-9
