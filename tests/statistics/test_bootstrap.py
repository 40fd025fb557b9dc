import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from stages.scoring.intervals import wilson
from stages.statistics.bootstrap import SMALLEST_P, resample_columns, two_way_bootstrap, two_way_difference
from stages.statistics.paired import count_pairs, mcnemar, tango_interval
from tests.statistics.studies import classifier

NUM_STUDIES, NUM_ROWS = 1_000, 872


@pytest.mark.parametrize("num_seeds", [3, 5])
@pytest.mark.parametrize("seed_points", [0.3, 0.8, 1.5])
def test_nineteen_of_twenty_intervals_hold_the_true_accuracy(num_seeds, seed_points):
    model = classifier(0.9, seed_points=seed_points)
    generator = np.random.default_rng(3)

    def holds(study):
        hits = model.hits(generator.normal(size=NUM_ROWS), num_seeds, generator)
        interval = two_way_bootstrap(hits, confidence_level=0.95)
        return interval.low <= model.accuracy <= interval.high

    assert 0.93 <= np.mean([holds(study) for study in range(NUM_STUDIES)]) <= 0.97


@pytest.mark.parametrize(("num_seeds", "most"), [(3, 0.985), (5, 0.98)])
@pytest.mark.parametrize("seed_points", [0.3, 0.8, 1.5])
def test_nineteen_of_twenty_intervals_hold_the_true_difference(num_seeds, most, seed_points):
    """Or somewhat more than nineteen, with three seeds that hardly differ."""
    first, second = classifier(0.91, seed_points=seed_points), classifier(0.9, seed_points=seed_points)
    truth = first.accuracy - second.accuracy
    generator = np.random.default_rng(4)

    def holds(study):
        difficulty = generator.normal(size=NUM_ROWS)
        pair = [model.hits(difficulty, num_seeds, generator) for model in (first, second)]
        interval, _ = two_way_difference(*pair, confidence_level=0.95)
        return interval.low <= truth <= interval.high

    assert 0.93 <= np.mean([holds(study) for study in range(NUM_STUDIES)]) <= most


@pytest.mark.parametrize("num_seeds", [3, 5])
def test_small_p_values_are_no_more_common_than_they_say(num_seeds):
    """Holm's correction of twenty comparisons asks whether p is below 0.0025, where lucky seeds mislead most.

    Two methods as good as each other that find partly other rows hard.
    """
    model = classifier(0.85, seed_points=1.5)
    generator = np.random.default_rng(11)

    def p_value(study):
        shared, own = generator.normal(size=NUM_ROWS), generator.normal(size=NUM_ROWS)
        pair = [model.hits(hard, num_seeds, generator) for hard in (shared, 0.7 * shared + 0.51**0.5 * own)]
        return two_way_difference(*pair, confidence_level=0.95)[1]

    p_values = np.array([p_value(study) for study in range(NUM_STUDIES)])

    assert (p_values <= 0.05).mean() <= 0.06
    assert (p_values <= 0.0025).mean() <= 0.0065  # 1,000 studies of one in 400: 2.5, and 4 more by chance


def test_the_plain_bootstrap_over_rows_would_promise_too_much():
    """Pooled binomials are what the two-way interval replaces: with differing seeds they are far too narrow."""
    model = classifier(0.9, seed_points=1.5)
    generator = np.random.default_rng(5)

    def holds():
        hits = model.hits(generator.normal(size=NUM_ROWS), 5, generator)
        interval = wilson(int(hits.sum()), hits.size, 0.95)
        return interval.low <= model.accuracy <= interval.high

    assert np.mean([holds() for _ in range(500)]) < 0.8


hits_arrays = arrays(np.bool_, st.tuples(st.integers(1, 4), st.integers(1, 30)))


@given(hits=hits_arrays)
@settings(deadline=None)
def test_the_accuracy_lies_in_its_interval_and_that_in_0_to_1(hits):
    interval = two_way_bootstrap(hits, confidence_level=0.9)

    assert interval.value == pytest.approx(hits.mean())
    assert 0 <= interval.low <= interval.value <= interval.high <= 1
    assert interval.low < interval.high


