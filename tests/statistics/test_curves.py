import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from stages.foundation.errors import StudyError
from stages.statistics.curves import CurveFit, fit_curve, labels_to_target, nearest_in_triangle
from tests.statistics.studies import classifier

SIZES = np.array([250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 56_000])


def pow3(n):
    return 0.06 + 2.0 * n**-0.45


def pow4(n):
    return 0.05 + 3.0 * (n + 400.0) ** -0.45


def mmf4(n):
    return 0.07 + 0.43 / (1 + (n / 600.0) ** 0.8)


def wbl4(n):
    return 0.08 + 0.42 * np.exp(-((n / 1500.0) ** 0.45))


PLANTED = [pow3, pow4, mmf4, wbl4]


def exact_hits(error, sizes=SIZES, num_rows=20_000):
    """Two equal seeds that miss exactly their share of the rows: no noise but rounding."""
    return tuple(
        np.tile(np.arange(num_rows) >= round(share * num_rows), (2, 1)) for share in error(sizes.astype(float))
    )


def noisy_hits(error, generator, num_seeds=5, num_rows=872):
    """Shared hard rows, seeds that differ by half a point."""
    difficulty = generator.normal(size=num_rows)
    models = [classifier(1 - share, seed_points=0.5) for share in error(SIZES.astype(float))]
    return tuple(model.hits(difficulty, num_seeds, generator) for model in models)


def fitted(hits, *, sizes=SIZES, num_resamples=20, seed=0):
    return fit_curve(sizes, hits, confidence_level=0.95, seed=seed, num_resamples=num_resamples)


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_curve_is_recovered(planted):
    """Within 0.2 points where it was measured, within 0.5 points up to four times as many labels."""
    fit = fitted(exact_hits(planted))
    miss = np.abs(fit.accuracy - (1 - planted(fit.sizes)))

    assert miss[fit.sizes <= SIZES[-1]].max() < 0.002
    assert miss.max() < 0.005


@pytest.mark.parametrize("planted", PLANTED)
def test_the_planted_family_foresees_among_the_best(planted):
    """On an exact curve its error at sizes left out is a twentieth of a point at most: the search finds the shape."""
    fit = fitted(exact_hits(planted))
    errors = {family.name: family.leave_one_out for family in fit.families}

    assert errors[planted.__name__] < 0.0005
    assert errors["last value"] > 10 * errors[planted.__name__]


def test_the_shares_sum_to_one_and_the_baseline_has_none():
    fit = fitted(noisy_hits(pow3, np.random.default_rng(0)))
    *families, baseline = fit.families

    assert [family.name for family in families] == ["pow3", "pow4", "mmf4", "wbl4"]
    assert sum(family.weight for family in families) == pytest.approx(1)
    assert all(family.weight > 0 for family in families)
    assert (baseline.name, baseline.weight) == ("last value", 0)


def test_the_baseline_foretells_each_size_by_the_one_before():
    hits = exact_hits(pow3)
    rises = np.diff([cell.mean() for cell in hits])

    assert fitted(hits).families[-1].leave_one_out == pytest.approx(np.sqrt(np.mean(rises**2)))


def test_a_family_that_foresees_twice_as_badly_counts_a_quarter():
    families = fitted(noisy_hits(pow3, np.random.default_rng(1))).families[:-1]
    products = [family.weight * family.leave_one_out**2 for family in families]

    assert products == pytest.approx([products[0]] * 4)


def test_the_grid_runs_from_the_smallest_size_to_four_times_the_largest():
    fit = fitted(exact_hits(pow3))

    assert len(fit.sizes) == len(fit.accuracy) == len(fit.low) == len(fit.high) == 200
    assert (fit.sizes[0], fit.sizes[-1]) == pytest.approx((250, 224_000))
    assert np.diff(np.log(fit.sizes)) == pytest.approx(np.full(199, np.log(896) / 199))
    assert fit.largest == 56_000


@pytest.mark.parametrize("seed", range(3))
def test_more_labels_never_hurt_and_the_band_holds_the_curve(seed):
    fit = fitted(noisy_hits(mmf4, np.random.default_rng(seed)), num_resamples=50)

    for edge in (fit.low, fit.accuracy, fit.high):
        assert (np.diff(edge) >= -1e-9).all()
        assert (edge >= 0).all()
        assert (edge <= 1).all()
    assert (fit.low <= fit.accuracy).all()
    assert (fit.accuracy <= fit.high).all()


def test_accuracy_that_falls_with_size_is_fitted_flat():
    fit = fitted(exact_hits(lambda n: 0.1 + 0.01 * np.log(n / 250)))

    assert fit.accuracy[-1] - fit.accuracy[0] < 1e-6


