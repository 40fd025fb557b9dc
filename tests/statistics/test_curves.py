from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.foundation.errors import StudyError
from stages.statistics.curves import Axis, CurveFit, chance_of, fit_curve, gain, labels_to_target
from tests.statistics.simulate import CURVES, foretold
from tests.statistics.studies import classifier

SIZES = np.array([250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 56_000])


def pow3(n):
    return 0.06 + 2.0 * n**-0.45


def mmf4(n):
    return 0.07 + 0.43 / (1 + (n / 600.0) ** 0.8)


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


def fitted(hits, *, sizes=SIZES, num_resamples=20, seed=0, most_rows=None):
    return fit_curve(sizes, hits, confidence_level=0.95, seed=seed, num_resamples=num_resamples, most_rows=most_rows)


@pytest.mark.parametrize("planted", [pow3, mmf4])
def test_a_planted_curve_is_recovered(planted):
    """Within half a point where it was measured, within one and a half up to four times as many labels."""
    fit = fitted(exact_hits(planted))
    miss = np.abs(fit.accuracy - (1 - planted(fit.sizes)))

    assert miss[fit.sizes <= SIZES[-1]].max() < 0.005
    assert miss.max() < 0.015


def test_without_a_second_seed_the_usual_spread_of_seeds_widens_what_more_labels_may_bring():
    single = tuple(cell[:1] for cell in exact_hits(pow3, num_rows=872))[:5]
    told = [
        gain(fit_curve(SIZES[:5], single, confidence_level=0.95, seed=0, seed_variance=value, num_resamples=20), 4_000)
        for value in (0.0, 0.03**2)
    ]

    assert told[1].high - told[1].low > 1.2 * (told[0].high - told[0].low)


def sentences(rows):
    """Of phrases that are cut from fewer and fewer new sentences."""
    return 7_000 * (1 - np.exp(-rows / 7_000.0))


def test_where_only_sentences_teach_the_axis_is_found_by_its_backtests_and_the_curve_is_nearer():
    hits = exact_hits(lambda rows: 0.06 + 2.0 * sentences(rows) ** -0.45)
    rows = SIZES.astype(float)
    by_rows = fitted(hits)
    chosen = fit_curve(SIZES, hits, confidence_level=0.95, seed=0, num_resamples=20, sources=sentences(rows))

    assert by_rows.axis == "rows"
    assert chosen.axis == "source sentences"
    assert chosen.backtest.largest_fitted == by_rows.backtest.largest_fitted
    assert abs(chosen.backtest.predicted.value - chosen.backtest.observed) < abs(
        by_rows.backtest.predicted.value - by_rows.backtest.observed
    )


def test_where_rows_teach_the_axis_stays_rows():
    rows = SIZES.astype(float)
    chosen = fit_curve(
        SIZES, exact_hits(pow3), confidence_level=0.95, seed=0, num_resamples=20, sources=sentences(rows)
    )
    assert chosen.axis == "rows"
    np.testing.assert_array_equal(chosen.draws, fitted(exact_hits(pow3)).draws)


def test_without_backtests_rows_are_the_axis():
    hits = exact_hits(pow3)[:3]
    fit = fit_curve(SIZES[:3], hits, confidence_level=0.95, seed=0, sources=sentences(SIZES[:3].astype(float)))
    assert (fit.axis, fit.backtests) == ("rows", ())


@given(st.floats(0, 1), st.lists(st.floats(1, 1e6), min_size=2, max_size=20, unique=True))
def test_an_axis_never_falls_and_is_exact_at_the_sizes_that_are_known(share, asked):
    rows = SIZES.astype(float)
    axis = Axis(name="any", sizes=rows, sources=sentences(rows), share=share)

    assert (np.diff(axis(np.sort(np.array(asked)))) >= -1e-9).all()
    assert axis(rows) == pytest.approx(rows ** (1 - share) * sentences(rows) ** share)


