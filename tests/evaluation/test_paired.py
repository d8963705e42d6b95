"""Experiments against each other: by hand, against published examples, and against chance."""

import numpy as np
import pytest
from scipy import stats

from unfreeze.evaluation.paired import Answers, compare_pairs, mcnemar, mcnemar_over_seeds, resampled_accuracies


def answers(*right: np.ndarray, seeds: tuple[int, ...] | None = None) -> Answers:
    return Answers(seeds or tuple(range(len(right))), np.array(right, bool))


def table(both: int, only_first: int, only_second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    """Answers of two models, from how often which of them was right."""
    counts = (both, only_first, only_second, neither)
    return np.repeat([True, True, False, False], counts), np.repeat([True, False, True, False], counts)


def test_mcnemar_by_hand():
    # Of ten photos on which they differ one model has nine: 2 (1 + 10) / 2^10
    assert mcnemar(*table(50, 9, 1, 40)) == pytest.approx(22 / 1024)
    assert mcnemar(*table(50, 1, 9, 40)) == pytest.approx(22 / 1024)
    assert mcnemar(*table(50, 0, 0, 50)) == 1.0


def test_mcnemar_on_a_published_table():
    # Who approved of a prime minister twice: A. Agresti, "Categorical Data Analysis", section 10.1, z^2 = 17.36
    assert mcnemar(*table(794, 150, 86, 570)) == pytest.approx(stats.chi2.sf(17.36, 1), rel=0.3)


def test_holms_correction_by_hand(monkeypatch):
    # The least of six counts six times, the next five times, then four: 0.03, 0.05, 0.12; and 3 x 0.04 is no more
    p_values = iter([0.01, 0.04, 0.03, 0.005, 1.0, 1.0])
    monkeypatch.setattr("unfreeze.evaluation.paired.mcnemar", lambda first, second: next(p_values))
    rng = np.random.default_rng(0)
    pairs = compare_pairs({name: answers(rng.random(50) < 0.5) for name in "abcd"})
    assert [pair.p_holm for pair in pairs] == pytest.approx([0.05, 0.12, 0.12, 0.03, 1.0, 1.0])


def test_runs_of_the_same_seed_are_paired():
    first = answers(*table(50, 9, 1, 40), seeds=(0, 1))
    same = answers(*first.right, seeds=(0, 1))
    assert mcnemar_over_seeds(first, same) == 1.0
    swapped = answers(*first.right[::-1], seeds=(0, 1))
    assert mcnemar_over_seeds(first, swapped) == pytest.approx(2 * 22 / 1024)
    others = answers(*first.right, seeds=(2, 3))  # each with each: 1, p, p, 1
    assert mcnemar_over_seeds(first, others) == 1.0


def test_the_interval_of_single_runs_is_that_of_a_mean():
    rng = np.random.default_rng(0)
    first, second = rng.random(500) < 0.8, rng.random(500) < 0.7
    (pair,) = compare_pairs({"b": answers(second), "a": answers(first)})
    differences = first.astype(float) - second
    expected = stats.norm.interval(0.95, loc=differences.mean(), scale=stats.sem(differences))
    assert (pair.a, pair.b) == ("a", "b")
    assert pair.difference == pytest.approx(first.mean() - second.mean())
    assert pair.ci95 == pytest.approx(expected, abs=0.004)
    assert pair.smallest == pytest.approx(2.8 * stats.sem(differences), abs=0.004)


def test_seeds_widen_the_interval_as_students_t_does():
    """Photos are many and models wrong on the same ones, so that seeds are all there is of chance."""
    rights = [np.arange(20_000) < 20_000 * share for share in (0.70, 0.71, 0.75)]
    accuracies = resampled_accuracies({"a": answers(*rights), "b": answers(np.arange(20_000) < 14_000)})
    low, high = np.quantile(accuracies["a"] - accuracies["b"], [0.025, 0.975])
    half = stats.t.ppf(0.975, 2) * stats.sem([0.70, 0.71, 0.75])
    assert half < (high - low) / 2 < 2 * half


@pytest.mark.parametrize(("gain", "verdict"), [(40, "better"), (-40, "worse"), (3, "within noise")])
def test_verdicts(gain, verdict):
    second = np.arange(1000) < 800
    first = np.arange(1000) < 800 + gain
    first[:5] = False  # the models also differ where neither gains
    assert compare_pairs({"b": answers(second), "a": answers(first)})[0].verdict == verdict


def test_the_same_model_is_within_noise_of_itself():
    right = np.arange(100) < 70
    (pair,) = compare_pairs({"b": answers(right), "a": answers(right)})
    assert (pair.verdict, pair.difference, pair.ci95, pair.p_holm) == ("within noise", 0.0, (0.0, 0.0), 1.0)
    assert pair.smallest == 6 / 100  # fewer than six photos prove nothing


def series(rng: np.random.Generator, gains: list[float], photos: int, seeds: int, spread: float) -> dict[str, Answers]:
    """Experiments on photos of different difficulty; each seed moves a model's accuracy by a normal amount."""
    hard = rng.beta(2, 1, photos)
    made = {}
    for number, gain in enumerate(gains):
        shares = [np.clip(hard + gain + spread * rng.normal(), 0, 1) for _ in range(seeds)]
        made[str(number)] = answers(*(rng.random(photos) < share for share in shares))
    return made


@pytest.fixture
def fast(monkeypatch):
    """Fewer resamples."""
    monkeypatch.setattr("unfreeze.evaluation.paired.RESAMPLES", 1000)


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize(("seeds", "spread"), [(1, 0.0), (3, 0.03), pytest.param(5, 0.03, marks=pytest.mark.slow)])
def test_equal_models_are_called_different_in_at_most_one_of_twenty_series(seeds, spread):
    rng = np.random.default_rng(1)
    wrong = [
        any(pair.verdict != "within noise" for pair in compare_pairs(series(rng, [0.0] * 4, 300, seeds, spread)))
        for _ in range(200)
    ]
    assert np.mean(wrong) <= 0.05


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize(("seeds", "spread", "power"), [(1, 0.0, 0.8), (3, 0.0, 0.95), (3, 0.02, 0.5)])
def test_a_difference_of_eight_points_is_mostly_found(seeds, spread, power):
    rng = np.random.default_rng(2)
    found = [compare_pairs(series(rng, [0.0, 0.08], 1500, seeds, spread))[0].verdict == "better" for _ in range(100)]
    assert np.mean(found) >= power


@pytest.mark.parametrize("shapes", [((1, 3), (1, 4)), ((1, 0), (1, 0))])
def test_other_shapes_are_refused(shapes):
    with pytest.raises(ValueError, match="on the same photos, at least one"):
        compare_pairs({str(number): answers(*np.ones(shape)) for number, shape in enumerate(shapes)})


def test_a_single_photo_proves_nothing():
    (pair,) = compare_pairs({"a": answers([True]), "b": answers([False])})
    assert (pair.difference, pair.p_mcnemar, pair.smallest, pair.verdict) == (-1.0, 1.0, 1.0, "within noise")


def test_one_experiment_has_no_pairs():
    assert compare_pairs({"a": answers(np.ones(5))}) == ()
    assert compare_pairs({}) == ()


def test_a_pair_the_other_way_round():
    (pair,) = compare_pairs({"b": answers(np.arange(1000) < 800), "a": answers(np.arange(1000) < 840)})
    (other,) = compare_pairs({"a": answers(np.arange(1000) < 840), "b": answers(np.arange(1000) < 800)})
    assert pair.reversed() == other
    assert (pair.verdict, other.verdict) == ("better", "worse")
