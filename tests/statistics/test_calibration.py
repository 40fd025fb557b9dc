import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss

from stages.statistics.calibration import calibrate


def logits_of(probabilities):
    """(N, 2) logits whose softmax gives class 1 these probabilities."""
    probabilities = np.asarray(probabilities, dtype=float)
    return np.log(np.stack([1 - probabilities, probabilities], axis=-1))


def calibrated(logits, labels, *, temperatures=None, num_bins=15, seed=0):
    temperatures = np.ones(len(logits)) if temperatures is None else temperatures
    return calibrate(logits, labels, temperatures, confidence_level=0.95, seed=seed, num_bins=num_bins)


def drawn(num_rows, *, sharpness=1.0, num_seeds=1, num_classes=2, seed=0):
    """Labels from the softmax of logits; the classifier says `sharpness` times those logits."""
    generator = np.random.default_rng(seed)
    true = generator.normal(scale=2, size=(num_rows, num_classes))
    chances = softmax(true, axis=1).cumsum(axis=1)
    labels = (generator.random((num_rows, 1)) > chances).sum(axis=1)
    return np.tile(sharpness * true, (num_seeds, 1, 1)), labels


def test_worked_by_hand():
    """Confidences 0.6 0.7 | 0.8 0.9 in two bins, right: no yes | yes yes. Gaps |0.5 - 0.65| and |1 - 0.85|."""
    told = calibrated(logits_of([[0.6, 0.3, 0.8, 0.1]]), np.array([0, 0, 1, 0]), num_bins=2)

    assert told.ece.value == pytest.approx((0.15 + 0.15) / 2)
    assert told.brier == pytest.approx((0.36 + 0.09 + 0.04 + 0.01) / 4)
    assert told.nll == pytest.approx(-np.log([0.4, 0.7, 0.8, 0.9]).mean())
    assert [(bin.confidence, bin.accuracy, bin.num_rows) for bin in told.bins] == [
        (pytest.approx(0.65), 0.5, 2),
        (pytest.approx(0.85), 1.0, 2),
    ]


@given(num_rows=st.integers(2, 60), num_classes=st.integers(2, 4), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_nll_and_brier_agree_with_scikit_learn(num_rows, num_classes, seed):
    logits, labels = drawn(num_rows, num_classes=num_classes, seed=seed)
    told = calibrated(logits, labels)
    probabilities, classes = softmax(logits[0], axis=1), np.arange(num_classes)
    if num_classes == 2:
        theirs = brier_score_loss(labels, probabilities[:, 1], pos_label=1)
    else:
        theirs = brier_score_loss(labels, probabilities, labels=classes)

    assert told.nll == pytest.approx(log_loss(labels, probabilities, labels=classes))
    assert told.brier == pytest.approx(theirs)


def test_the_bins_agree_with_scikit_learn():
    """15 quantile bins of the probability that the prediction is right; 900 rows make them even."""
    logits, labels = drawn(900)
    told = calibrated(logits, labels)
    confidence, hits = softmax(logits[0], axis=1).max(axis=1), logits[0].argmax(axis=1) == labels
    accuracies, confidences = calibration_curve(hits, confidence, n_bins=15, strategy="quantile")

    assert [bin.accuracy for bin in told.bins] == pytest.approx(accuracies)
    assert [bin.confidence for bin in told.bins] == pytest.approx(confidences)
    assert told.ece.value == pytest.approx(np.abs(accuracies - confidences).mean())


def test_scores_are_means_over_the_seeds_and_bins_pool_them():
    first, labels = drawn(300, seed=1)
    second, _ = drawn(300, seed=2)
    both = calibrated(np.concatenate([first, second]), labels)
    alone = [calibrated(logits, labels) for logits in (first, second)]

    for name in ("nll", "brier"):
        assert getattr(both, name) == pytest.approx(np.mean([getattr(told, name) for told in alone]))
    assert both.ece.value == pytest.approx(np.mean([told.ece.value for told in alone]))
    assert [bin.num_rows for bin in both.bins] == [40] * 15


def test_scaling_by_temperature_mends_an_overconfident_classifier():
    logits, labels = drawn(3_000, sharpness=3.0, num_seeds=2)
    told = calibrated(logits, labels, temperatures=np.array([3.0, 3.0]))

    assert told.temperature == 3.0
    assert told.nll_after < told.nll
    assert told.brier_after < told.brier
    assert told.ece_after.high < told.ece.low
    assert max(abs(bin.accuracy - bin.confidence) for bin in told.bins_after) < 0.1


def test_each_run_has_its_own_temperature():
    logits, labels = drawn(500)
    two = calibrated(np.concatenate([logits, 4 * logits]), labels, temperatures=np.array([1.0, 4.0]))

    assert two.nll_after == pytest.approx(calibrated(logits, labels).nll)
    assert two.temperature == 2.5


def test_the_error_is_biased_upwards_as_its_docstring_says():
    """A perfect classifier of 872 rows: two to four points."""
    errors = [calibrated(*drawn(872, seed=seed)).ece.value for seed in range(10)]

    assert 0.02 < np.mean(errors) < 0.04


def test_the_interval_has_the_width_of_fresh_samples():
    """Mean width over ten samples against the spread of 200 other samples, to within a third."""
    fresh = [calibrated(*drawn(500, sharpness=2.5, seed=seed)).ece.value for seed in range(100, 160)]
    told = [calibrated(*drawn(500, sharpness=2.5, seed=seed)).ece for seed in range(10)]

    assert all(interval.low <= interval.value <= interval.high for interval in told)
    assert np.mean([interval.high - interval.low for interval in told]) == pytest.approx(
        2 * 1.96 * np.std(fresh), rel=1 / 3
    )


def test_the_interval_reaches_to_both_sides_although_resampling_adds_to_the_error():
    """Of a perfect classifier, whose every resample seems worse than it: neither side is more than twice the other."""
    for seed in range(5):
        ece = calibrated(*drawn(872, seed=seed)).ece

        assert 0.5 < (ece.high - ece.value) / (ece.value - ece.low) < 2


@given(num_rows=st.integers(1, 40), num_seeds=st.integers(1, 3), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_errors_are_fractions_and_every_row_is_in_one_bin(num_rows, num_seeds, seed):
    told = calibrated(*drawn(num_rows, num_seeds=num_seeds, seed=seed))

    assert 0 <= told.ece.low <= told.ece.value <= told.ece.high <= 1
    assert sum(bin.num_rows for bin in told.bins) == num_rows * num_seeds
    assert len(told.bins) == min(15, num_rows * num_seeds)


def test_it_repeats_for_one_seed_and_differs_for_another():
    logits, labels = drawn(200)
    one, again, other = (calibrated(logits, labels, seed=seed) for seed in (1, 1, 2))

    assert one == again
    assert one.ece != other.ece


def test_what_a_perfect_classifier_shows_is_told_beside_what_a_real_one_does():
    logits, labels = drawn(872, seed=3)
    perfect, unsure = calibrated(logits, labels), calibrated(logits, labels, temperatures=np.array([3.0]))

    assert 0.01 < perfect.ece_of_noise < 0.05
    assert perfect.ece_after.value < 2 * perfect.ece_of_noise
    assert unsure.ece_after.value > 2 * unsure.ece_of_noise
