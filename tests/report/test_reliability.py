"""The reliability diagram: its dots are the bins', and its words say the error."""

import numpy as np
from made_series import cut_off, words

from unfreeze.evaluation.calibration import calibrate, expected_calibration_error, reliability
from unfreeze.evaluation.predictions import Predictions
from unfreeze.report.reliability import reliability_diagram


def predicted(temperature: float) -> tuple[Predictions, np.ndarray]:
    draw = np.random.default_rng(0)
    own = draw.dirichlet(np.full(4, 0.3), 400).astype(np.float32)
    labels = draw.integers(0, 4, 400)
    paths = tuple(map(str, range(400)))
    return Predictions(paths, labels, tuple("abcd"), calibrate(own, temperature)), own


def test_dots_are_the_bins_of_both():
    predictions, own = predicted(2.0)
    picture = reliability_diagram(predictions, 2.0, "$model$")
    before, after = picture.axes[0].collections
    for dots, rows in ((before, own), (after, predictions.probabilities)):
        bins = reliability(predictions.labels, rows)
        np.testing.assert_allclose(dots.get_offsets(), [(each.confidence, each.accuracy) for each in bins], atol=1e-5)
    error = expected_calibration_error(predictions.labels, predictions.probabilities)
    assert f"differ by {error:.1%}" in words(picture)
    assert "temperature 2.00" in words(picture)
    assert not cut_off(picture)


def test_without_a_temperature_there_is_one_curve():
    picture = reliability_diagram(predicted(1.0)[0], 1.0, "model")
    assert len(picture.axes[0].collections) == 1
