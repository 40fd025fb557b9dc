from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtri

from stages.statistics.power import minimum_detectable_difference, rows_for_margin, rows_needed


@pytest.mark.parametrize(
    ("discordant", "num_rows", "points"),
    [(0.05, 872, 2.1), (0.05, 1821, 1.5), (0.05, 2693, 1.2), (0.03, 872, 1.6), (0.03, 1821, 1.1), (0.03, 2693, 0.9)],
)
def test_what_the_test_splits_of_sst2_can_see(discordant, num_rows, points):
    assert round(100 * minimum_detectable_difference(num_rows, discordant), 1) == points


def test_one_point_at_five_percent_discordant_needs_3923_rows():
    assert rows_needed(0.01, 0.05) == rows_needed(-0.01, 0.05) == 3923


@pytest.mark.parametrize(
    ("margin", "discordant", "num_rows"),
    [
        (0.01, 0.03, 1855),
        (0.01, 0.05, 3092),
        (0.01, 0.07, 4328),
        (0.02, 0.03, 464),
        (0.02, 0.05, 773),
        (0.02, 0.07, 1082),
    ],
)
def test_rows_for_a_margin(margin, discordant, num_rows):
    assert rows_for_margin(margin, discordant) == num_rows


@given(
    num_rows=st.integers(100, 10_000),
    discordant=st.floats(0.02, 0.9),
    alpha=st.floats(0.001, 0.2),
    power=st.floats(0.5, 0.99),
)
def test_the_detectable_difference_and_the_rows_needed_are_inverses(num_rows, discordant, alpha, power):
    difference = minimum_detectable_difference(num_rows, discordant, alpha=alpha, power=power)

    if difference < inf:
        assert 0 < difference <= discordant
        assert abs(rows_needed(difference, discordant, alpha=alpha, power=power) - num_rows) <= 1
    else:
        assert rows_needed(discordant, discordant, alpha=alpha, power=power) >= num_rows


def test_too_few_discordant_rows_can_show_nothing():
    assert minimum_detectable_difference(872, 0.002) == inf
    assert minimum_detectable_difference(872, 0.0) == inf


@pytest.mark.parametrize(("difference", "discordant"), [(0.0, 0.05), (0.06, 0.05), (-0.06, 0.05), (0.5, 1.2)])
def test_a_difference_that_no_discordant_rows_can_make_is_refused(difference, discordant):
    with pytest.raises(ValueError, match="cannot make a difference"):
        rows_needed(difference, discordant)


def test_the_promised_power_is_kept():
    """The test that the formula is for, on 4,000 simulated comparisons."""
    difference, discordant = 0.02, 0.06
    num_rows = rows_needed(difference, discordant)
    chances = [(discordant + difference) / 2, (discordant - difference) / 2, 1 - discordant]
    b, c, _ = np.random.default_rng(0).multinomial(num_rows, chances, size=4_000).T

    assert np.mean(np.abs(b - c) > ndtri(0.975) * np.sqrt(b + c)) == pytest.approx(0.8, abs=0.03)
