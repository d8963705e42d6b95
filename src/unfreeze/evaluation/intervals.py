"""How far a measured share can be from the true one."""

import math
from collections.abc import Sequence
from statistics import NormalDist, fmean, stdev


def wilson_interval(correct: float, n: int) -> tuple[float, float]:
    """Say between which bounds the true accuracy lies, with 95% confidence, given `correct` of `n` photos.

    The score interval of E. B. Wilson, "Probable inference, the law of succession, and statistical
    inference", Journal of the American Statistical Association 22 (1927), 209-212. Unlike the interval of
    the normal approximation it stays inside 0 and 1 and is not empty at 0 or `n` correct.

    Args:
        correct: photos predicted right, 0 to `n`; a mean over seeds may be fractional.
        n: photos, at least 1.

    Returns:
        The lower and the upper bound, shares from 0 to 1.

    Raises:
        ValueError: `n` is below 1, or `correct` is not between 0 and `n`.
    """
    if n < 1 or not 0 <= correct <= n:
        raise ValueError(f"wilson_interval needs 0 <= correct <= n and n >= 1, not correct={correct}, n={n}.")
    z = NormalDist().inv_cdf(0.975)
    centre = (correct + z**2 / 2) / (n + z**2)
    reach = z / (n + z**2) * math.sqrt(correct * (n - correct) / n + z**2 / 4)
    return max(0.0, centre - reach), min(1.0, centre + reach)


def interval_over_seeds(accuracies: Sequence[float], n: int) -> tuple[float, float]:
    """Say between which bounds the true mean accuracy lies, with 95% confidence, over photos and seeds.

    The Wilson interval for the photos and Student's t interval for the seeds, put together as independent parts of
    one error: G. Y. Zou and A. Donner, "Construction of confidence limits about effect measures", Statistics in
    Medicine 27 (2008), 1693-1702. With one seed it is the Wilson interval.

    Args:
        accuracies: of the runs, at least one, shares from 0 to 1.
        n: photos on which each of them was measured, at least 1.

    Returns:
        The lower and the upper bound, shares from 0 to 1.
    """
    mean = fmean(accuracies)
    low, high = wilson_interval(mean * n, n)
    if len(accuracies) == 1:
        return low, high
    reach = students_t(len(accuracies)) * stdev(accuracies) / math.sqrt(len(accuracies))
    return max(0.0, mean - math.hypot(mean - low, reach)), min(1.0, mean + math.hypot(high - mean, reach))


def interval_over_splits(
    accuracies: Sequence[float], tested: int, others: int, least: float = 0.0
) -> tuple[float, float]:
    """Say between which bounds the true mean lies, with 95% confidence, given one figure for each of several splits.

    Training sets of different splits share most photos, so their figures vary less than those of new data would; the
    variance is corrected by the factor of C. Nadeau and Y. Bengio, "Inference for the generalization error", Machine
    Learning 52 (2003), 239-281: 1 / splits + tested / others.

    Args:
        accuracies: at least two: of one experiment, 0 to 1, or differences of two, -1 to 1.
        tested: photos in a split's test set.
        others: all other photos.
        least: that there can be.

    Returns:
        The lower and the upper bound, within `least` and 1.
    """
    mean = fmean(accuracies)
    reach = students_t(len(accuracies)) * error_over_splits(accuracies, tested, others)
    return max(least, mean - reach), min(1.0, mean + reach)


def error_over_splits(figures: Sequence[float], tested: int, others: int) -> float:
    """Give the standard error of the mean of figures of several splits, as `interval_over_splits` corrects it."""
    return stdev(figures) * math.sqrt(1 / len(figures) + tested / others)


def interval_of_difference(
    share: float, ci95: tuple[float, float], other: float, other_ci95: tuple[float, float]
) -> tuple[float, float]:
    """Say between which bounds the difference of two shares lies that were measured independently, with 95% confidence.

    Zou and Donner's way again: the intervals' arms are put together as independent parts of one error.

    Args:
        share: the one, 0 to 1.
        ci95: its interval.
        other: what is taken from it.
        other_ci95: its interval; both ends are `other` where it is known exactly.
    """
    (low, high), (other_low, other_high) = ci95, other_ci95
    difference = share - other
    below, above = math.hypot(share - low, other_high - other), math.hypot(high - share, other - other_low)
    return difference - below, difference + above


def students_t(runs: int) -> float:
    """Give the 97.5% point of Student's t distribution for the mean of `runs` runs, at least 2; of many it is 1.96."""
    from scipy.special import stdtrit  # scipy.stats takes a second to import

    return float(stdtrit(runs - 1, 0.975))
