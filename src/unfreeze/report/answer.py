"""Which model to ship, how sure that is, and what it costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from unfreeze.evaluation.paired import Pair
from unfreeze.report.side_by_side import Comparison
from unfreeze.report.summary import Summary
from unfreeze.report.wording import method, percent, percent_range


@dataclass(frozen=True)
class Answer:
    """What the figures of a series say to somebody who wants one model.

    Attributes:
        ship: the experiment; validation photos chose it, wherever there were any.
        chosen_on_test: whether the test photos chose it, so that its test figures are too good.
        headline: a sentence.
        accuracy: how good it is.
        certainty: how sure it is that no other is better.
        cost: photos and time.
    """

    ship: Summary
    chosen_on_test: bool
    headline: str
    accuracy: str
    certainty: str
    cost: str


def answer(comparison: Comparison, largest_class: float | None = None) -> Answer | None:
    """Say which experiment of a series to ship; None where none has been tested.

    Args:
        comparison: of one series.
        largest_class: share of the largest class among the test photos.
    """
    tested = [summary for summary in comparison.experiments if summary.accuracy]
    if not tested:
        return None
    ship, on_test = _choose(tested, comparison)
    against = [comparison.pair(ship.name, other.name) for other in tested if other is not ship]
    return Answer(
        ship=ship,
        chosen_on_test=on_test,
        headline=f"Ship {ship.name}: {percent(_accuracy(ship))} of {_photos(comparison)} right.",
        accuracy=_how_good(ship, on_test, comparison, largest_class),
        certainty=_how_sure(ship, against, comparison),
        cost=_cost(ship, comparison),
    )


def ancestry(summary: Summary, comparison: Comparison) -> list[Summary]:
    """Give the experiments of the same series that one descends from: parent first."""
    by_name = {each.name: each for each in comparison.experiments}
    found: list[Summary] = []
    parent = by_name.get(summary.settings.start_from or "")
    while parent and parent not in found:
        found.append(parent)
        parent = by_name.get(parent.settings.start_from or "")
    return found


def seconds_spent(summary: Summary, comparison: Comparison) -> float:
    """Add up the seconds of a run and of those that it descends from."""
    return sum(each.seconds.mean for each in [summary, *ancestry(summary, comparison)])


def _choose(tested: Sequence[Summary], comparison: Comparison) -> tuple[Summary, bool]:
    """Take the highest validation accuracy; of equal ones the lowest validation loss."""
    validated = [summary for summary in tested if all(run.val for run in summary.runs)]
    if not validated or comparison.results[0].dataset.validation == "test":
        return max(tested, key=_accuracy), len(tested) > 1
    best = max(validated, key=_on_validation)
    # As-is has not seen the validation photos; it takes more than noise to put it first
    as_is = [each for each in tested if each.settings.kind == "as_is" and each is not best]
    better = [each for each in as_is if comparison.pair(each.name, best.name).verdict == "better"]
    return (max(better, key=_accuracy), True) if better else (best, False)


def _on_validation(summary: Summary) -> tuple[float, float]:
    figures = [run.val for run in summary.runs if run.val]
    return fmean(each.accuracy for each in figures), -fmean(each.loss for each in figures)


def _how_good(ship: Summary, on_test: bool, comparison: Comparison, largest_class: float | None) -> str:
    assert ship.ci95
    said = f"The 95% interval is {percent_range(*ship.ci95)}%"
    if ship.repeats:
        said += f", over photos and {ship.repeats}"
    if largest_class is not None:
        said += f"; always answering with the largest class would get {percent(largest_class)} right"
    if comparison.results[0].dataset.validation == "test":
        return f"{said}. The test photos chose epochs and model, so this is too good."
    if on_test:
        return f"{said}. The test photos themselves chose it, so this is a little too good."
    return said + (". Validation photos chose it, so the figure is fair." if len(comparison.experiments) > 1 else ".")


def _how_sure(ship: Summary, against: Sequence[Pair], comparison: Comparison) -> str:
    if not against:
        return "There is no other experiment to compare it with."
    beaten = [pair for pair in against if pair.verdict == "better"]
    equal = [pair for pair in against if pair.verdict == "within noise"]
    better = [pair for pair in against if pair.verdict == "worse"]
    sentences = []
    if beaten:
        closest = min(beaten, key=lambda pair: pair.difference)
        who = "every other experiment" if len(beaten) == len(against) > 1 else _names([pair.b for pair in beaten])
        said = (
            f"; {closest.b}, the closest, is {_points(closest)} behind"
            if len(beaten) > 1
            else f", by {_points(closest)}"
        )
        sentences.append(f"On the test photos it is better than {who}{said}")
    if equal:
        nearest = min(equal, key=lambda pair: abs(pair.difference))
        sentences.append(
            f"{'It' if not beaten else 'But it'} is within noise of {_names([pair.b for pair in equal])}: a difference "
            f"under {100 * nearest.smallest:.1f} points would mostly not have shown{_cheaper(ship, equal, comparison)}"
        )
    if better:
        worst = min(better, key=lambda pair: pair.difference).reversed()
        sentences.append(f"Look twice: on the test photos {worst.a} did better, by {_points(worst)}")
    return ". ".join(sentences) + "."


def _points(pair: Pair) -> str:
    low, high = (100 * bound for bound in pair.ci95)
    return f"{100 * pair.difference:.1f} points ({low:.1f} to {high:.1f})"


def _cheaper(ship: Summary, equal: Sequence[Pair], comparison: Comparison) -> str:
    """Name the experiment that does with the fewest photos, then seconds, if that is not the one to ship."""
    by_name = {summary.name: summary for summary in comparison.experiments}
    candidates = [by_name[pair.b] for pair in equal]
    least = min([ship, *candidates], key=lambda each: (_trained_on(each), seconds_spent(each, comparison)))
    if least is ship:
        return ""
    return f"; {least.name} is as good a choice and cheaper ({_price(least, comparison)})"


def _cost(ship: Summary, comparison: Comparison) -> str:
    settings = ship.settings
    if settings.kind == "as_is":
        return f"It costs nothing: {settings.backbone} is used as it is."
    said = f"{settings.backbone}, {method(settings.kind, settings.unfreeze)}: it cost {_price(ship, comparison)}"
    val = comparison.results[0].dataset.val
    if val and comparison.results[0].dataset.validation != "test":
        said += f", and {val:,} more photos for validation"
    parents = [each.name for each in ancestry(ship, comparison)]
    return said + (f"; {_names(parents)}, from which it starts, is counted in." if parents else ".")


def _price(summary: Summary, comparison: Comparison) -> str:
    spent = seconds_spent(summary, comparison)
    time = f"{spent:,.0f} seconds" if spent < 120 else f"{spent / 60:,.0f} minutes"
    return f"{_trained_on(summary):,} training photos and {time}"


def _trained_on(summary: Summary) -> int:
    return summary.settings.train_images or 0


def _accuracy(summary: Summary) -> float:
    assert summary.accuracy
    return summary.accuracy.mean


def _photos(comparison: Comparison) -> str:
    return f"{comparison.results[0].dataset.test:,} test photos"


def _names(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
