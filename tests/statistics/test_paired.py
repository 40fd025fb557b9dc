from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import minimize_scalar
from scipy.special import ndtri, xlogy
from scipy.stats import binom

from stages.statistics.paired import PairedCounts, count_pairs, mcnemar, tango_interval


def counted(first_only, second_only, num_rows):
    rest = num_rows - first_only - second_only
    return PairedCounts(both=rest // 2, first_only=first_only, second_only=second_only, neither=rest - rest // 2)


@given(pair=st.integers(1, 50).flatmap(lambda n: st.tuples(arrays(np.bool_, n), arrays(np.bool_, n))))
def test_every_row_is_counted_once(pair):
    first, second = pair
    counts = count_pairs(first, second)

    assert counts.num_rows == len(first)
    assert counts.both + counts.first_only == first.sum()
    assert counts.both + counts.second_only == second.sum()


def test_mcnemar_worked_by_hand():
    """1 against 7 of 8 discordant rows: 2 (1 + 8) / 256."""
    assert mcnemar(counted(1, 7, 21)) == pytest.approx(18 / 256)


@given(b=st.integers(0, 40), c=st.integers(0, 40))
def test_mcnemar_is_the_doubled_tail_of_a_fair_coin(b, c):
    assert mcnemar(counted(b, c, 100)) == pytest.approx(min(1, 2 * binom.cdf(min(b, c), b + c, 0.5)) if b + c else 1)


@pytest.mark.parametrize(
    ("first_only", "second_only", "num_rows", "level", "low", "high", "digits"),
    [
        # Airway hyper-responsiveness (Bentur et al. 2009) in Fagerland, Lydersen & Laake 2014, Statistics in Medicine
        # 33(16), 2850-2875, table V, row "Tango asymptotic score".
        (1, 7, 21, 0.95, -0.517, -0.026, 3),
        # R's PropCIs::scoreci.mp(25, 28, 618, 0.90), which counts the other way round.
        (28, 25, 618, 0.90, -0.0148, 0.0247, 4),
    ],
)
def test_tango_has_the_published_values(first_only, second_only, num_rows, level, low, high, digits):
    interval = tango_interval(counted(first_only, second_only, num_rows), level)

    assert (round(interval.low, digits), round(interval.high, digits)) == (low, high)


def score_statistic(difference, b, c, n):
    """Straight from the definition: the likelihood is maximised by search, not by its formula."""

    def unlikelihood(share):
        chances = share + difference, share, 1 - difference - 2 * share
        if min(chances) < 0:
            return np.inf
        return -sum(xlogy(count, chance) for count, chance in zip((b, c, n - b - c), chances, strict=True))

    ends = max(0, -difference), (1 - difference) / 2
    share = minimize_scalar(unlikelihood, bounds=ends, method="bounded", options={"xatol": 1e-12}).x
    return (b - c - n * difference) / sqrt(n * (2 * share + difference * (1 - difference)))


@given(b=st.integers(1, 30), c=st.integers(1, 30), rest=st.integers(1, 300), level=st.sampled_from([0.8, 0.9, 0.95]))
@settings(deadline=None)
def test_both_ends_of_tango_are_just_not_rejected_by_the_score_test(b, c, rest, level):
    n = b + c + rest
    interval = tango_interval(counted(b, c, n), level)
    z = ndtri((1 + level) / 2)

    assert score_statistic(interval.low, b, c, n) == pytest.approx(z, abs=1e-4)
    assert score_statistic(interval.high, b, c, n) == pytest.approx(-z, abs=1e-4)


@given(b=st.integers(0, 30), c=st.integers(0, 30), rest=st.integers(0, 300), level=st.floats(0.5, 0.999))
def test_tango_holds_the_difference_has_a_width_and_mirrors(b, c, rest, level):
    if b + c + rest == 0:
        return
    one, other = tango_interval(counted(b, c, b + c + rest), level), tango_interval(counted(c, b, b + c + rest), level)

    assert -1 <= one.low <= one.value <= one.high <= 1
    assert one.low < one.high
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=1e-9)


def test_without_a_discordant_row_tango_has_a_closed_form():
    """Both ends solve n d^2 = z^2 d (1 - d)."""
    z = ndtri(0.975)
    interval = tango_interval(counted(0, 0, 44), 0.95)

    assert (interval.low, interval.value, interval.high) == pytest.approx(
        (-(z**2) / (44 + z**2), 0, z**2 / (44 + z**2))
    )


def test_where_the_first_alone_is_right_on_every_row_tango_ends_at_one():
    assert tango_interval(counted(9, 0, 9), 0.95).high == 1
    assert tango_interval(counted(0, 9, 9), 0.95).low == -1


def test_no_rows_are_refused():
    with pytest.raises(ValueError, match="no rows"):
        tango_interval(counted(0, 0, 0), 0.95)