def test_where_seeds_tell_their_spread_the_usual_one_changes_nothing():
    hits = exact_hits(pow3, num_rows=872)[:4]
    usual = fit_curve(SIZES[:4], hits, confidence_level=0.95, seed=0, seed_variance=0.03**2, num_resamples=20)

    np.testing.assert_array_equal(usual.draws, fitted(hits, sizes=SIZES[:4]).draws)


@pytest.mark.parametrize("name", list(CURVES))
def test_the_band_holds_a_curve_that_it_was_not_made_on(name):
    """Four times the largest size, by the pool; `python -m tests.statistics.simulate --curves 100` asks for longer."""
    holds, miss, width = foretold(CURVES[name], 12)

    assert holds >= 10 / 12
    assert miss < 0.03  # the straight line in log n misses most: no family is one
    assert width < 0.16


def test_the_grid_runs_from_the_smallest_size_to_four_times_the_largest():
    fit = fitted(exact_hits(pow3))

    assert len(fit.sizes) == len(fit.accuracy) == len(fit.low) == len(fit.high) == fit.draws.shape[1] == 200
    assert (fit.sizes[0], fit.sizes[-1]) == pytest.approx((250, 224_000))
    assert np.diff(np.log(fit.sizes)) == pytest.approx(np.full(199, np.log(896) / 199))
    assert (fit.largest, fit.reach) == (56_000, 224_000)


def test_nothing_is_told_beyond_the_labels_that_there_are():
    fit = fitted(exact_hits(pow3), most_rows=57_368)

    assert fit.reach == 57_368
    assert fit.sizes[-1] == pytest.approx(57_368)
    with pytest.raises(ValueError, match="beyond the reach"):
        gain(fit, 56_000)


@pytest.mark.parametrize("seed", range(3))
def test_more_labels_never_hurt_and_the_band_holds_the_curve(seed):
    fit = fitted(noisy_hits(mmf4, np.random.default_rng(seed)), num_resamples=50)

    for edge in (fit.low, fit.accuracy, fit.high):
        assert (np.diff(edge) >= -1e-9).all()
        assert (edge >= 0).all()
        assert (edge <= 1).all()
    assert (fit.low <= fit.accuracy).all()
    assert (fit.accuracy <= fit.high).all()


def test_the_band_widens_beyond_the_data():
    fit = fitted(noisy_hits(pow3, np.random.default_rng(2)))
    width = fit.high - fit.low
    inside = int(np.searchsorted(fit.sizes, 8_000))

    assert width[-1] > width[inside]
    assert width.max() < 0.15


def test_the_band_is_about_the_rows_and_not_only_about_the_seeds():
    """Seeds that agree perfectly leave the rows: near Wilson's width at the sizes in the middle, or somewhat less."""
    difficulty = np.random.default_rng(3).random(872)
    hits = tuple(np.tile(difficulty >= share, (3, 1)) for share in pow3(SIZES.astype(float)))
    fit = fitted(hits, num_resamples=200)
    middle = int(np.searchsorted(fit.sizes, 4_000))
    wilson_width = 2 * 1.96 * np.sqrt(pow3(4_000.0) * (1 - pow3(4_000.0)) / 872)

    assert 0.6 < (fit.high[middle] - fit.low[middle]) / wilson_width < 1.3


def test_every_size_four_times_as_large_as_three_others_is_foretold():
    hits = exact_hits(pow3)
    fit = fitted(hits)
    asked = [(test.largest_fitted, test.predicted_size) for test in fit.backtests]

    assert asked[:4] == [(1_000, 4_000), (1_000, 8_000), (1_000, 16_000), (1_000, 32_000)]
    assert asked[-1] == (8_000, 56_000)
    assert (fit.backtest.largest_fitted, fit.backtest.predicted_size) == (8_000, 56_000)
    assert fit.backtest.observed == hits[-1].mean()
    assert fit.backtest.last_value == hits[5].mean()
    assert fit.backtest.predicted.value == pytest.approx(1 - pow3(56_000.0), abs=0.01)
    assert all(test.covered for test in fit.backtests)


