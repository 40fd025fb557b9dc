import numpy as np
import pytest
from scipy.special import ndtri

from stages.statistics.sequential import levels


def test_one_look_spends_everything():
    assert levels([7], alpha=0.05) == pytest.approx((0.05,))


def test_five_even_looks_have_the_published_boundaries():
    """Lan-DeMets after O'Brien-Fleming, one-sided 0.025: Jennison & Turnbull 2000, chapter 7."""
    bounds = -ndtri(levels([1, 2, 3, 4, 5], alpha=0.025))

    assert bounds == pytest.approx([4.877, 3.357, 2.680, 2.290, 2.031], abs=0.003)


def test_simulated_motions_cross_somewhere_with_chance_alpha():
    looks = np.array([3, 5, 8, 12])
    bounds = -ndtri(levels(looks.tolist(), alpha=0.05))
    steps = np.random.default_rng(0).normal(size=(200_000, 12)).cumsum(axis=1)[:, looks - 1]

    assert (steps / np.sqrt(looks) > bounds).any(axis=1).mean() == pytest.approx(0.05, abs=0.0015)


def test_early_looks_have_hardly_any_level_and_the_last_nearly_all():
    first, *between, last = levels([3, 5, 8, 12], alpha=0.05)

    assert first < 0.001
    assert sorted(between) == between
    assert 0.04 < last < 0.05


@pytest.mark.parametrize("looks", [[], [5, 3], [3, 3], [0, 2]])
def test_looks_that_do_not_rise_are_refused(looks):
    with pytest.raises(ValueError, match="must rise"):
        levels(looks, alpha=0.05)
