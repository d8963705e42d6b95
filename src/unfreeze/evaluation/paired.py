"""Experiments on the same test photos: how much better one is, and how far chance may have moved that.

Chance comes in twice: through the photos that happened to be in the test set, and through the seeds that training
happened to run with. The interval of a difference covers both; experiments with the same seeds are paired by seed,
since a child starts from its parent of the same seed.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations, product
from statistics import median
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from unfreeze.evaluation.intervals import students_t

Verdict = Literal["better", "worse", "within noise"]

RESAMPLES = 4000
"""A hundred of them lie beyond each end of a 95% interval, so its ends are good to a twentieth of its width."""

AT_A_TIME = 100
"""Resamples made at once; it divides their number, and bounds the memory that they take."""

SIGNIFICANCE = 0.05

NORMAL = 1.96
"""Standard errors to either end of a 95% interval."""

DETECTABLE = 2.80
"""Standard errors of the smallest difference that is found four times in five: 1.96 + 0.84. H. S. Bloom, "Minimum
detectable effects", Evaluation Review 19 (1995), 547-556."""

FEWEST = 6
"""Photos that one of two models must have right alone before an exact McNemar test can say anything: 2 / 2^6 = 0.03."""


@dataclass(frozen=True, eq=False)
class Answers:
    """Which test photos the runs of an experiment got right.

    Attributes:
        seeds: of the runs.
        right: bool [runs, photos], photos in the same order for all experiments.
    """

    seeds: tuple[int, ...]
    right: NDArray[np.bool_]


@dataclass(frozen=True)
class Pair:
    """One experiment against another on the same test photos.

    Attributes:
        a: the experiment that is judged.
        b: the one that it is compared with.
        difference: mean accuracy of `a` less that of `b`, -1 to 1.
        ci95: its 95% interval over photos and seeds.
        smallest: the smallest difference that these photos and seeds would have shown four times in five.
        p_mcnemar: of the exact McNemar test. With several seeds, twice the median over pairs of runs.
        p_holm: the same, corrected for the number of pairs that were looked at. Where every split has its own test
            photos, it is that of the test in `repeated_splits`, corrected likewise.
        verdict: `a` against `b`; `within noise` unless the interval is clear of zero and `p_holm` below 0.05.
    """

    a: str
    b: str
    difference: float
    ci95: tuple[float, float]
    smallest: float
    p_mcnemar: float
    p_holm: float
    verdict: Verdict

    def reversed(self) -> "Pair":
        """Give the same comparison, `b` against `a`."""
        low, high = self.ci95
        opposite: dict[Verdict, Verdict] = {"better": "worse", "worse": "better", "within noise": "within noise"}
        return replace(
            self,
            a=self.b,
            b=self.a,
            difference=-self.difference,
            ci95=(-high, -low),
            verdict=opposite[self.verdict],
        )

    def to_json(self) -> dict[str, Any]:
        """What `unfreeze compare --json` says of a pair."""
        return {**asdict(self), "ci95": list(self.ci95)}


