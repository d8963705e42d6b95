"""Experiments on several splits of the same photos, each split with test photos of its own.

Photo by photo only one split can be compared. Over splits it is the differences that are looked at, one a split, and
their variance is corrected for what the splits share.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from statistics import fmean, median

from unfreeze.evaluation.intervals import error_over_splits, interval_over_splits, students_t
from unfreeze.evaluation.paired import Answers, Pair, holm, mcnemar_over_seeds, verdict

POWER = 0.8
"""Share of the cases in which the smallest difference would be found."""


def compare_over_splits(experiments: Mapping[str, Sequence[Answers]], others: int) -> tuple[Pair, ...]:
    """Compare every experiment with every one that stands before it, over all splits.

    Interval and p-value are those of the corrected resampled t-test of C. Nadeau and Y. Bengio, "Inference for the
    generalization error", Machine Learning 52 (2003), 239-281.

    Args:
        experiments: name -> its runs' answers on each split's test photos, splits in the same order for all.
        others: photos outside a split's test set.

    Raises:
        ValueError: not the same number of splits everywhere, or fewer than two.
    """
    counts = {len(splits) for splits in experiments.values()}
    if len(counts) > 1 or min(counts, default=2) < 2:
        raise ValueError(f"compare_over_splits needs answers on the same two splits or more, not on {counts}.")
    pairs = [_pair(second, first, experiments, others) for first, second in combinations(experiments, 2)]
    corrected = holm([p_value for _, p_value in pairs])
    return tuple(
        replace(pair, p_holm=p_holm, verdict=verdict(pair.ci95, p_holm))
        for (pair, _), p_holm in zip(pairs, corrected, strict=True)
    )


def _pair(a: str, b: str, experiments: Mapping[str, Sequence[Answers]], others: int) -> tuple[Pair, float]:
    """Compare one pair as if there were no other: the corrected p-value and the verdict are still to come."""
    from scipy.special import stdtr, stdtrit  # scipy.stats takes a second to import

    splits = list(zip(experiments[a], experiments[b], strict=True))
    differences = [float(first.right.mean() - second.right.mean()) for first, second in splits]
    tested = experiments[a][0].right.shape[1]
    error = error_over_splits(differences, tested, others)
    freedom = len(splits) - 1
    mean = fmean(differences)
    # Without any spread there is nothing to divide by: a difference is then beyond doubt, and none is no difference
    p_value = float(2 * stdtr(freedom, -abs(mean) / error)) if error else float(mean == 0)
    pair = Pair(
        a=a,
        b=b,
        difference=mean,
        ci95=interval_over_splits(differences, tested, others, least=-1.0),
        smallest=(students_t(len(splits)) + float(stdtrit(freedom, POWER))) * error,
        p_mcnemar=min(1.0, 2 * median(mcnemar_over_seeds(first, second) for first, second in splits)),
        p_holm=p_value,
        verdict="within noise",
    )
    return pair, p_value
