"""How did it go? A series in sentences: what each experiment got right, and whether it beat the one it came from."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unfreeze.evaluation.paired import Difference, paired_difference
from unfreeze.evaluation.predictions import read_predictions
from unfreeze.report.results import Results
from unfreeze.report.summary import Summary, summarize
from unfreeze.report.wording import method, percent, percent_range


def story(results: Results) -> list[str]:
    """Tell how a series went, a sentence an experiment, from its saved predictions.

    An experiment that started from another one is compared with it on the same test photos; the last sentence compares
    the two best.

    Args:
        results: of the series; experiments that have not read the test photos are left out.
    """
    tested = [summary for summary in summarize(results) if summary.accuracy]
    right = {summary.name: _how_often_right(results.out, summary) for summary in tested}
    sentences = []
    for summary in tested:
        parent = summary.settings.start_from
        test = f"{results.dataset.test:,} test photos"
        sentence = f"{summary.name} ({_what(summary)}) got {_accuracy(summary)} of {test} right"
        if parent in right:
            difference = paired_difference(right[summary.name], right[parent])
            sentence += f": {_against(difference, parent)}"
        sentences.append(f"{sentence}.")
    if len(tested) > 1:
        second, first = sorted(tested, key=_mean)[-2:]
        difference = paired_difference(right[first.name], right[second.name])
        sentences.append(f"Of all, {first.name} did best: {_against(difference, second.name)}.")
    return sentences


def _what(summary: Summary) -> str:
    settings = summary.settings
    said = method(settings.kind, settings.unfreeze)
    if settings.start_from:
        said += f" from {settings.start_from}"
    return said if settings.epochs is None else f"{said}, {settings.epochs} epochs"


def _accuracy(summary: Summary) -> str:
    assert summary.accuracy
    assert summary.ci95
    return f"{percent(summary.accuracy.mean)} ({percent_range(*summary.ci95)})"


def _against(difference: Difference, other: str) -> str:
    """Say a difference in points: `6.1 points better than model_2 (4.9 to 7.3)`, or that it may be chance."""
    low, high = (100 * bound for bound in difference.ci95)
    points = 100 * difference.mean
    if difference.verdict == "within noise":
        return f"within noise of {other} ({points:+.1f} points, {low:+.1f} to {high:+.1f})"
    low, high = sorted((abs(low), abs(high)))
    return f"{abs(points):.1f} points {difference.verdict} than {other} ({low:.1f} to {high:.1f})"


def _how_often_right(out: Path, summary: Summary) -> NDArray[np.floating]:
    """Give the share of an experiment's seeds that were right on each test photo, [n]."""
    runs = [read_predictions(out / run.path / "predictions.csv") for run in summary.runs if run.test]
    return np.mean([run.predicted == run.labels for run in runs], axis=0)


def _mean(summary: Summary) -> float:
    assert summary.accuracy
    return summary.accuracy.mean