def test_the_band_holds_the_truth_most_of_the_time_and_widens_beyond_the_data():
    generator = np.random.default_rng(2)
    fits = [fitted(noisy_hits(pow3, generator), num_resamples=50, seed=study) for study in range(30)]
    truth = 1 - pow3(fits[0].sizes)
    holds = np.array([(fit.low <= truth) & (truth <= fit.high) for fit in fits])
    width = np.mean([fit.high - fit.low for fit in fits], axis=0)
    inside = int(np.searchsorted(fits[0].sizes, 8_000))

    assert holds[:, inside].mean() >= 0.85
    assert holds[:, -1].mean() >= 0.85
    assert width[-1] > width[inside]
    assert width.max() < 0.12


def test_the_band_is_about_the_rows_and_not_only_about_the_seeds():
    """Seeds that agree perfectly leave the rows: near Wilson's width at the sizes in the middle, or somewhat less."""
    difficulty = np.random.default_rng(3).random(872)
    hits = tuple(np.tile(difficulty >= share, (3, 1)) for share in pow3(SIZES.astype(float)))
    fit = fitted(hits, num_resamples=200)
    middle = int(np.searchsorted(fit.sizes, 4_000))
    wilson_width = 2 * 1.96 * np.sqrt(pow3(4_000.0) * (1 - pow3(4_000.0)) / 872)

    assert 0.6 < (fit.high[middle] - fit.low[middle]) / wilson_width < 1.3


def test_the_backtest_foretells_the_largest_size_from_a_quarter_of_it():
    hits = exact_hits(pow3)
    backtest = fitted(hits).backtest

    assert (backtest.largest_fitted, backtest.predicted_size) == (8_000, 56_000)
    assert backtest.observed == hits[-1].mean()
    assert backtest.last_value == hits[5].mean()
    assert backtest.predicted.value == pytest.approx(1 - pow3(56_000.0), abs=0.003)
    assert backtest.predicted.low <= backtest.predicted.value <= backtest.predicted.high


def test_the_backtest_does_not_see_the_large_sizes():
    hits = noisy_hits(pow3, np.random.default_rng(4))
    spoilt = (*hits[:6], *(np.zeros_like(cell) for cell in hits[6:]))

    assert fitted(hits).backtest.predicted == fitted(spoilt).backtest.predicted


def test_without_four_small_sizes_there_is_no_backtest():
    sizes = np.array([1_000, 2_000, 4_000, 8_000, 12_000, 16_000])

    assert fitted(exact_hits(pow3, sizes), sizes=sizes).backtest is None


def test_fewer_than_six_sizes_are_refused():
    with pytest.raises(StudyError, match="at least 6 training-set sizes, got 5"):
        fitted(exact_hits(pow3, SIZES[:5]), sizes=SIZES[:5])


def test_sizes_out_of_order_are_refused():
    with pytest.raises(ValueError, match="rising"):
        fitted(exact_hits(pow3), sizes=SIZES[::-1])


def test_one_seed_at_some_sizes_will_do():
    hits = noisy_hits(pow3, np.random.default_rng(5))
    mixed = tuple(cell[:1] if at % 2 else cell for at, cell in enumerate(hits))

    assert fitted(mixed).accuracy[-1] == pytest.approx(fitted(hits).accuracy[-1], abs=0.03)


def test_it_repeats_for_one_seed_and_differs_for_another():
    hits = noisy_hits(pow3, np.random.default_rng(6))
    one, again, other = (fitted(hits, seed=seed) for seed in (1, 1, 2))

    np.testing.assert_array_equal(one.low, again.low)
    np.testing.assert_array_equal(one.high, again.high)
    assert not np.array_equal(one.low, other.low)
    np.testing.assert_array_equal(one.accuracy, other.accuracy)


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


def closed_form():
    """Accuracy 1 - n^-0.5, a point below and above it for the band."""
    sizes = np.geomspace(100, 40_000, 200)
    accuracy = 1 - sizes**-0.5
    return CurveFit(
        sizes=sizes,
        accuracy=accuracy,
        low=accuracy - 0.01,
        high=accuracy + 0.01,
        confidence_level=0.95,
        families=(),
        backtest=None,
        largest=10_000,
    )


@pytest.mark.parametrize("target", [0.93, 0.95, 0.98])
def test_labels_to_a_target_on_a_curve_in_closed_form(target):
    low, value, high = labels_to_target(closed_form(), target)

    assert low == pytest.approx((1 - target + 0.01) ** -2, rel=1e-3)
    assert value == pytest.approx((1 - target) ** -2, rel=1e-3)
    assert high == pytest.approx((1 - target - 0.01) ** -2, rel=1e-3)


def test_a_target_beyond_the_grid_is_not_reached():
    """At 40,000 rows the curve has 0.995, its band 0.985 to 1.005."""
    assert labels_to_target(closed_form(), 1.01) == (None, None, None)
    assert labels_to_target(closed_form(), 0.999)[1:] == (None, None)
    assert labels_to_target(closed_form(), 0.999)[0] is not None
    assert labels_to_target(closed_form(), 0.99)[2] is None


def test_a_target_met_at_once_takes_the_smallest_size():
    assert labels_to_target(closed_form(), 0.5) == (100, 100, 100)
