"""A small part of `python -m tests.statistics.simulate`; the long run is by hand."""

import pytest

from tests.statistics.simulate import MARGIN, SCENARIOS, UNSEEN, Scenario, false_claims, looked_at

NUM_STUDIES = 400
MOST = 0.05 + 2.5 * (0.05 * 0.95 / NUM_STUDIES) ** 0.5  # of so few studies, by chance


@pytest.mark.parametrize("num_seeds", [3, 5])
@pytest.mark.parametrize("name", list(SCENARIOS))
def test_a_worse_method_is_called_non_inferior_once_in_twenty_at_most(name, num_seeds):
    assert false_claims(SCENARIOS[name], num_seeds, NUM_STUDIES) <= MOST


def test_failures_that_five_seeds_may_not_show_are_beyond_any_verdict():
    """Why a verdict is about runs that do not fail, and the page tells how many might (`failures.most_that_fail`)."""
    assert false_claims(UNSEEN, 5, 200) > 0.1


@pytest.mark.parametrize(
    "scenario",
    [Scenario(seed_points=0.3, other_points=0.3), Scenario(other_fails=True), Scenario(machines=True)],
    ids=["sure seeds", "the other fails", "two machines"],
)
def test_four_looks_together_are_wrong_once_in_twenty_at_most(scenario):
    num_studies = 200
    wrong, _, _ = looked_at(scenario, num_studies, seed=1)

    assert wrong <= 0.05 + 2.5 * (0.05 * 0.95 / num_studies) ** 0.5


def test_looks_take_fewer_seeds_where_the_difference_is_plain():
    _, inferior, seeds = looked_at(Scenario(worse=3 * MARGIN), 40)

    assert inferior > 0.9
    assert seeds < 9
