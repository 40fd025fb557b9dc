from itertools import permutations

import numpy as np
import pytest

from stages.statistics.trend import page_trend


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
