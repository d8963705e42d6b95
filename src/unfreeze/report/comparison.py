"""The experiments' test accuracies side by side, with how far chance may have moved them."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from unfreeze.report.results import Results
from unfreeze.report.style import (
    GREY,
    INK,
    MARKS,
    PALE,
    SMALL,
    TEXT,
    Picture,
    literally,
    share_formatter,
    tidy,
)
from unfreeze.report.summary import Summary, summarize
from unfreeze.report.table import validation_notes
from unfreeze.report.wording import method, percent, percent_range, shorten


def comparison(results: Results, largest_class: float | None = None) -> Picture:
    """Draw each experiment's test accuracy as a dot with its 95% interval, in the recipe's order.

    With several seeds the dot is their mean, and small dots are the single ones.

    Args:
        results: of the series.
        largest_class: share of the largest class among the test photos, drawn as the baseline; None for none.
    """
    summaries = summarize(results)
    picture = Picture(9, 0.62 * len(summaries) + 0.9, _title(summaries), _subtitle(summaries, results))
    axes = picture.subplots()
    tidy(axes)
    for row, summary in enumerate(summaries):
        _draw(axes, row, summary)
    if largest_class is not None:
        _draw_baseline(axes, largest_class)
    axes.set_yticks(range(len(summaries)), [_label(summary) for summary in summaries])
    axes.set_ylim(len(summaries) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_formatter(share_formatter())
    axes.set_xlabel("test accuracy", fontsize=TEXT, color=INK)
    axes.grid(axis="x", color=PALE, linewidth=0.7)
    return picture


def _title(summaries: Sequence[Summary]) -> str:
    tested = [(summary.accuracy.mean, summary) for summary in summaries if summary.accuracy]
    if not tested:
        return "No experiment has read the test photos yet"
    accuracy, best = max(tested, key=lambda pair: pair[0])
    return f"{literally(shorten(best.name, 40))} has the highest test accuracy: {percent(accuracy)}"


def _subtitle(summaries: Sequence[Summary], results: Results) -> str:
    photos = f"{results.dataset.test:,} test photos"
    notes = [f"Bars: 95% Wilson interval from {photos}"]
    if repeats := next((summary.repeats for summary in summaries if summary.repeats), None):
        notes = [f"Bars: 95% interval from {photos} and {repeats}"]
        notes.append("On the bars: means, below: single runs")
    notes += [note.capitalize() for note in validation_notes(results.dataset)]
    return ". ".join(notes) + "."


def _label(summary: Summary) -> str:
    settings = summary.settings
    what = shorten(method(settings.kind, settings.unfreeze), 40)
    photos = f"{settings.train_images or 0:,} photos"
    return f"{literally(shorten(summary.name, 40))}\n{literally(what)}, {photos}"


def _draw(axes: Axes, row: int, summary: Summary) -> None:
    if summary.accuracy is None or summary.ci95 is None:
        axes.annotate(
            "test not read",
            (0.99, row),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="center",
            fontsize=SMALL,
            color=GREY,
        )
        return
    low, high = summary.ci95
    mean = summary.accuracy.mean
    colour, marker = MARKS[summary.settings.kind]
    axes.hlines(row, low, high, color=colour, linewidth=1.8)
    axes.plot(mean, row, color=colour, marker=marker, markersize=6)
    if len(summary.runs) > 1:
        single = [run.test.accuracy for run in summary.runs if run.test]
        axes.plot(single, [row + 0.18] * len(single), color=colour, marker="o", markersize=3.5, linestyle="none")
    axes.annotate(
        f"{percent(mean)}  ({percent_range(low, high)})",
        (mean, row),
        xytext=(0, 8),
        textcoords="offset points",
        ha="center",
        fontsize=SMALL,
        color=INK,
    )


def _draw_baseline(axes: Axes, share: float) -> None:
    axes.axvline(share, color=INK, linewidth=1, linestyle=":")
    axes.annotate(
        f"always the largest class: {percent(share)}",
        (share, 1),
        xycoords=("data", "axes fraction"),
        xytext=(0, 3),
        textcoords="offset points",
        ha="center",
        fontsize=SMALL,
        color=INK,
    )
