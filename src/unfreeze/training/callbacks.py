"""What happens at the end of every epoch: checkpoints, history, progress."""

import csv
import io
import time
from pathlib import Path
from typing import Any

import keras

from unfreeze import progress
from unfreeze.files import publish, replace_text

HISTORY_COLUMNS: tuple[str, ...] = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")


class Checkpoint(keras.callbacks.ModelCheckpoint):
    """Keras's ModelCheckpoint, which saves the whole model's weights and never leaves half a file.

    Args:
        whole: the model to save; training may run on a part of it that shares its weights.
        path: ends with `.weights.h5`.
        monitor: saves only where this is lower than ever before; None saves every epoch.
    """

    def __init__(self, whole: keras.Model, path: Path, monitor: str | None = None):
        self._path = path
        self._beside = path.with_name(f"partial-{path.name}")
        self._whole = whole
        super().__init__(
            str(self._beside),
            monitor=monitor or "loss",
            mode="min",
            save_best_only=monitor is not None,
            save_weights_only=True,
        )

    def set_model(self, model: keras.Model) -> None:
        """Save the whole model, whichever part of it is trained."""
        self._trained = model
        super().set_model(self._whole)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Save beside the checkpoint's place, then put it there in one step."""
        if hasattr(self._trained, "jax_state_sync"):
            self._trained.jax_state_sync()
        super().on_epoch_end(epoch, logs)
        if self._beside.exists():
            publish(self._beside, self._path)


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
        rate = float(self._trained.optimizer.learning_rate)
        values = {name: float(value) for name, value in (logs or {}).items()}
        # Adam keeps its rate as float32; the nearest short decimal is what the recipe said.
        self.rows.append({**values, "epoch": epoch + 1, "learning_rate": float(f"{rate:.6g}")})
        text = io.StringIO()
        table = csv.DictWriter(text, HISTORY_COLUMNS, extrasaction="ignore", restval="", lineterminator="\n")
        table.writeheader()
        table.writerows(self.rows)
        replace_text(self._path, text.getvalue())


class EpochProgress(keras.callbacks.Callback):
    """Tells the person at the screen how training goes: a bar of batches, a line an epoch."""

    def __init__(self, title: str, epochs: int, batches: int):
        super().__init__()
        self._title, self._epochs, self._batches = title, epochs, batches

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Open the bar of this phase."""
        self._started = time.perf_counter()
        self._bar = progress.task(self._title, self._epochs * self._batches)
        self._advance = self._bar.__enter__()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Move the bar by one batch."""
        self._advance(1)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Say the epoch's figures."""
        logs = logs or {}
        figures = f"loss {logs['loss']:.3f}, accuracy {logs['accuracy']:.3f}"
        if "val_loss" in logs:
            figures += f"; validation {logs['val_loss']:.3f}, {logs['val_accuracy']:.3f}"
        progress.say(f"{self._title}, epoch {epoch + 1}: {figures}")

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Close the bar."""
        self._bar.__exit__(None, None, None)
