from dataclasses import replace
from math import log

import numpy as np
import pytest

from stages.statistics.failures import failed, left_out, most_that_fail
from tests.statistics.simulate import runs


def test_a_run_ten_points_below_its_like_failed():
    told = failed(runs([0.88, 0.87, 0.77, 0.886, 0.879]))

    assert [bool(reason) for reason in told] == [False, False, True, False, False]
    assert told[2] == "validation accuracy 77.0 %, where the better seeds have 88.0 %"


def test_runs_that_spread_widely_are_not_called_failed_for_it():
    assert not any(failed(runs([0.70, 0.76, 0.64, 0.79, 0.72])))


def test_a_run_four_points_below_seeds_that_agree_did_not_fail():
    assert not any(failed(runs([0.880, 0.880, 0.880, 0.840])))


def test_three_of_five_runs_may_fail_and_are_still_told():
    assert [bool(reason) for reason in failed(runs([0.78, 0.88, 0.77, 0.79, 0.87]))] == [True, False, True, True, False]


def test_a_run_whose_loss_is_that_of_knowing_nothing_failed():
    told = failed(replace(runs([0.88, 0.87, 0.86]), losses=np.array([0.3, 0.68, 0.31])))

    assert told == ["", "validation loss 0.68, where knowing nothing is 0.69", ""]


def test_two_runs_are_not_held_against_each_other():
    assert failed(runs([0.9, 0.6])) == ["", ""]


def test_a_cell_near_the_loss_of_knowing_nothing_does_not_count():
    cell = replace(runs([0.55, 0.56, 0.58]), losses=np.array([0.69, 0.68, 0.69]))

    assert left_out(cell) == "validation loss 0.69, where knowing nothing is 0.69"
    assert not left_out(replace(cell, num_classes=6)), "of six classes it is much: knowing nothing is 1.79"
    assert left_out(replace(cell, num_classes=6, losses=np.full(3, 0.91 * log(6))))


@pytest.mark.parametrize(
    ("ended", "steps", "counts"), [(3, 999, False), (2, 999, False), (1, 999, True), (3, 1_000, True)]
)
def test_a_cell_most_of_whose_short_runs_were_best_at_their_end_does_not_count(ended, steps, counts):
    cell = replace(runs([0.8, 0.81, 0.82]), ended_at_best=np.arange(3) < ended, steps=np.full(3, float(steps)))

    assert bool(left_out(cell)) != counts


def test_a_method_without_steps_always_counts():
    cell = replace(
        runs([0.6, 0.61]), losses=np.array([0.69, 0.69]), ended_at_best=np.ones(2, dtype=bool), steps=np.zeros(2)
    )

    assert left_out(cell) == ""


def test_five_runs_without_a_failure_do_not_exclude_that_nearly_half_fail():
    assert most_that_fail(0, 5, 0.95) == pytest.approx(1 - 0.05 ** (1 / 5))
    assert most_that_fail(1, 5, 0.95) == pytest.approx(0.657, abs=0.001)
    assert most_that_fail(5, 5, 0.95) == 1
