"""Stops a trial whose time is up, that diverges, or that is worse than others were."""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np


class Ended(Exception):  # noqa: N818 (no error: it ends a trial)
    """A trial ends before its last epoch; the text is its outcome, as `Trial` has it."""


class Watch(keras.callbacks.Callback):
    """Looks at the clock during a trial, and stops one that is worse than others were.

    Args:
        clock: gives seconds.
        deadline: when the trial must end.
        planned: epochs of the last phase.
        asked: Optuna's trial, which hears of every epoch; None for one that is never stopped.
        chance: training loss of answers that know no more than the classes' shares, in nats.

    Attributes:
        epochs: seconds of each epoch of the last phase.
    """

    def __init__(self, clock: Callable[[], float], deadline: float, planned: int, asked: Any, chance: float = math.inf):
        super().__init__()
        self._clock, self._deadline, self._planned, self._asked = clock, deadline, planned, asked
        self._chance = chance
        self.epochs: list[float] = []
        self._first = self._last = clock()

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Begin a phase."""
        self.epochs, self._first, self._last = [], self._clock(), self._clock()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Stop when the time is up."""
        if self._clock() > self._deadline:
            raise Ended("out of time")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Stop when the epochs to come would take too long, training diverges, or others were better by then."""
        now = self._clock()
        self.epochs.append(now - self._last)
        self._last = now
        logs = logs or {}
        is_probe = logs.get("learning_rate", 0) is None
        if self._asked is None or is_probe:
            return
        done = len(self.epochs)
        if done == 2 and now + (self._planned - done) * self.epochs[1] > self._deadline:
            raise Ended("out of time")
        if done > 1 and not logs["loss"] < self._chance:  # a loss that is no number is not less, either
            raise Ended("diverged")
        self._asked.report(float(logs["val_loss"]), round(100 * done / self._planned))
        if self._asked.should_prune():
            raise Ended("stopped")

    def around(self, began: float, ended: float) -> tuple[float, float]:
        """Give the seconds before the second epoch, less one epoch, and after the last."""
        usual = self.epochs[1] if len(self.epochs) > 1 else 0.0
        first = self.epochs[0] if self.epochs else 0.0
        return self._first - began + max(first - usual, 0.0), ended - self._last


def chance(labels: np.ndarray) -> float:
    """Give the cross-entropy, in nats, of answers that know no more of these class numbers than their shares."""
    shares = np.unique(labels, return_counts=True)[1] / len(labels)
    return float(-(shares * np.log(shares)).sum())
