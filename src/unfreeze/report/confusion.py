"""Which classes are taken for which."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from unfreeze.evaluation.metrics import Metrics
from unfreeze.report.style import BLUE, INK, ORANGE, PALE, SMALL, TEXT, Picture, literally, tidy
from unfreeze.report.wording import percent, shorten

_NAME_LETTERS = 24
_LETTER = 0.085
"""Usual width of a letter, in inches."""

_SHARES_UP_TO, _COUNTS_UP_TO = 12, 25
"""Classes with which a cell still holds its share of the row, and at least its count."""


def confusion(metrics: Metrics, classes: Sequence[str], name: str) -> Picture:
    """Draw a confusion matrix: a row a true class, a column a predicted one.

    A cell's colour is its share of the row; its numbers are photos and, up to 12 classes, that share. With
    more than 25 classes there is no room for numbers.

    Args:
        metrics: of one run.
        classes: the classes' names, in the metrics' order.
        name: of the experiment.
    """
    counts = np.array(metrics.confusion)
    rows = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, rows, out=np.zeros(counts.shape), where=rows > 0)
    names = [shorten(each, _NAME_LETTERS) for each in classes]
    cell = _cell_inches(len(classes))
    side = len(classes) * cell
    longest = _LETTER * max(map(len, names))
    upright = longest > cell
    picture = Picture(
        max(side + longest + 0.8, 5),
        side + (longest if upright else 0) + 0.8,
        f"{literally(shorten(name, 40))}: {percent(metrics.accuracy)} of {metrics.n:,} test photos right",
        f"{_worst(counts, names)} Blue: right, orange: wrong; the stronger, the larger the share of the row.",
    )
    axes = picture.subplots()
    axes.imshow(_colours(shares), aspect="auto")  # the figure's sides already make the cells squares
    _label(axes, [literally(each) for each in names], upright)
    if len(classes) <= _COUNTS_UP_TO:
        _write_numbers(axes, counts, shares)
    return picture


def _cell_inches(class_count: int) -> float:
    if class_count <= 6:
        return max(0.85, 3.2 / class_count)
    if class_count <= _SHARES_UP_TO:
        return 0.6
    return 0.36 if class_count <= _COUNTS_UP_TO else 0.165


def _worst(counts: NDArray[np.int64], classes: Sequence[str]) -> str:
    mistakes = counts - np.diag(np.diag(counts))
    if not mistakes.any():
        return "No mistakes."
    true, predicted = divmod(int(mistakes.argmax()), len(classes))
    taken, others = literally(classes[true]), literally(classes[predicted])
    return f"Most often {taken} is taken for {others} ({mistakes.max():,} of {counts[true].sum():,})."


def _colours(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    full = np.full((*shares.shape, 3), to_rgb(ORANGE))
    np.einsum("iij->ij", full)[:] = to_rgb(BLUE)
    return 1 - np.sqrt(shares)[..., None] * (1 - full)  # the root makes rare mistakes visible


def _label(axes: Axes, names: Sequence[str], upright: bool) -> None:
    tidy(axes)
    axes.spines[:].set_visible(False)
    size = TEXT if len(names) <= _COUNTS_UP_TO else 7
    positions = range(len(names))
    axes.set_yticks(positions, names)
    axes.set_xticks(positions, names, rotation=90 if upright else 0)
    axes.tick_params(length=0, labelsize=size)
    axes.set_xticks(np.arange(0.5, len(names) - 1), minor=True)
    axes.set_yticks(np.arange(0.5, len(names) - 1), minor=True)
    axes.tick_params(which="minor", length=0)
    axes.grid(which="minor", color=PALE, linewidth=0.7)
    axes.set_xlabel("predicted class", fontsize=TEXT, color=INK)
    axes.set_ylabel("true class", fontsize=TEXT, color=INK)


def _write_numbers(axes: Axes, counts: NDArray[np.int64], shares: NDArray[np.float64]) -> None:
    for (row, column), count in np.ndenumerate(counts):
        if not count:
            continue
        share = shares[row, column]
        text = f"{count:,}\n{share:.0%}" if len(counts) <= _SHARES_UP_TO else f"{count}"
        colour = "white" if row == column and share > 0.4 else INK
        axes.text(column, row, text, ha="center", va="center", fontsize=SMALL, color=colour)
