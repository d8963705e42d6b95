"""How sure a model is against how often it is then right."""

import numpy as np
from matplotlib.axes import Axes

from unfreeze.evaluation.calibration import calibrate, expected_calibration_error, reliability
from unfreeze.evaluation.predictions import Predictions
from unfreeze.report.style import BLUE, GREY, INK, PALE, TEXT, Picture, literally, share_formatter, tidy
from unfreeze.report.wording import percent, shorten


def reliability_diagram(predictions: Predictions, temperature: float, name: str) -> Picture:
    """Draw a reliability diagram of calibrated probabilities and, where that differs, of the model's own.

    Photos are put into 15 bins by how sure the model is; a dot's area grows with the photos in its bin.

    Args:
        predictions: calibrated, of test photos.
        temperature: that calibrated them.
        name: of the experiment.
    """
    labels, rows = predictions.labels, predictions.probabilities
    error = expected_calibration_error(labels, rows)
    title = f"{literally(shorten(name, 40))}: how sure and how often right differ by {percent(error)}"
    picture = Picture(
        5.2, 5.0, title, "On the diagonal it is as often right as it says. Means over bins of test photos."
    )
    axes = picture.subplots()
    tidy(axes)
    axes.plot([0, 1], [0, 1], color=PALE, linewidth=1.5)
    if temperature != 1:
        own = calibrate(rows, 1 / temperature)
        error = expected_calibration_error(labels, own)
        label = f"the model's own probabilities ({percent(error)})"
        _draw(axes, labels, own, color=GREY, facecolor="white", label=label)
    said = f"calibrated at temperature {temperature:.2f}" if temperature != 1 else "probabilities"
    _draw(axes, labels, rows, color=BLUE, label=said)
    axes.set(xlim=(0, 1.03), ylim=(0, 1.03), aspect="equal")
    axes.xaxis.set_major_formatter(share_formatter())
    axes.yaxis.set_major_formatter(share_formatter())
    axes.set_xlabel("how sure: largest probability", fontsize=TEXT, color=INK)
    axes.set_ylabel("how often right", fontsize=TEXT, color=INK)
    picture.legend(loc="outside lower left", frameon=False, fontsize=TEXT, labelcolor=INK)
    return picture


def _draw(
    axes: Axes, labels: np.ndarray, probabilities: np.ndarray, color: str, label: str, facecolor: str = ""
) -> None:
    bins = reliability(labels, probabilities)
    sizes = [8 + 150 * each.photos / len(labels) for each in bins]
    axes.scatter(
        [each.confidence for each in bins],
        [each.accuracy for each in bins],
        s=sizes,
        edgecolors=color,
        facecolors=facecolor or color,
        label=label,
        zorder=2,
    )
