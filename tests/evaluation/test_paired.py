"""Two models on the same photos, against SciPy and against chance."""

import numpy as np
import pytest
from scipy import stats

from unfreeze.evaluation.paired import paired_difference


def test_equals_scipys_interval_of_a_mean():
    rng = np.random.default_rng(0)
    first, second = rng.random(500) < 0.8, rng.random(500) < 0.7
    found = paired_difference(first, second)
    differences = first.astype(float) - second
    expected = stats.norm.interval(0.95, loc=differences.mean(), scale=stats.sem(differences))
    assert found.mean == pytest.approx(first.mean() - second.mean())
    assert found.ci95 == pytest.approx(expected)


def test_shares_over_seeds_count():
    found = paired_difference(np.array([1.0, 2 / 3, 1 / 3, 0.0]), np.array([1.0, 1 / 3, 1 / 3, 0.0]))
    assert found.mean == pytest.approx(1 / 12)


@pytest.mark.parametrize(("gain", "verdict"), [(40, "better"), (-40, "worse"), (3, "within noise")])
def test_verdicts(gain, verdict):
    second = np.arange(1000) < 800
    first = np.arange(1000) < 800 + gain
    first[:5] = False  # the models also differ where neither gains
    assert paired_difference(first, second).verdict == verdict


def test_equal_models_are_called_different_in_about_one_of_twenty_series():
    rng = np.random.default_rng(1)
    verdicts = []
    for _ in range(1000):
        hard = rng.random(300) < 0.3
        verdicts.append(
            paired_difference(rng.random(300) < 0.9 - 0.5 * hard, rng.random(300) < 0.9 - 0.5 * hard).verdict
        )
    assert 0.03 < np.mean([verdict != "within noise" for verdict in verdicts]) < 0.07


def test_the_same_model_is_within_noise_of_itself():
    right = np.arange(10) < 7
    assert paired_difference(right, right).verdict == "within noise"


@pytest.mark.parametrize("second", [np.ones(3), np.ones((4, 1)), np.ones(1)])
def test_other_shapes_are_refused(second):
    with pytest.raises(ValueError, match="at least two photos"):
        paired_difference(np.ones(len(second) if second.ndim == 1 and len(second) < 2 else 4), second)
