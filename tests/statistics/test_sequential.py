import numpy as np
import pytest
from scipy.special import ndtri

from stages.statistics.non_inferiority import judge
from stages.statistics.sequential import SPENT, judge_looks, levels


def test_one_look_spends_everything():
    assert levels((7,), alpha=0.05) == pytest.approx((0.05,))


def test_five_even_looks_have_the_published_boundaries():
    """Lan-DeMets after O'Brien-Fleming, one-sided 0.025: Jennison & Turnbull 2000, chapter 7."""
    bounds = -ndtri(levels((1, 2, 3, 4, 5), alpha=0.025))

    assert bounds == pytest.approx([4.877, 3.357, 2.680, 2.290, 2.031], abs=0.003)


def test_simulated_motions_cross_somewhere_with_chance_alpha():
    looks = np.array([3, 5, 8, 12])
    bounds = -ndtri(levels(tuple(looks.tolist()), alpha=0.05))
    steps = np.random.default_rng(0).normal(size=(200_000, 12)).cumsum(axis=1)[:, looks - 1]

    assert (steps / np.sqrt(looks) > bounds).any(axis=1).mean() == pytest.approx(0.05, abs=0.0015)


def test_early_looks_have_hardly_any_level_and_the_last_nearly_all():
    first, *between, last = levels((3, 5, 8, 12), alpha=0.05)

    assert first < 0.001
    assert sorted(between) == between
    assert 0.04 < last < 0.05


@pytest.mark.parametrize("looks", [[], [5, 3], [3, 3], [0, 2]])
def test_looks_that_do_not_rise_are_refused(looks):
    with pytest.raises(ValueError, match="must rise"):
        levels(tuple(looks), alpha=0.05)


LOOKS = (3, 5, 8)


def runs(num_seeds, accuracies, *, num_rows=872, seed=0):
    """Hits of two methods on the same rows, each seed a little better or worse than the method."""
    generator = np.random.default_rng(seed)
    easy = generator.random(num_rows)
    return [
        np.array([easy < accuracy + 0.005 * generator.normal() for _ in range(num_seeds)]) for accuracy in accuracies
    ]


def looked(first, second, *, margin=0.02, failed=None):
    fell = np.zeros(len(first), dtype=bool) if failed is None else failed
    return judge_looks(first, second, margin=margin, looks=LOOKS, failed=fell, alpha=0.05)


def test_before_the_first_look_nothing_is_judged():
    assert looked(*runs(2, (0.9, 0.9))) is None


def test_between_two_looks_the_seeds_beyond_the_last_one_do_not_count():
    first, second = runs(7, (0.9, 0.9))

    assert looked(first, second) == looked(first[:5], second[:5])


def test_a_look_is_judged_at_its_level():
    first, second = runs(5, (0.88, 0.89))
    found = looked(first, second)

    assert found.level == levels(LOOKS, alpha=SPENT * 0.05)[1]
    assert found.result == judge(first, second, margin=0.02, failed=np.zeros(5, dtype=bool), alpha=found.level)
    assert found.result.difference.confidence_level == pytest.approx(1 - 2 * found.level)


def test_the_first_verdict_stays_whatever_later_seeds_say():
    worse, second = runs(5, (0.6, 0.9))
    better, rest = runs(3, (0.99, 0.9))
    early = looked(worse, second)

    assert early.result.verdict == "inferior"
    assert early.is_over
    assert looked(np.concatenate([worse, better]), np.concatenate([second, rest])) == early


def test_the_last_look_leaves_no_chance():
    found = looked(*runs(8, (0.88, 0.9)))

    assert found.num_seeds == 8
    assert found.chance is None
    assert found.is_over


def test_a_difference_at_the_margin_whose_seeds_agree_is_not_to_be_settled():
    generator = np.random.default_rng(0)
    easy = generator.random(872)
    first = np.repeat((easy < 0.87)[None], 5, axis=0) ^ (generator.random((5, 872)) < 0.002)
    second = np.repeat((easy < 0.89)[None], 5, axis=0) ^ (generator.random((5, 872)) < 0.002)
    found = looked(first, second)

    assert found.result.verdict == "inconclusive"
    assert found.chance < 0.05
    assert found.is_over


def test_the_chance_is_that_of_studies_that_go_on():
    """Of many studies that look alike at the second look, as many are settled at the third as was foretold."""
    generator = np.random.default_rng(3)
    foretold, settled = [], []
    for _ in range(300):
        easy, truth = generator.random(400), 0.03 * generator.normal()
        first, second = (
            np.array([easy < level + 0.02 * generator.normal() for _ in range(8)]) for level in (0.85 + truth, 0.85)
        )
        early = looked(first[:5], second[:5])
        if early.chance is not None:
            foretold.append(early.chance)
            settled.append(looked(first, second).result.verdict != "inconclusive")

    assert len(foretold) > 50
    assert np.mean(settled) == pytest.approx(np.mean(foretold), abs=0.12)
