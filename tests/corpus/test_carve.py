import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.corpus.carve import Sources, carve, fair_shares, natural_shares


@pytest.mark.parametrize(
    ("num_rows", "most", "shares"),
    [
        (10, [9, 9, 9], [4, 3, 3]),
        (60, [1000, 20], [40, 20]),
        (10, [1, 0, 20], [1, 0, 9]),
        (10, [1, 2], [1, 2]),
        (0, [5, 5], [0, 0]),
    ],
)
def test_what_a_class_cannot_give_the_others_give(num_rows, most, shares):
    assert fair_shares(num_rows, most).tolist() == shares


@given(num_rows=st.integers(0, 200), most=st.lists(st.integers(0, 50), min_size=1, max_size=9))
def test_shares_are_met_where_they_can_be_and_as_equal_as_they_can_be(num_rows, most):
    shares = fair_shares(num_rows, most)

    assert shares.sum() == min(num_rows, sum(most))
    assert (shares <= most).all()
    assert all(share >= shares.max() - 1 for share, room in zip(shares, most, strict=True) if share < room)


@pytest.mark.parametrize(
    ("num_rows", "most", "sizes", "shares"),
    [
        (100, [450, 50], [900, 100], [90, 10]),
        (10, [450, 50], [900, 100], [9, 1]),
        (4, [450, 1], [998, 2], [3, 1]),
        (60, [20, 50], [40, 100], [17, 43]),
        (60, [5, 80], [60, 160], [5, 55]),
        (0, [5, 5], [10, 10], [0, 0]),
    ],
)
def test_natural_shares_follow_the_sizes_and_leave_no_class_out(num_rows, most, sizes, shares):
    assert natural_shares(num_rows, most, np.array(sizes)).tolist() == shares


@given(
    num_rows=st.integers(0, 200),
    classes=st.lists(st.tuples(st.integers(0, 50), st.integers(1, 3)), min_size=1, max_size=9),
)
def test_natural_shares_are_met_where_they_can_be(num_rows, classes):
    most = [room for room, _ in classes]
    shares = natural_shares(num_rows, most, np.array([room * times + 1 for room, times in classes]))

    assert shares.sum() == min(num_rows, sum(most))
    assert (shares <= most).all()


def carved(sources, labels, num_rows):
    """With the sources, lists of rows, held out in this order."""
    ranks = np.repeat(np.arange(len(sources)), [len(rows) for rows in sources])
    made = Sources.of_pairs(ranks, np.concatenate(sources), num_sources=len(sources))
    generator = np.random.default_rng(0)
    found = carve(made, np.array(labels), num_rows=num_rows, num_classes=2, ratio="balanced", generator=generator)
    return found.validation.tolist(), found.pool.tolist(), found.sources_held_out


@given(pairs=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 19)), max_size=25))
def test_rows_are_joined_over_any_number_of_sources(pairs):
    groups = [{row} for row in range(20)]
    for source in range(10):
        rows = {row for at, row in pairs if at == source}
        met = [group for group in groups if group & rows]
        groups = [group for group in groups if not group & rows] + ([set().union(*met)] if met else [])
    ranks, rows = (np.array(column, dtype=np.int64) for column in (zip(*pairs, strict=True) if pairs else ((), ())))

    joined = Sources.of_pairs(ranks, rows, num_sources=10).joined(20)

    assert joined.tolist() == [min(next(group for group in groups if row in group)) for row in range(20)]


@given(pairs=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 19)), max_size=40))
def test_the_sources_of_each_row_are_the_same_pairs_the_other_way_round(pairs):
    ranks, rows = (np.array(column, dtype=np.int64) for column in (zip(*pairs, strict=True) if pairs else ((), ())))

    of_each = Sources.of_pairs(ranks, rows, num_sources=10).of_each_row(20)

    assert len(of_each) == 20
    assert {(source, row) for row, sources in enumerate(of_each) for source in sources.tolist()} == set(pairs)


def test_a_row_validates_once_all_its_sources_are_held_out():
    # Row 2 is a phrase of both sentences: it validates with the second and leaves the pool with the first.
    sources = [[0, 2], [1, 2], [3], [4], [5], [6], [7]]

    assert carved(sources, [0, 0, 0, 1, 1, 1, 0, 0], 2)[:2] == ([0, 3], [1, 4, 5, 6, 7])


def test_a_source_that_would_take_more_than_half_of_a_class_is_passed_over():
    sources = [[0, 1, 2], [3], [4], [5]]

    assert carved(sources, [0, 0, 0, 0, 1, 1], 2) == ([3, 4], [0, 1, 2, 5], 2)


def test_a_source_that_waited_for_a_scarcer_class_goes_back():
    sources = [[0], [1], [2], [3], [4], [5], [6], [7]]
    labels = [0, 0, 0, 0, 0, 0, 1, 1]  # all sources of class 0 come before the first of class 1
    validation, pool, held_out = carved(sources, labels, 2)

    assert len(validation) == held_out == 2
    assert sorted(validation + pool) == list(range(8))


def test_a_class_draws_from_few_sources_although_a_scarcer_one_needs_many():
    sources = [[2 * at, 2 * at + 1] for at in range(100)]  # two rows each
    labels = [0] * 198 + [1, 0]
    sources.append([200])
    validation, _, held_out = carved(sources, [*labels, 1], 11)

    assert 200 in validation or 198 in validation
    assert held_out <= 8
    assert max(row for row in validation if row < 198) < 24
