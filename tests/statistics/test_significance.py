from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from stages.statistics.significance import holm, page_trend


def test_two_repeats_that_both_rise_worked_by_counting():
    """One of the 36 pairs of orders of three sizes is that good."""
    assert page_trend(np.array([[0.8, 0.85, 0.9], [0.7, 0.8, 0.81]])) == pytest.approx(1 / 36)


def test_it_counts_all_orders_that_rise_as_well():
    accuracies = np.array([[0.8, 0.9, 0.85], [0.7, 0.8, 0.81]])
    orders = [np.array(order) for order in permutations((1, 2, 3))]
    weights = np.array([1, 2, 3])
    observed = weights @ (np.array([1, 3, 2]) + np.array([1, 2, 3]))
    as_good = sum(weights @ (one + other) >= observed for one in orders for other in orders)

    assert page_trend(accuracies) == pytest.approx(as_good / 36)


def test_falling_accuracy_is_no_evidence_for_rising():
    assert page_trend(np.array([[0.9, 0.85, 0.8], [0.81, 0.8, 0.7]])) == pytest.approx(1)


def test_worked_example():
    """Smallest times 3, next times 2, largest times 1, none below the one before."""
    assert holm(np.array([0.01, 0.04, 0.03])) == pytest.approx([0.03, 0.06, 0.06])


def test_nothing_to_adjust():
    assert len(holm(np.array([]))) == 0
    assert holm(np.array([0.2])) == pytest.approx([0.2])


@given(p_values=arrays(np.float64, st.integers(1, 20), elements=st.floats(0, 1)), alpha=st.floats(0.001, 0.5))
def test_it_rejects_what_the_step_down_procedure_rejects(p_values, alpha):
    rejected = np.zeros(len(p_values), dtype=bool)
    for step, index in enumerate(np.argsort(p_values, kind="stable")):
        if p_values[index] * (len(p_values) - step) > alpha:
            break
        rejected[index] = True

    assert ((holm(p_values) <= alpha) == rejected).all()


@given(p_values=arrays(np.float64, st.integers(1, 20), elements=st.floats(0, 1)))
def test_adjusted_values_are_probabilities_no_smaller_than_before_in_the_same_order(p_values):
    adjusted = holm(p_values)

    assert (adjusted >= p_values).all()
    assert (adjusted <= 1).all()
    assert (np.diff(adjusted[np.argsort(p_values)]) >= 0).all()