@given(hits=hits_arrays)
@settings(deadline=None)
def test_a_method_does_not_differ_from_itself(hits):
    interval, p_value = two_way_difference(hits, hits, confidence_level=0.9)

    assert interval.low <= interval.value == 0 <= interval.high
    assert p_value == 1


def test_the_p_value_agrees_with_the_interval():
    """A hundred pairs, half of them with a difference near the edge of being seen."""
    generator = np.random.default_rng(6)
    first, second = classifier(0.93, seed_points=0.3), classifier(0.91, seed_points=0.3)
    significant = []
    for _ in range(100):
        difficulty = generator.normal(size=300)
        pair = [model.hits(difficulty, 5, generator) for model in (first, second)]
        interval, p_value = two_way_difference(*pair, confidence_level=0.95)
        assert (p_value < 0.05) == (not interval.low <= 0 <= interval.high)
        significant.append(p_value < 0.05)
    assert 20 < sum(significant) < 80


def test_the_p_value_is_never_nought():
    first, second = np.ones((3, 200), dtype=bool), np.zeros((3, 200), dtype=bool)

    assert two_way_difference(first, second, confidence_level=0.95)[1] == SMALLEST_P


def test_seeds_whose_differences_are_equal_by_chance_leave_the_rows_uncertainty():
    """Each of three seeds wins one row and loses another, never the same: no spread of seeds, none of row means."""
    first, second = np.ones((3, 100), dtype=bool), np.ones((3, 100), dtype=bool)
    first[[0, 1, 2], [0, 1, 2]] = False
    second[[0, 1, 2], [3, 4, 5]] = False
    interval, p_value = two_way_difference(first, second, confidence_level=0.95)

    assert interval.low < -0.01 < interval.value == 0 < 0.01 < interval.high
    assert p_value > 0.9


def test_under_no_difference_one_p_value_in_twenty_is_below_five_percent():
    model = classifier(0.9, seed_points=0.8)
    generator = np.random.default_rng(7)

    def p_value(study):
        difficulty = generator.normal(size=NUM_ROWS)
        pair = [model.hits(difficulty, 5, generator) for _ in range(2)]
        return two_way_difference(*pair, confidence_level=0.95)[1]

    assert 0.03 <= np.mean([p_value(study) < 0.05 for study in range(NUM_STUDIES)]) <= 0.07


def test_swapping_the_methods_mirrors_the_interval():
    generator = np.random.default_rng(8)
    first, second = generator.random((3, 400)) < 0.9, generator.random((3, 400)) < 0.85
    one, p_one = two_way_difference(first, second, confidence_level=0.95)
    other, p_other = two_way_difference(second, first, confidence_level=0.95)

    assert one.value == -other.value
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=1e-7)
    assert p_one == pytest.approx(p_other, abs=1e-9)


def test_one_seed_has_the_intervals_for_rows_alone():
    generator = np.random.default_rng(9)
    first, second = generator.random((1, 100)) < 0.9, generator.random((1, 100)) < 0.8
    counts = count_pairs(first[0], second[0])
    alone = two_way_bootstrap(first, confidence_level=0.95)
    interval, p_value = two_way_difference(first, second, confidence_level=0.95)

    assert (alone.low, alone.high) == (
        wilson(int(first.sum()), 100, 0.95).low,
        wilson(int(first.sum()), 100, 0.95).high,
    )
    assert interval == tango_interval(counts, 0.95)
    assert p_value == mcnemar(counts)


def test_seeds_that_agree_on_every_row_count_as_one():
    """Copies of a run add nothing: the interval is that of its rows, here within a tenth of Wilson's width."""
    run = np.random.default_rng(10).random(NUM_ROWS) < 0.9
    interval = two_way_bootstrap(np.tile(run, (5, 1)), confidence_level=0.95)
    rows = wilson(int(run.sum()), NUM_ROWS, 0.95)

    assert interval.high - interval.low == pytest.approx(rows.high - rows.low, rel=0.1)


