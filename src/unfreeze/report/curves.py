"""Loss and accuracy over the epochs, from the first ancestor's to the experiment's own last."""

from collections.abc import Sequence
from itertools import accumulate
from math import isnan
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from unfreeze.report.history import Phase, Stage, read_stages
from unfreeze.report.style import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    PALE,
    SMALL,
    TEXT,
    Picture,
    literally,
    share_formatter,
    tidy,
)
from unfreeze.report.wording import method, percent, shorten

_PANEL_LETTERS, _FEWEST_LETTERS = 52, 8
"""As many small letters fill a panel's width; with fewer than 8 a name says nothing."""


def curves(run: Path) -> Picture:
    """Draw a run's curves; those of the experiments it descends from come before, on the same axes.

    Args:
        run: a finished run's folder.

    Raises:
        RunError: the run has no history.
    """
    return draw_curves(read_stages(run))


def draw_curves(stages: Sequence[Stage]) -> Picture:
    """Draw the curves of a line of descent.

    Epochs are numbered through from 1. A vertical line stands wherever other layers begin to be trained. A
    diamond marks the last stage's best epoch, rings the epochs whose weights the next stage started with.

    Args:
        stages: oldest first, at least one.
    """
    picture = Picture(5.2, 6.6, _title(stages), _subtitle(stages))
    loss_axes, accuracy_axes = picture.subplots(2, 1)  # a phone shows it whole
    _panel(loss_axes, stages, "loss")
    _panel(accuracy_axes, stages, "accuracy")
    accuracy_axes.yaxis.set_major_formatter(share_formatter())
    picture.legend(
        *loss_axes.get_legend_handles_labels(),
        loc="outside lower left",
        ncols=2,
        frameon=False,
        fontsize=TEXT,
        labelcolor=INK,
    )
    return picture


def _title(stages: Sequence[Stage]) -> str:
    own = stages[-1]
    name, history = literally(shorten(own.name, 40)), own.history
    best = history.best_epoch
    epoch = _first_epochs(stages)[-1] + best - 1
    accuracy = history.val_accuracy[best - 1]
    if isnan(accuracy):
        return f"{name}: trained for {history.epochs} epochs, without validation"
    return f"{name} does best after epoch {epoch}: {percent(accuracy)} of the validation photos right"


def _subtitle(stages: Sequence[Stage]) -> str:
    steps = []
    for before, stage, first in zip(stages, stages[1:], _first_epochs(stages), strict=False):
        names = literally(f"{stage.name} goes on from {before.name}'s weights after epoch")
        steps.append(f"{names} {first + (stage.starts_at or 1) - 1}")
    return "; ".join(steps)


def _first_epochs(stages: Sequence[Stage]) -> list[int]:
    """Number of each stage's first epoch, counted through."""
    return list(accumulate((stage.history.epochs for stage in stages[:-1]), initial=1))


def _panel(axes: Axes, stages: Sequence[Stage], figure: str) -> None:
    tidy(axes)
    epochs = range(1, sum(stage.history.epochs for stage in stages) + 1)
    training = [value for stage in stages for value in getattr(stage.history, figure)]
    validation = [value for stage in stages for value in getattr(stage.history, f"val_{figure}")]
    axes.plot(epochs, training, color=GREY, linestyle="--", marker="o", markersize=4, label="training")
    if not all(isnan(value) for value in validation):
        axes.plot(epochs, validation, color=BLUE, linewidth=2, marker="o", markersize=5, label="validation")
    _mark_checkpoints(axes, stages, [own if isnan(val) else val for own, val in zip(training, validation, strict=True)])
    axes.set_xlim(0.5, len(epochs) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_ylabel(figure, fontsize=TEXT, color=INK)
    axes.set_xlabel("epoch", fontsize=TEXT, color=INK)
    axes.grid(axis="y", color=PALE, linewidth=0.7)
    axes.margins(y=0.12)
    _mark_phases(axes, stages)


def _mark_checkpoints(axes: Axes, stages: Sequence[Stage], values: Sequence[float]) -> None:
    firsts = _first_epochs(stages)
    handed_on = [
        first + stage.starts_at - 1 for first, stage in zip(firsts, stages[1:], strict=False) if stage.starts_at
    ]
    own = stages[-1].history
    best = firsts[-1] + own.best_epoch - 1
    label = "last epoch" if all(map(isnan, own.val_loss)) else "best epoch (lowest validation loss)"
    if handed_on:
        ring = {"linestyle": "none", "marker": "o", "markersize": 10, "markerfacecolor": "none"}
        at_these = [values[epoch - 1] for epoch in handed_on]
        axes.plot(handed_on, at_these, **ring, markeredgecolor=INK, label="weights handed on")
    axes.plot(
        best,
        values[best - 1],
        color=ORANGE,
        linestyle="none",
        marker="D",
        markersize=8,
        label=label,
    )


def _mark_phases(axes: Axes, stages: Sequence[Stage]) -> None:
    """Draw a line wherever other layers begin to be trained, and say above the stretches which."""
    stretches = [
        (stage.name, phase) for stage in stages for phase in stage.phases or [Phase(stage.history.epochs, None)]
    ]
    if len(stretches) == 1:
        return
    total = sum(phase.epochs for _, phase in stretches)
    start = 0
    for name, phase in stretches:
        if start:
            axes.axvline(start + 0.5, color=INK, linewidth=1, linestyle=":")
        letters = int(_PANEL_LETTERS * phase.epochs / total)
        words = method("fine_tuning" if phase.unfreeze else "feature_extraction", phase.unfreeze)
        if letters >= _FEWEST_LETTERS:
            axes.annotate(
                literally(f"{shorten(name, letters)}\n{shorten(words, letters)}"),
                xy=(start + 0.5, 1),
                xycoords=("data", "axes fraction"),
                xytext=(2, 3),
                textcoords="offset points",
                fontsize=SMALL,
                color=INK,
            )
        start += phase.epochs
