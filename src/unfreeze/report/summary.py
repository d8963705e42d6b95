"""The seeds and splits of one experiment taken together."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from unfreeze.evaluation.intervals import interval_over_seeds, interval_over_splits
from unfreeze.report.results import Dataset, ExperimentResult, Results


@dataclass(frozen=True)
class OverSeeds:
    """Mean of a figure over seeds and its standard deviation (n - 1); None with a single seed."""

    mean: float
    sd: float | None


@dataclass(frozen=True)
class Summary:
    """One experiment over its seeds and splits.

    Attributes:
        name: the experiment.
        runs: one for each seed and split; at least one.
        accuracy: on test; None, like the next five, where no run has read the test set.
        ci95: 95% interval of the mean accuracy, over photos and seeds, or over splits with test photos of their own.
        macro_f1: on test.
        macro_f1_ci95: its 95% interval over splits with test photos of their own; None without such splits.
        nll: on test.
        ece: on test.
        seconds: a run.
    """

    name: str
    runs: tuple[ExperimentResult, ...]
    accuracy: OverSeeds | None
    ci95: tuple[float, float] | None
    macro_f1: OverSeeds | None
    macro_f1_ci95: tuple[float, float] | None
    nll: OverSeeds | None
    ece: OverSeeds | None
    seconds: OverSeeds

    def to_json(self) -> dict[str, Any]:
        """What `unfreeze compare --json` says of an experiment."""
        accuracy = None
        if self.accuracy and self.ci95:
            accuracy = {"mean": self.accuracy.mean, "sd": self.accuracy.sd, "ci95": list(self.ci95)}
        return {"name": self.name, "seeds": self.seeds, "splits": self.splits, "accuracy": accuracy}

    @property
    def seeds(self) -> int:
        """How many different seeds its runs have."""
        return len({run.seed for run in self.runs})

    @property
    def splits(self) -> int:
        """How many splits its runs have."""
        return len({run.split_seed for run in self.runs})

    @property
    def repeats(self) -> str:
        """Say how often it was run: `3 seeds`, `5 splits`, `5 splits, 3 seeds each`; empty where it was once."""
        if self.splits == 1:
            return f"{self.seeds} seeds" if self.seeds > 1 else ""
        return f"{self.splits} splits" + (f", {self.seeds} seeds each" if self.seeds > 1 else "")

    @property
    def settings(self) -> ExperimentResult:
        """A run to read settings from: they are the same for all seeds."""
        return self.runs[0]


def summarize(results: Results) -> tuple[Summary, ...]:
    """Put the runs of each experiment together, experiments in the order of `results`."""
    runs: dict[str, list[ExperimentResult]] = {}
    for run in results.experiments:
        runs.setdefault(run.name, []).append(run)
    return tuple(_summary(name, tuple(of_name), results.dataset) for name, of_name in runs.items())


def _summary(name: str, runs: tuple[ExperimentResult, ...], dataset: Dataset) -> Summary:
    seconds = _over_seeds([run.seconds.total for run in runs])
    tests = [run.test for run in runs if run.test]
    if not tests:
        return Summary(
            name, runs, accuracy=None, ci95=None, macro_f1=None, macro_f1_ci95=None, nll=None, ece=None, seconds=seconds
        )
    accuracies = [test.accuracy for test in tests]
    return Summary(
        name=name,
        runs=runs,
        accuracy=_over_seeds(accuracies),
        ci95=_over_splits(runs, dataset, "accuracy") or interval_over_seeds(accuracies, min(test.n for test in tests)),
        macro_f1=_over_seeds([test.macro_f1 for test in tests]),
        macro_f1_ci95=_over_splits(runs, dataset, "macro_f1"),
        nll=_over_seeds([test.nll for test in tests]),
        ece=_over_seeds([test.ece for test in tests]),
        seconds=seconds,
    )


def _over_splits(runs: Sequence[ExperimentResult], dataset: Dataset, figure: str) -> tuple[float, float] | None:
    """Give a figure's interval over splits with test photos of their own; None without such splits."""
    by_split: dict[int, list[float]] = {}
    for run in runs:
        if run.test:
            by_split.setdefault(run.split_seed, []).append(getattr(run.test, figure))
    if not dataset.test_is_carved or len(by_split) < 2:
        return None
    return interval_over_splits([fmean(each) for each in by_split.values()], dataset.test, dataset.train + dataset.val)


def _over_seeds(numbers: list[float]) -> OverSeeds:
    return OverSeeds(fmean(numbers), stdev(numbers) if len(numbers) > 1 else None)