def compare_pairs(
    experiments: Mapping[str, Answers], worlds: Mapping[str, NDArray[np.float64]] | None = None
) -> tuple[Pair, ...]:
    """Compare every experiment with every one that stands before it.

    The interval comes from a bootstrap (B. Efron and R. J. Tibshirani, "An Introduction to the Bootstrap", 1993) that
    draws photos and seeds anew, the same ones for both experiments. p-values are corrected by the method of S. Holm, "A
    simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979), 65-70.

    Args:
        experiments: name -> its runs' answers on the same photos.
        worlds: what `resampled_accuracies` gives for them, if that is known already.

    Raises:
        ValueError: not the same number of photos everywhere, or none.
    """
    names = [(second, first) for first, second in combinations(experiments, 2)]
    if not names:
        return ()
    counts = {answers.right.shape[1] for answers in experiments.values()}
    if len(counts) > 1 or min(counts) < 1:
        raise ValueError(f"compare_pairs needs answers [runs, n] on the same photos, at least one, not on {counts}.")
    accuracies = worlds or resampled_accuracies(experiments)
    p_values = [mcnemar_over_seeds(experiments[a], experiments[b]) for a, b in names]
    pairs = []
    for (a, b), p_mcnemar, p_holm in zip(names, p_values, holm(p_values), strict=True):
        low, high = np.quantile(accuracies[a] - accuracies[b], [0.025, 0.975]).tolist()
        pairs.append(
            Pair(
                a=a,
                b=b,
                difference=float(experiments[a].right.mean() - experiments[b].right.mean()),
                ci95=(low, high),
                smallest=min(1.0, max(DETECTABLE * (high - low) / 2 / NORMAL, FEWEST / max(counts))),
                p_mcnemar=p_mcnemar,
                p_holm=p_holm,
                verdict=verdict((low, high), p_holm),
            )
        )
    return tuple(pairs)


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number, by the method of Holm: the smallest of n times n, the next times n - 1, ..."""
    corrected = np.empty(len(p_values))
    smallest_first = np.argsort(p_values)
    times = np.arange(len(p_values), 0, -1)
    corrected[smallest_first] = np.maximum.accumulate(times * np.asarray(p_values)[smallest_first])
    return np.minimum(corrected, 1.0).tolist()


def verdict(ci95: tuple[float, float], p_holm: float = 0.0) -> Verdict:
    """Judge a difference by its interval and, where there is one, its corrected p-value: both must be clear."""
    low, high = ci95
    if p_holm >= SIGNIFICANCE or low <= 0 <= high:
        return "within noise"
    return "better" if low > 0 else "worse"


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Give the p-value of the exact McNemar test: how surprising it is that equal models differ so.

    Photos that both models got right, or both wrong, say nothing. Of the others as many should be right in one as in
    the other: a binomial test of one half (Q. McNemar, "Note on the sampling error of the difference between
    correlated proportions or percentages", Psychometrika 12 (1947), 153-157, in its exact form).

    Args:
        first: whether each photo was predicted right, [n].
        second: the same for the other model.
    """
    from scipy.special import bdtr  # scipy.stats takes a second to import

    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    at_most = bdtr(min(only_first, only_second), only_first + only_second, 0.5)  # either end is as likely
    return min(1.0, 2 * float(at_most))


def mcnemar_over_seeds(first: Answers, second: Answers) -> float:
    """Test two experiments by their runs: those of the same seed, or each with each where they share none.

    Twice the median of p-values is one again, however they depend on each other (N. Meinshausen, L. Meier and P.
    Bühlmann, "p-values for high-dimensional regression", JASA 104 (2009), 1671-1681, with gamma = 1/2).
    """
    shared = [(first.seeds.index(seed), second.seeds.index(seed)) for seed in first.seeds if seed in second.seeds]
    runs = shared or list(product(range(len(first.seeds)), range(len(second.seeds))))
    p_values = [mcnemar(first.right[i], second.right[j]) for i, j in runs]
    return p_values[0] if len(p_values) == 1 else min(1.0, 2 * median(p_values))


def resampled_accuracies(experiments: Mapping[str, Answers]) -> dict[str, NDArray[np.float64]]:
    """Give each experiment's mean accuracy in `RESAMPLES` worlds with other photos and other seeds.

    The worlds are the same for all experiments, and the same every time. What seeds change is stretched so that
    its interval is as wide as that of Student's t: a bootstrap of two or three values is far too sure.

    Args:
        experiments: name -> its runs' answers on the same photos.
    """
    right = np.concatenate([answers.right for answers in experiments.values()]).astype(np.float32)
    photos = right.shape[1]
    draw = np.random.default_rng(0)
    worlds = [right @ _counts(draw, photos).T for _ in range(RESAMPLES // AT_A_TIME)]
    accuracies = np.concatenate(worlds, axis=1).astype(np.float64) / photos
    ends = np.cumsum([len(answers.seeds) for answers in experiments.values()])
    return {
        name: rows.mean(axis=0) + _other_seeds(answers)
        for (name, answers), rows in zip(experiments.items(), np.split(accuracies, ends[:-1]), strict=True)
    }


def _counts(draw: np.random.Generator, photos: int) -> NDArray[np.float32]:
    """Say how often each photo is drawn, [worlds, photos]."""
    drawn = draw.integers(0, photos, (AT_A_TIME, photos)) + photos * np.arange(AT_A_TIME)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=AT_A_TIME * photos)
    return counts.reshape(AT_A_TIME, photos).astype(np.float32)


def _other_seeds(answers: Answers) -> NDArray[np.float64]:
    """Say by how much other seeds would have moved the mean accuracy, [worlds]; the same seeds are drawn alike."""
    runs = len(answers.seeds)
    if runs == 1:
        return np.zeros(RESAMPLES)
    accuracies = answers.right.mean(axis=1)
    drawn = np.random.default_rng(list(answers.seeds)).integers(0, runs, (RESAMPLES, runs))
    stretch = math.sqrt(runs / (runs - 1)) * students_t(runs) / NORMAL
    return stretch * (accuracies[drawn].mean(axis=1) - accuracies.mean())
