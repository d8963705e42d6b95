"""Repeated splits: the corrected test against its formula, and by simulation on models that share training photos."""

import math

import numpy as np
import pytest
from scipy.stats import t

from unfreeze.evaluation.intervals import interval_over_splits
from unfreeze.evaluation.paired import Answers
from unfreeze.evaluation.repeated_splits import compare_over_splits


def answers(*accuracies: float, photos: int = 100) -> list[Answers]:
    """One run a split, with so many of the first photos right."""
    return [Answers((0,), np.arange(photos)[None] < accuracy * photos) for accuracy in accuracies]


def test_the_interval_is_that_of_the_formula():
    # five splits 75/25 of 2,624 photos; differences worked out with the formula of Nadeau and Bengio
    accuracies = [0.80, 0.82, 0.81, 0.84, 0.83]
    variance = np.var(accuracies, ddof=1) * (1 / 5 + 656 / 1968)
    reach = t.ppf(0.975, 4) * math.sqrt(variance)
    assert interval_over_splits(accuracies, 656, 1968) == pytest.approx((0.82 - reach, 0.82 + reach))
    naive = t.ppf(0.975, 4) * np.std(accuracies, ddof=1) / math.sqrt(5)
    assert reach > 1.6 * naive  # sqrt(1 + 5/3)


def test_the_interval_stays_between_no_photo_and_all():
    assert interval_over_splits([0.0, 1.0], 25, 75) == (0.0, 1.0)


def test_a_pair_by_hand():
    first, second = answers(0.8, 0.7, 0.9), answers(0.7, 0.5, 0.8)
    (pair,) = compare_over_splits({"a": first, "b": second}, others=300)
    differences = [-0.1, -0.2, -0.1]
    error = math.sqrt(np.var(differences, ddof=1) * (1 / 3 + 100 / 300))
    assert (pair.a, pair.b) == ("b", "a")
    assert pair.difference == pytest.approx(-0.4 / 3)
    assert pair.ci95[0] == pytest.approx(pair.difference - t.ppf(0.975, 2) * error)
    assert pair.p_holm == pytest.approx(2 * t.sf(0.4 / 3 / error, 2))
    assert pair.smallest == pytest.approx((t.ppf(0.975, 2) + t.ppf(0.8, 2)) * error)
    # exact McNemar of 10, 20 and 10 photos that one alone got right: twice the median
    assert pair.p_mcnemar == pytest.approx(2 * 2 / 2**10)


def test_p_values_are_corrected_for_the_number_of_pairs():
    experiments = {"a": answers(0.8, 0.7, 0.9), "b": answers(0.7, 0.5, 0.8), "c": answers(0.2, 0.3, 0.2)}
    alone = compare_over_splits({"a": experiments["a"], "c": experiments["c"]}, 300)[0]
    together = {(pair.a, pair.b): pair for pair in compare_over_splits(experiments, 300)}
    assert alone.p_holm < together["c", "a"].p_holm <= 3 * alone.p_holm + 1e-12


def test_seeds_of_a_split_are_one_figure():
    split = Answers((0, 1), np.stack([np.arange(100) < 80, np.arange(100) < 60]))
    (pair,) = compare_over_splits({"a": [split, split], "b": answers(0.5, 0.6)}, 300)
    assert pair.difference == pytest.approx(0.55 - 0.7)


def test_equal_models_have_nothing_between_them():
    (pair,) = compare_over_splits({"a": answers(0.8, 0.7), "b": answers(0.8, 0.7)}, 300)
    assert (pair.difference, pair.p_holm, pair.verdict) == (0.0, 1.0, "within noise")


@pytest.mark.parametrize("splits", [(0.8,), ()])
def test_one_split_is_none(splits):
    with pytest.raises(ValueError, match="same two splits or more"):
        compare_over_splits({"a": answers(*splits), "b": answers(*splits)}, 300)


def test_equal_learners_are_called_different_in_at_most_one_series_of_twenty():
    """Nearest class mean on two halves of the features: equally good learners, trained anew on every split."""
    draw = np.random.default_rng(0)
    wrong = 0
    for _ in range(100):
        labels = np.arange(120) % 2
        features = draw.normal(size=(120, 8)) + 0.5 * labels[:, None]
        experiments: dict[str, list[Answers]] = {"left": [], "right": []}
        for _ in range(5):
            order = draw.permutation(120)
            test, train = order[:30], order[30:]
            for name, part in (("left", features[:, :4]), ("right", features[:, 4:])):
                means = np.stack([part[train][labels[train] == c].mean(axis=0) for c in (0, 1)])
                predicted = ((part[test][:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
                experiments[name].append(Answers((0,), (predicted == labels[test])[None]))
        (pair,) = compare_over_splits(experiments, 90)
        wrong += pair.verdict != "within noise"
    assert wrong <= 5