def test_a_backtest_does_not_see_the_large_sizes():
    hits = noisy_hits(pow3, np.random.default_rng(4))
    spoilt = (*hits[:6], *(np.zeros_like(cell) for cell in hits[6:]))

    assert fitted(hits).backtest.predicted == fitted(spoilt).backtest.predicted


def test_without_three_small_sizes_there_is_no_backtest():
    sizes = np.array([1_000, 4_000, 12_000, 16_000])

    assert fitted(exact_hits(pow3, sizes), sizes=sizes).backtests == ()


def test_three_sizes_are_foretold_without_the_families():
    fit = fitted(exact_hits(pow3, SIZES[3:6]), sizes=SIZES[3:6])

    assert fit.families == ()
    assert fit.low[-1] < 1 - pow3(32_000.0) < fit.high[-1]


def test_the_families_have_shares_and_the_baseline_has_none():
    *families, baseline = fitted(noisy_hits(pow3, np.random.default_rng(0))).families

    assert [family.name for family in families] == ["pow3", "pow4", "mmf4", "wbl4"]
    assert sum(family.weight for family in families) == pytest.approx(1)
    assert (baseline.name, baseline.weight) == ("last value", 0)


def test_the_baseline_foretells_each_size_by_the_one_before():
    hits = exact_hits(pow3)
    rises = np.diff([cell.mean() for cell in hits])

    assert fitted(hits).families[-1].leave_one_out == pytest.approx(np.sqrt(np.mean(rises**2)))


def test_fewer_than_three_sizes_are_refused():
    with pytest.raises(StudyError, match="at least 3 training-set sizes that count, got 2"):
        fitted(exact_hits(pow3, SIZES[:2]), sizes=SIZES[:2])


def test_sizes_out_of_order_are_refused():
    with pytest.raises(ValueError, match="rising"):
        fitted(exact_hits(pow3), sizes=SIZES[::-1])


def test_one_seed_at_some_sizes_will_do():
    hits = noisy_hits(pow3, np.random.default_rng(5))
    mixed = tuple(cell[:1] if at % 2 else cell for at, cell in enumerate(hits))

    assert fitted(mixed).accuracy[-1] == pytest.approx(fitted(hits).accuracy[-1], abs=0.03)


def test_it_repeats_for_one_seed_and_hardly_differs_for_another():
    hits = noisy_hits(pow3, np.random.default_rng(6))
    one, again, other = (fitted(hits, seed=seed, num_resamples=100) for seed in (1, 1, 2))

    np.testing.assert_array_equal(one.draws, again.draws)
    assert not np.array_equal(one.low, other.low)
    np.testing.assert_allclose(one.accuracy, other.accuracy, atol=0.003)


def closed_form():
    """Accuracy 1 - n^-0.5 with draws a point below and above it, each as likely."""
    sizes = np.geomspace(100, 40_000, 200)
    accuracy = 1 - sizes**-0.5
    return CurveFit(
        sizes=sizes,
        accuracy=accuracy,
        low=accuracy - 0.01,
        high=accuracy + 0.01,
        draws=np.stack([accuracy - 0.01, accuracy, accuracy + 0.01]),
        confidence_level=0.95,
        families=(),
        backtests=(),
        axis="rows",
        largest=10_000,
        reach=40_000,
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


def test_a_gain_is_that_of_each_curve_by_itself():
    """All three rise alike, so that the gain is sure where the accuracy is not."""
    bought = gain(closed_form(), 10_000)
    steeper = replace(closed_form(), draws=np.stack([0.8 + 0 * closed_form().sizes, closed_form().accuracy]))

    assert (bought.low, bought.value, bought.high) == pytest.approx((0.01 - 0.0070711,) * 3, abs=1e-5)
    assert gain(steeper, 10_000).low < 0.0002 < 0.0027 < gain(steeper, 10_000).high


def test_the_chance_of_a_target_is_the_share_of_the_curves_that_have_it():
    assert chance_of(closed_form(), 0.985, 10_000) == pytest.approx(2 / 3)
    assert chance_of(closed_form(), 0.9999, 2_000) == 0
