"""Calibration against scikit-learn, scipy, and tables worked out by hand."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss

from unfreeze.evaluation.calibration import (
    brier_score,
    calibrate,
    expected_calibration_error,
    fit_temperature,
    reliability,
)
from unfreeze.evaluation.metrics import evaluate


def certain(predicted: list[int], c: int) -> np.ndarray:
    return np.eye(c, dtype=np.float32)[predicted]


def softmax(logits: np.ndarray) -> np.ndarray:
    rows = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (rows / rows.sum(axis=1, keepdims=True)).astype(np.float32)


def drawn(n: int, temperature: float, c: int = 5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn from the probabilities that logits have at a temperature, and the probabilities at 1."""
    draw = np.random.default_rng(seed)
    logits = 3 * draw.normal(size=(n, c))
    true = softmax(logits / temperature).cumsum(axis=1)
    labels = (draw.random(n)[:, None] > true).sum(axis=1).clip(max=c - 1)
    return labels, softmax(logits)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.7, 3.0])
def test_the_temperature_that_labels_were_drawn_with_is_found(temperature):
    labels, probabilities = drawn(20_000, temperature)
    assert fit_temperature(labels, probabilities) == pytest.approx(temperature, rel=0.05)


def test_no_other_temperature_makes_validation_photos_less_surprising():
    labels, probabilities = drawn(300, 2.0)
    best = fit_temperature(labels, probabilities)

    def surprise(temperature: float) -> float:
        rows = calibrate(probabilities, temperature)
        return 300 * log_loss(labels, rows / rows.sum(axis=1, keepdims=True)) + np.log(temperature) ** 2 / 2

    assert all(surprise(best) <= surprise(best * factor) + 1e-4 for factor in (0.5, 0.9, 0.99, 1.01, 1.1, 2))


def test_a_few_photos_that_are_all_right_do_not_make_the_model_certain():
    labels = np.array([0, 1, 2])
    probabilities = 0.6 * certain([0, 1, 2], 3) + np.float32(0.4 / 3)
    assert 0.4 < fit_temperature(labels, probabilities) < 1


def test_certain_and_wrong_is_a_finite_temperature():
    assert 1 < fit_temperature(np.array([1, 0, 0, 0]), certain([0, 0, 0, 0], 2)) <= 20.1


def test_calibrating_is_dividing_logits():
    logits = np.random.default_rng(0).normal(size=(50, 4))
    np.testing.assert_allclose(calibrate(softmax(logits), 2.5), softmax(logits / 2.5), rtol=1e-5)


def test_calibrating_keeps_predictions_rows_and_zeros():
    _, probabilities = drawn(500, 1.0)
    probabilities[0] = [1, 0, 0, 0, 0]
    rows = calibrate(probabilities, 1.9)
    np.testing.assert_array_equal(rows.argmax(axis=1), probabilities.argmax(axis=1))
    np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=1e-6)
    assert rows.dtype == np.float32
    assert np.isfinite(rows).all()


def test_a_temperature_of_one_changes_no_bit():
    _, probabilities = drawn(20, 1.0)
    np.testing.assert_array_equal(calibrate(probabilities, 1.0), probabilities)


def test_calibration_lowers_loss_and_error_of_photos_that_it_was_not_fitted_on():
    labels, probabilities = drawn(4_000, 2.5)
    temperature = fit_temperature(labels[:1_000], probabilities[:1_000])
    figures = evaluate(labels[1_000:], probabilities[1_000:], temperature)
    raw = evaluate(labels[1_000:], probabilities[1_000:])
    assert figures.nll < figures.nll_uncalibrated == raw.nll
    assert figures.ece < 0.03 < 0.2 < figures.ece_uncalibrated == raw.ece
    assert figures.brier < raw.brier
    assert figures.accuracy == raw.accuracy


def test_bins_are_those_of_scikit_learn():
    labels, probabilities = drawn(2_000, 2.0)
    right, confidence = probabilities.argmax(axis=1) == labels, probabilities.max(axis=1)
    accuracies, confidences = calibration_curve(right, confidence, n_bins=15)
    bins = reliability(labels, probabilities)
    np.testing.assert_allclose([each.accuracy for each in bins], accuracies)
    np.testing.assert_allclose([each.confidence for each in bins], confidences, rtol=1e-6)
    assert sum(each.photos for each in bins) == 2_000
    assert all(each.low < each.confidence <= each.high for each in bins)


def test_brier_score_is_that_of_scikit_learn():
    labels, probabilities = drawn(300, 1.0)
    rows = probabilities.astype(np.float64)
    rows /= rows.sum(axis=1, keepdims=True)
    assert brier_score(labels, rows) == pytest.approx(brier_score_loss(labels, rows, labels=range(5)))
    assert brier_score(np.array([0]), certain([1], 2)) == 2


def test_calibration_error_worked_out_by_hand():
    # 15 bins: 0.5 falls into (7/15, 8/15], 0.9 and 0.92 into (13/15, 14/15], 1.0 into (14/15, 1]
    top = np.array([0.5, 0.5, 0.9, 0.92, 1.0])
    probabilities = np.stack([top, 1 - top], axis=1)
    labels = np.array([0, 1, 0, 1, 0])
    # bin of 0.5: right half of the time, no distance; of 0.9: 0.5 against 0.91; of 1.0: none
    assert expected_calibration_error(labels, probabilities) == pytest.approx(2 / 5 * 0.41)


def test_calibration_error_of_always_sure_is_the_share_of_mistakes():
    assert expected_calibration_error(np.array([0, 0, 0, 1]), certain([0, 0, 0, 0], 2)) == pytest.approx(0.25)
