import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from stages.scoring.intervals import wilson


def test_worked_example():
    """743 of 872 is the seed study's count at 1,000 rows: 85.2 % in [82.7, 87.4] %."""
    share = wilson(743, 872, 0.95)

    assert (round(share.value, 3), round(share.low, 3), round(share.high, 3)) == (0.852, 0.827, 0.874)
    assert share.confidence_level == 0.95


@given(
    counts=st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    level=st.floats(0.5, 0.999),
)
def test_agrees_with_scipy(counts, level):
    num_hits, num_examples = counts
    theirs = binomtest(num_hits, num_examples).proportion_ci(level, method="wilson")
    ours = wilson(num_hits, num_examples, level)

    assert ours.low == pytest.approx(theirs.low, abs=1e-9)
    assert ours.high == pytest.approx(theirs.high, abs=1e-9)
    assert 0 <= ours.low <= ours.value <= ours.high <= 1


@pytest.mark.parametrize(("num_hits", "num_examples"), [(0, 0), (5, 4), (-1, 4)])
def test_what_is_no_share_is_refused(num_hits, num_examples):
    with pytest.raises(ValueError, match="no share"):
        wilson(num_hits, num_examples, 0.95)
