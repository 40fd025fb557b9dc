"""A small part of `python -m tests.statistics.simulate`; the long run is by hand."""

import numpy as np
import pytest

from stages.statistics.non_inferiority import judge
from stages.statistics.sequential import levels
from tests.statistics.simulate import MARGIN, SCENARIOS, Scenario, false_claims, study

NUM_STUDIES = 500
MOST = 0.05 + 2.5 * (0.05 * 0.95 / NUM_STUDIES) ** 0.5  # of so few studies, by chance


@pytest.mark.parametrize("num_seeds", [3, 5])
@pytest.mark.parametrize("name", list(SCENARIOS))
def test_a_worse_method_is_called_non_inferior_once_in_twenty_at_most(name, num_seeds):
    assert false_claims(SCENARIOS[name], num_seeds, NUM_STUDIES) <= MOST


@pytest.mark.parametrize(
    "scenario", [Scenario(), Scenario(seed_points=0.3, other_points=0.3), Scenario(trial_fails=True)]
)
def test_four_looks_together_are_wrong_once_in_twenty_at_most(scenario):
    looks = (3, 5, 8, 12)
    generator = np.random.default_rng(1)
    wrong = 0
    for _ in range(300):
        first, second, out = study(scenario, looks[-1], generator)
        verdicts = [
            judge(first[:look], second[:look], margin=MARGIN, failed=out[:look], alpha=level).verdict
            for look, level in zip(looks, levels(looks, alpha=0.05), strict=True)
        ]
        settled = [verdict for verdict in verdicts if verdict != "inconclusive"]
        wrong += settled[:1] == ["non-inferior"]

    assert wrong / 300 <= 0.05 + 2.5 * (0.05 * 0.95 / 300) ** 0.5
