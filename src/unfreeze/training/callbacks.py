"""What happens at the end of every epoch: checkpoints, history, progress."""

import csv
import io
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np

from unfreeze import progress
from unfreeze.files import replace_text, write_atomically
from unfreeze.models.classifier import head_layers
from unfreeze.training.batches import Batches

WRITE_EVERY = 30.0
"""Seconds between two writes of a checkpoint, and so the most that a kill costs of it."""

HISTORY_COLUMNS: tuple[str, ...] = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")


class Checkpoint(keras.callbacks.ModelCheckpoint):
    """Keras's ModelCheckpoint for the whole model: it never leaves half a file, and short epochs don't wait for it.

    Keras decides when weights are worth keeping; they are noted in memory and written when training ends, or earlier
    once `WRITE_EVERY` seconds have passed since the last time.

    Args:
        whole: the model to save; training may run on a part of it that shares its weights.
        path: ends with `.weights.h5`.
        monitor: keeps the epoch where this is lowest; None keeps the last one.
        twin: another checkpoint of the model, called before this one: where both keep the same, its file is copied.
    """

    def __init__(self, whole: keras.Model, path: Path, monitor: str | None = None, twin: "Checkpoint | None" = None):
        super().__init__(
            str(path), monitor=monitor or "loss", mode="min", save_best_only=monitor is not None, save_weights_only=True
        )
        self.path, self._twin = path, twin
        self._kept = _KeptWeights(whole)
        self._written = time.monotonic()

    def set_model(self, model: keras.Model) -> None:
        """Keep the whole model's weights, whichever part of it is trained."""
        self._trained = model
        super().set_model(self._kept)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keep the weights if they are worth it, and write them if it is time."""
        if hasattr(self._trained, "jax_state_sync"):
            self._trained.jax_state_sync()
        self._kept.is_current = False
        super().on_epoch_end(epoch, logs)
        if time.monotonic() - self._written >= WRITE_EVERY:
            self._write()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Write what is not on disk yet."""
        self._write()
        self._kept.weights = None

    @property
    def is_current(self) -> bool:
        """Whether the weights worth keeping are those that the model has."""
        return self._kept.is_current

    @property
    def is_written(self) -> bool:
        """Whether the weights worth keeping are on disk."""
        return not self._kept.is_pending

    @property
    def kept(self) -> list[np.ndarray] | None:
        """What training changes of the weights worth keeping; None where those are of an earlier phase, and on disk."""
        return self._kept.weights

    def take_up(self, best: float | None, kept: list[np.ndarray] | None) -> None:
        """Go on from where training was cut off, with the lowest value so far, and `kept` as it was then."""
        self.best = best
        self._kept.weights, self._kept.is_pending = kept, kept is not None

    def _write(self) -> None:
        if self._kept.is_pending:
            with write_atomically(self.path) as temporary:
                if self.is_current and self._twin and self._twin.is_current and self._twin.is_written:
                    shutil.copyfile(self._twin.path, temporary)
                else:
                    with self._kept.in_place():
                        self._kept.whole.save_weights(temporary)
            self._kept.is_pending = False
        self._written = time.monotonic()


class _KeptWeights:
    """Stands in for a model where Keras saves one: keeps a copy of what training changes."""

    def __init__(self, whole: keras.Model):
        self.whole = whole
        self.weights: list[np.ndarray] | None = None
        self.is_pending = self.is_current = False

    def save_weights(self, filepath: str, overwrite: bool = True) -> None:
        self.weights = self._copy()
        self.is_pending = self.is_current = True

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Give the whole model the kept weights inside the block."""
        current = self._copy()
        self._assign(self.weights or current)
        try:
            yield
        finally:
            self._assign(current)

    def _variables(self) -> list[Any]:
        """Give what training changes: trained weights, and in the head also statistics and generators' states."""
        states = [each for layer in head_layers(self.whole) for each in layer.variables if not each.trainable]
        return [*self.whole.trainable_variables, *states]

    def _copy(self) -> list[np.ndarray]:
        return [np.array(keras.ops.convert_to_numpy(variable)) for variable in self._variables()]

    def _assign(self, values: list[np.ndarray]) -> None:
        for variable, value in zip(self._variables(), values, strict=True):
            variable.assign(value)


class EpochStart(keras.callbacks.Callback):
    """Tells the batches which epoch begins."""

    def __init__(self, batches: Batches):
        super().__init__()
        self._batches = batches

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Take up the epoch's order and views."""
        self._batches.start(epoch)


class HistoryFile(keras.callbacks.Callback):
    """Keeps `history.csv`: a row an epoch, epochs counted from 1 through all phases."""

    def __init__(self, path: Path):
        super().__init__()
        self._path = path
        self.rows: list[dict[str, Any]] = []

    def set_model(self, model: keras.Model) -> None:
        """Keep the model that is trained, for its learning rate."""
        self._trained = model
        super().set_model(model)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Add the epoch's row and write the file anew."""
        values = {name: float(value) for name, value in (logs or {}).items() if value is not None}
        if (logs or {}).get("learning_rate", 0) is not None:  # without one where nothing is trained in steps
            # Adam keeps its rate as float32; the nearest short decimal is what the recipe said.
            values["learning_rate"] = float(f"{float(self._trained.optimizer.learning_rate):.6g}")
        self.rows.append({**values, "epoch": epoch + 1})
        text = io.StringIO()
        table = csv.DictWriter(text, HISTORY_COLUMNS, extrasaction="ignore", restval="", lineterminator="\n")
        table.writeheader()
        table.writerows(self.rows)
        replace_text(self._path, text.getvalue())


class EpochProgress(keras.callbacks.Callback):
    """Tells the person at the screen how training goes: a bar of batches, a line an epoch."""

    async_safe = True  # a GPU need not wait for it

    def __init__(self, title: str, epochs: int, batches: int):
        super().__init__()
        self._title, self._epochs, self._batches = title, epochs, batches
        self._done = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Open the bar of this phase."""
        self._bar = progress.task(self._title, self._epochs * self._batches)
        self._advance = self._bar.__enter__()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Count the epoch's batches anew."""
        self._done = 0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Move the bar up to this batch; Keras may have run several at once, and counts those past the end too."""
        done = min(batch + 1, self._batches)
        self._advance(done - self._done)
        self._done = done

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Fill the bar up to the epoch's end and say its figures."""
        if self._done < self._batches:
            self._advance(self._batches - self._done)
        logs = logs or {}
        figures = f"loss {logs['loss']:.3f}, accuracy {logs['accuracy']:.3f}"
        if "val_loss" in logs:
            figures += f"; validation {logs['val_loss']:.3f}, {logs['val_accuracy']:.3f}"
        progress.say(f"{self._title}, epoch {epoch + 1}: {figures}")

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Close the bar."""
        self._bar.__exit__(None, None, None)
