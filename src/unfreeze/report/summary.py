"""The seeds of one experiment taken together."""

from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from unfreeze.evaluation.intervals import interval_over_seeds
from unfreeze.report.results import ExperimentResult, Results


@dataclass(frozen=True)
class OverSeeds:
    """Mean of a figure over seeds and its standard deviation (n - 1); None with a single seed."""

    mean: float
    sd: float | None


@dataclass(frozen=True)
class Summary:
    """One experiment over its seeds.

    Attributes:
        name: the experiment.
        runs: one for each seed; at least one.
        accuracy: on test; None, like the next four, where no run has read the test set.
        ci95: 95% interval of the mean accuracy, over photos and seeds.
        macro_f1: on test.
        nll: on test.
        ece: on test.
        seconds: a run.
    """

    name: str
    runs: tuple[ExperimentResult, ...]
    accuracy: OverSeeds | None
    ci95: tuple[float, float] | None
    macro_f1: OverSeeds | None
    nll: OverSeeds | None
    ece: OverSeeds | None
    seconds: OverSeeds

    def to_json(self) -> dict[str, Any]:
        """What `unfreeze compare --json` says of an experiment."""
        accuracy = None
        if self.accuracy and self.ci95:
            accuracy = {"mean": self.accuracy.mean, "sd": self.accuracy.sd, "ci95": list(self.ci95)}
        return {"name": self.name, "seeds": len(self.runs), "accuracy": accuracy}

    @property
    def settings(self) -> ExperimentResult:
        """A run to read settings from: they are the same for all seeds."""
        return self.runs[0]


def summarize(results: Results) -> tuple[Summary, ...]:
    """Put the runs of each experiment together, experiments in the order of `results`."""
    runs: dict[str, list[ExperimentResult]] = {}
    for run in results.experiments:
        runs.setdefault(run.name, []).append(run)
    return tuple(_summary(name, tuple(of_name)) for name, of_name in runs.items())


def _summary(name: str, runs: tuple[ExperimentResult, ...]) -> Summary:
    seconds = _over_seeds([run.seconds.total for run in runs])
    tests = [run.test for run in runs if run.test]
    if not tests:
        return Summary(name, runs, accuracy=None, ci95=None, macro_f1=None, nll=None, ece=None, seconds=seconds)
    accuracies = [test.accuracy for test in tests]
    return Summary(
        name=name,
        runs=runs,
        accuracy=_over_seeds(accuracies),
        ci95=interval_over_seeds(accuracies, min(test.n for test in tests)),
        macro_f1=_over_seeds([test.macro_f1 for test in tests]),
        nll=_over_seeds([test.nll for test in tests]),
        ece=_over_seeds([test.ece for test in tests]),
        seconds=seconds,
    )


def _over_seeds(numbers: list[float]) -> OverSeeds:
    return OverSeeds(fmean(numbers), stdev(numbers) if len(numbers) > 1 else None)
