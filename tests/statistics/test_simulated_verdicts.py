"""A small part of `python -m tests.statistics.simulate`; the long run is by hand."""

import numpy as np
import pytest

from stages.statistics.non_inferiority import judge
from stages.statistics.sequential import levels
from tests.statistics.simulate import MARGIN, SCENARIOS, UNSEEN, Scenario, false_claims, study

NUM_STUDIES = 400
MOST = 0.05 + 2.5 * (0.05 * 0.95 / NUM_STUDIES) ** 0.5  # of so few studies, by chance


@pytest.mark.parametrize("num_seeds", [3, 5])
@pytest.mark.parametrize("name", list(SCENARIOS))
def test_a_worse_method_is_called_non_inferior_once_in_twenty_at_most(name, num_seeds):
    assert false_claims(SCENARIOS[name], num_seeds, NUM_STUDIES) <= MOST


def test_failures_that_five_seeds_may_not_show_are_beyond_any_verdict():
    """Why a verdict is about runs that do not fail, and the page tells how many might (`failures.most_that_fail`)."""
    assert false_claims(UNSEEN, 5, 200) > 0.1


@pytest.mark.parametrize("scenario", [Scenario(seed_points=0.3, other_points=0.3), Scenario(other_fails=True)])
def test_four_looks_together_are_wrong_once_in_twenty_at_most(scenario):
    looks, num_studies = (3, 5, 8, 12), 200
    generator = np.random.default_rng(1)
    wrong = 0
    for _ in range(num_studies):
        first, second, out = study(scenario, looks[-1], generator)
        verdicts = (
            judge(first[:look], second[:look], margin=MARGIN, failed=out[:look], alpha=level).verdict
            for look, level in zip(looks, levels(looks, alpha=0.05), strict=True)
        )
        wrong += next((verdict for verdict in verdicts if verdict != "inconclusive"), "") == "non-inferior"

    assert wrong / num_studies <= 0.05 + 2.5 * (0.05 * 0.95 / num_studies) ** 0.5
