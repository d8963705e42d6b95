"""What labelled photos and seconds buy, and what twice the photos would likely bring."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from unfreeze.report.answer import seconds_spent
from unfreeze.report.side_by_side import Comparison
from unfreeze.report.style import INK, MARKS, PALE, SMALL, TEXT, Picture, literally, share_formatter, tidy
from unfreeze.report.summary import Summary
from unfreeze.report.wording import percent, percent_range, shorten

_SAME = ("kind", "backbone", "unfreeze", "augment", "epochs", "start_from")
"""What experiments must have in common for their photos alone to make the difference."""

_LEFT, _RIGHT = 0.15, 0.35
"""Room beside the dots, as shares of the width between them; names stand on the right."""

_LINE, _NEAR = 0.06, 0.25
"""Names closer than this are written as one: as a share of a panel's height, and of the place."""


@dataclass(frozen=True)
class Doubling:
    """What twice the training photos would likely bring.

    Attributes:
        names: experiments that differ in their photos alone, fewest photos first.
        photos: training photos of each.
        accuracy: of the last one with twice its photos, if its error goes on falling likewise.
        ci95: its 95% interval over photos and seeds; it knows nothing of whether the error does go on so.
    """

    names: tuple[str, ...]
    photos: tuple[int, ...]
    accuracy: float
    ci95: tuple[float, float]

    def __str__(self) -> str:
        low, high = percent_range(*self.ci95).split("-")
        return (
            f"With twice its {self.photos[-1]:,} training photos, {self.names[-1]} would get about "
            f"{percent(self.accuracy)} right ({low} to {high}%), if its error goes on falling as it did from "
            f"{self.photos[0]:,} photos ({self.names[0]})."
        )


def doublings(comparison: Comparison) -> tuple[Doubling, ...]:
    """Extrapolate every group of tested experiments that differ in their training photos alone.

    The error is taken to be a power of the number of photos (J. Hestness et al., "Deep learning scaling is predictable,
    empirically", 2017, arXiv:1712.00409): a straight line through logarithms, once for each resample of photos and
    seeds.
    """
    groups: dict[tuple[str, ...], list[Summary]] = {}
    for summary in comparison.experiments:
        if summary.name in comparison.worlds and summary.settings.train_images:
            key = tuple(repr(getattr(summary.settings, field)) for field in _SAME)
            groups.setdefault(key, []).append(summary)
    return tuple(
        _doubling(group, comparison)
        for group in groups.values()
        if len({summary.settings.train_images for summary in group}) > 1
    )


def _doubling(group: Sequence[Summary], comparison: Comparison) -> Doubling:
    ordered = sorted(group, key=lambda summary: summary.settings.train_images or 0)
    photos = [summary.settings.train_images or 0 for summary in ordered]
    half_a_photo = 0.5 / comparison.results[0].dataset.test
    measured = np.array([[summary.accuracy.mean] for summary in ordered if summary.accuracy])
    worlds = np.stack([comparison.worlds[summary.name] for summary in ordered])
    errors = (1 - np.concatenate([measured, worlds], axis=1)).clip(half_a_photo, 1)
    slopes = np.polyfit(np.log(photos), np.log(errors), deg=1)[0]
    doubled = 1 - (errors[-1] * 2**slopes).clip(0, 1)
    low, high = np.quantile(doubled[1:], [0.025, 0.975]).tolist()
    return Doubling(tuple(summary.name for summary in ordered), tuple(photos), float(doubled[0]), (low, high))


def label_efficiency(comparison: Comparison) -> Picture:
    """Draw test accuracy against labelled photos, validation photos counted, and against seconds, ancestors counted.

    Args:
        comparison: of one series, with at least one tested experiment.
    """
    tested = [summary for summary in comparison.experiments if summary.accuracy]
    trained = [summary for summary in tested if summary.settings.train_images]
    panels = 2 if trained else 1
    title, subtitle = "What labelled photos and seconds buy", "Bars: 95% intervals. Axes below: logarithmic."
    picture = Picture(5.2, 3.2 * panels, title, subtitle)
    axes = picture.subplots(panels, 1, squeeze=False)[:, 0]
    if trained:
        val = comparison.results[0].dataset.val
        _panel(axes[0], trained, [(summary.settings.train_images or 0) + val for summary in trained])
        axes[0].set_xlabel("labelled photos: trained on and validated on", fontsize=TEXT, color=INK)
    _panel(axes[-1], tested, [max(seconds_spent(summary, comparison), 0.1) for summary in tested])
    axes[-1].set_xlabel("seconds, with those of the experiments it starts from", fontsize=TEXT, color=INK)
    return picture


def _panel(axes: Axes, summaries: Sequence[Summary], places: Sequence[float]) -> None:
    tidy(axes)
    axes.set_xscale("log")
    spread = max(max(places) / min(places), 2)
    axes.set_xlim(min(places) / spread**_LEFT, max(places) * spread**_RIGHT)
    axes.set_ylabel("test accuracy", fontsize=TEXT, color=INK)
    axes.yaxis.set_major_formatter(share_formatter())
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.10g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(axis="y", color=PALE, linewidth=0.7)
    axes.margins(y=0.15)
    for summary, place in zip(summaries, places, strict=True):
        assert summary.accuracy
        assert summary.ci95
        colour, marker = MARKS[summary.settings.kind]
        axes.vlines(place, *summary.ci95, color=colour, linewidth=1.8)
        axes.plot(place, summary.accuracy.mean, color=colour, marker=marker, markersize=6)
    for (place, accuracy), names in _labels(axes, summaries, places).items():
        axes.annotate(
            literally(shorten(", ".join(names), 30)),
            (place, accuracy),
            xytext=(5, 4),
            textcoords="offset points",
            fontsize=SMALL,
            color=INK,
        )


def _labels(axes: Axes, summaries: Sequence[Summary], places: Sequence[float]) -> dict[tuple[float, float], list[str]]:
    """Put the names of dots that all but cover each other together: place of the first one -> names."""
    low, high = axes.get_ylim()
    found: dict[tuple[float, float], list[str]] = {}
    for summary, place in zip(summaries, places, strict=True):
        assert summary.accuracy
        mean = summary.accuracy.mean
        near = (at for at in found if abs(at[1] - mean) < _LINE * (high - low) and abs(at[0] / place - 1) < _NEAR)
        found.setdefault(next(near, (place, mean)), []).append(summary.name)
    return found
