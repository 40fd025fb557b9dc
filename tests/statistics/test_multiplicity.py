import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from stages.statistics.multiplicity import holm


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
