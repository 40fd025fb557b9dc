import numpy as np
import pytest

from stages.statistics.forecast import Measured, damped_trend, families, pool, power_law

SIZES = np.array([250, 500, 1_000, 2_000, 4_000, 8_000], dtype=float)
FARTHER = np.array([16_000, 32_000], dtype=float)


def measured(accuracy, *, sd=0.003):
    generator = np.random.default_rng(0)
    return Measured(
        sizes=SIZES,
        accuracy=accuracy,
        covariance=np.eye(len(SIZES)) * sd**2,
        resampled=np.clip(accuracy + sd * generator.normal(size=(50, len(SIZES))), 0, 1),
    )


def truth(sizes):
    return 1 - (0.1 + 0.3 * (sizes / 250) ** -0.5)


@pytest.mark.parametrize("forecaster", [power_law, damped_trend, families])
def test_each_forecaster_comes_near_a_power_law(forecaster):
    draws = forecaster(measured(truth(SIZES)), FARTHER, np.random.default_rng(1))

    assert np.median(draws, axis=0) == pytest.approx(truth(FARTHER), abs=0.015)
    assert (np.diff(draws, axis=1) >= -1e-9).all()


@pytest.mark.parametrize("forecaster", [power_law, damped_trend, families])
def test_another_seed_of_the_draws_hardly_moves_their_quantiles(forecaster):
    one, other = (forecaster(measured(truth(SIZES)), FARTHER, np.random.default_rng(seed)) for seed in (1, 2))

    np.testing.assert_allclose(*(np.quantile(draws, [0.025, 0.5, 0.975], axis=0) for draws in (one, other)), atol=0.004)


@pytest.mark.parametrize("forecaster", [power_law, damped_trend, families])
def test_less_is_known_of_what_was_measured_badly(forecaster):
    sharp, vague = (
        forecaster(measured(truth(SIZES), sd=sd), FARTHER, np.random.default_rng(1)).std(axis=0) for sd in (0.002, 0.02)
    )

    assert (vague > 1.5 * sharp).all()


def test_a_flat_curve_is_foretold_to_stay_near():
    flat = pool(measured(np.full(len(SIZES), 0.8)), FARTHER, seed=0)

    assert np.median(flat, axis=0) == pytest.approx([0.8, 0.8], abs=0.01)


def test_the_draws_pass_by_what_was_measured():
    """Also where no smooth curve does: a dent of two points, measured to a tenth of a point."""
    dented = truth(SIZES) - np.array([0, 0, 0.02, 0, 0, 0])
    draws = pool(measured(dented, sd=0.001), SIZES, seed=0)
    first_two = draws[:1_000]  # the power law's and the damped trend's

    assert np.median(first_two, axis=0) == pytest.approx(dented, abs=0.004)
