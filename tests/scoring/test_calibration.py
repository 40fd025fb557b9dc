import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax

from stages.foundation.errors import StudyError
from stages.scoring.calibration import (
    ERRORS_LEFT,
    FILE,
    TEMPERATURES,
    fit_calibrator,
    fit_temperature,
    read_calibrator,
    scaled_probabilities,
    write_calibrator,
)
from stages.scoring.intervals import wilson
from tests.statistics.test_calibration import drawn, logits_of

NAMES = ("negative", "positive")


def calibrated(num_rows, *, num_classes=2, seed=0):
    logits, labels = drawn(num_rows, num_classes=num_classes, seed=seed)
    return logits[0], labels, fit_calibrator(logits[0], labels, [f"class {at}" for at in range(num_classes)])


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_made_the_logits_is_found_again(temperature):
    """With 20,000 rows to within a twentieth."""
    logits, labels = drawn(20_000, sharpness=temperature)

    assert fit_temperature(logits[0], labels) == pytest.approx(temperature, rel=0.05)


@given(num_rows=st.integers(3, 40), num_classes=st.integers(2, 4), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_no_other_temperature_is_likelier(num_rows, num_classes, seed):
    logits, labels = drawn(num_rows, sharpness=2.0, num_classes=num_classes, seed=seed)
    temperature = fit_temperature(logits[0], labels)

    def nll(other):
        return -log_softmax(logits[0] / other, axis=1)[np.arange(num_rows), labels].mean()

    assert TEMPERATURES[0] <= temperature <= TEMPERATURES[1]
    assert nll(temperature) <= min(nll(other) for other in np.geomspace(*TEMPERATURES, 50)) + 1e-5


@given(num_rows=st.integers(1, 300), num_classes=st.integers(2, 5), seed=st.integers(0, 999))
@settings(deadline=None, max_examples=60)
def test_the_threshold_is_the_smallest_that_leaves_half_the_error_rate(num_rows, num_classes, seed):
    logits, labels, found = calibrated(num_rows, num_classes=num_classes, seed=seed)
    confidence = scaled_probabilities(logits, found.temperature).max(axis=1)
    wrong = logits.argmax(axis=1) != labels
    target = ERRORS_LEFT * wrong.mean()

    def meets(threshold):
        kept = wrong[confidence >= threshold]
        return len(kept) > 0 and kept.mean() <= target

    meeting = [threshold for threshold in np.unique(confidence) if meets(threshold)]
    if meeting:
        assert found.flag_below == (0.0 if meeting[0] == confidence.min() else meeting[0])
        kept = wrong[confidence >= found.flag_below]
        told = wilson(int((~kept).sum()), len(kept), 0.95)
        assert found.unflagged_rows == len(kept)
        assert (found.unflagged_accuracy_low, found.unflagged_accuracy_high) == (told.low, told.high)
    else:
        assert found.flag_below is None
        assert found.unflagged_rows == 0


def test_rows_are_flagged_below_the_threshold_and_not_at_it():
    """Nine rows right but for the least sure of them: half the error rate is reached without that one."""
    sure = [0.95, 0.9, 0.9, 0.85, 0.85, 0.8, 0.8, 0.75, 0.6]
    found = fit_calibrator(logits_of(sure), np.array([1] * 8 + [0]), NAMES)
    probabilities = scaled_probabilities(logits_of(sure), found.temperature)

    assert found.is_unsure(probabilities).tolist() == [False] * 8 + [True]
    assert found.validation_accuracy == pytest.approx(8 / 9)
    assert found.unflagged_accuracy == 1


def test_without_a_mistake_no_row_is_unsure():
    found = fit_calibrator(logits_of([0.9, 0.6, 0.1]), np.array([1, 1, 0]), NAMES)

    assert not found.is_unsure(np.array([[0.5, 0.5]])).any()


def test_where_the_surest_rows_are_wrong_every_row_is_unsure():
    found = fit_calibrator(logits_of([0.99, 0.6]), np.array([0, 1]), NAMES)

    assert found.flag_below is None
    assert found.is_unsure(np.array([[0.0, 1.0]])).all()


def test_a_class_of_few_validation_rows_is_unproven_and_one_of_none_too():
    logits = np.log(np.array([[0.8, 0.1, 0.1]] * 100 + [[0.1, 0.8, 0.1]] * 3))
    found = fit_calibrator(logits, np.array([0] * 95 + [1] * 8), ["often", "seldom", "never"])

    assert found.is_unproven().tolist() == [False, True, True]
    often, _, never = found.classes
    assert (often.predicted, often.right) == (100, 95)
    assert (often.low, often.high) == (wilson(95, 100, 0.95).low, wilson(95, 100, 0.95).high)
    assert (never.predicted, never.low, never.high) == (0, 0.0, 1.0)


def test_it_is_read_as_it_was_written(tmp_path):
    *_, found = calibrated(50, num_classes=3)
    write_calibrator(tmp_path, found)

    assert read_calibrator(tmp_path) == found
    assert json.loads((tmp_path / FILE).read_text())["temperature"] == found.temperature


def test_a_model_without_one_has_none_and_one_of_other_facts_is_one_clear_line(tmp_path):
    assert read_calibrator(tmp_path) is None
    (tmp_path / FILE).write_text('{"temperature": 1.0}')

    with pytest.raises(StudyError, match="written by another version of this project: train again"):
        read_calibrator(tmp_path)
