import numpy as np
import pytest

from stages.statistics.bootstrap import two_way_difference
from stages.statistics.non_inferiority import judge
from stages.statistics.paired import count_pairs, tango_interval
from stages.statistics.power import rows_for_margin
from stages.statistics.variance import Variance
from tests.statistics.studies import classifier

NUM_ROWS = 872


def runs(num_both, first_only, second_only, num_neither, num_seeds=1):
    first = np.repeat([True, True, False, False], [num_both, first_only, second_only, num_neither])
    second = np.repeat([True, False, True, False], [num_both, first_only, second_only, num_neither])
    return np.tile(first, (num_seeds, 1)), np.tile(second, (num_seeds, 1))


@pytest.mark.parametrize("num_seeds", [1, 3])
@pytest.mark.parametrize(
    ("first_only", "second_only", "verdict"),
    [(30, 10, "non-inferior"), (20, 20, "inconclusive"), (0, 60, "inferior"), (0, 0, "non-inferior")],
)
def test_three_verdicts(num_seeds, first_only, second_only, verdict):
    pair = runs(700, first_only, second_only, 172 - first_only - second_only, num_seeds)

    assert judge(*pair, margin=0.01).verdict == verdict


def test_one_seed_is_judged_by_tango_at_ninety_percent():
    first, second = runs(700, 20, 25, 127)
    judged = judge(first, second, margin=0.02)

    assert judged.margin == 0.02
    assert judged.difference == tango_interval(count_pairs(first[0], second[0]), 1 - 2 * 0.05)


def test_more_seeds_are_judged_by_the_two_way_interval_at_ninety_percent():
    generator = np.random.default_rng(0)
    first, second = generator.random((3, NUM_ROWS)) < 0.9, generator.random((3, NUM_ROWS)) < 0.9
    interval, _ = two_way_difference(first, second, confidence_level=1 - 2 * 0.05)
    narrow, wide = -interval.low - 0.0001, -interval.low + 0.0001

    assert judge(first, second, margin=wide).difference == interval
    assert judge(first, second, margin=wide).verdict == "non-inferior"
    assert judge(first, second, margin=narrow).verdict == "inconclusive"


def test_an_open_verdict_of_one_seed_says_how_many_rows_would_settle_it():
    pair = runs(700, 20, 20, 132)
    judged = judge(*pair, margin=0.01)

    assert judged.verdict == "inconclusive"
    assert judged.num_rows_needed == rows_for_margin(0.01, 40 / NUM_ROWS) > NUM_ROWS


def test_a_settled_verdict_needs_no_rows():
    assert judge(*runs(700, 30, 10, 132), margin=0.01).num_rows_needed is None


def test_rows_are_never_said_to_be_too_many():
    """The margin is wide enough for these rows, but the first is worse, by nearly as much."""
    judged = judge(*runs(700, 2, 18, 152), margin=0.02)

    assert judged.verdict == "inconclusive"
    assert rows_for_margin(0.02, 20 / NUM_ROWS) < NUM_ROWS
    assert (judged.verdict, judged.num_rows_needed) == ("inconclusive", None)


def test_without_discordance_no_number_of_rows_is_known():
    same = runs(20, 0, 0, 2)

    judged = judge(*same, margin=0.01)

    assert (judged.verdict, judged.num_rows_needed) == ("inconclusive", None)


@pytest.mark.parametrize(("num_seeds", "seed_points"), [(1, 0.0), (3, 0.3), (3, 1.0), (5, 0.8)])
def test_a_method_worse_by_the_margin_passes_once_in_twenty(num_seeds, seed_points):
    """The rule of `judge` with a tenth of its draws, for time. One seed speaks of its own run alone."""
    trial, held_against = classifier(0.89, seed_points=seed_points), classifier(0.9, seed_points=seed_points)
    margin = held_against.accuracy - trial.accuracy
    generator = np.random.default_rng(1)

    def passes(study):
        difficulty = generator.normal(size=NUM_ROWS)
        pair = [model.hits(difficulty, num_seeds, generator) for model in (trial, held_against)]
        interval, _ = two_way_difference(*pair, confidence_level=0.9)
        return interval.low > -margin

    assert 0.02 <= np.mean([passes(study) for study in range(2_000)]) <= 0.06


def test_the_rows_and_seeds_needed_are_those_of_the_mean_that_is_judged():
    """Not of a single pair, whose discordance would ask for about three times the rows."""
    generator = np.random.default_rng(3)
    difficulty = generator.normal(size=NUM_ROWS)
    first, second = (classifier(0.9, seed_points=0.5).hits(difficulty, 5, generator) for _ in range(2))
    judged = judge(first, second, margin=0.005)
    variance = Variance.of(first.astype(np.int64) - second)

    assert judged.verdict == "inconclusive"
    assert judged.variance == variance
    assert judged.num_rows_needed == variance.rows_needed(0.005, 0.05)
    assert judged.num_seeds_needed == variance.seeds_needed(0.005, 0.05)
    assert NUM_ROWS < judged.num_rows_needed < rows_for_margin(0.005, float((first != second).mean()))


def test_seeds_that_differ_more_than_the_margin_call_for_seeds_and_not_for_rows():
    """Differences of -4, 0 and 4 points."""
    first = np.zeros((3, 1000), dtype=bool)
    second = np.zeros((3, 1000), dtype=bool)
    second[0, :40] = first[2, 40:80] = True

    judged = judge(first, second, margin=0.02)

    assert judged.verdict == "inconclusive"
    assert judged.num_rows_needed is None
    assert 20 < judged.num_seeds_needed < 40


def failing(num_failed, num_seeds=5):
    """Seeds of equal methods, of which the second's last runs lose 10 points."""
    generator = np.random.default_rng(4)
    difficulty = generator.normal(size=NUM_ROWS)
    first, second = (classifier(0.9, seed_points=0.1).hits(difficulty, num_seeds, generator) for _ in range(2))
    out = np.arange(num_seeds) >= num_seeds - num_failed
    second[out] = classifier(0.8, seed_points=0.1).hits(difficulty, num_seeds, generator)[out]
    return first, second, out


def test_failed_runs_of_the_other_method_do_not_make_the_first_look_good():
    first, second, out = failing(2)
    judged = judge(first, second, margin=0.005, failed=out)

    assert judged.difference.value > 0.03
    assert judged.without_failed.value == pytest.approx(first[:3].mean() - second[:3].mean())
    assert judged.verdict == "inconclusive"


def test_failed_runs_of_the_first_do_not_make_it_inferior():
    second, first, out = failing(6, num_seeds=12)
    judged = judge(first, second, margin=0.01, failed=out)

    assert judge(first, second, margin=0.01).verdict == "inferior"
    assert judged.verdict == "inconclusive"
    assert judged.disagree


def test_with_one_pair_left_there_is_no_second_verdict():
    first, second, _ = failing(1)

    assert judge(first, second, margin=0.01, failed=np.array([True] * 4 + [False])).without_failed is None
    assert judge(first, second, margin=0.01, failed=np.zeros(5, dtype=bool)).without_failed is None