@pytest.mark.parametrize(("gap", "num_seeds", "seed_points"), [(0.02, 5, 0.8), (0.03, 3, 0.3), (0.0, 5, 1.5)])
def test_a_million_draws_of_rows_and_seeds_say_the_same(gap, num_seeds, seed_points):
    """The distribution that is computed, drawn as the docstring describes it."""
    generator = np.random.default_rng(12)
    difficulty = generator.normal(size=NUM_ROWS)
    first, second = (
        classifier(accuracy, seed_points=seed_points).hits(difficulty, num_seeds, generator)
        for accuracy in (0.85 + gap, 0.85)
    )
    interval, p_value = two_way_difference(first, second, confidence_level=0.9)
    values = first.astype(float) - second

    sums = np.append(values.sum(axis=0), [-num_seeds, num_seeds])  # half a row at either extreme
    shares = np.append(np.ones(NUM_ROWS), [0.5, 0.5]) / (NUM_ROWS + 1)
    kinds, of_kind = np.unique(sums, return_inverse=True)
    shares = np.bincount(of_kind, weights=shares)
    drawn = generator.multinomial(NUM_ROWS, shares, size=1_000_000) @ kinds / NUM_ROWS - shares @ kinds
    seed_means, row_means = values.mean(axis=1), values.mean(axis=0)
    residual = (
        ((values - seed_means[:, None] - row_means + values.mean()) ** 2).sum() / (num_seeds - 1) / (NUM_ROWS - 1)
    )
    rows = drawn / num_seeds * np.sqrt(max(0, 1 - residual / num_seeds / row_means.var(ddof=1)))
    seeds = generator.standard_t(num_seeds - 1, size=1_000_000) * np.sqrt(seed_means.var(ddof=1) / num_seeds)
    resampled = values.mean() + rows + seeds

    share = min((resampled <= 0).mean(), (resampled >= 0).mean())
    assert p_value == pytest.approx(min(1, 2 * share), abs=8 * np.sqrt(share / 1e6) + 1e-6)
    assert (interval.low, interval.high) == pytest.approx(np.quantile(resampled, [0.05, 0.95]), abs=2e-4)


def test_perfect_runs_have_an_interval_below_one():
    interval = two_way_bootstrap(np.ones((3, 200), dtype=bool), confidence_level=0.95)

    assert 0.97 < interval.low < interval.value == interval.high == 1


def test_cells_that_share_rows_move_together_and_have_the_spread_of_each_alone():
    model = classifier(0.9, seed_points=0.3)
    generator = np.random.default_rng(13)
    difficulty = generator.normal(size=NUM_ROWS)
    cells = [model.hits(difficulty, num_seeds, generator) for num_seeds in (5, 5, 1)]
    resampled = resample_columns(cells, seed=0, num_resamples=5_000)
    alone = two_way_bootstrap(cells[0], confidence_level=0.95)
    low, high = np.quantile(resampled[:, 0], [0.025, 0.975])

    assert resampled.shape == (5_000, 3)
    assert resampled.mean(axis=0) == pytest.approx([cell.mean() for cell in cells], abs=0.001)
    assert high - low == pytest.approx(alone.high - alone.low, rel=0.06)
    assert np.corrcoef(resampled.T)[0, 1] > 0.5


def test_a_cell_of_one_seed_has_the_seeds_spread_of_the_others():
    generator = np.random.default_rng(14)
    uneven = generator.random((5, 1_000)) < np.array([[0.7], [0.8], [0.9], [0.8], [0.75]])
    alone = uneven[:1]
    spread = resample_columns([uneven, alone], seed=0, num_resamples=2_000).std(axis=0)

    assert spread[1] > 1.5 * spread[0]
    assert resample_columns([alone, alone], seed=0, num_resamples=2_000).std(axis=0)[0] < 0.3 * spread[1]
