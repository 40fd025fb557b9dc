from math import sqrt

import numpy as np
import pytest

from stages.statistics.decision import PRIOR_FREEDOM, USUAL_SEED_SD, choose, seed_spread
from tests.statistics.studies import classifier


def drawn(*accuracies, num_seeds=3, num_rows=872, generator=None):
    """Hits of classifiers of these true accuracies on the same rows."""
    generator = np.random.default_rng(0) if generator is None else generator
    difficulty = generator.normal(size=num_rows)
    return [classifier(value, seed_points=1.0).hits(difficulty, num_seeds, generator) for value in accuracies]


def chosen(hits, seed=1):
    return choose(hits, confidence_level=0.95, seed=seed)


def test_a_method_that_is_far_better_is_chosen_for_sure_and_costs_nothing():
    decision = chosen(drawn(0.7, 0.9, 0.75))

    assert decision.best == 1
    assert decision.options[1].chance > 0.999
    assert decision.options[1].loss < 1e-4
    assert decision.rivalry.position == 2
    assert decision.rivalry.difference.low > 0.05
    assert sum(option.chance for option in decision.options) == pytest.approx(1)


def test_what_another_choice_would_lose_is_the_distance_to_the_best():
    decision = chosen(drawn(0.7, 0.9))
    first, second = decision.options

    assert first.loss == pytest.approx(second.accuracy.value - first.accuracy.value, abs=0.003)


def test_methods_that_never_differed_are_a_toss_and_no_certainty():
    hits = drawn(0.85)[0]
    decision = chosen([hits, hits])

    assert decision.options[0].chance == pytest.approx(0.5, abs=0.05)
    assert decision.rivalry.difference.low < 0 < decision.rivalry.difference.high
    assert decision.options[decision.best].loss < 0.01


def test_the_order_of_the_methods_decides_nothing():
    first, second, third = drawn(0.8, 0.82, 0.81)
    one, other = chosen([first, second, third]), chosen([third, first, second])

    assert one.options[1].chance == pytest.approx(other.options[2].chance, abs=0.04)
    assert one.options[0].loss == pytest.approx(other.options[1].loss, abs=0.001)


def test_the_same_seed_draws_the_same_answer():
    hits = drawn(0.8, 0.82)

    assert chosen(hits) == chosen(hits)
    assert chosen(hits) != chosen(hits, seed=2)


def test_one_method_alone_has_an_interval_and_no_rival():
    decision = chosen(drawn(0.8, num_seeds=1))

    assert decision.rivalry is None
    assert decision.options[0].chance == 1
    assert decision.options[0].accuracy.low < 0.78 < decision.options[0].accuracy.high


def test_perfect_runs_are_not_known_to_be_perfect():
    decision = chosen([np.ones((1, 40), dtype=np.bool_), np.ones((1, 40), dtype=np.bool_)])

    assert decision.options[0].accuracy.low < 0.99


def test_one_seed_has_the_usual_spread_and_further_ones_sharpen_it():
    hits = drawn(0.8, num_seeds=10)[0]
    alike = np.repeat(hits[:1], 10, axis=0)

    assert seed_spread(hits[:1]) == (USUAL_SEED_SD**2, PRIOR_FREEDOM)
    assert seed_spread(alike) == (pytest.approx(USUAL_SEED_SD**2 * PRIOR_FREEDOM / (PRIOR_FREEDOM + 9)), 13)


def test_the_parts_of_the_variance_tell_the_width_of_the_interval():
    rivalry = chosen(drawn(0.8, 0.83, num_seeds=8)).rivalry
    half = (rivalry.difference.high - rivalry.difference.low) / 2

    assert rivalry.half_width() == pytest.approx(half, rel=0.1)
    assert rivalry.half_width(rows=4) < rivalry.half_width()
    assert rivalry.half_width(rows=4, seeds=4) == pytest.approx(rivalry.half_width() / 2)
    assert rivalry.half_width(rows=1e12) == pytest.approx(1.96 * sqrt(rivalry.by_seeds), rel=1e-3)


@pytest.mark.parametrize(("num_seeds", "num_rows"), [(1, 200), (3, 872)])
def test_the_chance_is_how_often_the_choice_is_the_best_and_the_loss_what_it_costs(num_seeds, num_rows):
    """Methods whose true accuracies are drawn about 80 %, as if nothing were known of them."""
    generator = np.random.default_rng(5)
    chances, right, losses, lost = [], [], [], []
    for _ in range(150):
        truths = np.clip(generator.normal(0.8, 0.03, size=3), 0.6, 0.95)
        decision = choose(
            drawn(*truths, num_seeds=num_seeds, num_rows=num_rows, generator=generator),
            confidence_level=0.95,
            seed=1,
            num_draws=800,
        )
        chances.append(decision.options[decision.best].chance)
        losses.append(decision.options[decision.best].loss)
        right.append(decision.best == truths.argmax())
        lost.append(truths.max() - truths[decision.best])

    assert np.mean(chances) == pytest.approx(np.mean(right), abs=0.08)
    assert np.mean(losses) == pytest.approx(np.mean(lost), abs=0.004)
