"""How did it go? A series in sentences: what each experiment got right, and whether it beat the one it came from."""

from unfreeze.evaluation.paired import Pair
from unfreeze.report.side_by_side import Comparison
from unfreeze.report.summary import Summary
from unfreeze.report.wording import method, percent, percent_range


def story(comparison: Comparison) -> list[str]:
    """Tell how it went, a sentence an experiment.

    An experiment that started from another one is compared with it on the same test photos; the last sentence compares
    the two best.

    Args:
        comparison: of one or more series; experiments that have not read the test photos are left out.
    """
    tested = {summary.name: summary for summary in comparison.experiments if summary.accuracy}
    photos = comparison.results[0].dataset.test
    sentences = []
    for name, summary in tested.items():
        settings = summary.settings
        parent = f"{name.removesuffix(settings.name)}{settings.start_from}" if settings.start_from else None
        sentence = f"{name} ({_what(summary)}) got {_accuracy(summary)} of {photos:,} test photos right"
        if parent and parent in tested:
            sentence += f": {_against(comparison.pair(name, parent))}"
        sentences.append(f"{sentence}.")
    if len(tested) > 1:
        second, first = sorted(tested.values(), key=_mean)[-2:]
        said = _against(comparison.pair(first.name, second.name))
        sentences.append(f"Of all, {first.name} did best: {said}.")
    return sentences + reference_sentences(comparison)


def reference_sentences(comparison: Comparison) -> list[str]:
    """Compare with figures of others, a sentence each."""
    judged: dict[str, list[str]] = {}
    for each in comparison.references:
        measured = f"{percent(each.accuracy)} of {each.photos:,} photos" if each.photos else percent(each.accuracy)
        low, high = (100 * bound for bound in each.ci95)
        said = f"{each.experiment} is {each.verdict} ({100 * each.difference:+.1f} points, {low:+.1f} to {high:+.1f})"
        judged.setdefault(f"{each.reference} ({measured})", []).append(said)
    return [f"Against {whom}: {', '.join(verdicts)}." for whom, verdicts in judged.items()]


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


def _against(pair: Pair) -> str:
    """Say a difference in points: `6.1 points better than model_2 (4.9 to 7.3)`, or that it may be chance."""
    low, high = (100 * bound for bound in pair.ci95)
    points = 100 * pair.difference
    if pair.verdict == "within noise":
        return f"within noise of {pair.b} ({points:+.1f} points, {low:+.1f} to {high:+.1f})"
    low, high = sorted((abs(low), abs(high)))
    return f"{abs(points):.1f} points {pair.verdict} than {pair.b} ({low:.1f} to {high:.1f})"


def _mean(summary: Summary) -> float:
    assert summary.accuracy
    return summary.accuracy.mean
