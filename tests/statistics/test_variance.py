import numpy as np
import pytest

from stages.statistics.non_inferiority import judge
from stages.statistics.variance import Variance
from tests.statistics.studies import classifier


def drawn(num_seeds, num_rows, *, seed=0.0, row=0.0, rest=0.0, generator):
    """Values in ten-thousandths of a normal two-way layout, so that they are whole numbers."""
    noise = [
        seed * generator.normal(size=(num_seeds, 1)),
        row * generator.normal(size=(1, num_rows)),
        rest * generator.normal(size=(num_seeds, num_rows)),
    ]
    return np.rint(10_000 * sum(noise)).astype(np.int64)


def test_the_parts_of_a_made_layout_are_found_on_average():
    generator = np.random.default_rng(0)
    found = [Variance.of(drawn(5, 400, seed=0.03, row=0.2, rest=0.3, generator=generator)) for _ in range(400)]

    assert np.mean([each.seed for each in found]) / 1e8 == pytest.approx(0.03**2, rel=0.1)
    assert np.mean([each.row for each in found]) / 1e8 == pytest.approx(0.2**2, rel=0.03)
    assert np.mean([each.rest for each in found]) / 1e8 == pytest.approx(0.3**2, rel=0.02)


def test_the_variance_of_the_mean_is_what_repeated_studies_show():
    generator = np.random.default_rng(1)
    studies = [drawn(4, 300, seed=0.02, row=0.3, rest=0.2, generator=generator) for _ in range(2_000)]
    told = np.mean([Variance.of(values).standard_error ** 2 for values in studies])

    assert told == pytest.approx(np.var([values.mean() for values in studies]), rel=0.08)


def test_more_seeds_lower_two_parts_and_more_rows_the_other_two():
    one = Variance(seed=4e-4, row=0.02, rest=0.03, num_seeds=5, num_rows=1_000)
    seeds, rows, rest = one.parts

    assert one.with_more(seeds=5).parts == pytest.approx((seeds / 2, rows, rest / 2))
    assert one.with_more(rows=1_000).parts == pytest.approx((seeds, rows / 2, rest / 2))
    assert sum(one.shares) == pytest.approx(1)


def test_what_is_needed_is_just_enough():
    one = Variance(seed=1.5e-4, row=0.02, rest=0.05, num_seeds=5, num_rows=872)
    seeds, rows = one.seeds_needed(0.02, 0.05), one.rows_needed(0.02, 0.05)

    assert one.with_more(seeds=seeds - 5).reach(0.05) <= 0.02 < one.with_more(seeds=seeds - 6).reach(0.05)
    assert one.with_more(rows=rows - 872).reach(0.05) <= 0.02 < one.with_more(rows=rows - 873).reach(0.05)


def test_seeds_that_differ_too_much_are_not_made_up_for_by_rows():
    assert Variance(seed=0.03**2, row=0.02, rest=0.05, num_seeds=3, num_rows=872).rows_needed(0.01, 0.05) is None


def test_rows_that_are_too_few_are_not_made_up_for_by_seeds():
    assert Variance(seed=0.0, row=0.1, rest=0.05, num_seeds=3, num_rows=872).seeds_needed(0.01, 0.05) is None


@pytest.mark.parametrize(("num_seeds", "seed_points"), [(5, 1.0), (8, 0.6)])
def test_four_studies_in_five_of_the_reach_are_settled(num_seeds, seed_points):
    """Equal methods, judged with the margin that the variance of such studies promises to settle."""
    model = classifier(0.9, seed_points=seed_points)
    generator = np.random.default_rng(2)
    studies = []
    for _ in range(400):
        difficulty = generator.normal(size=872)
        studies.append([model.hits(difficulty, num_seeds, generator) for _ in range(2)])
    variances = [Variance.of(first.astype(np.int64) - second) for first, second in studies]
    usual = Variance(
        seed=float(np.mean([each.seed for each in variances])),
        row=float(np.mean([each.row for each in variances])),
        rest=float(np.mean([each.rest for each in variances])),
        num_seeds=num_seeds,
        num_rows=872,
    )
    settled = [judge(first, second, margin=usual.reach(0.05)).verdict == "non-inferior" for first, second in studies]

    assert 0.73 <= np.mean(settled) <= 0.89
